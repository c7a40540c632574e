//! The JSON Schema Test Suite: see `tests/vectors/json-schema-test-suite` for where it comes from.
//!
//! `exceptions.json` there lists, with reasons, what this filter decides otherwise; each entry is
//! tested to be so.

mod envoy;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::config::{Node, Problems};
use portcullis::json::Json;
use portcullis::json_gate::Limits;
use portcullis::schema::{Formats, Schemas, Text, Verdict};
use portcullis_tests::tokens::repository;
use serde_json::{Map, Value};

const DEPTH: usize = 64;

fn folder() -> PathBuf {
    repository().join("tests/vectors/json-schema-test-suite")
}

fn read(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// All JSON files under a folder, by their path in it.
fn files(folder: &Path) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(each) = folders.pop() {
        for entry in fs::read_dir(&each).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, read(&path));
            }
        }
    }
    found
}

/// One draft's part of the suite.
struct Draft {
    name: &'static str,
    uri: &'static str,
    groups: Vec<Group>,
    /// What a schema of the suite may refer to, by URI.
    remotes: Map<String, Value>,
}

/// One schema and what it says of some values.
struct Group {
    file: String,
    description: String,
    schema: Value,
    tests: Vec<Value>,
}

impl Draft {
    fn read(name: &'static str, uri: &'static str) -> Self {
        let mut groups = Vec::new();
        for (file, content) in files(&folder().join(name)) {
            for group in content.as_array().unwrap() {
                groups.push(Group {
                    file: file.clone(),
                    description: group["description"].as_str().unwrap().to_owned(),
                    schema: group["schema"].clone(),
                    tests: group["tests"].as_array().unwrap().clone(),
                });
            }
        }
        let mut draft = Self {
            name,
            uri,
            groups,
            remotes: Map::new(),
        };
        for (path, schema) in files(&folder().join("remotes")) {
            // Folders named after a draft are for that draft.
            if !path.starts_with("draft") || path.starts_with(&format!("{name}/")) {
                let uri = format!("http://localhost:1234/{path}");
                draft.remotes.insert(uri, draft.in_dialect(&schema));
            }
        }
        for schema in files(&folder().join("metaschemas")).into_values() {
            let uri = schema["$id"].as_str().unwrap().trim_end_matches('#');
            draft.remotes.insert(uri.to_owned(), schema.clone());
        }
        draft
    }

    /// The suite's schemas are in the dialect of their folder unless they say otherwise.
    fn in_dialect(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        if let Value::Object(members) = &mut schema {
            members.entry("$schema").or_insert_with(|| self.uri.into());
        }
        schema
    }

    /// The `schemas` of a document that has this group's as `test`.
    fn schemas(&self, group: &Group) -> Value {
        let mut schemas = Map::new();
        let text = group.schema.to_string();
        if text.contains("localhost:1234") || text.contains("json-schema.org/draft") {
            schemas.clone_from(&self.remotes);
            // One that the group brings itself must not be there twice.
            let own = group.schema.get("$id").and_then(Value::as_str);
            schemas.retain(|uri, _| Some(uri.as_str()) != own);
            // What only some optional groups refer to is what other groups must not load.
            let foreign = |uri: &str| uri.contains("/ignore-");
            schemas.retain(|uri, _| !foreign(uri) || text.contains(uri.as_str()));
        }
        schemas.insert("test".to_owned(), self.in_dialect(&group.schema));
        schemas.into()
    }
}

fn compile(schemas: &Value) -> Result<Schemas, String> {
    let json = Json::parse(schemas.to_string().as_bytes(), DEPTH).unwrap();
    let mut problems = Problems::default();
    let schemas = Schemas::read(&Node::root(&json), &mut problems);
    // As a policy does that says nothing of patterns.
    schemas.has_all_patterns("test", None, &mut problems);
    problems
        .into_result(Some(schemas))
        .map_err(|error| error.to_string())
}

#[derive(Default)]
struct Tally {
    /// Values whose schema judges texts while they pass the gate.
    walking: usize,
    passed: usize,
    excepted: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn sum(tallies: [Tally; 2]) -> Self {
        let mut sum = Self::default();
        for tally in tallies {
            sum.passed += tally.passed;
            sum.excepted += tally.excepted;
            sum.wrong.extend(tally.wrong);
        }
        sum
    }
}

/// Runs the groups that `chosen` picks.
fn run(draft: &Draft, formats: Formats, chosen: impl Fn(&Group) -> bool) -> Tally {
    let exceptions = read(&folder().join("exceptions.json"));
    let mut tally = Tally::default();
    for group in draft.groups.iter().filter(|group| chosen(group)) {
        let excepted = exceptions.as_array().unwrap().iter().filter(|exception| {
            let fits = |member: &str, value: &str| exception[member].as_str() == Some(value);
            fits("draft", draft.name)
                && fits("file", &group.file)
                && fits("group", &group.description)
        });
        let excepted: Vec<&Value> = excepted.collect();
        let place = format!("{}/{}: {}", draft.name, group.file, group.description);
        let refused = excepted
            .iter()
            .find_map(|exception| exception["refused"].as_str());
        let schemas = match (compile(&draft.schemas(group)), refused) {
            (Ok(schemas), None) => schemas,
            (Ok(_), Some(_)) => {
                tally.wrong.push(format!("{place}: is compiled after all"));
                continue;
            }
            (Err(error), Some(expected)) => {
                assert!(error.contains(expected), "{place}: {error}");
                tally.excepted += group.tests.len();
                continue;
            }
            (Err(error), None) => {
                tally.wrong.push(format!("{place}: {error}"));
                continue;
            }
        };
        let schema = schemas.named("test", formats).unwrap().unwrap();
        for test in &group.tests {
            let name = test["description"].as_str().unwrap();
            let data = test["data"].to_string();
            let text = Text::parse(data.as_bytes(), DEPTH).unwrap();
            let verdict = schema.judge(&text);
            // While it passes the gate, too.
            let walked = schema.judge_bytes(data.as_bytes(), &Limits::GENEROUS, DEPTH);
            assert_eq!(walked.as_ref(), Ok(&verdict), "{place}: {name}");
            tally.walking += usize::from(schema.walks());
            let expected = test["valid"] == Value::Bool(true);
            let differs = excepted.iter().any(|exception| exception["test"] == name);
            match (&verdict, expected != differs) {
                (Verdict::Valid, true) | (Verdict::Invalid(_), false) => {}
                _ => {
                    tally.wrong.push(format!("{place}: {name}: {verdict:?}"));
                    continue;
                }
            }
            if let Verdict::Invalid(failures) = verdict {
                assert!(!failures.is_empty(), "{place}: {name}: nothing is said");
            }
            if differs {
                tally.excepted += 1;
            } else {
                tally.passed += 1;
            }
        }
    }
    tally
}

fn draft2020() -> Draft {
    Draft::read(
        "draft2020-12",
        "https://json-schema.org/draft/2020-12/schema",
    )
}

fn draft7() -> Draft {
    Draft::read("draft7", "http://json-schema.org/draft-07/schema#")
}

fn assert_all(tally: &Tally, passed: usize, excepted: usize) {
    let wrong = &tally.wrong;
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!((tally.passed, tally.excepted), (passed, excepted));
}

/// The suite's own text, number by number: what reads it for the other tests has doubles.
#[test]
fn large_numbers_are_exact() {
    let mut judged = 0;
    for draft in ["draft2020-12", "draft7"] {
        let text = fs::read(folder().join(draft).join("optional/bignum.json")).unwrap();
        let suite = Json::parse(&text, DEPTH).unwrap();
        let Json::Array(groups) = &suite else {
            panic!("a list of groups");
        };
        for group in groups.iter().map(|group| group.as_object().unwrap()) {
            let schema = group.member("schema").unwrap();
            let schemas = Json::parse(format!(r#"{{"test":{schema}}}"#).as_bytes(), DEPTH).unwrap();
            let mut problems = Problems::default();
            let schemas = Schemas::read(&Node::root(&schemas), &mut problems);
            let schema = schemas.named("test", Formats::Annotate).unwrap().unwrap();
            let Some(Json::Array(tests)) = group.member("tests") else {
                panic!("tests");
            };
            for test in tests.iter().map(|test| test.as_object().unwrap()) {
                let data = test.member("data").unwrap().to_string();
                let verdict = schema.judge(&Text::parse(data.as_bytes(), DEPTH).unwrap());
                let walked = schema.judge_bytes(data.as_bytes(), &Limits::GENEROUS, DEPTH);
                assert_eq!(walked.as_ref(), Ok(&verdict), "{data}");
                let valid = test.member("valid") == Some(&Json::Bool(true));
                assert_eq!(verdict == Verdict::Valid, valid, "{data}");
                judged += 1;
            }
        }
    }
    assert_eq!(judged, 18);
}

#[test]
fn required_of_draft_2020_12() {
    let tally = run(&draft2020(), Formats::Annotate, |group| {
        !group.file.starts_with("optional/")
    });
    assert_all(&tally, 1294, 5);
    assert!(tally.walking > 400, "{} values", tally.walking);
}

#[test]
fn required_of_draft_7() {
    let tally = run(&draft7(), Formats::Annotate, |group| {
        !group.file.starts_with("optional/")
    });
    assert_all(&tally, 927, 0);
    assert!(tally.walking > 400, "{} values", tally.walking);
}

#[test]
fn optional_formats() {
    let chosen = |group: &Group| {
        group.file.starts_with("optional/format/") && !group.file.ends_with("/idn-hostname.json")
    };
    let tallies = [draft2020(), draft7()].map(|draft| run(&draft, Formats::Assert, chosen));
    assert_all(&Tally::sum(tallies), 1215, 46);
}

#[test]
fn optional_rest() {
    let chosen = |group: &Group| {
        group.file.starts_with("optional/") && !group.file.starts_with("optional/format/")
    };
    let tallies = [draft2020(), draft7()].map(|draft| run(&draft, Formats::Annotate, chosen));
    assert_all(&Tally::sum(tallies), 221, 59);
}
