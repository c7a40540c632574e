//! A VM that is full in every way at once, and updates meanwhile.

use std::thread;
use std::time::Duration;

use portcullis_tests::client::{self, Connection, HeldStreams};
use portcullis_tests::envoy::ListenerOptions;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Response;
use serde_json::{Value, json};

use super::bodies::dense;
use super::cache::fill;
use super::documents::{
    bad, first_accepted, get, guarded_as, post, with_open_schema, with_patterns, with_schemas,
};
use super::size;
use super::stage::{Delivery, Setting, Stage, TIMEOUT, Tally};
use super::streams::{flood, large_head};

const MEBIBYTE: usize = 1 << 20;

/// How much a document may ask for of everything.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    body: usize,
    queue: usize,
    entries: u32,
}

/// A document that lets everything grow that a document can let grow.
fn roomy(bounds: Bounds) -> Value {
    let Bounds {
        body,
        queue,
        entries,
    } = bounds;
    let mut document = with_open_schema(json!({}), &format!("{body}MiB"));
    document["providers"]["corp"]["jwt_cache"] =
        json!({ "max_entries": entries, "max_token_bytes": 16_384 });
    document["otlp_http"] = json!({
        "cluster": "collector", "uri": "http://collector.example.com/v1/logs",
        "timeout": "30s", "interval": "60s", "max_queue_bytes": format!("{queue}MiB"),
    });
    document["access_log"] = json!({
        "sinks": ["otlp_http"], "max_bytes": "64KiB", "fields": { "headers": ["x-large"] },
    });
    document
}

fn settled() -> (Bounds, Value) {
    let of = |body, queue, entries| Bounds {
        body,
        queue,
        entries,
    };
    let small = [of(2, 4, 4_000), of(1, 1, 1_000)];
    let full = [
        of(64, 64, 100_000),
        of(16, 16, 10_000),
        of(8, 16, 4_000),
        of(4, 8, 1_000),
        of(1, 1, 1_000),
    ];
    match size(true, false) {
        true => first_accepted(&small, roomy),
        false => first_accepted(&full, roomy),
    }
}

/// Requests whose records wait for a collector that never answers.
fn queue_records(stage: &Stage, count: u32) {
    let mut request = get(None);
    for _ in 0..12 {
        request
            .headers
            .push((b"x-large".to_vec(), vec![b'a'; 4_000]));
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut connection = Connection::new(stage.addr);
                for _ in 0..count / 2 {
                    let answer = connection.send(&request, TIMEOUT);
                    let answer = answer.map_or(0, |answer| answer.status);
                    assert!(matches!(answer, 401 | 503), "{answer}");
                }
            });
        }
    });
}

/// Fills the VMs of all workers in every way; what holds it in place.
fn fill_up(stage: &Stage, bounds: Bounds) -> (Tally, Vec<HeldStreams>) {
    let workers = stage.workers();
    let said = |what: &str| {
        let resident = stage.resident_mebibytes();
        println!("  {what}: {resident} MiB resident; {}", stage.memory());
    };
    fill(stage, size(200, 4_000) * workers, 1150);
    said("tokens");
    queue_records(stage, size(200, 3_000) * workers);
    said("records");
    let (tally, connections) = flood(stage, &large_head("/guarded"), size(2_000, 9_000) * workers);
    said("streams");
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let body = dense(bounds.body * MEBIBYTE * 7 / 8);
                let answer = client::send(stage.addr, &post("/open", body), TIMEOUT);
                let answer = answer.map_or(0, |answer| answer.status);
                assert!(matches!(answer, 200 | 413 | 422 | 503), "a body: {answer}");
            });
        }
    });
    said("bodies");
    (tally, connections)
}

fn brim(workers: u32, delivery: Delivery) {
    let collector = Upstream::start_forgetful().unwrap();
    collector.answer_path(
        "/v1/logs",
        Answer::Delay(Duration::from_secs(600), Response::default()),
    );
    let setting = Setting {
        listener: ListenerOptions {
            per_connection_buffer_limit_bytes: Some(80 << 20),
            ..ListenerOptions::default()
        },
        clusters: vec![("collector", collector.addr())],
        ..Setting::new(workers, delivery)
    };
    let (bounds, document) = settled();
    let stage = Stage::start(setting, &document);
    stage.await_good();
    println!("{workers} workers, {delivery:?}, {bounds:?}");
    let ((seen, held), mut tally) = stage.watched(|| {
        let (mut tally, mut held) = fill_up(&stage, bounds);
        let (patterns, _) = first_accepted(&[60, 40, 20, 10, 5], |count| with_patterns(count, 0));
        for round in 0..size(1, 4) {
            let documents = [
                bad(round),
                with_patterns(patterns, round),
                guarded_as(&format!("round-{round}")),
                document.clone(),
                with_schemas(size(50, 300), round),
                with_patterns(patterns, round + 100),
                bad(round + 100),
                document.clone(),
            ];
            for (n, offered) in documents.iter().enumerate() {
                let accepted = stage.update(offered);
                let is_bad = offered.get("routs").is_some();
                assert_eq!(accepted, !is_bad, "round {round}, document {n}");
                tally.add(stage.ask_without_token());
            }
            // What comes meets VMs that still hold the older generations.
            let (seen, more) = flood(&stage, &large_head("/guarded"), size(200, 1_000));
            tally.add(seen);
            held.extend(more);
            println!(
                "  round {round}: {tally}, {} MiB resident; {}",
                stage.resident_mebibytes(),
                stage.memory()
            );
        }
        (tally, held)
    });
    tally.add(seen);
    drop(held);
    stage.assert_shut(&format!("the brim, {workers} workers, {delivery:?}"), tally);
}

#[test]
fn a_full_vm_by_lds() {
    brim(1, Delivery::Lds);
}

#[test]
fn a_full_vm_by_lds_on_three_workers() {
    brim(3, Delivery::Lds);
}

#[test]
fn a_full_vm_by_ecds() {
    brim(1, Delivery::Ecds);
}

#[test]
fn a_full_vm_by_ecds_on_three_workers() {
    brim(3, Delivery::Ecds);
}
