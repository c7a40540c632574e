//! What standards ask of a resource server: each row of their tables is held by tests that are there.

use std::fs;

use portcullis_tests::pages::{quoted, read, tables};
use portcullis_tests::tokens;
use serde_json::Value;

const HEAD: &str = "| section | what must be | how it is kept | held by |";
const PAGE: &str = "docs/conformance.md";

/// The tests that a cell names: `[text](file) `name`, `name``, as often as there are files.
fn named(cell: &str) -> Vec<(String, Vec<String>)> {
    let links = cell.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split_once(')'));
    let files = links.map(|(file, names)| (file.replacen("../", "", 1), quoted(names)));
    files.collect()
}

/// Whether a case file has an exchange of that name, or a problem that begins so.
fn is_in_case(text: &str, name: &str) -> bool {
    let case: Value = serde_json::from_str(text).expect("a case is JSON");
    let items = |member: &str| case[member].as_array().cloned().unwrap_or_default();
    let is_exchange = items("exchanges").iter().any(|each| each["name"] == name);
    let mut problems = items("problems").into_iter();
    is_exchange || problems.any(|each| each.as_str().is_some_and(|each| each.starts_with(name)))
}

/// Whether a source has a test of that name, or a part of one that it calls.
fn is_in_source(text: &str, name: &str) -> bool {
    let Some(at) = text.find(&format!("fn {name}(")) else {
        return false;
    };
    let mut before = text[..at].lines().rev();
    // The words before `fn` on its line, if there are any.
    let mut attributes = before.by_ref().skip_while(|line| line.trim().is_empty());
    let is_test = attributes
        .by_ref()
        .take_while(|line| line.trim_start().starts_with(['#', '/']))
        .any(|line| line.trim() == "#[test]");
    is_test || text.matches(&format!("{name}(")).count() > 1
}

#[test]
fn what_conforms_is_held_by_tests() {
    let root = tokens::repository();
    let (mut found, mut missing) = (0, Vec::new());
    for row in tables(&read(PAGE), HEAD) {
        let [section, _, how, held] = &row[..] else {
            panic!("four cells are expected in {row:?}");
        };
        let files = named(held);
        let names = files.iter().map(|(_, names)| names.len());
        let is_elsewhere = ["Not ours", "Not offered"]
            .iter()
            .any(|start| how.starts_with(start));
        assert!(
            is_elsewhere || names.clone().sum::<usize>() > 0,
            "{section}: no test holds it"
        );
        assert!(names.clone().all(|count| count > 0), "{section}: {held}");
        for (file, names) in &files {
            let text = fs::read_to_string(root.join(file)).unwrap_or_default();
            for name in names {
                let is_there = match file.ends_with(".json") {
                    true => is_in_case(&text, name),
                    false => is_in_source(&text, name),
                };
                match is_there {
                    true => found += 1,
                    false => missing.push(format!("{section}: {file}: {name}")),
                }
            }
        }
    }
    assert!(missing.is_empty(), "{PAGE}: {missing:#?}");
    assert!(found > 150, "only {found} tests");
}

#[test]
fn each_standard_has_its_table() {
    let page = read(PAGE);
    for number in [6750, 7662, 8705, 9421, 9449, 9530, 9728] {
        let heading = format!("\n### RFC {number}, ");
        let (_, section) = page.split_once(&heading).expect("it has a section");
        let section = section.split("\n### ").next().unwrap_or_default();
        assert!(tables(section, HEAD).len() > 3, "RFC {number}");
    }
}
