//! Heads that the filter has no memory for: the proxy is told that there is none, and the VM lives on.

use std::path::PathBuf;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::json;

use super::documents::{get, guarded, token};
use super::stage::TIMEOUT;

/// The least that does not fit, beside what a request has anyway: a head may take a mebibyte.
const TOO_LARGE: usize = 1 << 20;

fn refused_and_alive(binary: Option<PathBuf>) {
    let upstream = Upstream::start_forgetful().unwrap();
    let filter = wasm_filter(
        "portcullis",
        &module_path(),
        string_value(&guarded().to_string()),
        WasmOptions::default(),
    );
    let options = ListenerOptions {
        http_connection_manager: json!({ "max_request_headers_kb": 4096 }),
        ..ListenerOptions::default()
    };
    let listener = listener("in", vec![filter], options);
    let clusters = vec![cluster("upstream", upstream.addr())];
    let options = Options {
        concurrency: 1,
        binary,
        ..Options::reused()
    };
    let envoy = Envoy::start(bootstrap(vec![listener], clusters), &options).unwrap();
    let addr = envoy.listener_addr("in").unwrap();
    let good = token();
    let status = |token: Option<&str>, size: usize| {
        let mut request: Request = get(token);
        let fields = (0..16).map(|n| format!("x-large-{n}").into_bytes());
        let fields = fields.map(|name| (name, vec![b'a'; size / 16]));
        request.headers.extend(fields.filter(|_| size > 0));
        client::send(addr, &request, TIMEOUT).unwrap().status
    };
    for size in [0, 50_000, TOO_LARGE / 2, TOO_LARGE, 2 * TOO_LARGE, 0] {
        let fits = size < TOO_LARGE;
        let expected = if fits { [200, 401] } else { [431, 431] };
        let seen = [status(Some(&good), size), status(None, size)];
        assert_eq!(seen, expected, "{size} bytes");
    }
    let log = envoy.log();
    for trap in [
        "Uncaught RuntimeError",
        "wasm trap",
        "VM failed",
        "Proxy-Wasm plugin in-VM",
    ] {
        assert!(!log.contains(trap), "{log}");
    }
}

#[test]
fn a_head_that_does_not_fit_is_refused_and_the_vm_lives_on() {
    refused_and_alive(None);
}

#[test]
fn a_head_that_does_not_fit_is_refused_on_the_oldest_envoy_at_hand() {
    let oldest = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    assert!(
        oldest.is_some(),
        "ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it"
    );
    refused_and_alive(oldest);
}
