//! The pages of the documentation, and what stands in them.

use std::fs;

use serde_json::{Map, Value};

use crate::tokens;

/// The pages of the reference.
pub const REFERENCE: &str = "docs/";

/// A file of the repository, as text.
pub fn read(path: &str) -> String {
    let path = tokens::repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `README.md` and what else is for people at the top, the guides, and the format of cases.
pub fn pages() -> Vec<(String, String)> {
    let mut paths = [in_folder("docs"), in_folder("docs/policies")].concat();
    let others = [
        "CONTRIBUTING.md",
        "README.md",
        "RELEASING.md",
        "SECURITY.md",
        "tests/cases/README.md",
    ];
    paths.extend(others.map(str::to_owned));
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), read(&path)))
        .collect()
}

fn in_folder(folder: &str) -> Vec<String> {
    let names = fs::read_dir(tokens::repository().join(folder)).expect("there are docs");
    names
        .map(|entry| entry.expect("docs can be listed").file_name())
        .map(|name| format!("{folder}/{}", name.to_string_lossy()))
        .filter(|name| name.ends_with(".md"))
        .collect()
}

/// The reference as one text: everything under `docs`.
pub fn reference() -> String {
    let pages = pages();
    let reference = pages.iter().filter(|(path, _)| path.starts_with(REFERENCE));
    reference.map(|(_, page)| page.as_str()).collect()
}

/// The name under which a heading can be linked to.
pub fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

/// The contents of all fences in a language.
pub fn fences(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}");
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match &mut open {
            None if line == opening => open = Some(String::new()),
            None => {}
            Some(_) if line == "```" => found.extend(open.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// The rows of every table with this head, as cells.
pub fn tables(page: &str, head: &str) -> Vec<Vec<String>> {
    let mut lines = page.lines();
    let mut rows = Vec::new();
    while lines.by_ref().any(|line| line == head) {
        let body = lines
            .by_ref()
            .skip(1)
            .take_while(|line| line.starts_with('|'));
        rows.extend(body.map(|line| {
            let inner = line.trim_start_matches('|').trim_end_matches('|');
            inner
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        }));
    }
    assert!(!rows.is_empty(), "no table begins with {head}");
    rows
}

/// What stands between backticks in a cell.
pub fn quoted(cell: &str) -> Vec<String> {
    let pieces = cell.split('`').skip(1).step_by(2);
    pieces.map(str::to_owned).collect()
}

/// The one name of a row.
pub fn name_of(row: &[String]) -> String {
    match quoted(&row[0]).as_slice() {
        [name] => name.clone(),
        names => panic!("one name expected in the first cell, found {names:?}"),
    }
}

/// An API that the documentation shows how to guard, and where its published document is.
const PUBLISHED: (&str, &str) = (
    "legal-entities",
    "tests/vectors/openapi-adyen/LegalEntityService-v4.json",
);

/// Puts the published document in its place where an example names it, as a reader is told to.
pub fn with_published_api(example: &mut Value) {
    let (name, path) = PUBLISHED;
    let routes = example["routes"].as_array();
    let names_it = |route: &Value| route["openapi"]["api"] == name;
    if example.get("apis").is_none() && routes.is_some_and(|routes| routes.iter().any(names_it)) {
        let api = serde_json::from_str(&read(path)).expect("the document is JSON");
        example["apis"] = Value::Object(Map::from_iter([(name.to_owned(), api)]));
    }
}
