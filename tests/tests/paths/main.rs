//! No spelling of a path or a host reaches the service under another route's policy, whatever Envoy makes of paths
//! before the filter sees them, and whatever `paths` lets pass.

mod chains;
mod hosts;

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Version};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// All of them are `/admin/x` to some server.
const SPELLINGS: &[&str] = &[
    "/admin/x",
    "//admin/x",
    "/./admin/x",
    "/%61dmin/x",
    "/%2561dmin/x",
    "/admin%2fx",
    "/admin%2Fx",
    "/%2fadmin/x",
    "/admin%252fx",
    "/admin;a=b/x",
    "/admin;/x",
    "/admin;x",
    "/;/admin/x",
    "/admin%3ba/x",
    "/open/../admin/x",
    "/open/..//admin/x",
    "/open//../admin/x",
    "/open/%2e%2e/admin/x",
    "/open/.%2E/admin/x",
    "/open/%252e%252e/admin/x",
    "/open/..%2fadmin/x",
    "/open%2f..%2fadmin%2fx",
    "/open/%2e%2e%2fadmin/x",
    "/open/..;/admin/x",
    "/open;/../admin/x",
    "/open/.;a/../admin/x",
    "/open/..;%2fadmin/x",
    "/open/..\\admin/x",
    "/open/..%5cadmin/x",
    "/open\\..\\admin",
    "/open/%c0%ae%c0%ae/admin/x",
    "/open/%c0%af../admin",
    "/admin./x",
    "/admin%20/x",
    "/%20admin/x",
    "/admin%E2%80%8B/x",
    "/ad%C2%ADmin/x",
    "/admin.%20.",
    "/admin%C2%A0",
    "/open/..%20/admin/x",
    "/open/.%E2%80%8B./admin",
];

fn document(paths: &Value) -> Value {
    json!({
        "version": 1,
        "paths": paths,
        "routes": [
            {
                "name": "admin",
                "match": { "path": { "prefix": "/admin" } },
                "open": true,
                "parameters": { "headers": [{ "name": "x-admin", "required": true, "schema": true }] },
            },
            { "name": "rest", "match": {}, "open": true },
        ],
    })
}

fn decoded(path: &str) -> String {
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let value = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        rest = tail;
        if let (b'%', Some(value)) = (first, value) {
            out.push(value);
            rest = &tail[2..];
        } else {
            out.push(*first);
        }
    }
    // What overlong forms come to.
    let text: String = out.iter().map(|byte| char::from(*byte)).collect();
    text.replace("\u{c0}\u{ae}", ".")
        .replace("\u{c0}\u{af}", "/")
}

/// Without what Windows drops at the ends of segments, and what nobody sees.
fn trimmed(path: &str) -> String {
    let trim = |segment: &str| {
        // The bytes of UTF-8 stand here as characters of their own.
        let seen = ["\u{e2}\u{80}\u{8b}", "\u{c2}\u{ad}", "\u{c2}\u{a0}"]
            .iter()
            .fold(segment.to_owned(), |text, hidden| text.replace(hidden, ""));
        let dots = seen.trim_matches(' ');
        match dots {
            "." | ".." => dots.to_owned(),
            _ => seen
                .trim_start_matches(' ')
                .trim_end_matches([' ', '.'])
                .to_owned(),
        }
    };
    path.split('/').map(trim).collect::<Vec<_>>().join("/")
}

fn cut(path: &str) -> String {
    path.split(';').next().unwrap_or_default().to_owned()
}

fn without_parameters(path: &str) -> String {
    path.split('/').map(cut).collect::<Vec<_>>().join("/")
}

/// The first segment once slashes are merged and dots resolved.
fn leads_to(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    segments.first().copied().unwrap_or_default().to_owned()
}

/// Where a path may lead, read by servers that decode, and take parameters away, in any order.
fn readings(path: &str) -> Vec<String> {
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let mut all = vec![path];
    for _ in 0..3 {
        let next = all.iter().flat_map(|path| {
            [decoded, cut, without_parameters, trimmed, str::to_owned]
                .map(|step: fn(&str) -> String| step(path))
        });
        all = next.collect();
        all.sort();
        all.dedup();
    }
    all.iter().map(|path| leads_to(path)).collect()
}

fn request(path: &str, version: Version) -> Request {
    Request {
        version,
        method: b"GET".to_vec(),
        path: path.into(),
        authority: b"api.example.com".to_vec(),
        headers: Vec::new(),
        body: None,
        trailers: Vec::new(),
    }
}

#[test]
fn no_spelling_reaches_the_service_under_another_policy() {
    let proxies = [
        (
            "off",
            json!({ "normalize_path": false, "merge_slashes": false }),
        ),
        (
            "on",
            json!({
                "normalize_path": true,
                "merge_slashes": true,
                "path_with_escaped_slashes_action": "REJECT_REQUEST",
            }),
        ),
        (
            "unescaping",
            json!({
                "normalize_path": true,
                "merge_slashes": true,
                "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
            }),
        ),
    ];
    let documents = [
        ("strict", json!({})),
        (
            "lenient",
            json!({ "semicolons": "same_route", "encoded_slashes": "same_route", "empty_segments": "merge" }),
        ),
    ];
    let service = Upstream::start().expect("a service");
    let mut listeners = Vec::new();
    for (proxy, manager) in &proxies {
        for (rules, paths) in &documents {
            let name = format!("{proxy}-{rules}");
            let configuration = string_value(&document(paths).to_string());
            let filter = wasm_filter(&name, &module_path(), configuration, WasmOptions::default());
            let options = ListenerOptions {
                http_connection_manager: manager.clone(),
                ..ListenerOptions::default()
            };
            listeners.push((name.clone(), listener(&name, vec![filter], options)));
        }
    }
    let names: Vec<String> = listeners.iter().map(|(name, _)| name.clone()).collect();
    let listeners = listeners
        .into_iter()
        .map(|(_, listener)| listener)
        .collect();
    let bootstrap = bootstrap(listeners, vec![cluster("upstream", service.addr())]);
    let envoy = Envoy::start(bootstrap, &Options::reused()).expect("Envoy starts");
    for name in names {
        let addr = envoy.listener_addr(&name).expect("it listens");
        for spelling in SPELLINGS {
            assert!(
                readings(spelling).contains(&"admin".to_owned()),
                "{spelling}"
            );
            for version in [Version::Http1, Version::Http2] {
                // Refused by the filter or by Envoy, or on its way to another place.
                client::send(addr, &request(spelling, version), TIMEOUT).expect("an answer");
            }
        }
        let passes = client::send(addr, &request("/open/a", Version::Http1), TIMEOUT);
        assert_eq!(passes.expect("an answer").status, 200, "{name}");
        let received = service.take_all();
        for request in &received {
            let path = String::from_utf8_lossy(&request.path);
            assert!(
                !readings(&path).contains(&"admin".to_owned()),
                "{name}: {path}"
            );
        }
        assert!(
            received.iter().any(|request| request.path == b"/open/a"),
            "{name}"
        );
    }
}
