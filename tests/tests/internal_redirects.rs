//! Envoy can follow a redirect of the service itself. The request then comes through the filter a second time.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

const HOST: &str = "api.example.com";

fn policy() -> Value {
    let route = |name: &str, more: Value| {
        let mut route =
            json!({ "name": name, "match": { "path": { "prefix": format!("/{name}") } } });
        route
            .as_object_mut()
            .unwrap()
            .append(&mut more.as_object().unwrap().clone());
        route
    };
    json!({
        "version": 1,
        "access_log": {},
        "providers": {
            "corp": {
                "issuer": "https://id.example.com/",
                "audiences": ["orders-api"],
                "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            },
            "kept": {
                "issuer": "https://id.example.com/",
                "audiences": ["orders-api"],
                "forward": true,
                "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            },
        },
        "routes": [
            route("open", json!({ "open": true })),
            route("taken", json!({ "jwt": { "provider": "corp" } })),
            route("kept", json!({ "jwt": { "provider": "kept" } })),
        ],
    })
}

fn redirect(to: &str) -> Answer {
    Answer::Respond(Response {
        status: 302,
        headers: vec![("location".into(), format!("http://{HOST}{to}").into_bytes())],
        ..Response::default()
    })
}

#[test]
fn the_target_is_judged_as_if_the_client_had_asked_for_it() {
    let service = Upstream::start().unwrap();
    for (from, to) in [
        ("/open/to-taken", "/taken/a"),
        ("/open/to-nothing", "/nothing"),
        ("/open/to-dots", "/open/%2e%2e/taken"),
        ("/taken/to-taken", "/taken/a"),
        ("/kept/to-taken", "/taken/a"),
        ("/kept/to-open", "/open/a"),
    ] {
        service.answer_path(from, redirect(to));
    }
    let document = string_value(&policy().to_string());
    let filter = wasm_filter("guard", &module_path(), document, WasmOptions::default());
    let options = ListenerOptions {
        route: json!({ "route": { "internal_redirect_policy": { "max_internal_redirects": 3 } } }),
        ..ListenerOptions::default()
    };
    let listeners = vec![listener("guard", vec![filter], options)];
    let clusters = vec![cluster("upstream", service.addr())];
    let one = Options {
        concurrency: 1,
        ..Options::reused()
    };
    let envoy = Envoy::start(bootstrap(listeners, clusters), &one).unwrap();
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": 4_102_444_800_u64,
    });
    let token = tokens::mint(&json!({ "key": "p256", "claims": claims }), 0);
    let ask = |path: &str, token: Option<&str>| {
        let bearer = token.map(|token| {
            (
                b"authorization".to_vec(),
                format!("Bearer {token}").into_bytes(),
            )
        });
        let request = Request {
            method: b"GET".to_vec(),
            path: path.as_bytes().to_vec(),
            authority: HOST.as_bytes().to_vec(),
            headers: bearer.into_iter().collect(),
            ..Request::default()
        };
        client::send(envoy.listener_addr("guard").unwrap(), &request, TIMEOUT).unwrap()
    };
    let mut expected = Vec::new();
    for (path, token, status, code) in [
        ("/open/to-taken", None, 401, "jwt_missing"),
        ("/open/to-taken", Some(&*token), 200, ""),
        ("/open/to-nothing", None, 404, "no_route"),
        ("/open/to-dots", None, 400, "path_malformed"),
        // The first pass has taken the token out.
        ("/taken/to-taken", Some(&*token), 401, "jwt_missing"),
        ("/kept/to-taken", Some(&*token), 200, ""),
        ("/kept/to-open", Some(&*token), 200, ""),
    ] {
        let response = ask(path, token);
        let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let said = problem["code"].as_str().unwrap_or_default();
        assert_eq!((response.status, said), (status, code), "{path}");
        expected.extend([302, status]);
    }
    // Each pass has a record.
    let records = envoy.records(expected.len(), TIMEOUT).unwrap();
    let statuses = records
        .iter()
        .map(|each| &each["http.response.status_code"]);
    assert_eq!(statuses.collect::<Vec<_>>(), expected, "{records:#?}");
}
