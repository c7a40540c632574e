//! What exchanges take of the budget goes back, however they end.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use portcullis::budget::CEILING;
use portcullis_tests::client;
use portcullis_tests::envoy::{
    ListenerOptions, Update, WasmOptions, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Answer;
use portcullis_tests::wire::Response;
use serde_json::{Value, json};

use super::documents::{get, guarded, post, with_open_schema};
use super::stage::{Delivery, Setting, Stage, TIMEOUT};

const PREFIX: &str = "wasmcustom.portcullis.memory.";

/// Routes that hold bodies, that look on, and that judge answers.
fn document() -> Value {
    let mut document = with_open_schema(json!({ "type": "object" }), "64KiB");
    let route = |name: &str, payload: Value| {
        json!({
            "name": name,
            "match": { "path": { "exact": format!("/{name}") } },
            "open": true,
            "payload": payload,
        })
    };
    let shadow = json!({ "max_bytes": "64KiB", "json_schema": "open", "mode": "shadow" });
    let responses = json!({ "json_schema": "open", "mode": "enforce", "max_bytes": "64KiB" });
    let judged = json!({ "max_bytes": "64KiB", "responses": responses });
    if let Some(routes) = document["routes"].as_array_mut() {
        routes.insert(0, route("shadow", shadow));
        routes.insert(0, route("judged", judged));
    }
    document
}

/// Requests as far as they come before their clients leave.
fn unfinished() -> Vec<(&'static str, Vec<u8>)> {
    let post = |path: &str, framing: &str, begun: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json");
        format!("{head}\r\n{framing}\r\n\r\n{begun}").into_bytes()
    };
    let (counted, chunks) = ("content-length: 1000", "transfer-encoding: chunked");
    vec![
        ("a held head", post("/open", counted, "")),
        ("a held body", post("/open", counted, "{")),
        ("a held body in chunks", post("/open", chunks, "1\r\n{\r\n")),
        ("a body that passes on", post("/shadow", counted, "{")),
        ("chunks that pass on", post("/shadow", chunks, "1\r\n{\r\n")),
        (
            "a slow answer",
            b"GET /judged HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        ),
    ]
}

/// Waits until the gauges say that exchanges hold nothing, or that they hold something.
fn await_streams(stage: &Stage, what: &str, idle: bool) {
    let shares: &[&str] = match idle {
        true => &["streams", "bodies", "queues"],
        false => &["streams"],
    };
    let stats = stage.envoy.stats_once(|stats| {
        let used = |share: &&str| stats.get(&format!("{PREFIX}{share}_bytes"));
        shares
            .iter()
            .all(|share| used(share).is_some_and(|used| (*used == 0) == idle))
    });
    assert!(stats.is_ok(), "{what}: {}", stage.memory());
}

#[test]
fn every_exchange_gives_back_what_it_took() {
    let mut setting = Setting::new(1, Delivery::Lds);
    setting.drain = Duration::from_secs(1);
    let stage = Stage::start(setting, &document());
    let answer = |body: &[u8]| Response {
        status: 200,
        headers: vec![("content-type".into(), b"application/json".to_vec())],
        body: body.to_vec(),
        ..Response::default()
    };
    let slow = Answer::Delay(Duration::from_secs(3), answer(b"{}"));
    stage.upstream.answer_path("/judged", slow);
    for (what, sent) in unfinished() {
        let connections: Vec<TcpStream> = (0..10)
            .map(|_| {
                let mut connection = TcpStream::connect(stage.addr).unwrap();
                connection.write_all(&sent).unwrap();
                connection
            })
            .collect();
        await_streams(&stage, what, false);
        drop(connections);
        await_streams(&stage, what, true);
    }
    for (path, body, status) in [
        ("/open", &b"{}"[..], 200),
        ("/open", b"[]", 422),
        ("/open", b"{", 400),
        ("/shadow", b"[]", 200),
    ] {
        let answer = client::send(stage.addr, &post(path, body.to_vec()), TIMEOUT).unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
    let large = post("/open", vec![b' '; 100_000]);
    assert_eq!(
        client::send(stage.addr, &large, TIMEOUT).unwrap().status,
        413
    );
    let mut judged = get(None);
    judged.path = b"/judged".to_vec();
    for end in [
        Answer::Respond(answer(b"[]")),
        Answer::Truncate(answer(b"{\"a\": 1}")),
        Answer::HangUp,
    ] {
        stage.upstream.answer_path("/judged", end);
        // What has gone ahead of a refused answer ends there.
        let _ = client::send(stage.addr, &judged, TIMEOUT);
    }
    await_streams(&stage, "whole exchanges", true);
    assert_eq!(stage.traps(), 0);
    a_vm_that_ends_leaves_the_gauges(&stage);
}

/// Another VM comes and goes: the gauges are the sums of those that live.
fn a_vm_that_ends_leaves_the_gauges(stage: &Stage) {
    let guarded = |name: &str, vm_id: &str| {
        let options = WasmOptions {
            vm_id: vm_id.to_owned(),
            ..WasmOptions::default()
        };
        let document = string_value(&guarded().to_string());
        let filter = wasm_filter(name, &module_path(), document, options);
        listener(name, vec![filter], ListenerOptions::default())
    };
    let one = guarded("guarded", "");
    let has_ceiling = |vms: u64| {
        let stats = stage.envoy.stats_once(|stats| {
            stats.get(&format!("{PREFIX}ceiling_bytes")) == Some(&(vms * CEILING as u64))
        });
        assert!(stats.is_ok(), "{vms} VMs: {}", stage.memory());
    };
    // One of a worker, and one of the main thread.
    for (listeners, vms) in [
        (vec![one.clone(), guarded("other", "other")], 4),
        (vec![one], 2),
    ] {
        let updated = stage.envoy.update_listeners(&listeners).unwrap();
        assert_eq!(updated, Update::Accepted);
        has_ceiling(vms);
    }
}
