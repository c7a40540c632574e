//! Places and turns of WebSockets, of gRPC over HTTP/2, and of requests that one connection sends at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use portcullis_tests::client::{self, HeldHead, HeldStreams};
use portcullis_tests::patience::wait_until;
use portcullis_tests::wire::{Request, Version};
use serde_json::json;

use super::places::{PlacesProxy, document};
use super::turns::{self, NotingService, gauge, send, status};

const PATIENCE: Duration = Duration::from_secs(60);

fn write(addr: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

fn websocket(addr: SocketAddr) -> TcpStream {
    let handshake = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    write(addr, handshake)
}

fn has_in_flight(proxy: &PlacesProxy, many: u64) {
    wait_until("so many are under way", || {
        proxy.stat("concurrency_limit.all.in_flight") == many
    });
}

/// Handshake and what comes after are one exchange.
#[test]
fn a_websocket_has_its_place_until_it_is_closed() {
    let proxy = PlacesProxy::start(2, &document(2, &json!({}), &json!([])), true);
    for _ in 0..3 {
        let mut sockets: Vec<TcpStream> = (0..2).map(|_| websocket(proxy.addr())).collect();
        for socket in &mut sockets {
            assert_eq!(status(socket), Some(101));
        }
        has_in_flight(&proxy, 2);
        assert_eq!(status(&mut websocket(proxy.addr())), Some(429));
        assert_eq!(status(&mut send(proxy.addr(), "/")), Some(429));
        for socket in &mut sockets {
            socket.write_all(b"still there").unwrap();
        }
        assert_eq!(status(&mut websocket(proxy.addr())), Some(429));
        drop(sockets);
        has_in_flight(&proxy, 0);
    }
    assert_eq!(proxy.service.count(), 6);
}

/// Streams of one connection are requests of their own, and all of them are gone with it.
#[test]
fn calls_of_one_connection_have_a_place_each() {
    let proxy = PlacesProxy::start(2, &document(3, &json!({}), &json!([])), false);
    let grpc = (b"content-type".to_vec(), b"application/grpc".to_vec());
    let head = HeldHead {
        method: b"POST".to_vec(),
        path: b"/a.Service/Method".to_vec(),
        repeated: Some((grpc.clone(), 1)),
    };
    let call = Request {
        version: Version::Http2,
        method: b"POST".to_vec(),
        path: b"/a.Service/Method".to_vec(),
        authority: b"a".to_vec(),
        headers: vec![grpc],
        ..Request::default()
    };
    for round in 1..=3 {
        let mut held = HeldStreams::open(proxy.addr(), head.clone(), PATIENCE).unwrap();
        // Those that are refused have a head with their status of gRPC.
        assert_eq!(held.hold(5, PATIENCE).unwrap(), [200, 200]);
        has_in_flight(&proxy, 3);
        let refused = client::send(proxy.addr(), &call, PATIENCE).unwrap();
        assert_eq!(refused.status, 200);
        let said = refused.headers.iter().chain(&refused.trailers);
        let mut said = said.filter(|(name, _)| name == "grpc-status");
        assert_eq!(said.next().map(|(_, value)| &**value), Some(&b"8"[..]));
        drop(held);
        has_in_flight(&proxy, 0);
        wait_until("the service has had them", || {
            proxy.service.count() == 3 * round
        });
    }
}

fn pipeline(many: usize) -> String {
    (0..many)
        .map(|number| format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"))
        .collect()
}

/// The statuses of so many responses without a body.
fn statuses(stream: &mut TcpStream, many: usize) -> Vec<String> {
    let (mut read, mut block) = (String::new(), [0; 4096]);
    loop {
        let lines = read.split("\r\n");
        let lines = lines.filter_map(|line| line.strip_prefix("HTTP/1.1 "));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        if lines.len() >= many && read.ends_with("\r\n\r\n") {
            return lines;
        }
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return lines,
            Ok(count) => read.push_str(&String::from_utf8_lossy(&block[..count])),
        }
    }
}

/// They are under way one after the other, and need one place.
#[test]
fn requests_in_a_pipeline_share_a_place() {
    const MANY: usize = 30;
    let proxy = PlacesProxy::start(1, &document(1, &json!({}), &json!([])), true);
    let mut stream = write(proxy.addr(), &pipeline(MANY));
    assert_eq!(statuses(&mut stream, MANY), vec!["200 OK"; MANY]);
    assert_eq!(proxy.service.count(), MANY);
    // Cut off with the first under way and the others behind it, one place is given back.
    let proxy = PlacesProxy::start(1, &document(1, &json!({}), &json!([])), false);
    for round in 1..=3 {
        let stream = write(proxy.addr(), &pipeline(MANY));
        has_in_flight(&proxy, 1);
        wait_until("the service has it", || proxy.service.count() == round);
        drop(stream);
        has_in_flight(&proxy, 0);
    }
    assert_eq!(proxy.stat("concurrency.limited"), 0);
}

/// Of those only one waits at a time, so that a queue of one is enough; they keep their order.
#[test]
fn requests_in_a_pipeline_wait_one_by_one() {
    const MANY: usize = 8;
    let service = NotingService::start(true);
    let limit = json!({
        "name": "all",
        "key": [],
        "token_bucket": { "max_tokens": 1, "fill_interval": "50ms" },
        "on_limit": { "delay": { "max": "10s", "queue": 1 } },
    });
    let proxy = turns::start(limit, &service, 1);
    let mut stream = write(proxy.addr, &pipeline(MANY));
    assert_eq!(statuses(&mut stream, MANY), vec!["200 OK"; MANY]);
    let expected: Vec<String> = (0..MANY).map(|number| format!("/{number}")).collect();
    assert_eq!(service.paths(), expected);
    wait_until("all is told", || {
        gauge(&proxy, "rate_limits.ok") as usize == MANY
    });
    assert!(gauge(&proxy, "rate_limits.delayed") > 0);
}
