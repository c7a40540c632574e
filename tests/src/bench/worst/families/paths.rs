//! The look-up of a route among 500, by the path and the rest of the head.

use portcullis_tests::random::Random;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

use super::super::search::Parameter;
use super::super::{Family, Shape};
use super::{LONGEST_FIELD, family, field, get, letters, text};

const PATHS: &[&str] = &[
    "of the last route",
    "one that differs in its last segment",
    "many segments",
    "one segment",
    "encoded letters",
    "encoded text of other alphabets",
    "a dot segment at the end",
    "words between hyphens",
];

pub(super) fn all() -> Vec<Family> {
    let parameters = || {
        vec![
            Parameter::kind("path", PATHS),
            Parameter::size("bytes", 20, LONGEST_FIELD),
        ]
    };
    vec![
        family(
            "paths and routes, 500 by prefix",
            routes(by_prefix),
            parameters(),
            asked,
        ),
        family(
            "paths and routes, 500 by template",
            routes(by_template),
            parameters(),
            asked,
        ),
        family(
            "paths and routes, 500 by header field",
            routes(by_header),
            parameters(),
            asked,
        ),
        family(
            "paths and routes, 500 by expression",
            routes(by_expression),
            parameters(),
            asked,
        ),
        family(
            "paths and routes, several readings (`paths`)",
            several(),
            parameters(),
            delimited,
        ),
    ]
}

fn routes(matched: fn(usize) -> Value) -> Value {
    let routes =
        (0..500).map(|n| json!({ "name": format!("r{n}"), "match": matched(n), "open": true }));
    json!({ "version": 1, "routes": routes.collect::<Vec<_>>() })
}

fn by_prefix(number: usize) -> Value {
    json!({ "path": { "prefix": format!("/a/b/c/d/e/f/g/h/kind-{number}") } })
}

fn by_template(number: usize) -> Value {
    // All begin alike, so that many have to be followed.
    let segments: String = (0..16)
        .map(|bit| match number >> (bit % 9) & 1 {
            0 => "/a".to_owned(),
            _ => format!("/{{v{bit}}}"),
        })
        .collect();
    json!({ "path": { "template": format!("{segments}/end-{number}") } })
}

fn by_header(number: usize) -> Value {
    json!({
        "path": { "prefix": "/a" },
        "hosts": ["api.bench.test", "*.bench.test"],
        "headers": [{ "name": "x-version", "contains": format!("version-{number}") }],
    })
}

fn by_expression(number: usize) -> Value {
    json!({ "path": { "regex": format!("(?:/[a-z0-9%.-]{{1,50}})*/(?:[a-z]{{1,50}}-)*kind-{number}") } })
}

fn asked(shape: &Shape<'_>) -> Request {
    let (bytes, random) = (shape.get(1), &mut Random(shape.seed));
    let path = match shape.get(0) {
        0 => "/a/b/c/d/e/f/g/h/kind-499".to_owned(),
        1 => "/a".repeat(16) + "/end-x",
        2 => "/a".repeat(bytes / 2),
        3 => format!("/{}", letters(bytes, random)),
        4 => "/%61".repeat(bytes / 4),
        5 => format!("/{}", "%c3%a9".repeat(bytes / 6)),
        6 => "/a".repeat(bytes / 2) + "/..",
        _ => text(bytes, || {
            format!("/{}-", letters(1 + random.below(49), random))
        }),
    };
    let rest = LONGEST_FIELD.saturating_sub(path.len());
    Request {
        headers: vec![field("x-version", &text(rest, || "version-".to_owned()))],
        ..get(&path)
    }
}

fn several() -> Value {
    let routes = (0..100).map(|n| {
        json!({ "name": format!("r{n}"), "match": { "path": { "prefix": format!("/a/kind-{n}") } }, "open": true })
    });
    let mut routes: Vec<Value> = routes.collect();
    routes.push(json!({ "name": "rest", "match": {}, "open": true }));
    json!({
        "version": 1,
        "paths": { "semicolons": "same_route", "encoded_slashes": "same_route", "empty_segments": "merge" },
        "routes": routes,
    })
}

fn delimited(shape: &Shape<'_>) -> Request {
    let bytes = shape.get(1);
    let piece = match shape.get(0) {
        0 => "/a;x=1",
        1 => "/a%2Fb",
        2 => "/a;x%2Fy",
        3 => "//a",
        4 => "/;",
        5 => "%2F",
        6 => "/a;x/%2F",
        _ => ";a",
    };
    get(&format!(
        "/{}",
        piece.repeat(bytes / piece.len()).trim_start_matches('/')
    ))
}
