//! What clients are told is what the IETF's draft allows, judged by a reader that others wrote
//! and by vectors that others wrote.

use std::fs;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::{HeaderName, HeaderValue, Headers};
use portcullis::memory_host::MemoryHost;
use portcullis::stream::{Action, Stream};
use portcullis_tests::still::still;
use portcullis_tests::tokens::repository;
use serde_json::{Value, json};
use sfv::{BareItem, Item, List, ListEntry, Parser};

fn proxy() -> MemoryHost {
    still(2_000_000_000)
}

fn vectors(path: &str) -> Value {
    let path = repository().join("tests/vectors").join(path);
    let text = fs::read_to_string(path).expect("the vectors are there");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

/// The items of a field, if it is a list of strings with the parameters that it should have.
fn read(field: &str, value: &str) -> Option<Vec<(String, i64, Option<i64>)>> {
    let list: List = Parser::new(value.as_bytes()).parse().ok()?;
    if list.is_empty() {
        return None;
    }
    let (quantity, seconds, least) = match field {
        "RateLimit-Policy" => ("q", "w", 1),
        _ => ("r", "t", 0),
    };
    let item = |entry: &ListEntry| {
        let ListEntry::Item(Item { bare_item, params }) = entry else {
            return None;
        };
        let name = bare_item.as_string()?.as_str().to_owned();
        let integer = |key: &str| match params.get(key) {
            None => Some(None),
            Some(BareItem::Integer(number)) => Some(Some(i64::from(*number))),
            Some(_) => None,
        };
        let quantity = integer(quantity)??;
        let seconds = integer(seconds)?;
        let is_key = matches!(params.get("pk"), None | Some(BareItem::ByteSequence(_)));
        let units = ["requests", "content-bytes", "concurrent-requests"];
        let is_unit = match params.get("qu") {
            None => true,
            Some(BareItem::String(unit)) => units.contains(&unit.as_str()),
            Some(_) => false,
        };
        let fits = quantity >= 0 && seconds.is_none_or(|seconds| seconds >= least);
        (fits && is_key && is_unit).then_some((name, quantity, seconds))
    };
    list.iter().map(item).collect()
}

#[test]
fn the_judge_agrees_with_the_vectors() {
    let vectors = vectors("ratelimit-headers/examples.json");
    let lists = vectors
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_array);
    let mut judged = 0;
    for example in lists.flatten() {
        let text = |name: &str| example[name].as_str().unwrap();
        let valid = example["valid"].as_bool().unwrap();
        let found = read(text("field"), text("value"));
        assert_eq!(found.is_some(), valid, "{example}: {found:?}");
        judged += 1;
    }
    assert!(judged > 50, "{judged}");
}

#[test]
fn the_reader_agrees_with_the_vectors() {
    let mut judged = 0;
    for file in ["list", "param-list", "string", "number", "item", "examples"] {
        let vectors = vectors(&format!("structured-field-tests/{file}.json"));
        for test in vectors.as_array().unwrap() {
            if test["can_fail"] == true {
                continue;
            }
            let lines = test["raw"].as_array().unwrap().iter();
            let raw: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
            let raw = raw.join(", ");
            let parser = Parser::new(raw.as_bytes());
            let failed = match test["header_type"].as_str().unwrap() {
                "list" => parser.parse::<List>().is_err(),
                "item" => parser.parse::<Item>().is_err(),
                _ => continue,
            };
            assert_eq!(failed, test["must_fail"] == true, "{test}");
            judged += 1;
        }
    }
    assert!(judged > 80, "{judged}");
}

/// The fields of the answer to one request, and how long to wait if it was refused.
fn told(limits: &Value) -> (String, String, Option<i64>) {
    let document = json!({
        "version": 1,
        "routes": [{ "name": "all", "match": {}, "open": true, "rate_limits": limits }],
    });
    let engine = Engine::compile(document.to_string().as_bytes());
    let engine = engine.unwrap_or_else(|error| panic!("{error}"));
    let mut headers = Headers::default();
    for (name, value) in [(":method", "GET"), (":path", "/"), (":authority", "a")] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::new(engine)));
    let action = stream.on_request_headers(headers, BodyState::Complete, &proxy());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let fields: Vec<(HeaderName, HeaderValue)> = match action {
        Action::Reply(reply) => reply.headers,
        _ => {
            let head = stream.on_response_headers(None, BodyState::Open, &proxy());
            let edits = head.edits.into_iter();
            let set = edits.filter_map(|edit| match edit {
                Edit::Set(name, value) => Some((name, value)),
                _ => None,
            });
            set.collect()
        }
    };
    let field = |wanted: &str| {
        let mut fields = fields.iter();
        let (_, value) = fields.find(|(name, _)| name.as_str() == wanted)?;
        Some(text(value.as_bytes()))
    };
    let wait = field("retry-after").and_then(|wait| wait.parse().ok());
    let set = |wanted: &str| field(wanted).unwrap_or_default();
    (set("ratelimit-policy"), set("ratelimit"), wait)
}

#[test]
fn what_we_write_is_what_the_draft_allows() {
    let bucket = |max: u64, fill: u64, interval: &str| json!({ "token_bucket": { "max_tokens": max, "tokens_per_fill": fill, "fill_interval": interval } });
    let window = |requests: u64, per: &str| json!({ "sliding_window": { "requests": requests, "per": per } });
    let rules = [
        bucket(1, 1, "1ms"),
        bucket(100, 100, "60s"),
        bucket(4_294_967_295, 1_000_000, "1s"),
        bucket(1, 1, "8784h"),
        window(1, "1ms"),
        window(1_000_000_000, "8784h"),
        window(10, "1500ms"),
    ];
    for rule in &rules {
        for other in &rules {
            let limits = [("First.limit-1", rule), ("b", other)].map(|(name, rule)| {
                let mut limit = rule.clone();
                limit["name"] = json!(name);
                limit["key"] = json!([]);
                limit["headers"] = json!("ietf");
                limit
            });
            let (policies, standing, wait) = told(&json!(limits));
            let policies = read("RateLimit-Policy", &policies).expect("the policies are valid");
            let standing = read("RateLimit", &standing).expect("the limits are valid");
            assert_eq!(wait, None);
            assert_eq!((policies.len(), standing.len()), (2, 2));
            for ((policy, quota, _), (name, left, _)) in policies.iter().zip(&standing) {
                assert_eq!(policy, name);
                assert!(left <= quota);
            }
        }
    }
}
