//! Bodies on a real Envoy, in both body modes: what the proxy does around them, and what becomes
//! of requests that end before their body does. What one request can show is in `tests/cases`.

mod proxy;
mod service;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::Envoy;
use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::{Arrival, Upstream};
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

use proxy::{Proxy, named, policy, signed};
use service::{Service, read_head};

const TIMEOUT: Duration = Duration::from_secs(20);

const MODES: [&str; 2] = ["stream", "hold_headers"];

fn post(path: &str, pieces: &[&[u8]]) -> Request {
    Request {
        method: b"POST".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        body: Some(pieces.iter().map(|piece| piece.to_vec()).collect()),
        ..Request::default()
    }
}

fn problem(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Waits until Envoy has no request under way.
fn wait_until_idle(envoy: &Envoy, listener: &str) {
    let name = format!("http.{listener}.downstream_rq_active");
    wait_until(&format!("{name} is 0"), || envoy.stat(&name).unwrap() == 0);
}

#[test]
fn a_proxy_that_shows_no_bodies_of_held_heads_is_noticed() {
    let service = Upstream::start().unwrap();
    let proxy = Proxy::start(
        &[("mismatch", policy("hold_headers"), false, json!({}))],
        service.addr(),
    );
    let addr = proxy.addr("mismatch");
    let get = Request {
        method: b"GET".to_vec(),
        body: None,
        ..post("/json", &[])
    };
    assert_eq!(client::send(addr, &get, TIMEOUT).unwrap().status, 200);
    service.take_all();
    // A good body, a bad one, one in pieces, and one over HTTP/2: none gets through.
    let http2 = Request {
        version: Version::Http2,
        ..post("/json", &[b"{}"])
    };
    for request in [
        post("/json", &[b"{}"]),
        post("/json", &[b"{"]),
        post("/json", &[b"{", b"}"]),
        http2,
        // Nothing comes of this one, but by now it is known what that means.
        post("/json", &[b"", b""]),
    ] {
        let response = client::send(addr, &request, TIMEOUT).unwrap();
        assert_eq!(response.status, 503, "{request:?}");
        assert_eq!(problem(&response)["code"], "unavailable");
        let header = |name: &str| response.headers.iter().any(|(each, _)| each == name);
        assert!(header("x-content-type-options"), "{response:?}");
    }
    assert_eq!(service.take_all(), [], "the service hears of none");
    let log = proxy.envoy.log();
    assert!(
        log.contains("set allow_on_headers_stop_iteration: true"),
        "{log}"
    );
    let lines = log.matches("\"portcullis.reason\":\"body_not_shown\"");
    assert_eq!(lines.count(), 5, "{log}");
    assert_eq!(client::send(addr, &get, TIMEOUT).unwrap().status, 200);
}

#[test]
fn a_proxy_that_shows_no_bodies_of_held_answers_is_noticed() {
    let service = Service::start(|mut stream| {
        read_head(&mut stream);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        let _ = stream.write_all(answer.as_bytes());
    });
    let mut document = policy("hold_headers");
    document["schemas"] = json!({ "object": { "type": "object" } });
    document["routes"][0]["payload"]["responses"] =
        json!({ "json_schema": "object", "mode": "enforce" });
    let listeners = [false, true].map(|holds| {
        let name = if holds { "shown" } else { "not-shown" };
        (name, document.clone(), holds, json!({}))
    });
    let proxy = Proxy::start(&listeners, service.addr());
    let get = Request {
        method: b"GET".to_vec(),
        body: None,
        ..post("/json", &[])
    };
    let shown = client::send(proxy.addr("shown"), &get, TIMEOUT).unwrap();
    assert_eq!((shown.status, shown.body.as_slice()), (200, &b"{}"[..]));
    // Each waits until it is sure that nothing comes.
    for _ in 0..2 {
        let response = client::send(proxy.addr("not-shown"), &get, TIMEOUT).unwrap();
        assert_eq!(response.status, 503);
        assert_eq!(problem(&response)["code"], "unavailable");
    }
    let log = proxy.envoy.log();
    assert!(
        log.contains("set allow_on_headers_stop_iteration: true"),
        "{log}"
    );
    let lines = log.matches("\"portcullis.reason\":\"body_not_shown\"");
    assert_eq!(lines.count(), 2, "{log}");
}

#[test]
fn a_failure_whose_body_is_never_shown_does_not_hang() {
    let service = Service::start(|mut stream| {
        read_head(&mut stream);
        let answer = "HTTP/1.1 500 Oh\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";
        let _ = stream.write_all(answer.as_bytes());
    });
    let mut document = policy("hold_headers");
    document["defaults"]["sanitize_errors"] = json!({});
    let listeners = [false, true].map(|holds| {
        let name = if holds { "shown" } else { "not-shown" };
        (name, document.clone(), holds, json!({}))
    });
    let proxy = Proxy::start(&listeners, service.addr());
    let get = Request {
        method: b"GET".to_vec(),
        body: None,
        ..post("/text", &[])
    };
    for (listener, status, code) in [
        ("shown", 500, "upstream_error"),
        ("not-shown", 503, "unavailable"),
    ] {
        let response = client::send(proxy.addr(listener), &get, TIMEOUT).unwrap();
        assert_eq!(response.status, status, "{listener}");
        assert_eq!(problem(&response)["code"], code, "{listener}");
    }
}

#[test]
fn a_body_that_is_shorter_than_what_is_taken_out_of_its_head_is_missed() {
    let service = Upstream::start().unwrap();
    let proxy = Proxy::start(&[("signed", signed(), false, json!({}))], service.addr());
    let mut request = post("/hooks", &[b"{}"]);
    let signature = format!("sha256={}", "0".repeat(64));
    let header = (b"x-hub-signature-256".to_vec(), signature.into_bytes());
    request.headers.push(header);
    let response = client::send(proxy.addr("signed"), &request, TIMEOUT).unwrap();
    assert_eq!(response.status, 503);
    let log = proxy.envoy.log();
    let lines = log.matches("\"portcullis.reason\":\"body_not_shown\"");
    assert_eq!(lines.count(), 1, "{log}");
    assert_eq!(service.take_all(), []);
}

#[test]
fn a_slow_body_is_no_mismatch() {
    const KEY: &str = "pk_live_89GpSVaiRjWJpLn8ndTAiFAAEVj3UhpKO";
    const HASH: &str = "a7f4112960f9b42fb7f694939ea86e01b3ec4b0b68d0f4caafe4c3c82fbb6d80";
    let service = Upstream::start().unwrap();
    // What is added to a head is no body either.
    let listeners = [
        ("held", policy("hold_headers"), true, json!({})),
        ("named", named(KEY, HASH), true, json!({})),
    ];
    let proxy = Proxy::start(&listeners, service.addr());
    let mut streams = ["held", "named"].map(|name| connect(proxy.addr(name)));
    let head = format!(
        "POST /json HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    );
    for stream in &mut streams {
        stream.write_all(head.as_bytes()).unwrap();
    }
    // Longer than a body may be overdue once bytes of it have come; that much time must pass.
    std::thread::sleep(Duration::from_millis(2500));
    for mut stream in streams {
        stream.write_all(b"{}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[test]
fn clients_that_leave_in_the_middle_leave_nothing() {
    let services = MODES.map(|_| Upstream::start().unwrap());
    for (mode, service) in MODES.into_iter().zip(&services) {
        let proxy = Proxy::start(
            &[(mode, policy(mode), mode == "hold_headers", json!({}))],
            service.addr(),
        );
        let addr = proxy.addr(mode);
        for framing in ["content-length: 9", "transfer-encoding: chunked"] {
            for _ in 0..20 {
                let mut stream = connect(addr);
                let head = format!(
                    "POST /json HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                let part: &[u8] = match framing {
                    "content-length: 9" => b"{\"a\"",
                    _ => b"4\r\n{\"a\"\r\n",
                };
                stream.write_all(part).unwrap();
            }
        }
        wait_until_idle(&proxy.envoy, mode);
        let arrived = service.take_all();
        assert!(arrived.iter().all(|each| each.arrival == Arrival::CutOff));
        assert!(arrived.iter().all(|each| each.body.is_empty()), "{mode}");
        if mode == "hold_headers" {
            assert!(arrived.is_empty(), "the service hears of requests");
        }
        let good = client::send(addr, &post("/json", &[b"{", b"}"]), TIMEOUT).unwrap();
        assert_eq!(good.status, 200);
        assert_eq!(service.take_all().pop().unwrap().body, b"{}");
    }
}

#[test]
fn a_service_may_answer_before_the_body_is_complete() {
    for mode in MODES {
        let service = Service::start(|mut stream| {
            read_head(&mut stream);
            let answer =
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\nconnection: close\r\n\r\nearly";
            let _ = stream.write_all(answer.as_bytes());
            // Closed with bytes unread, the connection is reset, and the reset can overtake the
            // answer.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let proxy = Proxy::start(
            &[(mode, policy(mode), mode == "hold_headers", json!({}))],
            service.addr(),
        );
        // Not held: its bytes are only counted.
        let mut text = post("/text", &[b"half", b"of it"]);
        text.headers = vec![
            (b"content-type".to_vec(), b"text/plain".to_vec()),
            (b"content-length".to_vec(), b"900".to_vec()),
        ];
        let json = post("/json", &[b"{", b"}"]);
        for (name, request) in [("counted", text), ("held", json)] {
            let response = client::send(proxy.addr(mode), &request, TIMEOUT).unwrap();
            assert_eq!(
                (response.status, response.body.as_slice()),
                (403, &b"early"[..]),
                "{mode}, {name}"
            );
            let header = |name: &str| response.headers.iter().any(|(each, _)| each == name);
            assert!(header("x-content-type-options"), "{mode}, {name}");
        }
        wait_until_idle(&proxy.envoy, mode);
        assert!(!proxy.envoy.log().contains("critical"), "{mode}");
    }
}

#[test]
fn clients_that_wait_to_be_told_to_go_on_are_told() {
    let service = Upstream::start().unwrap();
    for mode in MODES {
        let proxy = Proxy::start(
            &[(mode, policy(mode), mode == "hold_headers", json!({}))],
            service.addr(),
        );
        for (body, status) in [(&b"{}"[..], "200"), (b"{]", "400")] {
            let mut stream = connect(proxy.addr(mode));
            let head = "POST /json HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            let told = String::from_utf8(read_head(&mut stream)).unwrap();
            assert!(told.starts_with("HTTP/1.1 100"), "{mode}: {told}");
            stream.write_all(body).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{mode}: {answer}"
            );
        }
        let arrived = service.take_all();
        let whole = arrived.iter().filter(|each| each.arrival == Arrival::Whole);
        assert_eq!(whole.count(), 1, "{mode}");
        assert!(
            arrived
                .iter()
                .all(|each| each.values("expect").next().is_none())
        );
    }
}

#[test]
fn connections_that_leave_http_are_refused_or_left_alone() {
    let service = Service::start(|mut stream| {
        read_head(&mut stream);
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            let _ = stream.write_all(&bytes[..count]);
        }
    });
    let upgrades = json!({ "upgrade_configs": [
        { "upgrade_type": "websocket" }, { "upgrade_type": "CONNECT" },
    ] });
    let mut open = policy("stream");
    open["routes"][0]["payload"]["upgrades"] = "uninspected".into();
    let mut held = open.clone();
    held["body_inspection"] = "hold_headers".into();
    let proxy = Proxy::start(
        &[
            ("refused", policy("stream"), false, upgrades.clone()),
            ("open", open, false, upgrades.clone()),
            ("held", held, true, upgrades),
        ],
        service.addr(),
    );
    let head = "GET /json HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let mut stream = connect(proxy.addr("refused"));
    stream.write_all(head.as_bytes()).unwrap();
    let answer = String::from_utf8(read_head(&mut stream)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(service.count(), 0);
    for name in ["open", "held"] {
        let mut stream = connect(proxy.addr(name));
        stream.write_all(head.as_bytes()).unwrap();
        let answer = String::from_utf8(read_head(&mut stream)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101"), "{name}: {answer}");
        // More than `max_bytes`, and no JSON.
        for _ in 0..40 {
            stream.write_all(&[b'x'; 50]).unwrap();
            let mut back = [0; 50];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, [b'x'; 50]);
        }
    }
    assert_eq!(service.count(), 2);
    // A tunnel has no path, and what has no path has no route.
    for name in ["refused", "open", "held"] {
        let mut stream = connect(proxy.addr(name));
        let tunnel = "CONNECT b.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\r\n";
        stream.write_all(tunnel.as_bytes()).unwrap();
        let answer = String::from_utf8(read_head(&mut stream)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
    }
    assert_eq!(service.count(), 2);
}

/// A document whose bodies are only counted, up to so many bytes.
fn counting(inspection: &str) -> Value {
    let mut document = policy(inspection);
    document["routes"][1]["payload"]["max_bytes"] = "4MiB".into();
    document
}

/// A body without a length, larger than the proxy's buffers.
fn large(version: Version, mib: usize) -> Request {
    let piece = vec![b'a'; 64 << 10];
    Request {
        version,
        headers: vec![(b"content-type".to_vec(), b"text/plain".to_vec())],
        body: Some(vec![piece; mib * 16]),
        ..post("/text", &[])
    }
}

#[test]
fn a_body_that_is_only_counted_is_larger_than_the_buffers_of_the_proxy() {
    for mode in MODES {
        let service = Upstream::start().unwrap();
        let proxy = Proxy::start(
            &[(mode, counting(mode), mode == "hold_headers", json!({}))],
            service.addr(),
        );
        for version in [Version::Http1, Version::Http2] {
            let response = client::send(proxy.addr(mode), &large(version, 3), TIMEOUT).unwrap();
            assert_eq!(response.status, 200, "{mode} {version:?}");
            let arrived = service.take_all().pop().expect("it has come");
            assert_eq!(arrived.arrival, Arrival::Whole, "{mode} {version:?}");
            assert_eq!(arrived.body.len(), 3 << 20, "{mode} {version:?}");
        }
    }
}

#[test]
fn a_body_that_is_only_counted_is_cut_at_the_bound() {
    for mode in MODES {
        let service = Upstream::start().unwrap();
        let proxy = Proxy::start(
            &[(mode, counting(mode), mode == "hold_headers", json!({}))],
            service.addr(),
        );
        for version in [Version::Http1, Version::Http2] {
            let response = client::send(proxy.addr(mode), &large(version, 8), TIMEOUT);
            let response = response.unwrap_or_else(|error| panic!("{mode} {version:?}: {error}"));
            assert_eq!(response.status, 413, "{mode} {version:?}");
            assert_eq!(problem(&response)["code"], "payload_too_large");
            wait_until_idle(&proxy.envoy, mode);
            // The head has gone, and no more than may: a service never takes it for a whole body.
            let arrived = service.take_all().pop().expect("it has come");
            assert_eq!(arrived.arrival, Arrival::CutOff, "{mode} {version:?}");
            let size = arrived.body.len();
            assert!(size <= 4 << 20, "{mode} {version:?}: {size}");
        }
        // The connections to the service are in order.
        let good = client::send(proxy.addr(mode), &large(Version::Http1, 1), TIMEOUT).unwrap();
        assert_eq!(good.status, 200, "{mode}");
    }
}
