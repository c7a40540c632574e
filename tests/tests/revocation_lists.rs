//! A list of what is revoked that a real Envoy fetches: tokens, opaque ones and API keys are blocked and let in again
//! without another document.

use std::fmt::Write as _;

use portcullis_tests::client;
use portcullis_tests::mesh::{self, ISSUER, TIMEOUT, answer};
use portcullis_tests::patience::wait_until;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

fn document() -> Value {
    let mut key = String::new();
    for byte in digest(&SHA256, b"key-1").as_ref() {
        write!(key, "{byte:02x}").unwrap();
    }
    let mut jwk = SigningKey::named("p256").jwk();
    jwk["kid"] = json!("k1");
    let lists = json!(["Central"]);
    let route = |name: &str, policy: &str, block: Value| json!({ "name": name, "match": { "path": { "exact": format!("/{name}") } }, policy: block });
    json!({
        "version": 1,
        "revocation_lists": { "Central": { "remote": {
            "cluster": "lists", "uri": "http://lists.example.com/list",
            "cache_duration": "1s", "cooldown": "1s", "max_stale": "5s", "max_entries": 100_000,
        } } },
        "providers": { "corp": {
            "issuer": ISSUER, "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [jwk] } }, "revocation_lists": lists,
        } },
        "api_key_stores": { "partners": {
            "keys": [{ "id": "k-1", "hash": key, "client": "acme" }], "revocation_lists": lists,
        } },
        "introspection_servers": { "idp": {
            "cluster": "lists", "uri": "http://lists.example.com/introspect", "authentication": "none",
            "cache_duration": "600s", "revocation_lists": lists,
        } },
        "routes": [
            route("opaque", "introspection", json!({ "server": "idp" })),
            route("token", "jwt", json!({ "provider": "corp" })),
            route("key", "api_key", json!({ "store": "partners" })),
        ],
    })
}

/// Who calls, by what they hold.
struct Callers {
    mesh: mesh::Mesh,
    lists: Upstream,
    tokens: [String; 2],
}

impl Callers {
    fn start(answer: Answer) -> Self {
        let lists = Upstream::start().unwrap();
        lists.answer_path("/list", answer);
        let active = json!({
            "active": true, "jti": "o-1", "sub": "bob", "exp": 4_102_444_800_u64, "iat": 2000,
        });
        let json = ("content-type".to_owned(), b"application/json".to_vec());
        let response = Response {
            status: 200,
            headers: vec![json],
            body: active.to_string().into_bytes(),
            ..Response::default()
        };
        lists.answer_path("/introspect", Answer::Respond(response));
        let mesh = mesh::Mesh::start_reused(&document(), 2, &[("lists", &lists)]);
        let token = |id: &str| {
            let claims = json!({
                "iss": ISSUER, "aud": "orders-api", "exp": 4_102_444_800_u64, "iat": 1000,
                "jti": id, "sub": "alice",
            });
            let token = json!({ "key": "p256", "header": { "kid": "k1" }, "claims": claims });
            format!("Bearer {}", tokens::mint(&token, 0))
        };
        Self {
            tokens: ["t-1", "t-2"].map(token),
            mesh,
            lists,
        }
    }

    fn publish(&self, entries: &Value) {
        let list = json!({ "revoked": entries }).to_string();
        self.lists.answer_path("/list", answer(200, &list));
    }

    fn status(&self, path: &str, name: &str, value: &str) -> u16 {
        let request = Request {
            method: b"GET".to_vec(),
            path: path.as_bytes().to_vec(),
            authority: b"api.example.com".to_vec(),
            headers: vec![(name.as_bytes().to_vec(), value.as_bytes().to_vec())],
            ..Request::default()
        };
        let response = client::send(self.mesh.addr(), &request, TIMEOUT).unwrap();
        response.status
    }

    /// The statuses of the two tokens, of the key and of the opaque token.
    fn statuses(&self) -> [u16; 4] {
        let [one, other] = &self.tokens;
        [
            self.status("/token", "authorization", one),
            self.status("/token", "authorization", other),
            self.status("/key", "x-api-key", "key-1"),
            self.status("/opaque", "authorization", "Bearer o-1"),
        ]
    }

    /// Waits until all workers, as far as can be seen, answer so.
    fn wait_for(&self, statuses: [u16; 4]) {
        wait_until(&format!("{statuses:?}"), || {
            (0..16).all(|_| self.statuses() == statuses)
        });
    }
}

#[test]
fn credentials_are_blocked_without_another_document() {
    let callers = Callers::start(answer(500, "no"));
    let mesh = &callers.mesh;
    mesh.wait_for_log(0, "the revocations cannot be fetched: status 500", || {});
    assert_eq!(callers.statuses(), [503; 4]);
    callers.publish(&json!([]));
    callers.wait_for([200; 4]);
    // The token is remembered by now, and no more accepted for that.
    callers.publish(&json!([{ "jti": "t-1" }]));
    callers.wait_for([401, 200, 200, 200]);
    callers.publish(&json!([{ "key_id": "k-1" }]));
    callers.wait_for([200, 200, 401, 200]);
    callers.publish(&json!([{ "jti": "o-1" }]));
    callers.wait_for([200, 200, 200, 401]);
    let blocked = json!([
        { "sub": "alice", "issued_before": 1001 }, { "kid": "k2" }, { "jti": "t-9" }
    ]);
    callers.publish(&blocked);
    callers.wait_for([401, 401, 200, 200]);
    wait_until("the list is as large as it is", || {
        mesh.metric("revocation_list.central.entries") == 3
    });
    // Whatever is wrong with an answer, the list that there is goes on.
    for (bad, message) in [
        (
            answer(200, r#"{"revoked":[{"client":"acme"},{"token":"t-2"}]}"#),
            "a list of which entry 2 cannot be used: document: revokes nothing",
        ),
        (answer(200, "<html>"), "an answer that is not"),
    ] {
        let mark = mesh.envoy.log_mark();
        callers.lists.answer_path("/list", bad);
        mesh.wait_for_log(mark, message, || {
            assert_eq!(callers.statuses(), [401, 401, 200, 200], "after {message}");
        });
        callers.publish(&blocked);
        let before = mesh.metric("revocations_fetch_success");
        mesh.wait_for_metric("revocations_fetch_success", |fetches| fetches > before);
    }
    // As many as there may be.
    let many: Vec<Value> = (0..100_000)
        .map(|n| json!({ "jti": format!("6f1c7a52-8f0e-4d5c-9b1a-{n:012}") }))
        .collect();
    let many = json!(
        many.into_iter()
            .chain([json!({ "client": "acme" })])
            .skip(1)
            .collect::<Vec<_>>()
    );
    callers.publish(&many);
    callers.wait_for([200, 200, 401, 200]);
    // Too old, it is none.
    callers.lists.answer_path("/list", Answer::HangUp);
    callers.wait_for([503; 4]);
    assert!(mesh.metric("revocations_fetch_failed") > 0);
    callers.publish(&json!([]));
    callers.wait_for([200; 4]);
    // Each worker has asked about the opaque token once, however often the list has changed.
    let asked = callers.lists.take_path("/introspect").len();
    assert!((1..=2).contains(&asked), "{asked}");
    assert!(!mesh.envoy.log().contains("panicked"));
}
