//! Envoy with a listener for each document.

use std::net::SocketAddr;

use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use serde_json::{Value, json};

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) envoy: Envoy,
}

impl Proxy {
    /// Starts it. Each listener has a name, a document, `allow_on_headers_stop_iteration`, and what
    /// is merged into its connection manager.
    pub(crate) fn start(listeners: &[(&str, Value, bool, Value)], service: SocketAddr) -> Self {
        let listeners = listeners.iter().map(|(name, document, holds, manager)| {
            let options = WasmOptions {
                allow_on_headers_stop_iteration: *holds,
                environment: vec![(VARIABLE.to_owned(), "a secret of the service".to_owned())],
                ..WasmOptions::default()
            };
            let document = string_value(&document.to_string());
            let filter = wasm_filter(name, &module_path(), document, options);
            let options = ListenerOptions {
                http_connection_manager: manager.clone(),
                ..ListenerOptions::default()
            };
            listener(name, vec![filter], options)
        });
        let clusters = vec![cluster("upstream", service)];
        let bootstrap = bootstrap(listeners.collect(), clusters);
        let options = Options {
            concurrency: 1,
            ..Options::reused()
        };
        let envoy = Envoy::start(bootstrap, &options).expect("Envoy starts");
        Self { envoy }
    }

    pub(crate) fn addr(&self, listener: &str) -> SocketAddr {
        self.envoy.listener_addr(listener).expect("it listens")
    }
}

/// The variable with the secret of [`signed`].
const VARIABLE: &str = "WEBHOOK_SECRET";

/// Signed requests, whose signature is taken out of the head.
pub(crate) fn signed() -> Value {
    json!({
        "version": 1,
        "body_inspection": "hold_headers",
        "access_log": {},
        "signers": { "github": { "preset": "github", "secrets": [{ "env": VARIABLE }] } },
        "routes": [{ "name": "hooks", "match": {}, "signed_request": { "signer": "github" } }],
    })
}

/// JSON from those with the key `key`, of whom the service learns with a header.
pub(crate) fn named(key: &str, hash: &str) -> Value {
    let mut document = policy("hold_headers");
    document["api_key_stores"] = json!({ "partners": {
        "prefix": key.split_once("_8").expect("it has a prefix").0,
        "forward": true,
        "claim_to_headers": [{ "header_name": "x-client", "claim_name": "client" }],
        "keys": [{ "id": "acme", "hash": hash, "client": "acme" }],
    } });
    let route = &mut document["routes"][0];
    route["api_key"] = json!({ "store": "partners" });
    route.as_object_mut().expect("an object").remove("open");
    document
}

/// JSON under `/json`, text of any kind elsewhere.
pub(crate) fn policy(inspection: &str) -> Value {
    json!({
        "version": 1,
        "body_inspection": inspection,
        "access_log": {},
        "defaults": { "security_headers": { "preset": "api" } },
        "routes": [{
            "name": "json",
            "match": { "path": { "prefix": "/json" } },
            "open": true,
            "payload": { "max_bytes": "1KiB", "json": {} },
        }, {
            "name": "text",
            "match": {},
            "open": true,
            "payload": { "max_bytes": "1KiB" },
        }],
    })
}
