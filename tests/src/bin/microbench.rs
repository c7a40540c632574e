//! Single functions of the engine, natively: a guide for work on them. What a request costs in
//! Envoy is measured by `make bench`.

use std::fmt::Write as _;
use std::rc::Rc;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::json_gate::{self, Limits};
use portcullis::memory_host::{MemoryHost, MemoryResponse};
use portcullis::stream::Stream;
use portcullis::target::Target;
use portcullis::worker::Worker;
use portcullis_tests::believing::{
    believing, bound_chain, good_request, proven_requests, whole_chain, whole_document,
};
use portcullis_tests::both;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

fn judged(engine: &Rc<Engine>, headers: &Headers, host: &MemoryHost) -> Stream {
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    black_box(stream.on_request_headers(headers.clone(), BodyState::Complete, host));
    black_box(stream.on_response_headers(None, BodyState::Complete, host));
    stream
}

/// Head, answer and record of a request whose token has been seen.
#[divan::bench(args = [0, 10, 100, 500])]
fn whole_chain_behind_routes(bencher: Bencher<'_, '_>, routes: usize) {
    let (engine, headers, host) = (whole_chain(routes), good_request("a"), believing());
    bencher.bench_local(|| judged(&engine, &headers, &host));
}

/// The same with a token that has not been seen; its signature is believed.
#[divan::bench]
fn new_token(bencher: Bencher<'_, '_>) {
    let host = believing();
    let engine = whole_chain(0);
    let requests: Vec<Headers> = (0..4000).map(|n| good_request(&format!("s{n}"))).collect();
    let mut requests = requests.iter().cycle();
    bencher.bench_local(|| {
        requests
            .next()
            .map(|headers| judged(&engine, headers, &host))
    });
}

/// A token that has been seen, with a proof that has not; its signature is believed.
#[divan::bench]
fn new_proof(bencher: Bencher<'_, '_>) {
    let (engine, requests) = (bound_chain(), proven_requests(20_000));
    let (mut host, mut next) = (believing(), requests.iter());
    bencher.bench_local(|| {
        let headers = next.next().or_else(|| {
            // Each is good once.
            (host, next) = (believing(), requests.iter());
            next.next()
        });
        headers.map(|headers| judged(&engine, headers, &host))
    });
}

/// One line of the access log.
#[divan::bench]
fn record(bencher: Bencher<'_, '_>) {
    let (engine, host) = (whole_chain(0), believing());
    let stream = judged(&engine, &good_request("a"), &host);
    let log = engine.access_log();
    bencher.bench_local(|| log.and_then(|log| log.record(&stream.summary(), None, &host)));
}

#[divan::bench(args = ["/orders/1", "/a/%62/c/%C3%A9?x=%20"])]
fn target(path: &str) -> bool {
    Target::parse(black_box(path.as_bytes())).is_ok()
}

/// Ten kibibytes of JSON.
#[divan::bench]
fn json_gate(bencher: Bencher<'_, '_>) {
    let item = r#"{"id":12345,"name":"a name","tags":["x","y"],"price":12.5},"#;
    let items = item.repeat((10 << 10) / item.len());
    let body = format!("[{}]", items.trim_end_matches(','));
    bencher
        .counter(BytesCount::of_str(&body))
        .bench_local(|| json_gate::check(black_box(body.as_bytes()), &Limits::GENEROUS));
}

/// A request with an API key, one of so many that have been fetched, and of a list with as much that is revoked.
#[divan::bench(args = [1, 1000, 100_000])]
fn api_key_among(bencher: Bencher<'_, '_>, keys: usize) {
    let host = Rc::new(serving(keys));
    let remote = |path: &str, most: &str| {
        let uri = format!("https://keys.example.com/{path}");
        json!({ "remote": { "cluster": path, "uri": uri, most: 100_000 } })
    };
    let mut store = remote("keys", "max_keys");
    store["revocation_lists"] = json!(["l"]);
    let document = json!({
        "version": 1,
        "revocation_lists": { "l": remote("revoked", "max_entries") },
        "api_key_stores": { "s": store },
        "routes": [{ "name": "all", "match": {}, "api_key": { "store": "s" } }],
    });
    let engine = Engine::compile(document.to_string().as_bytes()).expect("the document is right");
    let engine = Rc::new(engine);
    let worker = Worker::new(Rc::clone(&engine), Rc::<MemoryHost>::clone(&host));
    worker.tick();
    for (token, end) in host.take_ended() {
        worker.received(token, &end);
    }
    while worker.read_on() {}
    let mut headers = Headers::default();
    for (name, value) in [
        (":authority", "api.example.com"),
        (":path", "/"),
        (":method", "GET"),
        ("x-api-key", "key-0"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    bencher.bench_local(|| judged(&engine, &headers, &host));
}

/// A proxy whose services answer with so many keys, and as much that is revoked.
fn serving(count: usize) -> MemoryHost {
    let mut keys: Vec<String> = Vec::new();
    let mut revoked: Vec<String> = Vec::new();
    for number in 0..count {
        let mut hash = String::new();
        for byte in digest(&SHA256, format!("key-{number}").as_bytes()).as_ref() {
            let _ = write!(hash, "{byte:02x}");
        }
        keys.push(
            json!({ "id": format!("k{number}"), "hash": hash, "client": format!("c{number}") })
                .to_string(),
        );
        revoked.push(json!({ "key_id": format!("x{number}") }).to_string());
    }
    let answers = [("keys", "keys", keys), ("revoked", "revoked", revoked)];
    answers
        .into_iter()
        .fold(MemoryHost::new(), |host, (cluster, member, items)| {
            let body = format!("{{\"{member}\":[{}]}}", items.join(","));
            host.with_responding_cluster(cluster, move |_| {
                Ok(MemoryResponse::new(200, body.as_bytes()))
            })
        })
}

/// A request that the last of so many rules allows, by the plan of its route.
#[divan::bench(args = [1, 10, 100, 1000])]
fn access_rule_among(bencher: Bencher<'_, '_>, rules: usize) {
    let (engine, headers, host) = (
        with_rules(rules, "alice"),
        good_request("alice"),
        believing(),
    );
    bencher.bench_local(|| {
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        black_box(both::request_headers(
            &mut stream,
            headers.clone(),
            BodyState::Complete,
            &host,
        ));
        stream
    });
}

/// The same by asking each policy.
#[divan::bench(args = [1, 10, 100, 1000])]
fn access_rule_asked_among(bencher: Bencher<'_, '_>, rules: usize) {
    let (engine, headers, host) = (
        with_rules(rules, "alice"),
        good_request("alice"),
        believing(),
    );
    bencher.bench_local(|| judged(&engine, &headers, &host));
}

/// One that none of them allows, which names the rule that came closest.
#[divan::bench(args = [1, 10, 100, 1000])]
fn no_access_rule_among(bencher: Bencher<'_, '_>, rules: usize) {
    let (engine, headers, host) = (with_rules(rules, "bob"), good_request("alice"), believing());
    bencher.bench_local(|| judged(&engine, &headers, &host));
}

/// The whole chain with so many rules, of which the last is for that subject.
fn with_rules(count: usize, subject: &str) -> Rc<Engine> {
    let rule = |name: String, subject: &str, prefix: String| {
        json!({
            "name": name, "action": "allow", "from": { "subjects": [subject] },
            "to": { "methods": ["GET"], "paths": [{ "prefix": prefix }] },
        })
    };
    let others = (1..count).map(|number| {
        let (subject, prefix) = (format!("s{number}"), format!("/orders/kind-{number}"));
        rule(format!("r{number}"), &subject, prefix)
    });
    let own = rule("own".to_owned(), subject, "/orders".to_owned());
    let rules: Vec<Value> = others.chain([own]).collect();
    let mut document = whole_document(0);
    document["defaults"]["access"] = json!({ "rules": rules });
    let engine = Engine::compile(document.to_string().as_bytes()).expect("the document is right");
    Rc::new(engine.with_plans())
}
