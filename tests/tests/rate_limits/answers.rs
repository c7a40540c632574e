//! What is charged by the service's answers: with many requests on their way at once, on several
//! workers, and for clients that leave before the answer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use portcullis_tests::envoy::{Options, cluster};
use portcullis_tests::module_path;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Response;
use serde_json::{Value, json};

use super::bundle::{Bundle, SIZE};
use super::{Proxy, limited_by};

const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for all of a bundle to be on their way at once.
const THINKING: Duration = Duration::from_millis(300);

/// A proxy with four workers in front of a service.
fn start(charge: &Value, max_tokens: u64) -> (Proxy, Upstream) {
    let upstream = Upstream::start_forgetful().unwrap();
    let mut limit = json!({
        "name": "one",
        "key": [{ "header": "x-key" }],
        "token_bucket": { "max_tokens": max_tokens, "fill_interval": "1000h" },
    });
    for (name, value) in charge.as_object().unwrap() {
        limit[name] = value.clone();
    }
    let listener = limited_by(&module_path(), &json!([limit]), json!({}));
    let clusters = vec![cluster("upstream", upstream.addr())];
    let options = Options {
        concurrency: 4,
        ..Options::reused()
    };
    (Proxy::start_with(&options, clusters, &listener), upstream)
}

fn answer(upstream: &Upstream, status: u16, cost: Option<&str>) {
    let cost = cost.map(|cost| ("x-cost".to_owned(), cost.as_bytes().to_vec()));
    let response = Response {
        status,
        headers: cost.into_iter().collect(),
        ..Response::default()
    };
    upstream.answer_path("/", Answer::Delay(THINKING, response));
}

/// How many of so many requests with that key, all sent at once, come to each of these statuses.
fn at_once(proxy: &Proxy, key: &str, many: usize, statuses: [u16; 2]) -> [usize; 2] {
    let mut bundle = Bundle::open(proxy.addr).unwrap();
    let found = bundle.ask(&vec![key.to_owned(); many]).unwrap();
    let all = found.iter().all(|status| statuses.contains(status));
    assert!(all, "{found:?}");
    statuses.map(|status| found.iter().filter(|each| **each == status).count())
}

#[test]
fn tries_at_once_are_no_more_than_tries_one_by_one() {
    let (proxy, upstream) = start(&json!({ "charge": { "on_status": [401] } }), 5);
    answer(&upstream, 401, None);
    assert_eq!(at_once(&proxy, "alice", SIZE, [401, 429]), [5, SIZE - 5]);
    assert_eq!(at_once(&proxy, "alice", SIZE, [401, 429]), [0, SIZE]);
    assert_eq!(upstream.count(), 5);
    // Correct ones are never charged, however many there are, and on whichever worker.
    answer(&upstream, 200, None);
    for _ in 0..8 {
        assert_eq!(at_once(&proxy, "bob", 5, [200, 429]), [5, 0]);
    }
    assert_eq!(at_once(&proxy, "alice", 1, [200, 429]), [0, 1]);
    answer(&upstream, 401, None);
    assert_eq!(at_once(&proxy, "bob", SIZE, [401, 429]), [5, SIZE - 5]);
    assert_eq!(proxy.stat("contended"), 0);
}

#[test]
fn a_failure_of_the_service_or_of_the_way_to_it_is_no_try() {
    let (proxy, upstream) = start(&json!({ "charge": { "on_status": [401] } }), 5);
    upstream.answer_path("/", Answer::HangUp);
    for _ in 0..3 {
        assert_eq!(at_once(&proxy, "alice", 5, [503, 429]), [5, 0]);
    }
    answer(&upstream, 401, None);
    assert_eq!(at_once(&proxy, "alice", SIZE, [401, 429]), [5, SIZE - 5]);
}

#[test]
fn costs_at_once_do_not_overdraw() {
    let cost = json!({ "cost": { "response_header": "x-cost", "maximum": 50 } });
    let (proxy, upstream) = start(&cost, 100);
    answer(&upstream, 200, Some("50"));
    assert_eq!(at_once(&proxy, "alice", SIZE, [200, 429]), [2, SIZE - 2]);
    assert_eq!(upstream.count(), 2);
    // What an answer does not come to is there again.
    answer(&upstream, 200, Some("8"));
    for left in [100, 92, 84, 76, 68, 60, 52] {
        assert_eq!(at_once(&proxy, "bob", 1, [200, 429]), [1, 0], "{left}");
    }
    assert_eq!(at_once(&proxy, "bob", 1, [200, 429]), [0, 1]);
}

/// Sends a request, and leaves when it has reached the service. Whether it has.
fn leave(proxy: &Proxy, upstream: &Upstream) -> bool {
    let before = upstream.count();
    let mut stream = TcpStream::connect(proxy.addr).unwrap();
    let wait = Duration::from_millis(2);
    stream.set_read_timeout(Some(wait)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx-key: alice\r\n\r\n")
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut block = [0; 64];
    while upstream.count() == before {
        assert!(Instant::now() < deadline, "nothing came of a request");
        match stream.read(&mut block) {
            Ok(count) => {
                let status = block.get(..count.min(12)).unwrap();
                assert_eq!(status, b"HTTP/1.1 429");
                return false;
            }
            Err(error) => {
                let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                assert!(waits.contains(&error.kind()), "{error}");
            }
        }
    }
    true
}

/// How many of so many clients that leave reach the service.
fn reach(proxy: &Proxy, upstream: &Upstream, clients: u32) -> usize {
    let reached = (0..clients).map(|_| leave(proxy, upstream));
    reached.filter(|reached| *reached).count()
}

#[test]
fn who_leaves_before_the_answer_has_paid_for_it() {
    for (charge, max_tokens, expected) in [
        (
            json!({ "cost": { "response_header": "x-cost", "maximum": 50 } }),
            100,
            2,
        ),
        // Without `maximum`, the default, as the page says.
        (json!({ "cost": { "response_header": "x-cost" } }), 100, 60),
        (
            json!({ "cost": { "response_header": "x-cost", "default": 25 } }),
            100,
            4,
        ),
        (json!({ "charge": { "on_status": [401] } }), 5, 5),
    ] {
        let (proxy, upstream) = start(&charge, max_tokens);
        answer(&upstream, 200, Some("50"));
        assert_eq!(reach(&proxy, &upstream, 60), expected, "{charge}");
    }
}
