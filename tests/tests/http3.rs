//! HTTP/3 on a real Envoy. A second Envoy, in front of the one with the filter, makes HTTP/3 of what
//! the tests send over HTTP/1.1.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, downstream_quic, listener,
    string_value, upstream_quic, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

const HOST: &str = "api.example.com";

fn policy(inspection: &str) -> Value {
    json!({
        "version": 1,
        "body_inspection": inspection,
        "access_log": { "sinks": ["envoy_log", "filter_state"], "attributes": "all" },
        "routes": [{
            "name": "json",
            "match": { "path": { "prefix": "/json" } },
            "open": true,
            "https": { "min_tls_version": "1.3" },
            "payload": { "max_bytes": "100KiB", "json": { "max_depth": 4 } },
        }, {
            "name": "socket",
            "match": { "path": { "exact": "/socket" } },
            "open": true,
            "csrf": {},
        }],
    })
}

/// The proxy with the filter, a listener for each body mode, and the proxy in front.
struct Proxies {
    guard: Envoy,
    front: Envoy,
    service: Upstream,
}

impl Proxies {
    fn start() -> Self {
        let service = Upstream::start().unwrap();
        service.answer_path("/socket", Answer::WebSocket("hello".into()));
        let guarded = MODES.map(|mode| {
            let options = WasmOptions {
                allow_on_headers_stop_iteration: mode == "hold_headers",
                ..WasmOptions::default()
            };
            let document = string_value(&policy(mode).to_string());
            let filter = wasm_filter(mode, &module_path(), document, options);
            let options = ListenerOptions {
                access_log: Some(
                    "envoy %PROTOCOL% %FILTER_STATE(wasm.portcullis.record:PLAIN)%\n".into(),
                ),
                http_connection_manager: json!({
                    "upgrade_configs": [{ "upgrade_type": "websocket" }],
                    "http3_protocol_options": { "allow_extended_connect": true },
                    "path_with_escaped_slashes_action": "REJECT_REQUEST",
                }),
                ..ListenerOptions::default()
            };
            let mut listener = listener(mode, vec![filter], options);
            downstream_quic(&mut listener);
            listener
        });
        let clusters = vec![cluster("upstream", service.addr())];
        let guard = start(guarded.to_vec(), clusters);
        let clusters = MODES.map(|mode| {
            let mut cluster = cluster(mode, guard.listener_addr(mode).unwrap());
            upstream_quic(&mut cluster, HOST);
            cluster
        });
        let listeners = MODES.map(|mode| {
            let options = ListenerOptions {
                cluster: mode.to_owned(),
                http_connection_manager: json!({
                    "upgrade_configs": [{ "upgrade_type": "websocket" }],
                }),
                ..ListenerOptions::default()
            };
            listener(mode, Vec::new(), options)
        });
        let front = start(listeners.to_vec(), clusters.to_vec());
        Self {
            guard,
            front,
            service,
        }
    }

    fn send(&self, mode: &str, request: &Request) -> Response {
        client::send(self.addr(mode), request, TIMEOUT).unwrap()
    }

    fn addr(&self, mode: &str) -> SocketAddr {
        self.front.listener_addr(mode).unwrap()
    }
}

fn start(listeners: Vec<Value>, clusters: Vec<Value>) -> Envoy {
    let options = Options {
        concurrency: 1,
        ..Options::default()
    };
    Envoy::start(bootstrap(listeners, clusters), &options).unwrap()
}

const MODES: [&str; 2] = ["stream", "hold_headers"];

fn post(pieces: &[&[u8]]) -> Request {
    Request {
        method: b"POST".to_vec(),
        path: b"/json".to_vec(),
        authority: HOST.as_bytes().to_vec(),
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        body: Some(pieces.iter().map(|piece| piece.to_vec()).collect()),
        ..Request::default()
    }
}

#[test]
fn bodies_are_judged_and_everything_is_recorded() {
    let proxies = Proxies::start();
    let text = |length: usize| [b"[\"".as_slice(), &vec![b'x'; length], b"\"]"].concat();
    let (long, too_long) = (text(90 << 10), text(110 << 10));
    let in_pieces: Vec<&[u8]> = long.chunks(9000).collect();
    let too_long_in_pieces: Vec<&[u8]> = too_long.chunks(9000).collect();
    let with_trailers = Request {
        trailers: vec![(b"x-checksum".to_vec(), b"7".to_vec())],
        ..post(&[b"{}"])
    };
    let requests = [
        (post(&[b"{}"]), 200, ""),
        (with_trailers, 200, ""),
        (post(&[b"{\"a\":", b"[1,2]", b"}"]), 200, ""),
        (post(&[&long]), 200, ""),
        (post(&in_pieces), 200, ""),
        (post(&[&too_long]), 413, "payload_too_large"),
        (post(&too_long_in_pieces), 413, "payload_too_large"),
        (post(&[b"{"]), 400, "payload_malformed"),
        (post(&[b"[[[[", b"[1]", b"]]]]"]), 422, "payload_structure"),
    ];
    for mode in MODES {
        for (request, status, code) in &requests {
            let response = proxies.send(mode, request);
            let about = format!("{mode} {response:?}");
            assert_eq!(response.status, *status, "{about}");
            let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            assert_eq!(
                problem["code"].as_str().unwrap_or_default(),
                *code,
                "{about}"
            );
            let whole = request.body.as_ref().unwrap().concat();
            let arrived = proxies.service.take_all();
            match *status {
                200 => {
                    assert_eq!(arrived[0].body, whole, "{about}");
                    assert_eq!(arrived[0].trailers, request.trailers, "{about}");
                }
                _ if mode == "stream" => assert!(arrived.iter().all(|each| each.body != whole)),
                _ => assert_eq!(arrived, [], "the service hears of none"),
            }
        }
    }

    let records = proxies.guard.records(18, TIMEOUT).unwrap();
    let expected = [requests.as_slice(), requests.as_slice()].concat();
    assert_eq!(records.len(), expected.len(), "{records:#?}");
    for (record, (_, status, code)) in records.iter().zip(expected) {
        assert_eq!(record["http.response.status_code"], status, "{record}");
        assert_eq!(record["portcullis.code"].as_str().unwrap_or_default(), code);
        assert_eq!(record["network.protocol.version"], "3", "{record}");
        assert_eq!(record["tls.protocol.version"], "1.3", "{record}");
        assert_eq!(record["client.address"], "127.0.0.1", "{record}");
        let details = record["portcullis.response_details"].as_str().unwrap();
        let expected = match status {
            200 => "via_upstream".to_owned(),
            _ => format!("portcullis.{code}."),
        };
        assert!(details.starts_with(&expected), "{record}");
    }
    let denied = "wasmcustom.portcullis.policy_verdicts.payload.denied";
    let told = |stats: &BTreeMap<String, u64>| stats.get(denied) == Some(&8);
    proxies.guard.stats_once(told).unwrap();
    // Envoy's own logger writes later, and finds the record where the filter left it.
    for record in records {
        let id = record["http.request.header.x-request-id"][0]
            .as_str()
            .unwrap();
        proxies.guard.wait_for_stdout(id, TIMEOUT).unwrap();
    }
}

#[test]
fn forged_websockets_are_refused() {
    let proxies = Proxies::start();
    let handshake = |origin: &str| {
        let request = format!(
            "GET /socket HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {origin}\r\n\r\n"
        );
        client::send_raw(proxies.addr("stream"), request.as_bytes(), TIMEOUT).unwrap()
    };
    let forged = handshake("https://evil.example");
    assert!(
        forged.starts_with(b"HTTP/1.1 403 "),
        "{}",
        forged.escape_ascii()
    );
    assert_eq!(proxies.service.take_path("/socket").len(), 0);
    let own = handshake(&format!("http://{HOST}"));
    assert!(own.starts_with(b"HTTP/1.1 101 "), "{}", own.escape_ascii());
    assert!(own.windows(5).any(|bytes| bytes == b"hello"));
    let records = proxies.guard.records(2, TIMEOUT).unwrap();
    assert_eq!(records[0]["portcullis.reason"], "origin", "{records:#?}");
    assert_eq!(records[1]["http.response.status_code"], 101, "{records:#?}");
}

#[test]
fn what_the_proxy_answers_before_the_filter_is_in_its_own_log() {
    let proxies = Proxies::start();
    let path = b"/json%2fa".to_vec();
    let with_body = Request {
        path,
        ..post(&[b"{}"])
    };
    let without = Request {
        method: b"GET".to_vec(),
        body: None,
        ..with_body.clone()
    };
    for request in [&without, &with_body] {
        assert_eq!(proxies.send("stream", request).status, 400);
    }
    // Only while the request is unfinished do filters hear of it.
    let record = "\"portcullis.outcome\":\"not_judged\"";
    proxies.guard.wait_for_log(record, TIMEOUT).unwrap();
    proxies.guard.wait_for_stdout(record, TIMEOUT).unwrap();
    proxies
        .guard
        .wait_for_stdout("envoy HTTP/3 -", TIMEOUT)
        .unwrap();
    assert_eq!(proxies.guard.log().matches(record).count(), 1);
}
