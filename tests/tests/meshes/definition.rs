//! The definitions of meshes, and whether a manifest fits them.

use std::sync::LazyLock;

use portcullis::config::{Node, Problems};
use portcullis::json::Json;
use portcullis::schema::{Formats, Notes, Schema, Text, Verdict};
use regex::Regex;
use serde_json::{Map, Value};

use super::cel;
use super::manifest::yaml_files;
use super::*;

/// What the API server would refuse or drop.
pub(super) fn problems(manifest: &Value) -> Vec<String> {
    if let Some(definition) = built_in(manifest) {
        return built_in_problems(&definition, manifest);
    }
    let (definition, mut problems) = (definition(manifest), Vec::new());
    check(&definition, manifest, "", &mut problems);
    // Rules are for what has the types that they expect.
    if problems.is_empty() {
        judge(&definition, manifest, "", &mut problems);
    }
    problems
}

/// The name of the definition of a kind that Kubernetes has itself.
fn built_in(manifest: &Value) -> Option<String> {
    let group = match manifest["apiVersion"].as_str()? {
        "v1" => "core",
        "batch/v1" => "batch",
        "admissionregistration.k8s.io/v1" => "admissionregistration",
        _ => return None,
    };
    let kind = manifest["kind"].as_str()?;
    Some(format!("io.k8s.api.{group}.v1.{kind}"))
}

/// By a schema that knows every field, and none besides.
fn built_in_problems(definition: &str, manifest: &Value) -> Vec<String> {
    const DEPTH: usize = 64;
    let file = repository().join("tests/vectors/kubernetes/definitions.json");
    let file = fs::read(file).expect("definitions");
    let mut schema: Value = serde_json::from_slice(&file).expect("JSON");
    assert_ne!(schema["$defs"].get(definition), None, "{definition}");
    schema["$ref"] = format!("#/$defs/{definition}").into();
    let json = Json::parse(schema.to_string().as_bytes(), DEPTH).expect("JSON");
    let mut problems = Problems::default();
    let (node, mut notes) = (Node::root(&json), Notes::default());
    let read = Schema::read(&node, Formats::Annotate, &mut notes, &mut problems);
    let schema = problems.into_result(read);
    let schema = schema.unwrap_or_else(|error| panic!("{error}"));
    let text = manifest.to_string();
    let text = Text::parse(text.as_bytes(), DEPTH).expect("JSON");
    match schema.judge(&text) {
        Verdict::Valid => Vec::new(),
        Verdict::Invalid(violations) => {
            let violations = violations.iter();
            violations.map(|each| format!("{each:?}")).collect()
        }
        Verdict::Undecided => vec!["undecided".to_owned()],
    }
}

/// Read once: it takes seconds.
static DEFINITIONS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let folders = [
        "tests/vectors/istio-crds",
        "tests/vectors/envoy-gateway-crds",
    ];
    let files = folders.into_iter().flat_map(yaml_files);
    files.map(|file| read_yaml(&file)).collect()
});

/// The group of a kind, and what its objects are called there.
pub(super) fn resource(kind: &str) -> (String, String) {
    let mut all = DEFINITIONS.clone();
    all.retain(|definition| definition["spec"]["names"]["kind"] == kind);
    assert_eq!(all.len(), 1, "{kind}");
    let spec = &all[0]["spec"];
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    (text(&spec["group"]), text(&spec["names"]["plural"]))
}

/// The schema for this kind of manifest, with what every kind has.
pub(super) fn definition(manifest: &Value) -> Value {
    let versions = DEFINITIONS.iter().cloned().flat_map(|definition| {
        let spec = &definition["spec"];
        let served = spec["versions"].as_array().cloned().unwrap_or_default();
        let key = (spec["group"].clone(), spec["names"]["kind"].clone());
        served
            .into_iter()
            .map(move |version| (key.clone(), version))
    });
    let wanted = manifest["apiVersion"].as_str().expect("apiVersion");
    let (group, version) = wanted.split_once('/').expect("group and version");
    let key = (Value::from(group), manifest["kind"].clone());
    let mut found =
        versions.filter(|(k, v)| *k == key && v["name"] == version && v["served"] == true);
    let (_, mut found) = found.next().expect("a definition of this kind");
    let mut schema = found["schema"]["openAPIV3Schema"].take();
    let string = json!({ "type": "string" });
    let strings = json!({ "type": "object", "additionalProperties": string });
    let metadata =
        json!({ "name": string, "namespace": string, "labels": strings, "annotations": strings });
    schema["properties"]["apiVersion"] = string.clone();
    schema["properties"]["kind"] = string;
    schema["properties"]["metadata"] = json!({ "type": "object", "properties": metadata });
    schema
}

pub(super) fn check(schema: &Value, value: &Value, place: &str, problems: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        return;
    };
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    for (keyword, rule) in rules {
        if !holds(keyword, rule, value) {
            problems.push(format!("{place}: {keyword}"));
        }
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(
                    &schema["items"],
                    item,
                    &format!("{place}/{index}"),
                    problems,
                );
            }
        }
        Value::Object(members) if rules.contains_key("type") => {
            for (name, value) in members {
                let place = format!("{place}/{name}");
                let known = schema["properties"].get(name);
                match known.or(rules.get("additionalProperties")) {
                    Some(schema) => check(schema, value, &place, problems),
                    None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                    None => problems.push(format!("{place}: unknown field")),
                }
            }
        }
        _ => {}
    }
}

/// The rules in CEL, of a value and of what is in it.
fn judge(schema: &Value, value: &Value, place: &str, problems: &mut Vec<String>) {
    let rules = schema["x-kubernetes-validations"].as_array();
    for rule in rules.into_iter().flatten() {
        let expression = rule["rule"].as_str().expect("a rule");
        // Of a change; what is new has no old value.
        if expression.contains("oldSelf") {
            continue;
        }
        let message = rule["message"].as_str().unwrap_or(expression);
        match cel::holds(expression, &[("self", value)]) {
            Ok(true) => {}
            Ok(false) => problems.push(format!("{place}: {message}")),
            Err(error) => panic!("a rule cannot be evaluated: {error}"),
        }
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let place = format!("{place}/{index}");
                judge(&schema["items"], item, &place, problems);
            }
        }
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                let known = schema["properties"].get(name);
                let schema = known.unwrap_or(&schema["additionalProperties"]);
                judge(schema, value, &format!("{place}/{name}"), problems);
            }
        }
        _ => {}
    }
}

/// One keyword of a schema; what is below the value is left to [`check`].
pub(super) fn holds(keyword: &str, rule: &Value, value: &Value) -> bool {
    let number = rule.as_f64().unwrap_or(f64::NAN);
    let length = |len: Option<usize>| len.map(|len| len as f64);
    let characters = length(value.as_str().map(|text| text.chars().count()));
    let all = |name: &Value| value.get(name.as_str().expect("a name")).is_some();
    let fits = |schema: &&Value| {
        let mut problems = Vec::new();
        check(schema, value, "", &mut problems);
        problems.is_empty()
    };
    let list = || rule.as_array().expect("a list");
    match keyword {
        "type" => match rule.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("boolean") => value.is_boolean(),
            other => panic!("the type {other:?} is not checked"),
        },
        "enum" => list().contains(value),
        "required" => list().iter().all(all),
        "pattern" => {
            let pattern = Regex::new(rule.as_str().expect("a pattern")).expect("a pattern");
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "minimum" => value.as_f64().is_none_or(|value| value >= number),
        "maximum" => value.as_f64().is_none_or(|value| value <= number),
        "minLength" => characters.is_none_or(|count| count >= number),
        "maxLength" => characters.is_none_or(|count| count <= number),
        "maxItems" => length(value.as_array().map(Vec::len)).is_none_or(|count| count <= number),
        "maxProperties" => {
            length(value.as_object().map(Map::len)).is_none_or(|count| count <= number)
        }
        "oneOf" => list().iter().filter(fits).count() == 1,
        "anyOf" => list().iter().any(|schema| fits(&schema)),
        "allOf" => list().iter().all(|schema| fits(&schema)),
        "not" => !fits(&rule),
        "minItems" => length(value.as_array().map(Vec::len)).is_none_or(|count| count >= number),
        "properties"
        | "additionalProperties"
        | "items"
        | "nullable"
        | "format"
        | "description"
        | "default" => true,
        _ if keyword.starts_with("x-kubernetes-") => true,
        _ => panic!("the keyword {keyword} is not checked"),
    }
}
