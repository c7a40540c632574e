//! Explanations in answers: for those who may ask, and for nobody else.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Arrival, Upstream};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A secret of 32 bytes, and one of 31 whose hash is right as well.
const SECRET: &str = "q7Zr0mYc4TtBv1KxJ9wEo2HsLd8uGn5A";
const SHORT: &str = "q7Zr0mYc4TtBv1KxJ9wEo2HsLd8uGn5";

fn start(mode: &str, explain: &Value) -> (Envoy, Upstream) {
    start_by(&json!({
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
    }))
}

fn start_by(document: &Value) -> (Envoy, Upstream) {
    let upstream = Upstream::start().unwrap();
    let ours = wasm_filter(
        "ours",
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    let clusters = vec![cluster("upstream", upstream.addr())];
    let listeners = vec![listener("chain", vec![ours], ListenerOptions::default())];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap();
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

/// A token that stands wherever a client can put one.
fn token(key: &str, scope: &str) -> String {
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "scope": scope,
        "exp": 4_102_444_800_u64, "tenant": "a claim's value",
    });
    tokens::mint(&json!({ "key": key, "claims": claims }), 0)
}

#[test]
fn it_is_told_what_each_policy_said_and_why_and_no_secrets() {
    let (envoy, upstream) = start_by(&json!({
        "version": 1,
        "explain": { "header": "x-portcullis-debug", "secret_sha256": hash(SECRET) },
        "schemas": { "order": { "type": "object", "required": ["id"] } },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            { "name": "scopes", "match": { "path": { "prefix": "/scopes" } },
              "jwt": { "provider": "corp", "require": { "scopes": ["read", "write"] } } },
            { "name": "trial", "match": { "path": { "prefix": "/trial" } },
              "jwt": { "provider": "corp", "mode": "shadow",
                       "require": { "claims": [{ "claim": "tenänt", "exact": "blue" }] } },
              "parameters": { "mode": "shadow", "query": [{ "name": "page", "schema": { "type": "integer" } }],
                              "undeclared": "refuse" } },
            { "name": "cors", "match": { "path": { "prefix": "/cors" } }, "open": true,
              "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] } },
            { "name": "orders", "match": { "path": { "prefix": "/orders" } }, "open": true,
              "payload": { "max_bytes": 64, "json_schema": "order" } },
        ],
    }));
    let good = token("p256", "read");
    let forged = token("p256-other", "read");
    let send = |method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>| {
        let mut fields = vec![(b"x-portcullis-debug".to_vec(), SECRET.as_bytes().to_vec())];
        for (name, value) in headers {
            fields.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        let request = Request {
            method: method.as_bytes().to_vec(),
            path: path.as_bytes().to_vec(),
            authority: b"api.example.com".to_vec(),
            headers: fields,
            body: body.map(|body| vec![body.as_bytes().to_vec()]),
            ..Request::default()
        };
        client::send(envoy.listener_addr("chain").unwrap(), &request, TIMEOUT).unwrap()
    };
    let why = |answer: &Response| -> Vec<String> {
        let lines = told(answer).into_iter();
        lines
            .filter(|line| line.starts_with("refused_by="))
            .collect()
    };
    let bearer = |token: &str| format!("Bearer {token}");
    let (good_bearer, forged_bearer) = (bearer(&good), bearer(&forged));
    let query = format!("/trial?page={good}&{good}=1");
    let answers = [
        send("GET", "/scopes", &[("authorization", &good_bearer)], None),
        send("GET", "/scopes", &[("authorization", &forged_bearer)], None),
        send(
            "GET",
            "/trial?page=x&size=2",
            &[("authorization", &good_bearer)],
            None,
        ),
        send("GET", &query, &[("authorization", &good_bearer)], None),
        send(
            "GET",
            "/cors",
            &[("origin", &format!("https://{good}.example"))],
            None,
        ),
        send(
            "POST",
            "/orders",
            &[("content-type", "application/json")],
            Some("{\"tenant\":\"x\"}"),
        ),
    ];
    let statuses = answers.each_ref().map(|answer| answer.status);
    assert_eq!(statuses, [403, 401, 200, 200, 403, 422]);
    let lines = answers.each_ref().map(why);
    assert_eq!(
        lines[0],
        [
            r#"refused_by=jwt; mode=enforce; code=jwt_insufficient_scope; reason=scope; detail={"rule":"/routes/0/jwt/require/scopes/1","scopes":["write"],"claim":"scope","fault":"not_granted"}"#
        ]
    );
    assert_eq!(
        lines[1],
        [
            r#"refused_by=jwt; mode=enforce; code=jwt_invalid; reason=signature; detail={"rule":"/providers/corp/jwks"}"#
        ]
    );
    assert_eq!(
        lines[2],
        [
            r#"refused_by=jwt; mode=shadow; code=jwt_claim_not_allowed; reason=claim; detail={"rule":"/routes/1/jwt/require/claims/0","claim":"ten\u00e4nt","fault":"missing"}"#,
            r#"refused_by=parameters; mode=shadow; code=parameters_invalid; reason=undeclared; detail={"rule":"/routes/1/parameters/undeclared","parameter":"size"}"#,
        ]
    );
    assert!(
        lines[3][1].contains(r#""parameter":"REDACTED"#),
        "{:?}",
        lines[3]
    );
    assert!(
        lines[4][0].contains(r#""origin":"https://REDACTED"#),
        "{:?}",
        lines[4]
    );
    assert_eq!(
        lines[5],
        [
            r#"refused_by=payload; mode=enforce; code=payload_schema; reason=schema; detail={"rule":"/schemas/order/required"}; errors=[{"instance":"","keyword":"required","schema":"/schemas/order/required"}]"#
        ]
    );
    for answer in &answers {
        let shown = told(answer).join("\n");
        for hidden in [SECRET, &good, &forged, "eyJ", "a claim's value", "alice"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
    let seen = upstream.take_all();
    // The head of the order that is refused by its body may have gone ahead.
    let whole = seen.iter().filter(|seen| seen.arrival == Arrival::Whole);
    assert_eq!(whole.count(), 2);
    for seen in seen {
        let debug = seen
            .headers
            .iter()
            .find(|(name, _)| name == b"x-portcullis-debug");
        assert_eq!(debug, None);
    }
}
