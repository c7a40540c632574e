//! What the filter leaves for others: Envoy's own RBAC decides by it, and Envoy's access log prints it.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, json_filter, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(10);

fn policy() -> Value {
    json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            "claim_to_filter_state": [
                { "key": "user", "claim_name": "sub" },
                { "key": "roles", "claim_name": "/realm/roles" },
            ],
        } },
        "routes": [
            { "name": "guarded", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" } },
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "open": true },
        ],
    })
}

/// Lets nobody but alice pass, by a condition in CEL on what our filter has left.
fn only_alice() -> Value {
    // CEL's protobuf spelling of filter_state['wasm.portcullis.user'] == 'alice'.
    let operand = json!({ "call_expr": {
        "function": "_[_]",
        "args": [
            { "ident_expr": { "name": "filter_state" } },
            { "const_expr": { "string_value": "wasm.portcullis.user" } },
        ],
    } });
    let condition = json!({ "call_expr": {
        "function": "_==_",
        "args": [operand, { "const_expr": { "string_value": "alice" } }],
    } });
    json_filter(
        "rbac",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": { "alice": {
                "permissions": [{ "any": true }],
                "principals": [{ "any": true }],
                "condition": condition,
            } } },
        }),
    )
}

fn token(subject: &str) -> String {
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": subject,
        "realm": { "roles": ["a", "b"] }, "exp": 4_102_444_800_u64,
    });
    tokens::mint(&json!({ "key": "p256", "claims": claims }), 0)
}

fn ask(envoy: &Envoy, path: &str, headers: &[(&str, &str)]) -> Response {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let request = Request {
        method: bytes("GET"),
        path: bytes(path),
        authority: bytes("api.example.com"),
        headers: headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
        ..Request::default()
    };
    client::send(envoy.listener_addr("chain").unwrap(), &request, TIMEOUT).unwrap()
}

fn start(filters: Vec<Value>) -> (Envoy, Upstream) {
    let upstream = Upstream::start().unwrap();
    let document = policy().to_string();
    let ours = wasm_filter(
        "ours",
        &module_path(),
        string_value(&document),
        WasmOptions::default(),
    );
    let filters = [vec![ours], filters].concat();
    let format = "%REQ(:path)% user=%FILTER_STATE(wasm.portcullis.user:PLAIN)% roles=%FILTER_STATE(wasm.portcullis.roles:PLAIN)%\n";
    let options = ListenerOptions {
        access_log: Some(format.into()),
        ..ListenerOptions::default()
    };
    let clusters = vec![cluster("upstream", upstream.addr())];
    let listeners = vec![listener("chain", filters, options)];
    (
        Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap(),
        upstream,
    )
}

#[test]
fn a_native_filter_decides_by_it() {
    let (envoy, _upstream) = start(vec![only_alice()]);
    let with = |subject: &str| {
        ask(
            &envoy,
            "/guarded",
            &[("authorization", &format!("Bearer {}", token(subject)))],
        )
        .status
    };
    assert_eq!(with("alice"), 200);
    assert_eq!(with("bob"), 403);
    assert_eq!(with("alice"), 200, "from the cache");
    // Nobody has said who asks there.
    assert_eq!(ask(&envoy, "/open", &[]).status, 403);
    assert_eq!(
        ask(&envoy, "/open", &[("wasm.portcullis.user", "alice")]).status,
        403
    );
}

#[test]
fn the_access_log_of_the_proxy_prints_it() {
    let (envoy, _upstream) = start(Vec::new());
    let authorization = format!("Bearer {}", token("alice"));
    assert_eq!(
        ask(&envoy, "/guarded", &[("authorization", &authorization)]).status,
        200
    );
    assert_eq!(ask(&envoy, "/open", &[]).status, 200);
    envoy
        .wait_for_stdout("/guarded user=alice roles=[\"a\",\"b\"]\n", TIMEOUT)
        .unwrap();
    envoy
        .wait_for_stdout("/open user=- roles=-\n", TIMEOUT)
        .unwrap();
}
