//! The smoke test that operators run: it tells a proxy that guards from one that does not.

use std::net::SocketAddr;
use std::process::Command;

use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{SigningKey, repository};
use serde_json::{Value, json};

fn document(open: bool) -> Value {
    let mut route = json!({ "name": "all", "match": {}, "open": true });
    if !open {
        route = json!({ "name": "all", "match": {}, "jwt": { "provider": "corp" } });
    }
    json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [route],
    })
}

/// The exit status and what was said.
fn smoke(addr: SocketAddr, arguments: &[&str], connections: &str) -> (Option<i32>, String) {
    let output = Command::new(repository().join("envoy/smoke.sh"))
        .arg(format!("http://{addr}/orders"))
        .args(arguments)
        .env("CONNECTIONS", connections)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn it_tells_a_proxy_that_refuses_from_one_that_does_not() {
    let listeners = [("guarded", false), ("open", true)].map(|(name, open)| {
        let document = string_value(&document(open).to_string());
        let filter = wasm_filter(name, &module_path(), document, WasmOptions::default());
        let options = ListenerOptions {
            route: json!({ "route": null, "direct_response": { "status": 200 } }),
            ..ListenerOptions::default()
        };
        listener(name, vec![filter], options)
    });
    let bootstrap = bootstrap(listeners.to_vec(), Vec::new());
    let envoy = Envoy::start(bootstrap, &Options::reused()).unwrap();
    let [guarded, open] = ["guarded", "open"].map(|name| envoy.listener_addr(name).unwrap());

    let (status, said) = smoke(guarded, &[], "32");
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("32 connections: 32 refused, 0 not refused"),
        "{said}"
    );
    let stats = envoy.stats().unwrap();
    let reached = stats.iter().filter(|(name, count)| {
        name.contains(".worker_") && name.ends_with("downstream_cx_total") && **count > 0
    });
    assert!(reached.count() >= 2, "a worker got none");

    let (status, said) = smoke(open, &["2", "-X", "POST"], "4");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("NOT REFUSED, with status 200"), "{said}");

    let nobody = ([127, 0, 0, 1], 1).into();
    let (status, said) = smoke(nobody, &["1"], "40");
    assert_eq!(status, Some(2), "{said}");
    let (status, _) = smoke(guarded, &["some"], "");
    assert_eq!(status, Some(2));
}
