//! The presets against the lists of the OWASP Secure Headers Project.

use std::collections::BTreeMap;
use std::fs;

use portcullis_tests::tokens::repository;
use serde_json::{Value, json};

use super::{engine, shaped};

fn vector(name: &str) -> Value {
    let path = repository().join("tests/vectors/oshp").join(name);
    let text = fs::read_to_string(path).expect("the lists are there");
    serde_json::from_str(&text).expect("the lists are JSON")
}

fn recommended() -> BTreeMap<String, String> {
    let list = vector("headers_add.json");
    let list = list["headers"].as_array().expect("the list has headers");
    let text = |value: &Value| {
        value
            .as_str()
            .expect("names and values are text")
            .to_owned()
    };
    list.iter()
        .map(|field| (text(&field["name"]).to_lowercase(), text(&field["value"])))
        .collect()
}

fn set_by(block: &Value) -> BTreeMap<String, String> {
    shaped(&engine(block), &[]).into_iter().collect()
}

#[test]
fn the_reference_names_the_date_of_the_list() {
    let date = vector("headers_add.json")["last_update_utc"].clone();
    let date = date
        .as_str()
        .and_then(|date| date.get(..10))
        .expect("it has a date");
    for path in [
        "docs/policies/security_headers.md",
        "src/policies/security_headers/presets.rs",
    ] {
        let page = fs::read_to_string(repository().join(path)).expect("it can be read");
        assert!(page.contains(date), "{path} does not name {date}");
    }
}

#[test]
fn the_preset_web_is_the_list() {
    let mut list = recommended();
    assert!(list.len() >= 13, "the list has only {} headers", list.len());
    // Every answer would log everybody out.
    list.remove("clear-site-data").expect("it is on the list");
    // Answers to requests with credentials have it: a case shows that.
    list.remove("cache-control").expect("it is on the list");
    // The list does not say what to do about what is deprecated, the project's page does.
    list.insert("x-xss-protection".to_owned(), "0".to_owned());
    assert_eq!(set_by(&json!({ "preset": "web" })), list);
}

#[test]
fn every_preset_has_the_value_of_the_list_or_a_stricter_one_that_is_explained() {
    let list = recommended();
    let explained: [(&str, &[&str]); 3] = [
        ("api", &["content-security-policy", "permissions-policy"]),
        ("web", &["cache-control"]),
        ("strict", &["content-security-policy"]),
    ];
    for (preset, explained) in explained {
        let set = set_by(&json!({ "preset": preset }));
        for (name, value) in &list {
            if name == "clear-site-data" || explained.contains(&name.as_str()) {
                assert_ne!(
                    set.get(name),
                    Some(value),
                    "{preset}: {name} needs no exception"
                );
            } else {
                assert_eq!(set.get(name), Some(value), "{preset}: {name}");
            }
        }
    }
}

#[test]
fn what_is_on_the_removal_list_is_removed_and_nothing_else() {
    let list = vector("headers_remove.json");
    let names: Vec<String> = list["headers"]
        .as_array()
        .expect("the list has headers")
        .iter()
        .map(|name| name.as_str().expect("names are text").to_lowercase())
        .collect();
    assert!(names.len() > 80, "the list has only {} names", names.len());
    let sent: Vec<(String, String)> = names
        .iter()
        .cloned()
        .chain(
            [
                "x-other",
                "date",
                "content-type",
                "x-request-id",
                "set-cookie",
            ]
            .map(str::to_owned),
        )
        .map(|name| (name, "1".to_owned()))
        .collect();
    let left = shaped(
        &engine(&json!({ "preset": "none", "remove_revealing": true })),
        &sent,
    );
    let left: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        left,
        [
            "x-other",
            "date",
            "content-type",
            "x-request-id",
            "set-cookie"
        ]
    );
    for preset in ["api", "web", "strict"] {
        let left = shaped(&engine(&json!({ "preset": preset })), &sent);
        let removed = names
            .iter()
            .all(|name| !left.iter().any(|(each, _)| each == name));
        assert!(removed, "{preset}: {left:?}");
    }
}
