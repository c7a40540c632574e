//! Bodies of JSON: held, passed through the gate, judged by a schema, and searched for patterns, against
//! Envoy's own `buffer`, which holds them and looks at nothing.

use std::path::Path;

use portcullis_tests::envoy::json_filter;
use serde_json::{Value, json};

use super::super::chain::{Algorithm, Chain, Traffic, Work, answering, filter, portcullis, router};
use super::super::scratch::Scratch;
use super::{Group, compare};

pub(super) const GROUP: Group = Group {
    name: "payload",
    about: "bodies of 10 KiB and 1 MB: the gates for JSON and XML and a schema, against Envoy's buffer",
    chains,
    comparisons: &[
        compare("portcullis-unjudged", "buffer"),
        compare("portcullis-gate", "portcullis-unjudged"),
        compare("portcullis-xml", "portcullis-unjudged"),
        compare("portcullis-schema", "portcullis-unjudged"),
        compare("portcullis-schema", "portcullis-gate"),
        compare("portcullis-patterns", "portcullis-unjudged"),
        compare("portcullis-patterns", "portcullis-gate"),
        compare("portcullis-patterns-begun", "portcullis-unjudged"),
        compare("portcullis-graphql", "portcullis-gate"),
        compare("portcullis-schema-1mb", "buffer-1mb"),
    ],
    half_load: &[],
};

fn chains(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let body = |name: &str, bytes| scratch.write(name, &order(bytes)).ok();
    let (small, large) = (body("10k.json", 10 << 10), body("1m.json", 1_000_000));
    // Around each of these words evidence is sought, and they are none.
    let begun = "select or drop, and update; from where? ".repeat(256);
    let begun = json!({ "note": begun }).to_string();
    let begun = scratch.write("begun.json", &begun).ok();
    let work = (Traffic::Same(Algorithm::Rs256), Work::Nothing);
    let judged = |id: &'static str, title, payload| {
        let mut document = document(payload);
        if id.contains("graphql") {
            // What shows that the chains answer alike has no body.
            let others = json!({ "name": "others", "match": {}, "open": true });
            document["routes"] = json!([document["routes"][0], others]);
            document["routes"][0]["match"] = json!({ "methods": ["POST"] });
            document["routes"][0]["graphql"] = json!({
                "max_tokens": 100_000,
                "max_fields": 10_000,
                "max_root_fields": 10_000,
                "cost": { "list_arguments": ["first"] },
            });
        }
        if id.contains("patterns") {
            document["routes"][0]["deny_patterns"] = json!({ "in": ["json"], "mode": "enforce" });
        }
        Chain {
            body: small.clone(),
            ..portcullis(id, title, module, &document, work)
        }
    };
    let query = "orders(first: 10, after: $cursor) { id customer { name } } ".repeat(160);
    let query = json!({ "query": format!("query Orders($cursor: ID) {{ {query}}}") }).to_string();
    let query = scratch.write("query.json", &query).ok();
    let schema = json!({ "max_bytes": "1MiB", "json_schema": "order", "require_body": [] });
    vec![
        Chain {
            id: "buffer",
            title: "buffer, 10 KiB",
            listener: answering("api", vec![buffer()], json!({})),
            body: small.clone(),
            ..router()
        },
        Chain {
            id: "portcullis-unjudged",
            title: "buffer and Portcullis without checks, 10 KiB",
            listener: answering(
                "api",
                vec![
                    buffer(),
                    filter(module, &document(json!("off")), "unjudged"),
                ],
                json!({}),
            ),
            body: small.clone(),
            ..router()
        },
        judged(
            "portcullis-gate",
            "Portcullis, JSON gate, 10 KiB",
            json!({ "max_bytes": "1MiB", "json": {} }),
        ),
        judged(
            "portcullis-schema",
            "Portcullis, JSON gate and schema, 10 KiB",
            schema.clone(),
        ),
        judged(
            "portcullis-patterns",
            "Portcullis, deny_patterns, 10 KiB",
            json!("off"),
        ),
        Chain {
            body: begun,
            ..judged(
                "portcullis-patterns-begun",
                "Portcullis, deny_patterns on words of attacks, 10 KiB",
                json!("off"),
            )
        },
        Chain {
            body: scratch.write("10k.xml", &xml_order(10 << 10)).ok(),
            ..judged(
                "portcullis-xml",
                "Portcullis, XML gate, 10 KiB",
                json!({ "max_bytes": "1MiB", "xml": {} }),
            )
        },
        Chain {
            body: query,
            ..judged(
                "portcullis-graphql",
                "Portcullis, graphql, a query of 10 KiB",
                json!("off"),
            )
        },
        Chain {
            id: "buffer-1mb",
            title: "buffer, 1 MB",
            listener: answering("api", vec![buffer()], json!({})),
            body: large.clone(),
            ..router()
        },
        Chain {
            body: large,
            ..judged(
                "portcullis-schema-1mb",
                "Portcullis, JSON gate and schema, 1 MB",
                schema,
            )
        },
    ]
}

pub(in super::super) fn buffer() -> Value {
    json_filter(
        "envoy.filters.http.buffer",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
            "max_request_bytes": 2 << 20,
        }),
    )
}

fn document(payload: Value) -> Value {
    json!({
        "version": 1,
        "body_inspection": "hold_headers",
        "schemas": { "order": schema() },
        "routes": [{ "name": "all", "match": {}, "open": true, "payload": payload }],
    })
}

/// Thirty keywords.
fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["customer", "items"],
        "additionalProperties": false,
        "properties": {
            "customer": { "type": "string", "minLength": 1, "maxLength": 50 },
            "items": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["sku", "count", "price"],
                    "additionalProperties": false,
                    "properties": {
                        "sku": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$" },
                        "count": { "type": "integer", "minimum": 1, "maximum": 1000 },
                        "price": { "type": "number", "minimum": 0, "multipleOf": 0.01 },
                        "note": { "anyOf": [{ "type": "null" }, { "type": "string", "maxLength": 200 }] },
                        "size": { "enum": ["s", "m", "l"] },
                    },
                },
            },
        },
    })
}

/// An order of about so many bytes, as XML.
fn xml_order(bytes: usize) -> String {
    let item = |number: usize| {
        format!(
            "<o:item sku=\"AB-{number:04}\" size=\"m\">\n  <o:count>{}</o:count>\n  <o:note>leave it at the door, please; caf\u{e9} &amp; bar</o:note>\n</o:item>\n",
            1 + number % 1000
        )
    };
    let items: String = (0..bytes / item(0).len()).map(item).collect();
    format!("<o:order xmlns:o=\"urn:example:orders\">\n{items}</o:order>\n")
}

/// An order of about so many bytes that fits.
fn order(bytes: usize) -> String {
    let item = |number: usize| {
        json!({
            "sku": format!("AB-{:04}", number % 10_000),
            "count": 1 + number % 1000,
            "price": (number % 10_000) as f64 / 100.0,
            "note": "leave it at the door, please; caf\u{e9} opposite",
            "size": "m",
        })
    };
    let length = item(0).to_string().len() + 4;
    let items: Vec<Value> = (0..bytes / length).map(item).collect();
    json!({ "customer": "c-1", "items": items }).to_string()
}
