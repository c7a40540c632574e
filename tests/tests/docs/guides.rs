//! The guides: what they say of the code, of codes and of policies is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::{metrics, policy, stream};
use portcullis_tests::pages::{quoted, read, tables};
use portcullis_tests::tokens;

const WHERE: &str = "| change | write | list | held by | page |";

fn is_path(name: &str) -> bool {
    let tops = ["src/", "tests/", "envoy/", "docs/"];
    tops.iter().any(|top| name.starts_with(top)) || name == "Makefile" || name == "Cargo.toml"
}

/// Up to the folder in which a name is to be chosen, as in `src/<name>.rs`.
fn chosen_in(path: &str) -> &str {
    let known = path.split('<').next().unwrap_or_default();
    match known.len() == path.len() {
        true => path,
        false => known.rsplit_once('/').map_or("", |(folder, _)| folder),
    }
}

#[test]
fn the_places_for_a_line_are_there() {
    let root = tokens::repository();
    let page = read("docs/where.md");
    let named = page.lines().filter(|line| line.starts_with('|'));
    let paths = named.flat_map(quoted).filter(|name| is_path(name));
    let (mut missing, mut found) = (Vec::new(), 0);
    for path in paths {
        match root.join(chosen_in(&path)).exists() {
            true => found += 1,
            false => missing.push(path),
        }
    }
    assert!(missing.is_empty(), "docs/where.md: {missing:#?}");
    assert!(found > 30, "only {found} paths");
}

#[test]
fn the_lists_to_register_in_are_there() {
    let root = tokens::repository();
    let is_constant = |name: &String| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let mut found = 0;
    for row in tables(&read("docs/where.md"), WHERE) {
        let files = quoted(&row[2]).into_iter().chain(quoted(&row[1]));
        let files: Vec<String> = files.filter(|name| name.ends_with(".rs")).collect();
        for constant in quoted(&row[2]).into_iter().filter(is_constant) {
            let declared = format!("const {constant}:");
            let declares = files
                .iter()
                .filter(|name| !name.contains('<'))
                .map(|name| fs::read_to_string(root.join(name)).unwrap_or_default())
                .any(|text| text.contains(&declared));
            assert!(declares, "{constant} is not in {files:?}");
            found += 1;
        }
    }
    assert!(found > 3, "only {found} lists");
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("tests can be listed") {
        let path = entry.expect("tests can be listed").path();
        match path.is_dir() {
            true => sources(&path, into),
            false => into.push(path),
        }
    }
}

#[test]
fn the_tests_that_hold_a_line_are_there() {
    let root = tokens::repository().join("tests/tests");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let texts: String = files
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let is_word = |name: &String| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut found = 0;
    for row in tables(&read("docs/where.md"), WHERE) {
        for name in quoted(&row[3]).into_iter().filter(is_word) {
            let binary = root.join(format!("{name}.rs")).exists() || root.join(&name).exists();
            let test = texts.contains(&format!("fn {name}("));
            assert!(binary || test, "no test is {name}");
            found += 1;
        }
    }
    assert!(found > 15, "only {found} tests");
}

#[test]
fn every_policy_has_its_stage_in_the_life_of_a_request() {
    let rows = tables(
        &read("docs/life-of-a-request.md"),
        "| stage | policies | why here |",
    );
    let written: BTreeSet<String> = rows.iter().flat_map(|row| quoted(&row[1])).collect();
    let real: BTreeSet<String> = policy::LIST
        .iter()
        .map(|kind| kind.name.to_owned())
        .collect();
    assert_eq!(written, real);
}

#[test]
fn every_code_of_the_core_has_its_phase() {
    let rows = tables(
        &read("docs/life-of-a-request.md"),
        "| phase | what happens | refused with | the request waits for |",
    );
    let written: BTreeSet<String> = rows.iter().flat_map(|row| quoted(&row[2])).collect();
    for code in stream::CODES {
        assert!(written.contains(code.name), "{} has no phase", code.name);
    }
}

/// The first cell of a row of these tables names codes, and reasons of them.
#[test]
fn troubleshooting_names_the_codes_there_are() {
    let page = read("docs/troubleshooting.md");
    let rows = tables(&page, "| code, reason | cause | cure |");
    let mut named = 0;
    for row in &rows {
        let names = quoted(&row[0]);
        let is_code = |name: &String| metrics::codes().any(|code| code.name == name);
        let codes: Vec<_> = names.iter().filter(|name| is_code(name)).collect();
        for name in names.iter().filter(|name| !is_code(name)) {
            let is_reason = metrics::codes()
                .filter(|code| codes.iter().any(|name| *name == code.name))
                .any(|code| code.reasons.iter().any(|reason| reason.name == name));
            assert!(is_reason || name == "OPTIONS", "{name} in {row:?}");
        }
        named += codes.len();
    }
    assert!(named > 25, "only {named} codes");
}

/// The site leads to every page that people read.
#[test]
fn every_page_is_in_the_navigation() {
    let site = read("site/mkdocs.yml");
    let (_, navigation) = site.split_once("\nnav:\n").expect("a navigation");
    let listed: BTreeSet<&str> = navigation
        .lines()
        .filter_map(|line| line.rsplit_once(": ").map(|(_, path)| path))
        .collect();
    let mut pages = Vec::new();
    super::every_page("", &mut pages);
    assert!(pages.len() > 50, "{pages:?}");
    for page in &pages {
        assert!(
            listed.contains(page.as_str()),
            "{page} is not in site/mkdocs.yml"
        );
        // The site would fetch a script of others for it, and where that fails none of its own runs: no search.
        assert!(!read(page).contains("```mermaid"), "{page}");
    }
    for path in listed {
        assert!(pages.iter().any(|page| page == path), "{path} is no page");
    }
}
