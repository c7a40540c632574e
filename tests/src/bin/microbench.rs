//! Single functions of the engine, natively: a guide for work on them. What a request costs in
//! Envoy is measured by `make bench`.

use std::rc::Rc;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::json_gate::{self, Limits};
use portcullis::memory_host::MemoryHost;
use portcullis::stream::Stream;
use portcullis::target::Target;
use portcullis_tests::believing::{believing, good_request, whole_chain};

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
