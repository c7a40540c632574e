//! What a service answers: bodies that are judged, header fields and cookies, errors.

use portcullis_tests::random::Random;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

use super::super::search::Parameter;
use super::super::{Family, Shape};
use super::{LONGEST_BODY, LONGEST_FIELD, document, get, letters, open, rows};

pub(super) fn all() -> Vec<Family> {
    vec![
        Family {
            answer: Some(Box::new(judged)),
            ..plain(
                "`payload`, `responses` that are enforced",
                responses(),
                vec![
                    Parameter::kind("answer", ANSWERS),
                    Parameter::size("bytes", 100, LONGEST_BODY),
                ],
            )
        },
        Family {
            answer: Some(Box::new(fielded)),
            ..plain(
                "`security_headers`, `cookies`, `cors` on answers",
                headers(),
                vec![
                    Parameter::kind(
                        "fields",
                        &[
                            "cookies",
                            "any",
                            "that tell about the software",
                            "access-control-…",
                        ],
                    ),
                    Parameter::size("how many", 1, 90),
                    Parameter::size("bytes", 90, LONGEST_FIELD),
                ],
            )
        },
        Family {
            answer: Some(Box::new(failed)),
            ..plain(
                "`sanitize_errors`",
                open(json!({ "sanitize_errors": {}, "error_pages": {} })),
                vec![
                    Parameter::size("fields", 1, 90),
                    Parameter::size("bytes of fields", 90, LONGEST_FIELD),
                    Parameter::size("bytes", 100, LONGEST_BODY),
                ],
            )
        },
    ]
}

fn plain(policy: &str, document: Value, parameters: Vec<Parameter>) -> Family {
    let by_kind = document["routes"]
        .as_array()
        .is_some_and(|routes| routes.len() > 1);
    Family {
        policy: policy.to_owned(),
        document,
        parameters,
        request: Box::new(move |shape| request(if by_kind { shape.get(0) } else { 0 })),
        answer: None,
    }
}

fn request(route: usize) -> Request {
    get(&format!("/{route}"))
}

const ANSWERS: &[&str] = &[
    "lists of empty lists",
    "texts for a pattern",
    "objects",
    "unique numbers",
];

fn responses() -> Value {
    let schemas = [
        json!({ "items": { "items": { "type": "array" } } }),
        json!({ "items": { "items": { "type": "string", "pattern": "(?:[a-z]{1,1000}x|[a-z0-9]{1,1000}y)$" } } }),
        json!({ "items": { "items": { "type": "object", "properties": { "id": { "type": "integer" } }, "additionalProperties": false } } }),
        json!({ "items": { "uniqueItems": true } }),
    ];
    let routes = (0..schemas.len()).map(|number| {
        json!({ "payload": { "max_bytes": 0, "responses": { "json_schema": format!("s{number}"), "mode": "enforce" } } })
    });
    let mut document = document(routes.collect());
    for (number, schema) in schemas.into_iter().enumerate() {
        document["schemas"][format!("s{number}")] = schema;
    }
    document
}

fn judged(shape: &Shape<'_>) -> Response {
    let (bytes, random) = (shape.get(1), &mut Random(shape.seed));
    let body = match shape.get(0) {
        0 => rows(bytes, || "[]".to_owned()),
        1 => rows(bytes, || format!("\"{}\"", letters(1000, random))),
        2 => rows(bytes, || r#"{"id":1}"#.to_owned()),
        _ => rows(bytes, || random.below(1 << 30).to_string()),
    };
    response(
        200,
        vec![("content-type".to_owned(), b"application/json".to_vec())],
        body,
    )
}

fn response(status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Response {
    Response {
        status,
        headers,
        body,
        ..Response::default()
    }
}

fn headers() -> Value {
    let set: serde_json::Map<String, Value> = (0..30)
        .map(|n| {
            (
                format!("x-field-{n}"),
                json!({ "value": "ours", "action": "if_absent" }),
            )
        })
        .collect();
    let mut document = open(json!({}));
    document["defaults"] = json!({
        "security_headers": { "preset": "strict", "set": set, "cookies": {} },
        "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] },
    });
    document
}

fn fielded(shape: &Shape<'_>) -> Response {
    const REVEALING: [&str; 4] = ["server", "x-powered-by", "x-aspnet-version", "x-generator"];
    let (kind, count, random) = (shape.get(0), shape.get(1), &mut Random(shape.seed));
    let each = (shape.get(2) / count).saturating_sub(24);
    let field = |number: usize| {
        let value = letters(each, random);
        let (name, value) = match kind {
            0 => (
                "set-cookie".to_owned(),
                format!("c{number}={value}; {}", ";Path=/".repeat(each / 16)),
            ),
            1 => (format!("x-field-{number}"), value),
            2 => (REVEALING[number % 4].to_owned(), value),
            _ => (format!("access-control-x{number}"), value),
        };
        (name, value.into_bytes())
    };
    response(200, (0..count).map(field).collect(), b"{}".to_vec())
}

fn failed(shape: &Shape<'_>) -> Response {
    let (count, random) = (shape.get(0), &mut Random(shape.seed));
    let each = (shape.get(1) / count).saturating_sub(24);
    let fields = (0..count).map(|n| (format!("x-trace-{n}"), letters(each, random).into_bytes()));
    response(
        500,
        fields.collect(),
        letters(shape.get(2), random).into_bytes(),
    )
}
