//! The built module in a fake host: what it asks of the proxy, and what it leaves there.

mod ends;
mod exports;
mod warm_path;

use std::fs;

use portcullis_tests::fake_host::{FakeHost, HostOptions};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const NOW: u64 = 2_000_000_000;

fn document(access_log: Value) -> Vec<u8> {
    let document = json!({
        "version": 1,
        "access_log": access_log,
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        // Finding what tells about the software takes one more read, of the answer's fields.
        "defaults": { "security_headers": { "preset": "api", "remove_revealing": false } },
        "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "jwt": { "provider": "corp" } }],
    });
    document.to_string().into_bytes()
}

fn start(access_log: Value) -> FakeHost {
    let options = HostOptions {
        now_nanos: NOW * 1_000_000_000,
        ..HostOptions::default()
    };
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    FakeHost::start(&wasm, &document(access_log), options).unwrap()
}

fn request(subject: &str, exp: u64) -> Request {
    let claims = json!({ "iss": "https://id.example.com/", "aud": "orders-api", "sub": subject, "exp": exp });
    let token = tokens::mint(&json!({ "key": "p256", "claims": claims }), NOW);
    let header = |name: &str, value: String| (name.as_bytes().to_vec(), value.into_bytes());
    Request {
        method: b"GET".to_vec(),
        path: format!("/{subject}").into_bytes(),
        authority: b"api.example.com".to_vec(),
        headers: vec![
            header("authorization", format!("Bearer {token}")),
            header("x-from", subject.to_owned()),
        ],
        ..Request::default()
    }
}

fn service() -> Response {
    Response {
        status: 200,
        ..Response::default()
    }
}

#[test]
fn rule_9_nothing_a_client_sends_becomes_a_shared_key_or_a_metric() {
    let mut host = start(json!({}));
    // The proxy learns of counters of verdicts when there is something to tell.
    for (subject, exp) in [("good", NOW + 60), ("expired", NOW - 3600)] {
        host.exchange(&request(subject, exp), &service()).unwrap();
    }
    host.tick().unwrap();
    let metrics: Vec<String> = host.metrics().into_keys().collect();
    let keys = host.shared_keys();
    assert_eq!(keys, [b"portcullis/1/compiled"]);
    for number in 0..40 {
        let exp = if number % 2 == 0 {
            NOW + 60
        } else {
            NOW - 3600
        };
        host.exchange(&request(&format!("client-{number}"), exp), &service())
            .unwrap();
    }
    assert_eq!(host.shared_keys(), keys);
    host.tick().unwrap();
    assert_eq!(host.metrics().into_keys().collect::<Vec<_>>(), metrics);
    let refused = "portcullis.policy_refusals.jwt.jwt_expired.denied";
    for name in [
        "portcullis.allowed",
        "portcullis.code.jwt_expired.denied",
        "portcullis.policy_verdicts.jwt.allowed",
        refused,
    ] {
        assert_eq!(host.metric(name), Some(21), "{name}");
    }
}

#[test]
fn what_makes_allocations_fail_is_not_in_the_module_that_is_shipped() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    let name = b"portcullis_fail_allocation";
    assert!(!wasm.windows(name.len()).any(|bytes| bytes == name));
}

#[test]
fn counters_wait_for_ticks_and_only_for_them() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    for refuses_ticks in [false, true] {
        let options = HostOptions {
            now_nanos: NOW * 1_000_000_000,
            refuses_ticks,
            ..HostOptions::default()
        };
        let mut host = FakeHost::start(&wasm, &document(json!({})), options).unwrap();
        let told = |host: &FakeHost| {
            let verdicts = "portcullis.policy_verdicts.jwt.allowed";
            ["portcullis.allowed", verdicts].map(|name| host.metric(name).unwrap_or(0))
        };
        host.exchange(&request("alice", NOW + 60), &service())
            .unwrap();
        let at_once = u64::from(refuses_ticks);
        assert_eq!(told(&host), [at_once; 2], "ticks refused: {refuses_ticks}");
        host.tick().unwrap();
        assert_eq!(told(&host), [1; 2]);
        // What has been told is not told again; the first tick itself took memory, which is told.
        host.tick().unwrap();
        host.tick().unwrap();
        assert_eq!(told(&host), [1; 2]);
        let calls = host.calls().by_name.get("proxy_increment_metric").copied();
        // Without a timer the last calls are those of the request: each of its counters is told.
        assert_eq!(calls.is_some(), refuses_ticks, "{calls:?}");
    }
}

/// Another VM may be made later, and adds its own part.
#[test]
fn what_a_vm_has_of_the_gauges_of_memory_goes_with_its_last_plugin() {
    let mut host = start(json!({}));
    host.exchange(&request("alice", NOW + 60), &service())
        .unwrap();
    host.tick().unwrap();
    let gauges = |host: &FakeHost| {
        let names = ["live", "ceiling", "documents", "caches"];
        names.map(|name| {
            let name = format!("portcullis.memory.{name}_bytes");
            host.metric(&name).unwrap()
        })
    };
    assert!(
        gauges(&host).iter().all(|value| *value > 0),
        "{:?}",
        gauges(&host)
    );
    host.configure(&document(json!("off"))).unwrap();
    host.drain().unwrap();
    host.tick().unwrap();
    assert!(gauges(&host)[0] > 0);
    host.end().unwrap();
    assert_eq!(gauges(&host), [0; 4]);
}

#[test]
fn a_remembered_token_costs_few_host_calls() {
    // The fields of the request, and of the answer, to which many are added. With a record the client's
    // address is asked for besides.
    for (access_log, most) in [(json!("off"), 2), (json!({}), 3)] {
        let mut host = start(access_log);
        let request = request("alice", NOW + 60);
        host.exchange(&request, &service()).unwrap();
        let again = host.exchange(&request, &service()).unwrap();
        assert_eq!(again.response.status, 200);
        let calls = again.calls;
        assert!(
            calls.returning_bytes <= most,
            "{} of {:?}",
            calls.returning_bytes,
            calls.by_name
        );
        assert_eq!(
            calls.by_name.get("proxy_call_foreign_function"),
            None,
            "the signature is checked again"
        );
    }
}

/// Token, limit, CORS, five header fields and a record.
fn whole_chain() -> Vec<u8> {
    let document = document(json!({ "sinks": ["filter_state"] }));
    let mut document: Value = serde_json::from_slice(&document).expect("it is JSON");
    let set = [
        "referrer-policy",
        "x-content-type-options",
        "x-frame-options",
        "x-a",
        "x-b",
    ];
    let set: serde_json::Map<String, Value> = set
        .iter()
        .map(|name| ((*name).to_owned(), "x".into()))
        .collect();
    document["defaults"] = json!({
        "security_headers": { "preset": "none", "set": set },
        "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] },
        "rate_limits": [{
            "name": "all", "key": [], "headers": "x_ratelimit",
            "token_bucket": { "max_tokens": 1000, "tokens_per_fill": 1000, "fill_interval": "1s" },
        }],
    });
    document.to_string().into_bytes()
}

/// CORS takes away what the service granted; where the answer's fields are read anyhow, only what
/// is there costs a call.
#[test]
fn only_fields_that_are_there_are_removed() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    let mut document: Value = serde_json::from_slice(&whole_chain()).expect("it is JSON");
    document["defaults"]["security_headers"] = json!({ "preset": "api" });
    let options = HostOptions {
        now_nanos: NOW * 1_000_000_000,
        ..HostOptions::default()
    };
    let mut host = FakeHost::start(&wasm, document.to_string().as_bytes(), options).unwrap();
    let granted = ("access-control-expose-headers".to_owned(), b"x-a".to_vec());
    for (sent, removed) in [(vec![], 2), (vec![granted], 3)] {
        let answer = Response {
            headers: sent,
            ..service()
        };
        let seen = host.exchange(&request("alice", NOW + 60), &answer).unwrap();
        let calls = seen.calls.by_name.get("proxy_remove_header_map_value");
        // One is the token's, one that of a field which tells of the software.
        assert_eq!(calls, Some(&removed), "{:?}", seen.calls);
        let names = seen.response.headers.iter().map(|(name, _)| name);
        assert!(
            !names
                .into_iter()
                .any(|name| name == "access-control-expose-headers")
        );
    }
}

#[test]
fn gauges_are_set_on_ticks() {
    let keys = "portcullis.provider.corp.jwks_keys";
    let remembered = "portcullis.jwt_cache_entries";
    let mut host = start(json!("off"));
    assert_eq!(host.metric(keys), None, "nothing before the first tick");
    host.tick().unwrap();
    assert_eq!(host.metric(keys), Some(1));
    assert_eq!(host.metric(remembered), Some(0));
    let tokens = ["a", "b", "c"].map(|subject| request(subject, NOW + 60));
    for request in tokens.iter().chain(&tokens) {
        host.exchange(request, &service()).unwrap();
    }
    host.tick().unwrap();
    host.tick().unwrap();
    assert_eq!(host.metric(remembered), Some(3));
    // Another worker remembers tokens of its own; the gauge shows the sum.
    let mut other = host.load_beside().unwrap();
    other.configure(&document(json!("off"))).unwrap();
    other.exchange(&request("a", NOW + 60), &service()).unwrap();
    other.tick().unwrap();
    assert_eq!(host.metric(remembered), Some(4));
    assert_eq!(host.metric(keys), Some(1));
}

/// A proxy that keeps callbacks for bodies from the filter is known by a host call that it keeps from it
/// too. Then nothing passes that is to be judged by its body, and all else does.
#[test]
fn what_is_judged_by_bodies_that_are_not_shown_is_refused() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    let document = json!({
        "version": 1,
        "schemas": { "order": { "type": "object", "required": ["id"] } },
        "routes": [
            { "name": "judged", "match": { "path": { "prefix": "/judged" } }, "open": true,
              "payload": { "max_bytes": "1KiB" } },
            { "name": "answers", "match": { "path": { "prefix": "/answers" } }, "open": true,
              "payload": { "max_bytes": "0B", "responses": { "json_schema": "order", "mode": "enforce" } } },
            { "name": "tried", "match": { "path": { "prefix": "/tried" } }, "open": true,
              "payload": { "max_bytes": "1KiB", "mode": "shadow" } },
            { "name": "open", "match": { "path": { "prefix": "/" } }, "open": true },
        ],
    });
    let post = |path: &str, body: Option<Vec<Vec<u8>>>| Request {
        method: b"POST".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        body,
        ..Request::default()
    };
    let answer = Response {
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: b"{\"id\": 1}".to_vec(),
        ..service()
    };
    let callbacks = ["proxy_on_request_body", "proxy_on_response_body"];
    let told: &[&str] = &[callbacks[0], callbacks[1], "proxy_set_buffer_bytes"];
    for (denied, refused) in [(told, 503), (&[][..], 200)] {
        let options = HostOptions {
            now_nanos: NOW * 1_000_000_000,
            denied: Box::leak(denied.to_vec().into_boxed_slice()),
            ..HostOptions::default()
        };
        let mut host = FakeHost::start(&wasm, document.to_string().as_bytes(), options).unwrap();
        let body = || Some(vec![b"{}".to_vec()]);
        for (path, body, status) in [
            ("/judged", body(), refused),
            ("/judged", None, 200),
            ("/answers", None, refused),
            ("/tried", body(), 200),
            ("/a", body(), 200),
        ] {
            let seen = host.exchange(&post(path, body), &answer).unwrap();
            assert_eq!(seen.response.status, status, "{path}, denied: {denied:?}");
            let details = seen.response_details;
            let is_told = details == "portcullis.unavailable.body_not_shown";
            assert_eq!(is_told, status == 503, "{path}: {details}");
        }
    }
}
