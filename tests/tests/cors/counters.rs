//! What the policy counts, as Envoy's statistics have it.

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use serde_json::json;

use super::{TIMEOUT, document, preflight, request};

#[test]
fn origins_are_counted_by_what_they_may() {
    let upstream = Upstream::start().unwrap();
    let app = "https://app.example.com";
    let other = "https://other.example";
    let guarded = |name: &str, on_disallowed: &str| {
        let cors = json!({
            "allow_origins": [{ "exact": app }], "allow_methods": ["PUT"], "on_disallowed": on_disallowed,
        });
        let filter = wasm_filter(
            name,
            &module_path(),
            string_value(&document(&cors)),
            WasmOptions::default(),
        );
        listener(name, vec![filter], ListenerOptions::default())
    };
    let listeners = vec![guarded("refused", "refuse"), guarded("omitted", "omit")];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap();
    let counts = || {
        let stats = envoy.told_stats().unwrap();
        let count = |name: &str| stats.get(&format!("wasmcustom.portcullis.{name}")).copied();
        (
            count("origin_valid").unwrap_or(0),
            count("origin_invalid").unwrap_or(0),
        )
    };
    let own = "http://api.example.com";
    for listener in ["refused", "omitted"] {
        for (asked, valid, invalid) in [
            (request("GET", &[]), 0, 0),
            (request("GET", &[("origin", app)]), 1, 0),
            (request("GET", &[("origin", own)]), 1, 0),
            (request("GET", &[("origin", other)]), 0, 1),
            (request("GET", &[("origin", "null")]), 0, 1),
            (
                request("GET", &[("origin", "HTTPS://APP.example.com")]),
                0,
                1,
            ),
            (preflight(app, "PUT", &[]), 1, 0),
            // The origin is allowed, though the method is not.
            (preflight(app, "DELETE", &[]), 1, 0),
            (preflight(other, "PUT", &[]), 0, 1),
        ] {
            let before = counts();
            let addr = envoy.listener_addr(listener).unwrap();
            client::send(addr, &asked, TIMEOUT).unwrap();
            let now = counts();
            let difference = (now.0 - before.0, now.1 - before.1);
            assert_eq!(difference, (valid, invalid), "{listener}: {asked:?}");
        }
    }
}
