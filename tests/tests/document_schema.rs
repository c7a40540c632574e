//! The JSON Schema of the document, held against the readers of the document and against the reference.

use std::fs;

use portcullis::config::{Node, Problems};
use portcullis::engine::Engine;
use portcullis::json::Json;
use portcullis::schema::{Formats, Notes, Schema, Text, Verdict};
use portcullis_tests::document_schema::{PATH, documents, rows, text};
use portcullis_tests::tokens::repository;
use serde_json::{Value, json};

const DEPTH: usize = 64;

fn written() -> String {
    fs::read_to_string(repository().join(PATH)).expect("the schema is there")
}

/// The schema as it stands in the repository.
fn schema() -> Schema {
    let json = Json::parse(written().as_bytes(), DEPTH).expect("the schema is JSON");
    let mut problems = Problems::default();
    let schema = Schema::read(
        &Node::root(&json),
        Formats::Assert,
        &mut Notes::default(),
        &mut problems,
    );
    let schema = problems.into_result(schema);
    schema.unwrap_or_else(|error| panic!("{error}"))
}

fn accepts(schema: &Schema, document: &Value) -> Result<(), String> {
    let text = document.to_string();
    let Ok(text) = Text::parse(text.as_bytes(), DEPTH) else {
        return Err("too deep".to_owned());
    };
    match schema.judge(&text) {
        Verdict::Valid => Ok(()),
        Verdict::Invalid(violations) => Err(format!("{violations:?}")),
        Verdict::Undecided => Err("undecided".to_owned()),
    }
}

fn problems(document: &Value) -> Vec<String> {
    let compiled = Engine::compile(document.to_string().as_bytes());
    let problems = compiled.err().map(|error| error.problems);
    let problems = problems.into_iter().flatten();
    problems.map(|problem| problem.to_string()).collect()
}

/// Documents of a size that editors meet.
fn usual_documents() -> Vec<(String, Value)> {
    const LARGEST: usize = 300_000;
    let mut documents = documents();
    documents.retain(|(_, document)| document.to_string().len() < LARGEST);
    documents
}

#[test]
fn the_schema_is_what_readers_ask() {
    let (now, written) = (text(), written());
    let mut lines = now.lines().zip(written.lines());
    let differs = lines.find(|(now, written)| now != written);
    assert!(
        now == written,
        "{PATH} is not what the readers of the document ask; run `make schema`. First: {differs:?}"
    );
}

#[test]
fn every_valid_document_is_valid_by_the_schema() {
    let schema = schema();
    let mut valid = 0;
    for (path, document) in usual_documents() {
        if problems(&document).is_empty() {
            valid += 1;
            let judged = accepts(&schema, &document);
            assert!(judged.is_ok(), "{path}: {judged:?}");
        }
    }
    assert!(valid > 400, "only {valid} documents");
}

/// What a schema can see: names, kinds of values, and words to choose from.
fn is_visible(problem: &str) -> bool {
    // Documents of APIs and schemas have a format of their own.
    let is_foreign = problem.starts_with("/apis/") || problem.starts_with("/schemas/");
    let kinds = [
        "a string",
        "a number",
        "a boolean",
        "an array",
        "an object",
        "null",
    ];
    let is_of_kind = kinds
        .iter()
        .any(|kind| problem.contains(&format!(", not {kind}")));
    let is_named = problem.contains("unknown field") || problem.contains("must be one of");
    !is_foreign && (is_of_kind || is_named)
}

#[test]
fn most_of_what_is_wrong_is_wrong_by_the_schema() {
    let schema = schema();
    let (mut wrong, mut caught, mut visible, mut unseen) = (0, 0, 0, Vec::new());
    for (path, document) in usual_documents() {
        let problems = problems(&document);
        if problems.is_empty() {
            continue;
        }
        let is_caught = accepts(&schema, &document).is_err();
        let is_visible = problems.iter().any(|problem| is_visible(problem));
        wrong += 1;
        caught += usize::from(is_caught);
        visible += usize::from(is_visible);
        if is_visible && !is_caught {
            unseen.push(path);
        }
    }
    println!(
        "{caught} of {wrong} invalid documents; {visible} have what a schema can see, but {unseen:?}"
    );
    // The rest is wrong by what its parts say together.
    assert!(caught * 2 >= wrong, "{caught} of {wrong}");
    // What the schema lets stand beside `use` in a list of limits is more than its reader does.
    let are_known = unseen
        .iter()
        .all(|path| path.ends_with("rate_limits/wrong.json"));
    assert!(visible > 50 && are_known, "of {visible}, {unseen:?}");
}

/// One thing wrong at a time, in a document that is valid.
#[test]
fn a_slip_is_wrong_by_the_schema() {
    let schema = schema();
    let usual = json!({
        "$schema": "https://schemas.example.com/portcullis/portcullis.schema.json",
        "version": 1,
        "mode": "shadow",
        "routes": [{
            "name": "orders",
            "match": { "path": { "prefix": "/orders" }, "methods": ["GET"] },
            "open": true,
            "payload": { "max_bytes": "64KiB" },
            "rate_limits": [{ "name": "all", "key": [], "sliding_window": { "requests": 5, "per": "1m" } }],
        }],
    });
    assert_eq!(accepts(&schema, &usual), Ok(()));
    assert_eq!(problems(&usual), Vec::<String>::new());
    for (pointer, wrong) in [
        ("/version", json!("1")),
        ("/mode", json!("shadwo")),
        ("/routes", json!([])),
        ("/routes/0/match", json!("/orders")),
        ("/routes/0/match/methods", json!("GET")),
        ("/routes/0/open", json!("true")),
        ("/routes/0/payload/max_bytes", json!("64KB")),
        ("/routes/0/payload", json!({ "max_byte": 1 })),
        (
            "/routes/0/rate_limits/0/sliding_window/per",
            json!("1 minute"),
        ),
        (
            "/routes/0/rate_limits/0/sliding_window",
            json!({ "requests": 5 }),
        ),
        ("/$schema", json!(1)),
    ] {
        let mut document = usual.clone();
        *document.pointer_mut(pointer).expect("the place is there") = wrong;
        assert!(accepts(&schema, &document).is_err(), "{pointer}");
        assert!(!problems(&document).is_empty(), "{pointer}");
    }
}

fn described(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            let properties = members.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let text = property["description"].as_str().unwrap_or_default();
                found.push((name.clone(), text.to_owned()));
            }
            members.values().for_each(|member| described(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| described(item, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_reference_is_in_the_schema_with_its_text() {
    let schema: Value = serde_json::from_str(&written()).expect("the schema is JSON");
    let mut found = Vec::new();
    described(&schema, &mut found);
    let mut missing = Vec::new();
    let rows = rows();
    for row in &rows {
        let text = row.text();
        for field in &row.names {
            let is_it = |(name, said): &(String, String)| name == field && said.contains(&text);
            // A private key may not stand in a document: the row says so, and no value is right.
            if !found.iter().any(is_it) && field != "d" {
                missing.push(format!("{}: {field}", row.page));
            }
        }
    }
    assert!(rows.len() > 500, "only {} rows", rows.len());
    assert!(missing.is_empty(), "{missing:#?}");
    let silent = found.iter().filter(|(_, text)| text.is_empty()).count();
    println!("{silent} of {} properties have no description", found.len());
    assert!(silent * 5 < found.len(), "{silent} of {}", found.len());
}

/// A manifest whose `pluginConfig` is a document leads an editor to the schema.
#[test]
fn the_schema_of_manifests_leads_to_that_of_documents() {
    let path = repository().join("docs/schema/wasmplugin.schema.json");
    let text = fs::read_to_string(path).expect("the schema is there");
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    let target = "/properties/spec/properties/pluginConfig/$ref";
    let own: Value = serde_json::from_str(&written()).expect("the schema is JSON");
    let file = PATH.rsplit('/').next().map(|name| json!(name));
    assert_eq!(schema.pointer(target), file.as_ref());
    let base = |schema: &Value| {
        let id = schema["$id"].as_str().unwrap_or_default();
        id.rsplit_once('/').map(|(base, _)| base.to_owned())
    };
    assert_eq!(base(&schema), base(&own));
    let manifest = fs::read_to_string(repository().join("envoy/istio/wasmplugin.yaml"));
    let line = "# yaml-language-server: $schema=../../docs/schema/wasmplugin.schema.json\n";
    assert!(manifest.expect("the manifest is there").starts_with(line));
}
