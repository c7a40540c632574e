//! Limits on a real Envoy, under more load than they let pass.
#![allow(
    clippy::disallowed_methods,
    reason = "what is measured is a real proxy's real time"
)]

mod answers;
mod bundle;
mod documents;
mod exactness;
mod fields;
mod flood;
mod metrics;
mod places;
mod protocols;
mod retry_after;
mod survival;
mod turns;

use std::net::SocketAddr;
use std::path::Path;

use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use serde_json::{Value, json};

/// An Envoy with limits.
struct Proxy {
    envoy: Envoy,
    addr: SocketAddr,
}

impl Proxy {
    /// One that answers by itself.
    fn start(workers: u32, limits: &Value) -> Self {
        let options = Options {
            concurrency: workers,
            ..Options::reused()
        };
        Self::start_with(&options, Vec::new(), &limited(limits))
    }

    /// The same in an Envoy of its own: for memory, and for listeners that live on when they are replaced.
    fn start_alone(workers: u32, limits: &Value) -> Self {
        let options = Options {
            concurrency: workers,
            ..Options::default()
        };
        Self::start_with(&options, Vec::new(), &limited(limits))
    }

    fn start_with(options: &Options, clusters: Vec<Value>, listener: &Value) -> Self {
        let bootstrap = bootstrap(Vec::new(), clusters);
        let listeners = std::slice::from_ref(listener);
        let envoy = Envoy::start_with_lds(bootstrap, listeners, options).unwrap();
        let addr = envoy.listener_addr("limits").unwrap();
        Self { envoy, addr }
    }

    fn stat(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.portcullis.rate_limits.{name}");
        self.envoy.told_stat(&name).unwrap()
    }
}

/// A listener that answers by itself what the limits let pass.
fn limited(limits: &Value) -> Value {
    let direct = json!({ "route": null, "direct_response": { "status": 200 } });
    limited_by(&module_path(), limits, direct)
}

/// A listener with this module, whose one route is merged with `route`.
fn limited_by(module: &Path, limits: &Value, route: Value) -> Value {
    let document = json!({
        "version": 1,
        "routes": [{ "name": "all", "match": {}, "open": true, "rate_limits": limits }],
    });
    let filter = wasm_filter(
        "limits",
        module,
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    let options = ListenerOptions {
        route,
        ..ListenerOptions::default()
    };
    listener("limits", vec![filter], options)
}
