//! The smallest module: it refuses documents that ask for what it lacks, each at its place, and guards by
//! all others.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, listener, string_value, wasm_filter,
};
use portcullis_tests::fake_host::{FakeHost, HostOptions, StartError};
use portcullis_tests::tokens::{self, SigningKey, repository};
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

fn module() -> PathBuf {
    repository().join("target/portcullis-minimal.wasm")
}

const SCHEMAS: &str =
    "this module is built without JSON Schema; build it with the feature `json-schema`";
const PATTERNS: &str =
    "this module is built without regular expressions; build it with the feature `patterns`";
const TRAFFIC: &str = "this module is built without versions, concurrency, and responses and header fields of a document's own; build it with the feature `traffic`";
const FORMATS: &str = "this module is built without XML, GraphQL, and what is taken out of responses; build it with the feature `formats`";
const ACCESS: &str = "this module is built without access rules and lists of networks; build it with the feature `access`";
const CREDENTIALS: &str = "this module is built without API keys, certificates, opaque and bound tokens, signed requests and lists of what is revoked; build it with the feature `credentials`";
const SIGNATURES: &str = "this module is built without signatures that it checks itself; build it with the feature `signatures`";

/// A document that this module takes, with this in it.
fn document(change: impl FnOnce(&mut Value)) -> Value {
    let keys = ["p256", "rsa"].map(|name| SigningKey::named(name).jwk());
    let mut document = json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": keys } },
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
    });
    change(&mut document);
    document
}

/// What it says of a document that it does not take; nothing if it takes it.
fn refusal(document: &Value) -> String {
    let wasm = fs::read(module()).expect("the module is built: envoy/build.sh minimal");
    let document = document.to_string().into_bytes();
    match FakeHost::start(&wasm, &document, HostOptions::default()) {
        Ok(_) => String::new(),
        Err(StartError::Refused { log }) => {
            let lines = log
                .iter()
                .map(|line| String::from_utf8_lossy(&line.message));
            lines.map(|line| line.into_owned() + "\n").collect()
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn it_says_what_it_lacks_and_where_that_is_asked_for() {
    assert_eq!(refusal(&document(|_| {})), "");
    let as_bearers = document(|all| all["providers"]["corp"]["bound"] = "off".into());
    assert_eq!(refusal(&as_bearers), "");
    type Change = fn(&mut Value);
    let lacking: &[(&str, &str, Change)] = &[
        ("/access_rules", ACCESS, |all| {
            all["access_rules"] = json!({ "partners": {} });
        }),
        ("/networks", ACCESS, |all| {
            all["networks"] = json!({ "office": { "addresses": ["192.0.2.0/24"] } });
        }),
        ("/versions", TRAFFIC, |all| {
            all["versions"] = json!({ "in": [{ "header": "v" }], "known": { "v1": {} } });
        }),
        ("/routes/0/concurrency", TRAFFIC, |all| {
            all["routes"][0]["concurrency"] = json!({ "key": [], "max": 1 });
        }),
        ("/routes/0/respond", TRAFFIC, |all| {
            all["routes"][0]["respond"] = json!({ "status": 204 });
        }),
        ("/routes/0/request_headers", TRAFFIC, |all| {
            all["routes"][0]["request_headers"] = json!({ "remove": ["x-a"] });
        }),
        ("/routes/0/response_headers", TRAFFIC, |all| {
            all["routes"][0]["response_headers"] = json!({ "remove": ["x-a"] });
        }),
        ("/routes/0/graphql", FORMATS, |all| {
            all["routes"][0]["graphql"] = json!({});
        }),
        ("/routes/0/access", ACCESS, |all| {
            all["routes"][0]["access"] = json!({ "rules": [] });
        }),
        ("/api_key_stores", CREDENTIALS, |all| {
            all["api_key_stores"] = json!({ "partners": { "keys": [] } });
        }),
        ("/certificates", CREDENTIALS, |all| {
            all["certificates"] = json!({ "mesh": {} });
        }),
        ("/introspection_servers", CREDENTIALS, |all| {
            all["introspection_servers"] = json!({ "corp": {} });
        }),
        ("/signers", CREDENTIALS, |all| {
            all["signers"] = json!({ "shop": {} });
        }),
        ("/revocation_lists", CREDENTIALS, |all| {
            all["revocation_lists"] = json!({ "blocked": {} });
        }),
        ("/providers/corp/bound", CREDENTIALS, |all| {
            all["providers"]["corp"]["bound"] = json!({ "certificate": "if_bound" });
        }),
        ("/providers/corp/revocation_lists", CREDENTIALS, |all| {
            all["providers"]["corp"]["revocation_lists"] = json!(["blocked"]);
        }),
        ("/routes/0/credentials", CREDENTIALS, |all| {
            let route = all["routes"][0].as_object_mut().expect("it is one");
            route.remove("jwt");
            all["routes"][0]["credentials"] = json!({ "any_of": [] });
        }),
        ("/schemas/order", SCHEMAS, |all| {
            all["schemas"] = json!({ "order": { "type": "object" } });
        }),
        ("/routes/0/openapi", SCHEMAS, |all| {
            all["apis"] = json!({ "orders": { "openapi": "3.1.0", "paths": {} } });
            all["routes"][0]["openapi"] = json!({ "api": "orders" });
        }),
        ("/routes/0/parameters/query/0/schema", SCHEMAS, |all| {
            all["routes"][0]["parameters"] =
                json!({ "query": [{ "name": "page", "schema": { "type": "integer" } }] });
        }),
        ("/routes/0/match/path/regex", PATTERNS, |all| {
            all["routes"][0]["match"] = json!({ "path": { "regex": "/a.*" } });
        }),
        ("/routes/0/deny_patterns", PATTERNS, |all| {
            all["routes"][0]["deny_patterns"] = json!({});
        }),
        ("/routes/0/jwt/require/claims/0/regex", PATTERNS, |all| {
            all["routes"][0]["jwt"]["require"] =
                json!({ "claims": [{ "claim": "sub", "regex": "a+" }] });
        }),
        ("/routes/0/cors/allow_origins/0/regex", PATTERNS, |all| {
            all["routes"][0]["cors"] =
                json!({ "allow_origins": [{ "regex": "^https://a\\.example\\.com$" }] });
        }),
        ("/routes/0/cors/allow_origins/0/wildcard", PATTERNS, |all| {
            all["routes"][0]["cors"] =
                json!({ "allow_origins": [{ "wildcard": "https://*.example.com" }] });
        }),
        ("/routes/0/payload/xml", FORMATS, |all| {
            all["routes"][0]["payload"] = json!({ "max_bytes": "1KiB", "xml": {} });
        }),
        ("/providers/corp/signatures", SIGNATURES, |all| {
            all["providers"]["corp"]["signatures"] = "filter".into();
        }),
        ("/providers/corp/algorithms/1", SIGNATURES, |all| {
            all["providers"]["corp"]["algorithms"] = json!(["RS256", "PS256"]);
        }),
        ("/providers/corp/jwks/inline/keys/2", SIGNATURES, |all| {
            let key = SigningKey::named("ed25519").jwk();
            let keys = all["providers"]["corp"]["jwks"]["inline"]["keys"].as_array_mut();
            keys.unwrap().push(key);
        }),
        ("/providers/corp/pem/0", SIGNATURES, |all| {
            all["providers"]["corp"]["pem"] = json!([{ "key": "-----BEGIN PUBLIC KEY-----" }]);
        }),
    ];
    for (place, reason, change) in lacking {
        let said = refusal(&document(*change));
        let expected = format!("{place}: {reason}");
        assert!(said.contains(&expected), "{expected}\n{said}");
    }
}

/// Signatures of the usual algorithms are the proxy's to check.
#[test]
fn it_guards_in_envoy() {
    let filter = wasm_filter(
        "minimal",
        &module(),
        string_value(&document(|_| {}).to_string()),
        WasmOptions::default(),
    );
    let options = ListenerOptions {
        route: json!({ "route": null, "direct_response": { "status": 200 } }),
        ..ListenerOptions::default()
    };
    let bootstrap = bootstrap(vec![listener("guarded", vec![filter], options)], Vec::new());
    let envoy = Envoy::start(bootstrap, &Options::default()).unwrap();
    let addr = envoy.listener_addr("guarded").unwrap();
    let output = Command::new(repository().join("envoy/smoke.sh"))
        .arg(format!("http://{addr}/orders"))
        .env("CONNECTIONS", "32")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");

    #[allow(clippy::disallowed_methods, reason = "Envoy goes by the real clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    // It can see of no token that its sender has the key.
    let bound = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
    for (key, tamper, cnf, expected) in [
        ("p256", None, None, 200),
        ("rsa", None, None, 200),
        ("p256", Some("signature"), None, 401),
        ("rsa", Some("signature"), None, 401),
        ("ed25519", None, None, 401),
        ("p256", None, Some(bound), 401),
    ] {
        let mut claims = json!({
            "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": now + 600,
        });
        if let Some(cnf) = &cnf {
            claims["cnf"] = cnf.clone();
        }
        let mut described = json!({ "key": key, "claims": claims });
        if let Some(part) = tamper {
            described["tamper"] = part.into();
        }
        let token = tokens::mint(&described, now);
        let authorization = format!("Bearer {token}").into_bytes();
        let request = Request {
            method: b"GET".to_vec(),
            path: b"/orders".to_vec(),
            authority: b"api.example.com".to_vec(),
            headers: vec![(b"authorization".to_vec(), authorization)],
            ..Request::default()
        };
        let answer = client::send(addr, &request, Duration::from_secs(10)).unwrap();
        assert_eq!(answer.status, expected, "{key} {tamper:?} {cnf:?}");
    }
}
