//! Stores of API keys that a real Envoy fetches: keys are made and revoked without another document.

use std::fmt::Write as _;
use std::ops::Deref;

use portcullis_tests::client;
use portcullis_tests::mesh::{self, TIMEOUT, answer};
use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Request;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

/// An Envoy whose filter fetches keys from `keys`.
struct Mesh {
    mesh: mesh::Mesh,
    keys: Upstream,
}

impl Deref for Mesh {
    type Target = mesh::Mesh;

    fn deref(&self) -> &mesh::Mesh {
        &self.mesh
    }
}

impl Mesh {
    fn start(remote: &Value, workers: u32, answer: Answer) -> Self {
        let mut settings = json!({
            "cluster": "keys", "uri": "http://keys.example.com/store", "timeout": "5s",
            "cache_duration": "1s", "cooldown": "1s",
        });
        for (name, value) in remote.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let document = json!({
            "version": 1,
            "api_key_stores": { "partners": { "remote": settings } },
            "routes": [{ "name": "all", "match": {}, "api_key": { "store": "partners" } }],
        });
        let keys = Upstream::start().unwrap();
        keys.answer_path("/store", answer);
        let mesh = mesh::Mesh::start_reused(&document, workers, &[("keys", &keys)]);
        Self { mesh, keys }
    }

    fn status_of(&self, key: &str) -> u16 {
        let request = Request {
            method: b"GET".to_vec(),
            path: b"/".to_vec(),
            authority: b"api.example.com".to_vec(),
            headers: vec![(b"x-api-key".to_vec(), key.as_bytes().to_vec())],
            ..Request::default()
        };
        let response = client::send(self.addr(), &request, TIMEOUT).unwrap();
        response.status
    }

    /// Waits until all workers, as far as can be seen, answer a key so.
    fn wait_until_status(&self, key: &str, status: u16) {
        wait_until(&format!("{key} gets {status}"), || {
            (0..16).all(|_| self.status_of(key) == status)
        });
    }
}

fn hash(key: &str) -> String {
    let mut hex = String::new();
    for byte in digest(&SHA256, key.as_bytes()).as_ref() {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

fn entry(key: &str, state: &str) -> Value {
    json!({ "id": key, "hash": hash(key), "client": "acme", "state": state })
}

fn store(entries: &[Value]) -> Answer {
    answer(200, &json!({ "keys": entries }).to_string())
}

#[test]
fn keys_are_made_and_revoked_without_another_document() {
    let down = answer(500, "no");
    let mesh = Mesh::start(&json!({}), 2, down);
    mesh.wait_for_log(0, "the API keys cannot be fetched: status 500", || {});
    assert_eq!(mesh.status_of("one"), 503);
    mesh.keys
        .answer_path("/store", store(&[entry("one", "active")]));
    mesh.wait_until_status("one", 200);
    assert_eq!(mesh.status_of("two"), 401);
    let both = [entry("one", "active"), entry("two", "active")];
    mesh.keys.answer_path("/store", store(&both));
    mesh.wait_until_status("two", 200);
    let revoked = [entry("one", "revoked"), entry("two", "active")];
    mesh.keys.answer_path("/store", store(&revoked));
    mesh.wait_until_status("one", 401);
    assert_eq!(mesh.status_of("two"), 200);
    // Whatever is wrong with an answer, the keys that there are go on.
    for (bad, message) in [
        (answer(200, "<html>"), "an answer that is not"),
        (
            answer(200, r#"{"keys":[{"id":"x"}]}"#),
            "no key can be used",
        ),
        (
            Answer::HangUp,
            "status 503, the server's or, if nobody answered",
        ),
    ] {
        let mark = mesh.envoy.log_mark();
        mesh.keys.answer_path("/store", bad);
        mesh.wait_for_log(mark, message, || {
            assert_eq!(mesh.status_of("two"), 200, "after {message}");
        });
        mesh.keys.answer_path("/store", store(&revoked));
        let before = mesh.metric("api_keys_fetch_success");
        mesh.wait_for_metric("api_keys_fetch_success", |fetches| fetches > before);
    }
    assert!(!mesh.envoy.log().contains("panicked"));
}

/// As many as there may be, in every worker.
#[test]
fn a_hundred_thousand_keys_are_fetched() {
    let mut body = String::from(r#"{"keys":["#);
    for number in 0..100_000 {
        let comma = if number == 0 { "" } else { "," };
        let hash = hash(&format!("key {number}").replace(' ', "-"));
        write!(
            body,
            r#"{comma}{{"id":"key-{number:06}","hash":"{hash}","client":"client-{number:06}"}}"#
        )
        .unwrap();
    }
    body.push_str("]}");
    let remote = json!({ "max_keys": 100_000, "cache_duration": "600s", "cooldown": "600s" });
    let mesh = Mesh::start(&remote, 2, answer(200, &body));
    mesh.wait_until_status("key-0", 200);
    mesh.wait_until_status("key-99999", 200);
    assert_eq!(mesh.status_of("key-100000"), 401);
    assert!(!mesh.envoy.log().contains("panicked"));
}
