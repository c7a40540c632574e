//! The definitions of meshes, and whether a manifest fits them.

use regex::Regex;
use serde_json::{Map, Value};

use super::manifest::yaml_files;
use super::*;

/// What the API server would refuse or drop. It also runs the rules in CEL, which are not run here.
pub(super) fn problems(manifest: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    check(&definition(manifest), manifest, "", &mut problems);
    problems
}

/// The schema for this kind of manifest, with what every kind has.
pub(super) fn definition(manifest: &Value) -> Value {
    let folders = [
        "tests/vectors/istio-crds",
        "tests/vectors/envoy-gateway-crds",
    ];
    let files: Vec<PathBuf> = folders.into_iter().flat_map(yaml_files).collect();
    let definitions = files.iter().map(|file| read_yaml(file));
    let versions = definitions.flat_map(|definition| {
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
