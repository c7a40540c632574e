//! Bodies within what the document allows, made of as many values as they can hold.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::ListenerOptions;
use portcullis_tests::upstream::Answer;
use portcullis_tests::wire::Response;
use serde_json::{Value, json};

use super::documents::{first_accepted, get, guarded, post, token, with_open_schema};
use super::size;
use super::stage::{Delivery, Setting, Stage, TIMEOUT};

const MEBIBYTE: usize = 1 << 20;

/// The most that a document may write, in MiB, or less for a short run.
fn sizes() -> &'static [usize] {
    size(&[8, 4, 2, 1], &[64, 32, 16, 8, 4, 2, 1])
}

fn setting(workers: u32) -> Setting {
    Setting {
        listener: ListenerOptions {
            per_connection_buffer_limit_bytes: Some(80 << 20),
            ..ListenerOptions::default()
        },
        drain: Duration::from_secs(1),
        reuse: true,
        ..Setting::new(workers, Delivery::Lds)
    }
}

/// Arrays of arrays of small objects: of all JSON this takes most as a tree.
pub(crate) fn dense(bytes: usize) -> Vec<u8> {
    // An array may have ten thousand elements.
    let inner = format!("[{}]", vec![r#"{"":0}"#; 5000].join(","));
    let count = (bytes / (inner.len() + 1)).saturating_sub(1);
    let body = format!("[{}]", vec![inner; count].join(","));
    assert!(body.len() <= bytes);
    body.into_bytes()
}

/// Asks with a body and says what came, with memory before and after.
fn ask(stage: &Stage, what: &str, path: &str, body: Option<Vec<u8>>) {
    let before = stage.resident_mebibytes();
    let bytes = body.as_ref().map_or(0, Vec::len);
    let mut request = body.map_or_else(|| get(Some(&token())), |body| post(path, body));
    request.path = path.into();
    let begun = std::time::Instant::now();
    let answer = client::send(stage.addr, &request, TIMEOUT);
    let answer = answer.map_or(0, |answer| answer.status);
    println!(
        "{what} of {bytes} bytes: {answer} after {:.1?}; from {before} to {} MiB resident",
        begun.elapsed(),
        stage.resident_mebibytes()
    );
    // Once its head has gone, an answer that is refused ends there.
    let broken_off = bytes == 0 && answer == 0;
    assert!(
        broken_off || matches!(answer, 200 | 413 | 422 | 502 | 503),
        "{what}: {answer}"
    );
}

#[test]
fn bodies_as_large_as_the_document_allows() {
    let (largest, document) = first_accepted(sizes(), |mebibytes| {
        with_open_schema(json!({}), &format!("{mebibytes}MiB"))
    });
    let stage = Stage::start(setting(1), &document);
    for part in [2, 5, 8] {
        let bytes = largest * MEBIBYTE * part / 8;
        let (_, seen) = stage.watched(|| ask(&stage, "a request", "/open", Some(dense(bytes))));
        stage.assert_shut("a large request", seen);
    }
}

/// Several at once: each alone is within what is allowed.
#[test]
fn bodies_that_come_together() {
    let (largest, document) = first_accepted(sizes(), |mebibytes| {
        with_open_schema(json!({}), &format!("{mebibytes}MiB"))
    });
    let stage = Stage::start(setting(1), &document);
    let (_, seen) = stage.watched(|| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let stage = &stage;
                let body = dense(largest * MEBIBYTE / 4);
                scope.spawn(move || ask(stage, "one of four requests", "/open", Some(body)));
            }
        });
    });
    stage.assert_shut("four large requests", seen);
}

#[test]
fn answers_as_large_as_the_document_allows() {
    let judged = |mebibytes: usize| -> Value {
        let mut document = guarded();
        document["schemas"] = json!({ "any": {} });
        document["routes"][0]["payload"] = json!({
            "max_bytes": "64KiB",
            "responses": { "json_schema": "any", "mode": "enforce", "max_bytes": format!("{mebibytes}MiB") },
        });
        document
    };
    let (largest, document) = first_accepted(sizes(), judged);
    let stage = Stage::start(setting(1), &document);
    let response = Response {
        status: 200,
        headers: vec![("content-type".into(), b"application/json".to_vec())],
        body: dense(largest * MEBIBYTE * 5 / 8),
        ..Response::default()
    };
    stage
        .upstream
        .answer_path("/large", Answer::Respond(response));
    let (_, seen) = stage.watched(|| ask(&stage, "an answer", "/large", None));
    stage.assert_shut("a large answer", seen);
}
