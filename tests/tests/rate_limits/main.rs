//! Limits on a real Envoy, under more load than they let pass.
#![allow(
    clippy::disallowed_methods,
    reason = "what is measured is a real proxy's real time"
)]

mod bundle;
mod exactness;
mod fields;
mod flood;

use std::net::SocketAddr;

use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use serde_json::{Value, json};

/// An Envoy that answers by itself what the limits let pass.
struct Proxy {
    envoy: Envoy,
    addr: SocketAddr,
}

impl Proxy {
    fn start(workers: u32, limits: &Value) -> Self {
        let options = Options {
            concurrency: workers,
            ..Options::default()
        };
        let bootstrap = bootstrap(Vec::new(), Vec::new());
        let envoy = Envoy::start_with_lds(bootstrap, &[limited(limits)], &options).unwrap();
        let addr = envoy.listener_addr("limits").unwrap();
        Self { envoy, addr }
    }

    fn stat(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.portcullis.rate_limits.{name}");
        self.envoy.stat(&name).unwrap()
    }
}

fn limited(limits: &Value) -> Value {
    let document = json!({
        "version": 1,
        "routes": [{ "name": "all", "match": {}, "open": true, "rate_limits": limits }],
    });
    let filter = wasm_filter(
        "limits",
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    let route = json!({ "route": null, "direct_response": { "status": 200 } });
    listener(
        "limits",
        vec![filter],
        ListenerOptions {
            route,
            ..ListenerOptions::default()
        },
    )
}
