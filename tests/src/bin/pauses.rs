//! How long requests wait while a worker takes up a list of a hundred thousand items: of API keys, of what is
//! revoked, of networks. Requests go to the only worker of an Envoy one after the other; the slowest is the
//! longest pause. Every other list differs from the one before. Timings pass and fail nothing.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured passes in the real time"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use portcullis_tests::client;
use portcullis_tests::mesh::{Mesh, TIMEOUT, answer};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const ITEMS: usize = 100_000;

/// How long is looked at one kind.
const LENGTH: Duration = Duration::from_secs(20);

/// A kind of list: a name, its section and how it is used, the member of its answers, the counter of those that
/// were taken, and one item.
struct Kind {
    name: &'static str,
    document: fn(Value) -> Value,
    most: &'static str,
    member: &'static str,
    counter: &'static str,
    item: fn(usize) -> Value,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "API keys",
        document: |remote| {
            json!({
                "version": 1,
                "api_key_stores": { "l": { "remote": remote } },
                "routes": [{ "name": "all", "match": { "path": { "exact": "/" } }, "open": true },
                    { "name": "key", "match": { "path": { "exact": "/key" } }, "api_key": { "store": "l" } }],
            })
        },
        most: "max_keys",
        member: "keys",
        counter: "api_keys_fetch_success",
        item: |number| {
            let mut hash = String::new();
            for byte in digest(&SHA256, &number.to_le_bytes()).as_ref() {
                let _ = write!(hash, "{byte:02x}");
            }
            json!({ "id": format!("key-{number}"), "hash": hash, "client": format!("client-{number}") })
        },
    },
    Kind {
        name: "revocations",
        document: |remote| {
            json!({
                "version": 1,
                "revocation_lists": { "l": { "remote": remote } },
                "api_key_stores": { "s": { "keys": [], "revocation_lists": ["l"] } },
                "routes": [{ "name": "all", "match": { "path": { "exact": "/" } }, "open": true },
                    { "name": "key", "match": { "path": { "exact": "/key" } }, "api_key": { "store": "s" } }],
            })
        },
        most: "max_entries",
        member: "revoked",
        counter: "revocations_fetch_success",
        item: |number| json!({ "jti": format!("6f1c7a52-8f0e-4d5c-9b1a-{number:012}") }),
    },
    Kind {
        name: "networks",
        document: |remote| {
            json!({
                "version": 1,
                "networks": { "l": { "remote": remote } },
                "routes": [{ "name": "all", "match": { "path": { "exact": "/" } }, "open": true },
                    { "name": "key", "match": { "path": { "exact": "/key" } }, "open": true, "rate_limits": [{
                        "name": "l", "key": [{ "network": ["l"] }], "sliding_window": { "requests": 9, "per": "1s" } }] }],
            })
        },
        most: "max_networks",
        member: "networks",
        counter: "networks_fetch_success",
        item: |number| {
            let spread = number.wrapping_mul(0x9e37_79b1) as u32;
            match number % 2 {
                0 => json!(std::net::Ipv4Addr::from(spread)),
                _ => json!(format!(
                    "2001:db8:{:x}:{:x}::/64",
                    spread >> 16,
                    spread & 0xffff
                )),
            }
        },
    },
];

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    for kind in KINDS {
        if only.is_empty() || only.iter().any(|each| each == kind.name) {
            measure(&kind);
        }
    }
}

fn measure(kind: &Kind) {
    let lists = Upstream::start().expect("a server starts");
    let bodies = [0, 1].map(|first| {
        let items: Vec<Value> = (first..ITEMS + first).map(kind.item).collect();
        json!({ kind.member: items }).to_string()
    });
    lists.answer_path("/list", answer(200, &format!("{{\"{}\":[]}}", kind.member)));
    let remote = json!({
        "cluster": "lists", "uri": "http://lists.example.com/list",
        "cache_duration": "2s", "cooldown": "1s", kind.most: ITEMS,
    });
    let mesh = Mesh::start(&(kind.document)(remote), 1, &[("lists", &lists)]);
    mesh.wait_for_metric(kind.counter, |taken| taken > 0);
    let request = Request {
        method: b"GET".to_vec(),
        path: b"/".to_vec(),
        authority: b"api.example.com".to_vec(),
        ..Request::default()
    };
    let mut times = Vec::new();
    let begun = Instant::now();
    let before = mesh.metric(kind.counter);
    let mut turn = 0_usize;
    while begun.elapsed() < LENGTH {
        // Each second another list, so that each that is fetched is news.
        let second = usize::try_from(begun.elapsed().as_secs()).unwrap_or_default();
        if second >= turn {
            lists.answer_path("/list", answer(200, &bodies[turn % 2]));
            turn = second + 1;
        }
        let sent = Instant::now();
        let status = client::send(mesh.addr(), &request, TIMEOUT).map(|answer| answer.status);
        times.push(sent.elapsed());
        assert!(matches!(status, Ok(200)), "{status:?}");
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1000].as_micros();
    println!(
        "{}: {} bytes, {} lists taken, {} requests, µs: median {}, 99 % {}, 99.9 % {}, longest {}",
        kind.name,
        bodies[0].len(),
        mesh.metric(kind.counter) - before,
        times.len(),
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}
