//! Which answers have the headers, on a real Envoy: all that pass the filter, whoever gave them;
//! and which cannot have them, because no filter sees them.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, json_filter, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A document with every part of this page of the reference.
pub(super) fn policy() -> Value {
    json!({
        "version": 1,
        "defaults": { "security_headers": { "preset": "api" }, "sanitize_errors": {} },
        "routes": [
            {
                "name": "held", "match": { "path": { "exact": "/held" } }, "open": true,
                "payload": { "max_bytes": "64KiB", "json": {} },
            },
            { "name": "all", "match": { "methods": ["GET", "POST"] }, "open": true },
        ],
    })
}

/// A filter that refuses a path.
fn rbac(name: &str, path: &str) -> Value {
    json_filter(
        name,
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "DENY",
                "policies": { "all": {
                    "permissions": [{ "url_path": { "path": { "exact": path } } }],
                    "principals": [{ "any": true }],
                } },
            },
        }),
    )
}

/// A filter that holds bodies up to some size.
fn buffer() -> Value {
    json_filter(
        "buffer",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
            "max_request_bytes": 2048,
        }),
    )
}

struct Setting {
    _envoy: Envoy,
    upstream: Upstream,
    addr: SocketAddr,
}

/// The filter between one that answers before it and others that answer after it, in a proxy that holds
/// less of a body than the document allows.
fn start(manager: Value) -> Setting {
    start_with(&policy(), manager)
}

fn start_with(policy: &Value, manager: Value) -> Setting {
    let upstream = Upstream::start().unwrap();
    let filter = wasm_filter(
        "guarded",
        &module_path(),
        string_value(&policy.to_string()),
        WasmOptions::default(),
    );
    let filters = vec![
        rbac("before", "/before"),
        filter,
        rbac("after", "/after"),
        buffer(),
    ];
    let options = ListenerOptions {
        http_connection_manager: manager,
        per_connection_buffer_limit_bytes: Some(4096),
        ..ListenerOptions::default()
    };
    let listeners = [listener("guarded", filters, options)];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let bootstrap = bootstrap(Vec::new(), clusters);
    let envoy = Envoy::start_with_lds(bootstrap, &listeners, &Options::reused()).unwrap();
    let addr = envoy.listener_addr("guarded").unwrap();
    Setting {
        _envoy: envoy,
        upstream,
        addr,
    }
}

fn request(version: Version, method: &str, path: &str, body: &str) -> Request {
    Request {
        version,
        method: method.into(),
        path: path.into(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        // In two pieces, so that no length is declared.
        body: (!body.is_empty()).then(|| {
            let (first, second) = body.split_at(body.len() / 2);
            vec![first.into(), second.into()]
        }),
        ..Request::default()
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    Response {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: body.into(),
        ..Response::default()
    }
}

pub(super) fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let (_, value) = response.headers.iter().find(|(each, _)| each == name)?;
    std::str::from_utf8(value).ok()
}

#[test]
fn whatever_passes_the_filter_has_the_headers() {
    // The proxy as one that TLS has ended at.
    let manager = json!({ "scheme_header_transformation": { "scheme_to_overwrite": "https" } });
    let mut policy = policy();
    policy["defaults"]["https"] = json!({ "trust_forwarded_proto": true });
    let setting = start_with(&policy, manager);
    let upstream = &setting.upstream;
    let told = [("x-powered-by", "PHP/5.2"), ("x-frame-options", "allowall")];
    upstream.answer_path("/ok", Answer::Respond(answer(200, &told, "fine")));
    upstream.answer_path("/none", Answer::Respond(answer(204, &told, "")));
    upstream.answer_path(
        "/moved",
        Answer::Respond(answer(302, &[("location", "/")], "")),
    );
    upstream.answer_path(
        "/error",
        Answer::Respond(answer(500, &told, "at Main.java:7")),
    );
    upstream.answer_path("/reset", Answer::HangUp);
    let large = format!("[{}1]", "1,".repeat(20_000));
    for (method, path, body, status) in [
        ("GET", "/ok", "", 200),
        ("GET", "/none", "", 204),
        ("GET", "/moved", "", 302),
        ("GET", "/error", "", 500),
        // The proxy's answer in place of the service's.
        ("GET", "/reset", "", 503),
        // The filter's own.
        ("GET", "/a/%2e%2e", "", 400),
        ("PUT", "/ok", "", 405),
        // That of a filter after it.
        ("GET", "/after", "", 403),
        // The proxy's, when it cannot hold what this filter waits for, or another after it.
        ("POST", "/held", large.as_str(), 413),
        ("POST", "/ok", large.as_str(), 413),
    ] {
        for version in [Version::Http1, Version::Http2] {
            let asked = request(version, method, path, body);
            let got = client::send(setting.addr, &asked, TIMEOUT).unwrap();
            assert_eq!(got.status, status, "{method} {path}: {got:?}");
            for (name, value) in [
                ("x-frame-options", "deny"),
                ("cache-control", "no-store, max-age=0"),
                (
                    "strict-transport-security",
                    "max-age=63072000; includeSubDomains",
                ),
            ] {
                assert_eq!(header(&got, name), Some(value), "{method} {path}: {got:?}");
            }
            assert_eq!(header(&got, "x-powered-by"), None, "{method} {path}");
            assert_eq!(
                header(&got, "x-envoy-upstream-service-time"),
                None,
                "{path}"
            );
            if status >= 500 {
                let body: Value = serde_json::from_slice(&got.body).unwrap();
                assert_eq!(body["code"], "upstream_error", "{path}");
                assert_eq!(body["status"], status, "{path}");
            }
        }
    }
}

#[test]
fn no_filter_sees_what_is_answered_before_it() {
    let setting = start(json!({}));
    let before = request(Version::Http1, "GET", "/before", "");
    let refused = client::send(setting.addr, &before, TIMEOUT).unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(
        header(&refused, "x-frame-options"),
        None,
        "docs say otherwise"
    );
    let huge = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx-a: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    for (raw, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nx-a\r\n\r\n", "400"),
        (huge.as_str(), "431"),
    ] {
        let got = client::send_raw(setting.addr, raw.as_bytes(), TIMEOUT).unwrap();
        let got = String::from_utf8_lossy(&got);
        assert!(got.starts_with(&format!("HTTP/1.1 {status}")), "{got}");
        assert!(
            !got.contains("x-frame-options"),
            "docs say otherwise: {got}"
        );
    }
}

#[test]
fn the_proxy_writes_server_unless_it_is_told_not_to() {
    for (manager, expected) in [
        (json!({}), Some("envoy")),
        (
            json!({ "server_header_transformation": "APPEND_IF_ABSENT" }),
            Some("envoy"),
        ),
        (
            json!({ "server_header_transformation": "PASS_THROUGH" }),
            None,
        ),
    ] {
        let setting = start(manager.clone());
        let told = answer(200, &[("server", "Apache/2.4.1")], "fine");
        setting.upstream.answer_path("/ok", Answer::Respond(told));
        for (path, status) in [("/ok", 200), ("/a/%2e%2e", 400)] {
            let asked = request(Version::Http1, "GET", path, "");
            let got = client::send(setting.addr, &asked, TIMEOUT).unwrap();
            assert_eq!(got.status, status);
            assert_eq!(header(&got, "server"), expected, "{path}, {manager}");
        }
    }
}

#[test]
fn an_answer_in_other_words_ends_where_the_next_begins() {
    let setting = start(json!({}));
    let upstream = &setting.upstream;
    let body = "secret ".repeat(50_000);
    let long = answer(500, &[("content-encoding", "gzip")], &body);
    upstream.answer_path("/long", Answer::Respond(long));
    let chunked = answer(502, &[("transfer-encoding", "chunked")], "secret");
    upstream.answer_path("/chunked", Answer::Respond(chunked));
    upstream.answer_path("/empty", Answer::Respond(answer(500, &[], "")));
    // Trailers, and no byte of a body to put another in place of.
    let mut trailers = answer(500, &[], "");
    trailers.trailers = vec![("x-error".to_owned(), b"e".to_vec())];
    upstream.answer_path("/trailers", Answer::Respond(trailers));
    upstream.answer_path("/ok", Answer::Respond(answer(200, &[], "fine")));
    let mut kept = client::Connection::new(setting.addr);
    for path in ["/long", "/chunked", "/empty", "/trailers"] {
        for method in ["GET", "POST"] {
            let body = if method == "POST" { "x" } else { "" };
            let asked = request(Version::Http1, method, path, body);
            let got = kept.send(&asked, TIMEOUT).unwrap();
            assert!(got.status >= 500, "{path}: {got:?}");
            let text = String::from_utf8_lossy(&got.body);
            assert!(!text.contains("secret"), "{path}: {text}");
            assert!(got.trailers.is_empty(), "{path}: {got:?}");
            let next = kept
                .send(&request(Version::Http1, "GET", "/ok", ""), TIMEOUT)
                .unwrap();
            assert_eq!(
                (next.status, &next.body[..]),
                (200, &b"fine"[..]),
                "after {path}"
            );
        }
    }
    assert_eq!(kept.opened(), 1, "an answer ended the connection");
    // Both at once, on the wire: what the first leaves over would be read as the second.
    let pipelined = "GET /long HTTP/1.1\r\nhost: a\r\n\r\nGET /trailers HTTP/1.1\r\nhost: a\r\n\r\nGET /ok HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let got = client::send_raw(setting.addr, pipelined.as_bytes(), TIMEOUT).unwrap();
    let got = String::from_utf8_lossy(&got);
    assert_eq!(got.matches("HTTP/1.1 500").count(), 2, "{got}");
    assert_eq!(got.matches("HTTP/1.1 200").count(), 1, "{got}");
    assert!(
        got.ends_with("\r\n\r\nfine") || got.ends_with("fine\r\n0\r\n\r\n"),
        "{got}"
    );
}
