//! Bodies that are judged by a schema, keyword by keyword.

use portcullis_tests::random::Random;
use portcullis_tests::wire::Request;
use serde_json::{Map, Value, json};

use super::super::search::Parameter;
use super::super::{Family, Shape};
use super::{Bodies, LONGEST_BODY, document, family, letters, post, rows, text};

pub(super) fn all(bodies: Bodies) -> Vec<Family> {
    vec![
        judged("`json_schema`, `pattern`", &PATTERNS, bodies),
        judged(
            "`json_schema`, `uniqueItems`, `enum`, `const`, `contains`",
            &COMPARED,
            bodies,
        ),
        judged("`json_schema`, numbers", &NUMBERS, bodies),
        judged("`json_schema`, `format`, asserted", &FORMATS, bodies),
        judged("`json_schema`, members", &MEMBERS, bodies),
        judged("`json_schema`, alternatives and references", &NESTS, bodies),
    ]
}

/// A schema for the items of lists in a list, and how an item of some size looks.
struct Judged {
    kinds: &'static [&'static str],
    schema: fn(usize) -> Value,
    item: fn(usize, usize, &mut Random) -> String,
    /// The largest item.
    largest: usize,
}

fn judged(policy: &str, judged: &'static Judged, bodies: Bodies) -> Family {
    let most = bodies.most();
    let mut schemas = Map::new();
    let routes = (0..judged.kinds.len()).map(|kind| {
        let name = format!("s{kind}");
        let items = (judged.schema)(kind);
        // What defines its own parts keeps its place.
        let schema = match items.get("$defs") {
            Some(_) => items,
            None => json!({ "items": { "items": items } }),
        };
        schemas.insert(name.clone(), schema);
        json!({ "payload": { "max_bytes": most, "json_schema": name, "formats": "assert", "details": "pointers" } })
    });
    let mut document = document(routes.collect());
    document["schemas"] = schemas.into();
    let request = move |shape: &Shape<'_>| -> Request {
        let (kind, size, random) = (shape.get(0), shape.get(2), &mut Random(shape.seed));
        let body = rows(shape.get(1), || (judged.item)(kind, size, random));
        post(&format!("/{kind}"), "application/json", body)
    };
    let parameters = vec![
        Parameter::kind("schema", judged.kinds),
        Parameter::size("bytes", 100, most),
        Parameter::size("size of an item", 1, judged.largest.min(most)),
    ];
    family(bodies.title(policy), document, parameters, request)
}

fn quoted(text: &str) -> String {
    json!(text).to_string()
}

const PATTERNS: Judged = Judged {
    kinds: &[
        "a counted class",
        "two large counted classes",
        "letters of all alphabets",
        "alternatives in a loop",
        "an exact word",
        "counted loops in loops",
    ],
    schema: |kind| {
        let pattern = match kind {
            0 => "[a-z]{1,100}[0-9]$",
            1 => "(?:[a-z]{1,1000}x|[a-z0-9]{1,1000}y)$",
            2 => r"^[\p{L}\p{N}_ ,.-]{1,66}$",
            3 => "^(?:a|b|ab|ba|aab)*c$",
            4 => "order-[0-9]+",
            _ => "^(?:(?:[a-z]{1,20}1?){1,20}-?){1,3}$",
        };
        json!({ "type": "string", "pattern": pattern })
    },
    item: |kind, size, random| {
        let text = match kind {
            2 => text(size, || {
                char::from_u32(0x4e00 + random.below(20_000) as u32)
                    .unwrap_or('x')
                    .to_string()
            }),
            3 => text(size, || ["a", "b"][random.below(2)].to_owned()),
            4 => text(size, || "order-".to_owned()),
            _ => letters(size, random),
        };
        quoted(&text)
    },
    largest: LONGEST_BODY,
};

const COMPARED: Judged = Judged {
    kinds: &[
        "unique numbers",
        "unique texts of one beginning",
        "unique objects",
        "unique lists of objects",
        "one of 1000 texts",
        "one of 200 objects",
        "a constant object",
        "contained objects",
        "unique numbers of many spellings",
    ],
    schema: |kind| {
        let members = |number: usize| -> Value {
            let members: Map<String, Value> = (0..20)
                .map(|n| {
                    (
                        format!("member-{n}"),
                        json!(if n == 19 { number } else { n }),
                    )
                })
                .collect();
            members.into()
        };
        match kind {
            0..=3 | 8 => json!({ "$defs": {}, "items": { "uniqueItems": true } }),
            4 => {
                json!({ "enum": (0..1000).map(|n| format!("{}{n:04}", "x".repeat(60))).collect::<Vec<_>>() })
            }
            5 => json!({ "enum": (0..200).map(members).collect::<Vec<_>>() }),
            6 => json!({ "const": members(7) }),
            _ => {
                json!({ "$defs": {}, "items": { "contains": { "const": members(7) }, "minContains": 9000 } })
            }
        }
    },
    item: |kind, size, random| {
        let object = |last: usize| {
            let members: Vec<String> = (0..20)
                .map(|n| format!("\"member-{n}\":{}", if n == 19 { last } else { n }))
                .collect();
            format!("{{{}}}", members.join(","))
        };
        let any = random.below(1 << 30);
        match kind {
            0 => any.to_string(),
            1 => format!("\"{}{any}\"", "x".repeat(size)),
            2 => object(any),
            3 => {
                let deep = (size / 20).clamp(1, 20);
                format!("{}{any}{}", r#"[{"a":"#.repeat(deep), "}]".repeat(deep))
            }
            4 => format!("\"{}9999\"", "x".repeat(60)),
            5 | 6 => object(1_000_000),
            7 => object(8),
            _ => format!("{}.{}e{}", any, "9".repeat(size.min(90)), any % 300),
        }
    },
    largest: 1000,
};

const NUMBERS: Judged = Judged {
    kinds: &[
        "multiples of 0.01",
        "multiples of a long number",
        "multiples of a small number",
        "between long numbers",
        "integers",
        "multiples of a prime",
    ],
    schema: |kind| match kind {
        0 => json!({ "multipleOf": 0.01 }),
        1 => json!({ "multipleOf": 1.234_567_890_123_4 }),
        2 => json!({ "multipleOf": 1e-300 }),
        3 => {
            json!({ "minimum": -1e300, "maximum": 1e300, "exclusiveMinimum": -1.5e300, "exclusiveMaximum": 1.5e300 })
        }
        4 => json!({ "type": "integer" }),
        _ => json!({ "multipleOf": 1_000_000_007 }),
    },
    item: |kind, size, random| {
        let digits: String = (0..size.clamp(1, 120))
            .map(|_| char::from(b'1' + random.below(9) as u8))
            .collect();
        match kind {
            0 => format!("{digits}.99"),
            2 => format!("{digits}e{}", 300 - digits.len() as i64),
            4 => format!("{digits}e1"),
            5 => format!("{digits}e{}", 300 - digits.len() as i64),
            _ => digits,
        }
    },
    largest: 120,
};

const FORMATS: Judged = Judged {
    kinds: &[
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uri-template",
        "uuid",
        "json-pointer",
        "relative-json-pointer",
        "regex",
        "byte",
    ],
    schema: |kind| match FORMATS.kinds[kind] {
        "byte" => json!({ "type": "string", "format": "uuid" }),
        format => json!({ "type": "string", "format": format }),
    },
    item: |kind, size, random| {
        let text = match FORMATS.kinds[kind] {
            "date-time" => format!("2026-11-28T12:00:00.{}Z", "9".repeat(size)),
            "time" => format!("12:00:00.{}Z", "9".repeat(size)),
            "duration" => format!("P{}Y", "9".repeat(size)),
            "email" | "idn-email" => {
                text(size, || "a.".to_owned()) + "a@" + &text(size, || "b.".to_owned()) + "c"
            }
            "hostname" => text(size.min(250), || "a.".to_owned()) + "a",
            "ipv6" => text(size, || "::1".to_owned()),
            "uri" | "uri-reference" => format!(
                "https://a@{}/{}",
                text(size, || "%61".to_owned()),
                text(size, || "a:".to_owned())
            ),
            "iri" | "iri-reference" => format!("https://{}/", text(size, || "\u{e9}".to_owned())),
            "uri-template" => text(size, || "{+a,b:3}".to_owned()),
            "json-pointer" => text(size, || "/~0".to_owned()),
            "relative-json-pointer" => "9".repeat(size),
            "regex" => match random.below(3) {
                0 => {
                    "(".repeat(size.min(200))
                        + &text(size, || "[a-z]{1,9}|".to_owned())
                        + &")".repeat(size.min(200))
                }
                1 => text(size, || "(?:a|b)*".to_owned()),
                _ => text(size, || "\\p{L}".to_owned()),
            },
            _ => letters(size, random),
        };
        quoted(&text)
    },
    largest: LONGEST_BODY / 2,
};

const MEMBERS: Judged = Judged {
    kinds: &[
        "names for 20 patterns",
        "names for one pattern",
        "1000 properties",
        "1000 names required",
        "unevaluated members",
        "dependent schemas",
        "unevaluated items",
        "no more members, of 1000",
    ],
    schema: |kind| {
        let named = |value: Value| -> Value {
            let members: Map<String, Value> = (0..1000)
                .map(|n| (format!("name-{n}"), value.clone()))
                .collect();
            members.into()
        };
        match kind {
            0 => {
                let patterns: Map<String, Value> = (0..20)
                    .map(|n| (format!("[a-z]{{1,50}}{n}$"), json!({ "type": "integer" })))
                    .collect();
                json!({ "patternProperties": patterns })
            }
            1 => json!({ "propertyNames": { "pattern": "^(?:[a-z]{1,60}|[a-z0-9]{1,40}-)*$" } }),
            2 => json!({ "properties": named(json!({ "type": "integer" })) }),
            3 => json!({ "required": (0..1000).map(|n| format!("name-{n}")).collect::<Vec<_>>() }),
            4 => {
                json!({ "allOf": (0..20).map(|n| json!({ "properties": { format!("name-{n}"): true } })).collect::<Vec<_>>(), "unevaluatedProperties": { "type": "integer" } })
            }
            5 => json!({ "dependentSchemas": named(json!({ "required": ["name-1", "name-2"] })) }),
            6 => {
                json!({ "allOf": (0..20).map(|_| json!({ "prefixItems": [true, true], "contains": { "type": "integer" } })).collect::<Vec<_>>(), "unevaluatedItems": { "type": "integer" } })
            }
            _ => json!({ "properties": named(json!(true)), "additionalProperties": false }),
        }
    },
    item: |kind, size, random| {
        let count = size.clamp(1, 999);
        if kind == 6 {
            return format!("[{}0]", "0,".repeat(count));
        }
        let member = |n: usize, random: &mut Random| match kind {
            0 | 1 => format!("\"{}{n}\":0", letters(40, random)),
            _ => format!("\"name-{n}\":0"),
        };
        let members: Vec<String> = (0..count).map(|n| member(n, random)).collect();
        format!("{{{}}}", members.join(","))
    },
    largest: 999,
};

const NESTS: Judged = Judged {
    kinds: &[
        "a branch into itself by `anyOf`",
        "a branch into itself by `oneOf`",
        "lists of lists by `$ref`",
        "`oneOf` of 50 objects",
        "`anyOf` of 50 patterns",
        "`not` in `not`",
        "`if` in `if`",
        "`allOf` of 100 references",
        "`$dynamicRef`",
    ],
    schema: |kind| {
        let branch = |keyword: &str, name: &str| {
            json!({ "$defs": { "n": {
                keyword: [
                    { "properties": { "n": { "$ref": "#/$defs/n" } }, "required": [format!("{name}1")] },
                    { "properties": { "n": { "$ref": "#/$defs/n" } }, "required": [format!("{name}2")] },
                    { "type": "integer" },
                ],
            } }, "items": { "items": { "$ref": "#/$defs/n" } } })
        };
        match kind {
            0 => branch("anyOf", "a"),
            1 => branch("oneOf", "o"),
            2 => json!({ "$defs": { "n": { "items": { "$ref": "#/$defs/n" } } }, "$ref": "#/$defs/n" }),
            3 => json!({ "oneOf": (0..50).map(|n| json!({
                "type": "object", "properties": { "a": { "type": "integer" }, "kind": { "const": format!("kind-{n}") } },
                "required": ["a", "kind"],
            })).collect::<Vec<_>>() }),
            4 => json!({ "anyOf": (0..50).map(|n| json!({ "pattern": format!("[a-z]{{1,30}}-{n}$") })).collect::<Vec<_>>() }),
            5 => (0..16).fold(json!({ "type": "string" }), |inner, _| json!({ "not": inner })),
            6 => (0..16).fold(json!({ "type": "string" }), |inner, _| json!({ "if": inner, "then": { "type": "string" }, "else": { "type": "object" } })),
            7 => json!({ "$defs": { "a": { "type": "object" } }, "items": { "items": {
                "allOf": (0..100).map(|_| json!({ "$ref": "#/$defs/a" })).collect::<Vec<_>>(),
            } } }),
            _ => json!({ "$id": "https://bench.test/tree", "$dynamicAnchor": "n", "$defs": {}, "items": { "$dynamicRef": "#n" } }),
        }
    },
    item: |kind, size, random| match kind {
        0 | 1 => {
            let deep = size.clamp(1, 100);
            format!("{}\"x\"{}", r#"{"n":"#.repeat(deep), "}".repeat(deep))
        }
        2 | 8 => {
            let deep = size.clamp(1, 100);
            format!("{}{}", "[".repeat(deep), "]".repeat(deep))
        }
        3 => r#"{"a":1,"kind":"kind-x"}"#.to_owned(),
        4 => quoted(&letters(size, random)),
        5 | 6 => "0".to_owned(),
        _ => "{}".to_owned(),
    },
    largest: 10_000,
};
