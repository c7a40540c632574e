//! Bodies: the JSON gate, forms, OpenAPI, and everything at once.

use portcullis_tests::random::Random;
use portcullis_tests::wire::Request;
use serde_json::{Map, Value, json};

use super::super::search::Parameter;
use super::super::{Family, Shape};
use super::{Bodies, LONGEST_FIELD, family, get, letters, merge, open, post, rows, text};

const GATE: &[&str] = &[
    "empty lists",
    "lists in lists",
    "numbers",
    "long numbers",
    "objects of one member",
    "objects of 1000 members",
    "names with one beginning",
    "escaped letters",
    "surrogate pairs",
    "other alphabets",
    "blanks",
    "one text",
];

pub(super) fn all(bodies: Bodies) -> Vec<Family> {
    let most = bodies.most();
    let body = |policy: &str, document, build: fn(&Shape<'_>) -> Request, kinds| {
        let parameters = vec![
            Parameter::kind("body", kinds),
            Parameter::size("bytes", 100, most),
        ];
        family(bodies.title(policy), document, parameters, build)
    };
    vec![
        body(
            "`payload`, the JSON gate",
            open(json!({ "payload": { "max_bytes": most, "json": {} } })),
            gated,
            GATE,
        ),
        body(
            "`payload`, no JSON",
            open(json!({ "payload": { "max_bytes": most } })),
            gated,
            GATE,
        ),
        body(
            "`payload`, `json_schema` that asks nothing",
            with_schema(most),
            gated,
            GATE,
        ),
        body("`forms`, urlencoded", forms(most), urlencoded, PAIRS),
        family(
            bodies.title("`forms`, multipart"),
            forms(most),
            vec![
                Parameter::kind("body", PARTS),
                Parameter::size("parts", 1, 100),
                Parameter::size("bytes", 100, most),
            ],
            multipart,
        ),
        family(
            bodies.title("`openapi`, 500 paths"),
            api(most),
            vec![
                Parameter::kind("operation", OPERATIONS),
                Parameter::size("bytes", 100, most),
            ],
            operated,
        ),
        body("everything at once", everything(most), gated, GATE),
    ]
}

fn with_schema(most: usize) -> Value {
    let mut document = open(json!({
        "payload": { "max_bytes": most, "json_schema": "any" },
    }));
    document["schemas"] = json!({ "any": {} });
    document
}

fn gated(shape: &Shape<'_>) -> Request {
    let (bytes, random) = (shape.get(1), &mut Random(shape.seed));
    post(
        "/0",
        "application/json",
        json_body(shape.get(0), bytes, random),
    )
}

fn json_body(kind: usize, bytes: usize, random: &mut Random) -> Vec<u8> {
    let members = |count: usize, name: &dyn Fn(usize) -> String| {
        let members: Vec<String> = (0..count).map(|n| format!("\"{}\":0", name(n))).collect();
        format!("{{{}}}", members.join(","))
    };
    // What is long is cut to what there is room for.
    let count = 1000.min(bytes / 12).max(1);
    match kind {
        0 => rows(bytes, || "[]".to_owned()),
        1 => {
            let deep = 20;
            rows(bytes, || "[".repeat(deep) + &"]".repeat(deep))
        }
        2 => rows(bytes, || "1".to_owned()),
        3 => rows(bytes, || {
            format!("{}.{}e-300", "9".repeat(60), "9".repeat(60))
        }),
        4 => rows(bytes, || r#"{"":0}"#.to_owned()),
        5 => rows(bytes, || {
            let start = random.below(1 << 30);
            members(count, &|n| {
                format!(
                    "{:x}",
                    (start + n).wrapping_mul(2_654_435_761) & 0xffff_ffff
                )
            })
        }),
        6 => {
            let count = 1000.min(bytes / 260).max(1);
            rows(bytes, || {
                members(count, &|n| format!("{}{n:04}", "x".repeat(250)))
            })
        }
        7 => rows(bytes, || format!("\"{}\"", "\\u0061".repeat(20))),
        8 => rows(bytes, || format!("\"{}\"", "\\ud83d\\ude00".repeat(10))),
        9 => rows(bytes, || format!("\"{}\"", "\u{e9}\u{4e2d}".repeat(20))),
        10 => rows(bytes, || format!("{}0", " ".repeat(100))),
        _ => format!("\"{}\"", letters(bytes.saturating_sub(2), random)).into_bytes(),
    }
}

const PAIRS: &[&str] = &[
    "pairs of one declared list",
    "fields that differ in case",
    "encoded letters",
    "encoded text of other alphabets",
    "one long text",
    "names that nobody declared",
];

fn forms(most: usize) -> Value {
    let mut declared: Vec<Value> = (0..200)
        .map(|n| json!({ "name": format!("field-{n}"), "schema": { "type": "string", "maxLength": 100_000 } }))
        .collect();
    declared.push(json!({ "name": "a", "schema": {
        "type": "array", "items": { "type": "string", "pattern": "^(?:[a-z]{1,60}|[a-z0-9]{1,40}-)*$" },
    } }));
    let files = json!([{
        "name": "file", "max_bytes": most, "repeated": true,
        "content_types": ["image/png", "text/*"], "extensions": [".png", ".txt"],
    }]);
    open(json!({ "forms": { "max_bytes": most, "fields": declared, "files": files } }))
}

fn urlencoded(shape: &Shape<'_>) -> Request {
    let (kind, bytes, random) = (shape.get(0), shape.get(1), &mut Random(shape.seed));
    // No form has more than a thousand pairs.
    let each = bytes / 1000;
    let mut count = 0;
    let body = text(bytes, || {
        count += 1;
        let room = each.saturating_sub(4).max(1);
        match kind {
            0 => format!("a={}&", letters(room, random)),
            1 => format!("FIELD-{}={}&", count % 200, "x".repeat(room)),
            2 => format!("a={}&", "%61".repeat(room / 3 + 1)),
            3 => format!("a={}&", "%c3%a9".repeat(room / 6 + 1)),
            4 => format!("field-{count}={}&", letters(bytes, random)),
            _ => format!("n{count}={}&", "x".repeat(room)),
        }
    });
    post(
        "/0",
        "application/x-www-form-urlencoded",
        body.trim_end_matches('&').into(),
    )
}

const PARTS: &[&str] = &[
    "texts",
    "beginnings of the delimiter",
    "beginnings of a long delimiter",
    "line breaks",
    "hyphens",
    "long heads",
    "files of long names",
];

fn multipart(shape: &Shape<'_>) -> Request {
    let (kind, parts, random) = (shape.get(0), shape.get(1), &mut Random(shape.seed));
    let each = shape.get(2) / parts;
    let boundary = match kind {
        2 => "-".repeat(69) + "x",
        _ => "boundary".to_owned(),
    };
    let mut body = String::new();
    for number in 0..parts {
        let room = each.saturating_sub(140);
        let content = match kind {
            0 => letters(room, random),
            1 => "\r\n--boundar".repeat(room / 11),
            2 => format!("\r\n{}", "-".repeat(69)).repeat(room / 71),
            3 => "\r\n".repeat(room / 2),
            4 => "-".repeat(room),
            _ => String::new(),
        };
        let filename = match kind {
            6 => format!("{}.png", "a".repeat(250)),
            _ => "a.txt".to_owned(),
        };
        let head = match kind {
            0 => "Content-Disposition: form-data; name=\"a\"".to_owned(),
            5 => format!(
                "Content-Disposition: form-data; name=\"{}\"",
                "n".repeat(room)
            ),
            _ => format!(
                "Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\nContent-Type: text/plain"
            ),
        };
        let _ = number;
        body += &format!("--{boundary}\r\n{head}\r\n\r\n{content}\r\n");
    }
    body += &format!("--{boundary}--\r\n");
    let media_type = format!("multipart/form-data; boundary={boundary}");
    post("/0", &media_type, body.into_bytes())
}

const OPERATIONS: &[&str] = &[
    "a body of objects",
    "a body of alternatives",
    "a body of numbers",
    "a form",
    "a query of 1000 pairs",
    "a path of many segments",
    "parts of a segment",
];

fn api(most: usize) -> Value {
    let mut paths = Map::new();
    for number in 0..500 {
        let segments: String = (0..12)
            .map(|bit| match number >> (bit % 9) & 1 {
                0 => "/a".to_owned(),
                _ => format!("/{{v{bit}}}"),
            })
            .collect();
        let variables: Vec<Value> = (0..12)
            .filter(|bit| number >> (bit % 9) & 1 == 1)
            .map(|bit| json!({ "name": format!("v{bit}"), "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        let operation = json!({ "responses": { "200": { "description": "ok" } } });
        paths.insert(
            format!("{segments}/end-{number}"),
            json!({ "parameters": variables, "get": operation }),
        );
    }
    let parts: String = (0..8).map(|n| format!("{{p{n}}}-")).collect();
    let variables: Vec<Value> = (0..8)
        .map(|n| json!({ "name": format!("p{n}"), "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    paths.insert(
        format!("/parts/{parts}x"),
        json!({ "parameters": variables, "get": { "responses": { "200": { "description": "ok" } } } }),
    );
    let body = |media_type: &str, schema: Value| {
        json!({ "post": {
            "requestBody": { "required": true, "content": { media_type: { "schema": schema } } },
            "responses": { "200": { "description": "ok" } },
        } })
    };
    let list =
        |items: Value| json!({ "type": "array", "items": { "type": "array", "items": items } });
    let bodies = [
        body(
            "application/json",
            list(json!({ "$ref": "#/components/schemas/Pet" })),
        ),
        body(
            "application/json",
            list(json!({ "oneOf": [
            { "$ref": "#/components/schemas/Pet" }, { "$ref": "#/components/schemas/Dog" }, { "type": "string" },
        ] })),
        ),
        body(
            "application/json",
            list(json!({ "type": "number", "multipleOf": 0.01 })),
        ),
        body(
            "application/x-www-form-urlencoded",
            json!({ "type": "object", "properties": {
            "a": { "type": "array", "items": { "type": "string", "pattern": "^[a-z]{1,60}$" } },
        } }),
        ),
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        paths.insert(format!("/body-{number}"), body);
    }
    let parameters: Vec<Value> = (0..1000)
        .map(|n| json!({ "name": format!("name-{n}"), "in": "query", "schema": { "type": "string" } }))
        .collect();
    let mut query = json!({ "get": { "responses": { "200": { "description": "ok" } } } });
    query["get"]["parameters"] = parameters.into();
    paths.insert("/query".to_owned(), query);
    let pet = json!({ "type": "object", "required": ["id", "name"], "properties": {
        "id": { "type": "integer" }, "name": { "type": "string", "maxLength": 50 },
        "tags": { "type": "array", "uniqueItems": true, "items": { "type": "string" } },
    } });
    let mut dog = pet.clone();
    dog["properties"]["bark"] = json!({ "type": "integer" });
    dog["required"] = json!(["id", "bark"]);
    let mut document = open(json!({ "openapi": {
        "api": "pets", "base_path": "/0", "max_bytes": most,
    } }));
    document["apis"] = json!({ "pets": {
        "openapi": "3.1.0", "info": { "title": "Pets", "version": "1" },
        "paths": paths, "components": { "schemas": { "Pet": pet, "Dog": dog } },
    } });
    document
}

fn operated(shape: &Shape<'_>) -> Request {
    let (kind, bytes, random) = (shape.get(0), shape.get(1), &mut Random(shape.seed));
    let object = || r#"{"id":1,"name":"Rex","tags":["a","b","c"]}"#.to_owned();
    let path = |rest: String| get(&format!("/0{rest}"));
    let head = bytes.min(LONGEST_FIELD);
    match kind {
        0 | 1 => post(
            &format!("/0/body-{kind}"),
            "application/json",
            rows(bytes, object),
        ),
        2 => post(
            "/0/body-2",
            "application/json",
            rows(bytes, || format!("{}.99", "9".repeat(20))),
        ),
        3 => {
            let each = (bytes / 1000).clamp(4, 60);
            let pairs = text(bytes, || format!("a={}&", letters(each, random)));
            post(
                "/0/body-3",
                "application/x-www-form-urlencoded",
                pairs.trim_end_matches('&').into(),
            )
        }
        4 => path(format!(
            "/query?{}",
            (0..1000)
                .map(|n| format!("name-{n}={}", "x".repeat(head / 1200)))
                .collect::<Vec<_>>()
                .join("&")
        )),
        5 => path("/a".repeat((head / 2).min(LONGEST_FIELD / 2)) + "/end-x"),
        _ => path(format!("/parts/{}", "-".repeat(head))),
    }
}

/// What most routes have, together.
fn everything(most: usize) -> Value {
    let mut document = with_schema(most);
    document["schemas"] = json!({ "any": { "items": { "items": { "anyOf": [
        { "type": "object", "maxProperties": 0 }, { "type": "number" },
        { "type": "string", "pattern": "^[\\p{L}\\p{N} ]*$" }, true,
    ] } } } });
    merge(
        &mut document["routes"][0],
        json!({ "deny_patterns": { "mode": "enforce", "max_bytes": most } }),
    );
    document["defaults"] = json!({
        "security_headers": { "preset": "api" },
        "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] },
        "rate_limits": [{
            "name": "all", "key": ["client_address"],
            "token_bucket": { "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" },
        }],
    });
    document["access_log"] = json!({});
    document
}
