//! What is judged by the head alone: limits, CORS, CSRF, parameters, the record, refusals.

use portcullis_tests::random::Random;
use portcullis_tests::tokens::SigningKey;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

use super::super::search::Parameter;
use super::super::{Family, Shape};
use super::tokens::provider;
use super::{LONGEST_FIELD, document, family, field, fields, get, letters, open, text};

pub(super) fn all() -> Vec<Family> {
    vec![
        family(
            "`rate_limits`, 16 of them with 16 tiers each",
            limits(),
            vec![
                Parameter::kind("values", &["of tiers", "letters"]),
                Parameter::size("fields", 1, 90),
                Parameter::size("bytes of fields", 90, LONGEST_FIELD),
                Parameter::size("bytes of the query", 1, LONGEST_FIELD),
            ],
            limited,
        ),
        family(
            "`cors`, preflights about 500 routes",
            preflights(),
            vec![
                Parameter::kind("path", &["of the last route", "of no route"]),
                Parameter::kind(
                    "origin",
                    &["listed last", "almost a wildcard", "almost an expression"],
                ),
                Parameter::size("bytes of the origin", 30, 20_000),
                Parameter::kind(
                    "names",
                    &["of the routes' field", "of others", "the same again"],
                ),
                Parameter::size("names of fields", 1, 12_000),
            ],
            preflight,
        ),
        family(
            "`csrf`",
            open(json!({ "csrf": { "additional_origins": origins() } })),
            vec![
                Parameter::kind("field", &["origin", "referer", "sec-fetch-site"]),
                Parameter::size("bytes", 1, LONGEST_FIELD),
            ],
            cross_site,
        ),
        family(
            "`parameters`",
            parameters(),
            vec![
                Parameter::kind("query", QUERIES),
                Parameter::size("pairs", 1, 1200),
                Parameter::size("bytes", 10, LONGEST_FIELD),
            ],
            queried,
        ),
        family(
            "`access_log`, with the query, header fields and `security_events`",
            logged(),
            vec![
                Parameter::kind("text", &["letters", "bytes to escape", "pairs", "secrets"]),
                Parameter::kind(
                    "where",
                    &["the query", "the path", "header fields", "the user agent"],
                ),
                Parameter::size("bytes", 1, LONGEST_FIELD),
                Parameter::size("fields", 1, 90),
            ],
            recorded,
        ),
        family(
            "refusals: problem documents, pages, `security_headers`",
            refused(),
            vec![
                Parameter::kind(
                    "refusal",
                    &["no route", "a path", "a method", "a page", "a problem"],
                ),
                Parameter::size("fields", 1, 90),
                Parameter::size("bytes", 90, LONGEST_FIELD),
            ],
            refusal,
        ),
    ]
}

fn limits() -> Value {
    let limit = |number: usize| {
        let tier = |tier: usize| {
            json!({
                "when": { "header": format!("x-field-{number}"), "regex": format!("(?:[a-z]{{1,60}}-)*tier-{tier}") },
                "sliding_window": { "requests": 1_000_000, "per": "1s" },
            })
        };
        json!({
            "name": format!("l{number}"),
            "key": [
                { "header": format!("x-field-{}", number + 16) },
                { "query_parameter": format!("p{number}") },
                { "path_template": ["/a/{b}", "/{a}/b", "/0/{rest=**}"] },
                "claimed_subject", "method", "route",
            ],
            "tiers": (0..16).map(tier).collect::<Vec<_>>(),
            "token_bucket": { "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" },
            "headers": "both",
        })
    };
    let mut document = document(vec![json!({
        "jwt": { "provider": "corp", "optional": true },
        "rate_limits": (0..16).map(limit).collect::<Vec<_>>(),
    })]);
    let mut key = SigningKey::named("p256").jwk();
    key["alg"] = "ES256".into();
    document["providers"] = json!({ "corp": provider(&[key], "auto") });
    document
}

fn limited(shape: &Shape<'_>) -> Request {
    let random = &mut Random(shape.seed);
    let value = |bytes| match shape.get(0) {
        0 => text(bytes, || letters(1 + random.below(60), random) + "-"),
        _ => letters(bytes, random),
    };
    // The head is shared between the query and the fields.
    let query = shape
        .get(3)
        .min(LONGEST_FIELD.saturating_sub(shape.get(2)).max(10));
    let query: String = (0..16)
        .map(|n| format!("p{n}={}&", "q".repeat((query / 16).saturating_sub(5))))
        .collect();
    Request {
        headers: fields(shape.get(1), shape.get(2), value),
        ..get(&format!("/0?{query}"))
    }
}

fn origins() -> Vec<Value> {
    let mut origins: Vec<Value> = (0..200)
        .map(|n| json!({ "exact": format!("https://app-{n}.example.com") }))
        .collect();
    origins.extend(
        (0..50).map(|n| json!({ "wildcard": format!("https://*.partner-{n}.example.com") })),
    );
    origins.extend((0..20).map(|n| {
        json!({ "regex": format!("^https://(?:[a-z0-9]{{1,60}}-)*preview-{n}\\.example\\.com$") })
    }));
    origins
}

fn preflights() -> Value {
    let routes = (0..500).map(|n| {
        json!({
            "match": { "path": { "prefix": "/orders" }, "headers": [{ "name": "x-tenant", "exact": format!("t{n}") }] },
        })
    });
    let mut document = document(routes.collect());
    document["defaults"] = json!({ "cors": {
        "allow_origins": origins(), "allow_methods": ["PUT"], "allow_headers": (0..200).map(|n| format!("x-{n}")).chain(["x-tenant".to_owned()]).collect::<Vec<_>>(),
    } });
    document
}

fn preflight(shape: &Shape<'_>) -> Request {
    let bytes = shape.get(2);
    let labels = text(bytes, || "a.".to_owned());
    let origin = match shape.get(1) {
        0 => "https://app-199.example.com".to_owned(),
        1 => format!("https://{}partner-x.example.com", labels),
        _ => format!("https://{}preview-x.example.com", "abc-".repeat(bytes / 4)),
    };
    let names: Vec<String> = (0..shape.get(4))
        .map(|n| match shape.get(3) {
            0 if n == 0 => "x-tenant".to_owned(),
            2 => "x-a".to_owned(),
            _ => format!("x-{n}"),
        })
        .collect();
    let names = names.join(",");
    let names = &names[..names.len().min(LONGEST_FIELD.saturating_sub(origin.len()))];
    Request {
        method: b"OPTIONS".to_vec(),
        headers: vec![
            field("origin", &origin),
            field("access-control-request-method", "PUT"),
            field("access-control-request-headers", names),
        ],
        ..get(["/orders/1", "/other"][shape.get(0)])
    }
}

fn cross_site(shape: &Shape<'_>) -> Request {
    let bytes = shape.get(1);
    let (name, value) = match shape.get(0) {
        0 => (
            "origin",
            format!("https://{}x.example.com", "abc-".repeat(bytes / 4)),
        ),
        1 => (
            "referer",
            format!("https://a.example.com/{}", "%2f".repeat(bytes / 3)),
        ),
        _ => ("sec-fetch-site", "x".repeat(bytes)),
    };
    Request {
        method: b"POST".to_vec(),
        headers: vec![field(name, &value), field("content-length", "0")],
        ..get("/0")
    }
}

const QUERIES: &[&str] = &[
    "lists of declared texts",
    "names that nobody declared",
    "encoded texts",
    "JSON",
    "a long list between commas",
    "texts for patterns",
    "numbers",
    "many pairs to take out",
    "dates and addresses",
];

fn parameters() -> Value {
    let one = |schema: Value| json!([{ "name": "a", "schema": schema }]);
    let query = |query: Value| json!({ "parameters": { "query": query } });
    let word = json!({ "type": "string", "pattern": "^(?:[a-z]{1,60}|[a-z0-9]{1,40}-)+$" });
    let declared: Vec<Value> = (0..1000)
        .map(|n| json!({ "name": format!("name-{n}"), "schema": { "type": "string" } }))
        .collect();
    document(vec![
        query(one(
            json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        )),
        query(declared.clone().into()),
        query(one(
            json!({ "type": "array", "items": { "type": "string", "maxLength": 60_000 } }),
        )),
        query(json!([{ "name": "a", "style": "json", "schema": {
            "type": "array", "uniqueItems": true, "items": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
        } }])),
        query(
            json!([{ "name": "a", "style": "comma", "schema": { "type": "array", "uniqueItems": true } }]),
        ),
        query(one(json!({ "type": "array", "items": word }))),
        query(one(
            json!({ "type": "array", "items": { "type": "number", "multipleOf": 0.01 } }),
        )),
        json!({ "parameters": { "query": declared, "undeclared": "strip" } }),
        query(one(
            json!({ "type": "array", "items": { "type": "string", "format": "uri" } }),
        )),
    ])
}

fn queried(shape: &Shape<'_>) -> Request {
    let (kind, pairs) = (shape.get(0), shape.get(1));
    let random = &mut Random(shape.seed);
    let each = shape.get(2) / pairs;
    let mut pair = |n: usize| {
        let room = each.saturating_sub(3).max(1);
        match kind {
            0 => format!("a={}", letters(room, random)),
            1 => format!("name-{}={}", n % 1000, "x".repeat(room.saturating_sub(8))),
            2 => format!("a={}", "%c3%a9".repeat((room / 6).max(1))),
            5 => format!("a={}", letters(room, random)),
            6 => format!("a={}", "9".repeat(room.clamp(1, 128))),
            7 => format!("other-{n}={}", "x".repeat(room.saturating_sub(8))),
            _ => format!(
                "a=https://{}.example.com/",
                "a.".repeat(room.saturating_sub(20) / 2) + "b"
            ),
        }
    };
    let query = match kind {
        3 => format!(
            "a=[{}]",
            (0..shape.get(2) / 7)
                .map(|n| format!("{n}"))
                .collect::<Vec<_>>()
                .join(",")
        ),
        4 => format!(
            "a={}",
            (0..shape.get(2) / 6)
                .map(|n| format!("{n}"))
                .collect::<Vec<_>>()
                .join(",")
        ),
        _ => (0..pairs).map(&mut pair).collect::<Vec<_>>().join("&"),
    };
    let room = query.len().min(LONGEST_FIELD);
    get(&format!("/{kind}?{}", &query[..room]))
}

fn logged() -> Value {
    let mut document = open(json!({}));
    let names: Vec<String> = (0..30).map(|n| format!("x-field-{n}")).collect();
    document["access_log"] = json!({
        "query": "values", "attributes": "all", "max_bytes": "64KiB", "fields": { "headers": names },
    });
    document["security_events"] = json!({});
    document
}

fn recorded(shape: &Shape<'_>) -> Request {
    let (bytes, random) = (shape.get(2), &mut Random(shape.seed));
    let query = shape.get(1) == 0;
    let mut value = |bytes: usize| match shape.get(0) {
        0 => letters(bytes, random),
        1 if query => "%22".repeat(bytes / 3),
        1 => "\"\\".repeat(bytes / 2),
        2 => text(bytes, || format!("{}=1&", letters(3, random))),
        _ => text(bytes, || {
            "access_token=eyJhbGciOiJub25lIn0.e30.x&".to_owned()
        }),
    };
    match shape.get(1) {
        0 => get(&format!("/0?{}", value(bytes))),
        1 => get(&format!("/0/{}", letters(bytes, &mut Random(shape.seed)))),
        2 => Request {
            headers: fields(shape.get(3), bytes, value),
            ..get("/0")
        },
        _ => Request {
            headers: vec![field("user-agent", &value(bytes))],
            ..get("/0")
        },
    }
}

fn refused() -> Value {
    let mut document = document(vec![
        json!({ "match": { "path": { "prefix": "/0" }, "methods": ["GET"] }, "parameters": {
            "headers": [{ "name": "x-needed", "required": true, "schema": { "type": "string" } }], "details": "pointers",
        } }),
    ]);
    document["defaults"] = json!({
        "security_headers": { "preset": "strict", "cookies": {} },
        "error_pages": { "message": "Write to help@example.com & name the request. ".repeat(20).trim() },
        "cors": { "allow_origins": origins() },
        "rate_limits": [{
            "name": "all", "key": ["client_address"], "headers": "both",
            "token_bucket": { "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" },
        }],
    });
    document["access_log"] = json!({});
    document["request_id"] = json!({ "response_header": "x-request-id" });
    document
}

fn refusal(shape: &Shape<'_>) -> Request {
    let random = &mut Random(shape.seed);
    let mut headers = fields(shape.get(1), shape.get(2), |bytes| letters(bytes, random));
    headers.push(field("origin", "https://app-199.example.com"));
    headers.push(field("x-request-id", &"a".repeat(128)));
    if shape.get(0) != 4 {
        headers.push(field("sec-fetch-mode", "navigate"));
    }
    let method = if shape.get(0) == 2 { "DELETE" } else { "GET" };
    Request {
        method: method.into(),
        headers,
        ..get(["/none", "/0/%2e%2e/x", "/0", "/0", "/0"][shape.get(0)])
    }
}
