//! Explanations in answers: for those who may ask, and for nobody else.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::SigningKey;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A secret of 32 bytes, and one of 31 whose hash is right as well.
const SECRET: &str = "q7Zr0mYc4TtBv1KxJ9wEo2HsLd8uGn5A";
const SHORT: &str = "q7Zr0mYc4TtBv1KxJ9wEo2HsLd8uGn5";

fn start(mode: &str, explain: &Value) -> (Envoy, Upstream) {
    let upstream = Upstream::start().unwrap();
    let document = json!({
        "version": 1,
        "mode": mode,
        "explain": explain,
        "request_id": { "response_header": "x-request-id" },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            { "name": "guarded", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" } },
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "open": true, "payload": { "max_bytes": 8 } },
        ],
    });
    let ours = wasm_filter(
        "ours",
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    let clusters = vec![cluster("upstream", upstream.addr())];
    let listeners = vec![listener("chain", vec![ours], ListenerOptions::default())];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::default()).unwrap();
    (envoy, upstream)
}

fn hash(secret: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn ask(envoy: &Envoy, path: &str, asked: &[&str]) -> Response {
    let mut headers = vec![(b"x-request-id".to_vec(), b"an-id-7".to_vec())];
    for value in asked {
        headers.push((b"x-portcullis-debug".to_vec(), value.as_bytes().to_vec()));
    }
    let request = Request {
        method: b"GET".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        headers,
        ..Request::default()
    };
    client::send(envoy.listener_addr("chain").unwrap(), &request, TIMEOUT).unwrap()
}

fn told(answer: &Response) -> Vec<String> {
    let of = answer.headers.iter();
    of.filter(|(name, _)| name == "x-portcullis-explain")
        .map(|(_, value)| String::from_utf8(value.clone()).unwrap())
        .collect()
}

#[test]
fn who_knows_the_secret_is_told() {
    let explain = json!({ "header": "x-portcullis-debug", "secret_sha256": hash(SECRET) });
    let (envoy, _upstream) = start("enforce", &explain);
    let allowed = ask(&envoy, "/open/a", &[SECRET]);
    assert_eq!(allowed.status, 200);
    let lines = told(&allowed);
    assert_eq!(lines[0], "route=open");
    assert!(
        lines[1].starts_with("policy=payload; verdict=allowed; us="),
        "{lines:?}"
    );
    let denied = told(&ask(&envoy, "/guarded/a", &[SECRET]));
    assert_eq!(denied[0], "route=guarded; code=jwt_missing; reason=missing");
    assert!(
        denied[1].starts_with("policy=jwt; verdict=denied; us="),
        "{denied:?}"
    );
    let nowhere = told(&ask(&envoy, "/nowhere", &[SECRET]));
    assert_eq!(nowhere, ["no route; code=no_route; reason=no_route"]);
    let cached = allowed
        .headers
        .iter()
        .find(|(name, _)| name == "cache-control");
    assert_eq!(cached.unwrap().1, b"no-store");
    // The service never sees the secret: it answers with what it was asked.
    assert!(!String::from_utf8_lossy(&allowed.body).contains(SECRET));
    let wrong: [&[&str]; 6] = [
        &[],
        &[""],
        &["wrong"],
        &[SHORT],
        &[SECRET, SECRET],
        &[&SECRET[1..]],
    ];
    for asked in wrong {
        let answer = ask(&envoy, "/open/a", asked);
        assert_eq!(told(&answer), Vec::<String>::new(), "{asked:?}");
        let seen = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!seen.contains("x-portcullis-debug"), "{seen}");
    }
    let id = |answer: &Response| {
        let found = answer
            .headers
            .iter()
            .find(|(name, _)| name == "x-request-id");
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(id(&allowed), Some(b"an-id-7".to_vec()));
    assert_eq!(id(&ask(&envoy, "/nowhere", &[])), Some(b"an-id-7".to_vec()));
}

#[test]
fn a_short_secret_is_never_right() {
    let explain = json!({ "header": "x-portcullis-debug", "secret_sha256": hash(SHORT) });
    let (envoy, _upstream) = start("enforce", &explain);
    assert!(told(&ask(&envoy, "/open/a", &[SHORT])).is_empty());
}

#[test]
fn addresses_are_enough_and_can_be_asked_for_besides() {
    let near = json!({ "header": "x-portcullis-debug", "addresses": ["127.0.0.0/8"] });
    let (envoy, _upstream) = start("shadow", &near);
    assert!(!told(&ask(&envoy, "/open/a", &["1"])).is_empty());
    assert!(
        told(&ask(&envoy, "/open/a", &[])).is_empty(),
        "nobody has asked"
    );
    let shadow = ask(&envoy, "/guarded/a", &["1"]);
    assert!(told(&shadow)[1].starts_with("policy=jwt; verdict=shadow_denied"));
    // Shadow mode changes nothing else of the request.
    assert!(!String::from_utf8_lossy(&shadow.body).contains("x-portcullis-debug"));
    let far = json!({
        "header": "x-portcullis-debug", "secret_sha256": hash(SECRET), "addresses": ["192.0.2.0/24"],
    });
    let (envoy, _upstream) = start("enforce", &far);
    assert!(told(&ask(&envoy, "/open/a", &[SECRET])).is_empty());
}
