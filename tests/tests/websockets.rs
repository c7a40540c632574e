//! WebSockets through Envoy, over HTTP/1.1 and as extended CONNECT over HTTP/2: the rule against forged
//! ones holds for both.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Version};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

fn handshake(version: Version, origin: &str) -> Request {
    let fields: &[(&str, &str)] = match version {
        Version::Http1 => &[("connection", "Upgrade"), ("upgrade", "websocket")],
        Version::Http2 => &[(":protocol", "websocket")],
    };
    let always = [
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", origin),
    ];
    let field =
        |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Request {
        version,
        method: match version {
            Version::Http1 => b"GET".to_vec(),
            Version::Http2 => b"CONNECT".to_vec(),
        },
        path: b"/socket".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: fields.iter().chain(&always).map(field).collect(),
        ..Request::default()
    }
}

#[test]
fn forged_websockets_are_refused_in_both_versions() {
    let upstream = Upstream::start().unwrap();
    upstream.answer_path("/socket", Answer::WebSocket("hello".into()));
    let policy = json!({
        "version": 1,
        "routes": [{ "name": "all", "match": {}, "open": true, "csrf": {} }],
    });
    let filter = wasm_filter(
        "guarded",
        &module_path(),
        string_value(&policy.to_string()),
        WasmOptions::default(),
    );
    let options = ListenerOptions {
        http_connection_manager: json!({
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "http2_protocol_options": { "allow_connect": true },
        }),
        ..ListenerOptions::default()
    };
    let listeners = vec![listener("guarded", vec![filter], options)];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap();
    let addr = envoy.listener_addr("guarded").unwrap();
    for version in [Version::Http1, Version::Http2] {
        let forged = handshake(version, "https://evil.example");
        let got = client::send(addr, &forged, TIMEOUT).unwrap();
        assert_eq!(got.status, 403, "{version:?}: {got:?}");
        let problem: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(problem["code"], "cross_site_request", "{version:?}");
        assert_eq!(upstream.take_path("/socket").len(), 0, "{version:?}");
    }
    // The client here knows nothing of WebSockets, so its own one goes as bytes.
    let own = handshake(Version::Http1, "http://api.example.com");
    let mut raw = b"GET /socket HTTP/1.1\r\nHost: api.example.com\r\n".to_vec();
    for (name, value) in &own.headers {
        raw.extend_from_slice(&[name, &b": "[..], value, b"\r\n"].concat());
    }
    raw.extend_from_slice(b"\r\n");
    let got = client::send_raw(addr, &raw, TIMEOUT).unwrap();
    assert!(got.starts_with(b"HTTP/1.1 101 "), "{}", got.escape_ascii());
    assert!(
        got.windows(5).any(|bytes| bytes == b"hello"),
        "{}",
        got.escape_ascii()
    );
}
