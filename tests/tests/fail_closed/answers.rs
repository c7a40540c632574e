//! What a client gets of an answer that says too much, when the filter traps while it judges it.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, FailPolicy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::patience::find;
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A card number that is masked, and a key for which the answer is refused.
const SECRETS: [&str; 2] = ["4111111111111111", "-----BEGIN PRIVATE KEY-----"];

/// Where it traps. The last is none, which shows that answers get through at all.
const PLACES: [&str; 4] = ["response_head", "response_piece", "response_end", "none"];

fn document(place: &str, inspection: &str) -> Value {
    let mut wait = json!({ "until": "1ms" });
    if place != "none" {
        wait["traps"] = place.into();
    }
    json!({
        "version": 1,
        "body_inspection": inspection,
        "routes": [{
            "name": "all", "match": {}, "open": true,
            "test_wait": wait,
            "responses": {
                "mode": "enforce",
                "redact": { "kinds": { "card": "mask" } },
                "forbid": { "kinds": ["private_key"] },
            },
        }],
    })
}

fn listening(name: &str, document: &Value, holds: bool) -> Value {
    let options = WasmOptions {
        // The VM is theirs together, and comes back after each trap.
        fail_policy: FailPolicy::Reload,
        allow_on_headers_stop_iteration: holds,
        ..WasmOptions::default()
    };
    let wasm = repository().join("target/portcullis-faults.wasm");
    let filter = wasm_filter(name, &wasm, string_value(&document.to_string()), options);
    let options = ListenerOptions {
        request_timeout: Some(Duration::from_secs(3)),
        ..ListenerOptions::default()
    };
    listener(name, vec![filter], options)
}

/// The names of the listeners, and what is in front of them.
fn listeners() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for place in PLACES {
        for (inspection, holds) in [("stream", false), ("hold_headers", true)] {
            let name = format!("{place}-{inspection}");
            let document = document(place, inspection);
            all.push((name.clone(), listening(&name, &document, holds)));
        }
    }
    all
}

fn judged(binary: Option<PathBuf>) {
    let upstream = Upstream::start().unwrap();
    for (path, secret) in ["/card", "/key"].into_iter().zip(SECRETS) {
        let body = format!(
            "{{\"at\":\"{}\",\"secret\":\"{secret}\"}}",
            "x".repeat(20_000)
        );
        let response = Response {
            status: 200,
            headers: vec![("content-type".into(), b"application/json".to_vec())],
            body: body.into_bytes(),
            ..Response::default()
        };
        upstream.answer_path(path, Answer::Respond(response));
    }
    let listeners = listeners();
    let all: Vec<Value> = listeners
        .iter()
        .map(|(_, listener)| listener.clone())
        .collect();
    let options = Options {
        binary,
        concurrency: 1,
        timeout: Duration::from_secs(180),
        ..Options::default()
    };
    let clusters = vec![cluster("upstream", upstream.addr())];
    let envoy = Envoy::start_with_lds(bootstrap(Vec::new(), clusters), &all, &options).unwrap();
    for (name, _) in &listeners {
        let addr = envoy.listener_addr(name).unwrap();
        for path in ["/card", "/key"] {
            for version in [Version::Http1, Version::Http2] {
                let request = Request {
                    method: b"GET".to_vec(),
                    path: path.as_bytes().to_vec(),
                    authority: b"api.example.com".to_vec(),
                    version,
                    ..Request::default()
                };
                let answered =
                    when_it_comes(&upstream, path, || client::send(addr, &request, TIMEOUT));
                let said = format!("{answered:?}");
                let seen = answered.as_ref().map(|answer| answer.body.clone());
                let text = String::from_utf8_lossy(&seen.unwrap_or_default()).into_owned();
                for secret in SECRETS {
                    assert!(!text.contains(secret), "{name} {path}: {said}");
                    assert!(!said.contains(secret), "{name} {path}: {said}");
                }
                let status = answered.map(|answer| answer.status).ok();
                match (name.starts_with("none"), path) {
                    (true, "/card") => {
                        assert_eq!(status, Some(200), "{name}");
                        assert!(text.ends_with("\"secret\":\"****1111\"}"), "{name}: {text}");
                    }
                    (true, _) if name.ends_with("stream") => assert_eq!(status, None, "{name}"),
                    (true, _) => assert_eq!(status, Some(502), "{name}"),
                    // Refused where its head was held, and else cut off.
                    (false, _) => assert_ne!(status, Some(200), "{name} {path}"),
                }
            }
        }
    }
}

/// Sends until the service has had it: while a VM comes back, requests are refused.
fn when_it_comes<T>(upstream: &Upstream, path: &str, mut send: impl FnMut() -> T) -> T {
    find(|| {
        let before = upstream.count_path(path);
        let answered = send();
        (upstream.count_path(path) > before).then_some(answered)
    })
    .expect("the VM comes back")
}

#[test]
fn a_trap_shows_no_client_what_is_masked() {
    judged(None);
}

#[test]
fn a_trap_shows_no_client_what_is_masked_in_the_older_release() {
    let older = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    judged(Some(older.expect(
        "ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it",
    )));
}
