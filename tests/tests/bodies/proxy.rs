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
