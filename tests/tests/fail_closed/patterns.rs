//! Patterns that are cheap to write and dear to match: what each took is printed, and nobody fails for it.

use std::time::{Duration, Instant};

use portcullis_tests::client;
use portcullis_tests::envoy::ListenerOptions;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

use super::documents::{guarded, post, with_open_schema};
use super::size;
use super::stage::{Delivery, Setting, Stage, TIMEOUT};

fn stage(document: &Value) -> Stage {
    let setting = Setting {
        listener: ListenerOptions {
            per_connection_buffer_limit_bytes: Some(4 << 20),
            ..ListenerOptions::default()
        },
        // Nothing is replaced in it.
        drain: Duration::from_secs(1),
        reuse: true,
        ..Setting::new(1, Delivery::Lds)
    };
    Stage::start(setting, document)
}

/// The processor time that one request takes, and what it got.
fn cost(stage: &Stage, request: &Request) -> (Duration, u16) {
    // Steps of 10 ms are coarse for one.
    const MOST: u32 = 40;
    let (before, begun) = (stage.envoy.cpu_time().unwrap(), Instant::now());
    let (mut count, mut status) = (0, 0);
    while count < MOST && begun.elapsed() < Duration::from_secs(2) {
        status = client::send(stage.addr, request, TIMEOUT).map_or(0, |answer| answer.status);
        count += 1;
    }
    let took = stage.envoy.cpu_time().unwrap() - before;
    (took / count, status)
}

fn judge(what: &str, schema: Value, text: usize) {
    let stage = stage(&with_open_schema(schema, "1MiB"));
    let body = json!("a".repeat(text)).to_string().into_bytes();
    let (took, status) = cost(&stage, &post("/open", body));
    println!("{what}: {took:.1?}, status {status}");
    stage.assert_shut(what, Default::default());
    assert!(matches!(status, 422 | 503), "{what}: {status}");
}

#[test]
fn a_counted_class_on_a_long_text() {
    let schema = json!({ "type": "string", "pattern": "[a-z]{1,1000}x$" });
    judge("[a-z]{1,1000}x$ on 60 KB", schema, 60_000);
}

#[test]
fn a_text_whose_length_has_failed() {
    let schema = json!({ "type": "string", "pattern": "[a-z]{1,1000}x$", "maxLength": 1000 });
    judge("[a-z]{1,1000}x$, maxLength 1000, on 60 KB", schema, 60_000);
}

#[test]
fn a_short_text_that_is_too_long() {
    let schema = json!({ "type": "string", "pattern": "[a-z]{1,100}[0-9]$", "maxLength": 100 });
    judge(
        "[a-z]{1,100}[0-9]$, maxLength 100, on 60 KB",
        schema,
        60_000,
    );
}

#[test]
fn a_counted_class_on_a_very_long_text() {
    let schema = json!({ "type": "string", "pattern": "[a-z]{1,1000}x$" });
    let text = size(200_000, 900_000);
    judge(&format!("[a-z]{{1,1000}}x$ on {text} bytes"), schema, text);
}

#[test]
fn many_texts_are_priced_together() {
    let schema =
        json!({ "type": "array", "items": { "type": "string", "pattern": "[a-z]{1,1000}x$" } });
    let stage = stage(&with_open_schema(schema, "1MiB"));
    let text = format!("{}x", "a".repeat(100));
    let body = json!(vec![text; 2000]).to_string().into_bytes();
    let (took, status) = cost(&stage, &post("/open", body));
    println!("[a-z]{{1,1000}}x$ on 2000 texts of 100: {took:.1?}, status {status}");
    assert!(matches!(status, 200 | 422 | 503), "{status}");
}

#[test]
fn evidence_in_a_body() {
    let mut document = guarded();
    document["routes"][0] = json!({
        "name": "open", "match": { "path": { "exact": "/open" } }, "open": true,
        "payload": { "max_bytes": "64KiB", "json": {} },
        "deny_patterns": { "mode": "enforce" },
    });
    document["routes"] = json!([document["routes"][0], guarded()["routes"][0]]);
    let stage = stage(&document);
    let body = json!({ "text": "an order of a table, and a note. ".repeat(310) })
        .to_string()
        .into_bytes();
    let (took, status) = cost(&stage, &post("/open", body));
    println!("evidence sought in 10 KiB: {took:.1?}, status {status}");
}
