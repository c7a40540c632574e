//! Streams that an outsider opens and never lets end.

use std::collections::BTreeMap;

use portcullis_tests::client::{HeldHead, HeldStreams};

use super::documents::{guarded, guarded_as, with_open_schema, with_schemas};
use super::size;
use super::stage::{Delivery, Setting, Stage, TIMEOUT, Tally};
use serde_json::{Value, json};

/// Streams on each connection.
const STREAMS: u32 = 100;

/// Fourteen fields of 3 900 bytes, which from the second stream on cost fourteen.
pub(crate) fn large_head(path: &str) -> HeldHead {
    HeldHead {
        method: "GET".into(),
        path: path.into(),
        repeated: Some(((b"x-large".to_vec(), vec![b'a'; 3900]), 14)),
    }
}

/// Opens them; what the answers were, and the connections.
pub(crate) fn flood(stage: &Stage, head: &HeldHead, streams: u32) -> (Tally, Vec<HeldStreams>) {
    let mut tally = Tally::default();
    let mut connections = Vec::new();
    let mut left = streams;
    while left > 0 {
        let count = left.min(STREAMS);
        left -= count;
        let opened = HeldStreams::open(stage.addr, head.clone(), TIMEOUT).and_then(|mut held| {
            let statuses = held.hold(count, TIMEOUT)?;
            Ok((held, statuses))
        });
        match opened {
            Ok((held, statuses)) => {
                statuses
                    .into_iter()
                    .for_each(|status| tally.count(Some(status)));
                connections.push(held);
            }
            Err(error) => {
                println!("connection {}: {error}", connections.len());
                tally.count(None);
            }
        }
    }
    (tally, connections)
}

/// What the same flood takes of a proxy that refuses without the filter, in MiB.
fn taken_without_the_filter(workers: u32, streams: u32) -> u64 {
    let mut setting = Setting::new(workers, Delivery::Lds);
    let refusal = json!({ "status": 401, "body": { "inline_string": "x".repeat(250) } });
    setting.listener.route = json!({ "route": null, "direct_response": refusal });
    let stage = Stage::start_unfiltered(setting);
    let before = stage.resident_mebibytes();
    let (_, _connections) = flood(&stage, &large_head("/x"), streams);
    stage.resident_mebibytes() - before
}

/// A refusal that nobody reads leaves a stream; the memory of the VM does not grow with them.
fn refused_streams(workers: u32) {
    let streams = size(2_000, 20_000);
    let without = taken_without_the_filter(workers, streams);
    let stage = Stage::start(Setting::new(workers, Delivery::Lds), &guarded());
    stage.await_good();
    let before = stage.resident_mebibytes();
    let ((mut tally, connections), seen) =
        stage.watched(|| flood(&stage, &large_head("/x"), streams));
    let grown = stage.resident_mebibytes().saturating_sub(before);
    println!("{streams} refused streams: {tally}; {grown} MiB, without the filter {without} MiB");
    tally.add(seen);
    tally.add(stage.ask_without_token());
    drop(connections);
    stage.assert_shut("refused streams", tally);
    assert!(
        grown < without + u64::from(streams) / 128 + 24,
        "{grown} MiB, without the filter {without} MiB"
    );
}

#[test]
fn refused_streams_on_one_worker() {
    refused_streams(1);
}

#[test]
fn refused_streams_on_three_workers() {
    refused_streams(3);
}

/// An outsider's streams, then an update by the operator.
fn update_under_flood(workers: u32, delivery: Delivery) {
    let before = with_open_schema(json!({ "type": "object" }), "64KiB");
    let stage = Stage::start(Setting::new(workers, delivery), &before);
    // With fields of 54 KB each, kept, so many leave little of the gigabyte that a VM can have.
    let streams = size(2_000, 19_050) * workers;
    let head = large_head("/x");
    let (mut tally, connections) = flood(&stage, &head, streams);
    println!(
        "{streams} held streams: {tally}, {} MiB resident",
        stage.resident_mebibytes()
    );
    let documents: [Value; 4] = [
        with_schemas(size(100, 300), 1),
        super::documents::bad(1),
        guarded_as("small"),
        before,
    ];
    for (n, document) in documents.iter().enumerate() {
        let accepted = stage.update(document);
        let seen = stage.ask_without_token();
        println!(
            "update {n} of {} bytes, accepted {accepted}: {seen}",
            document.to_string().len()
        );
        tally.add(seen);
    }
    drop(connections);
    stage.assert_shut(
        &format!("held streams, {workers} workers, {delivery:?}"),
        tally,
    );
}

#[test]
fn an_update_under_held_streams_by_lds() {
    update_under_flood(1, Delivery::Lds);
}

#[test]
fn an_update_under_held_streams_by_ecds_on_three_workers() {
    update_under_flood(3, Delivery::Ecds);
}

/// Streams that end give back what they took.
#[test]
fn streams_that_end_leave_nothing() {
    const PREFIX: &str = "wasmcustom.portcullis.memory.";
    let stage = Stage::start(Setting::new(1, Delivery::Lds), &guarded());
    let rounds = 3;
    let mut live = Vec::new();
    let mut tally = Tally::default();
    for _ in 0..rounds {
        let (seen, connections) = flood(&stage, &large_head("/x"), size(1_000, 5_000));
        tally.add(seen);
        drop(connections);
        tally.add(stage.ask_without_token());
        let none_left = |stats: &BTreeMap<String, u64>| {
            stats.get(&format!("{PREFIX}streams_bytes")) == Some(&0)
        };
        let stats = stage.envoy.stats_once(none_left).unwrap();
        live.push(stats[&format!("{PREFIX}live_bytes")] >> 10);
    }
    println!("rounds of refused streams: {live:?} KiB in use afterwards");
    stage.assert_shut("rounds of streams", tally);
    assert!(live[rounds - 1] < live[0] + 1024, "{live:?}");
}
