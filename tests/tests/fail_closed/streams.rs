//! Streams that an outsider opens and never lets end.

use portcullis_tests::client::{HeldHead, HeldStreams};

use super::documents::{guarded, guarded_as, with_open_schema, with_schemas};
use super::size;
use super::stage::{Delivery, Setting, Stage, TIMEOUT, Tally};
use serde_json::{Value, json};

/// Streams on each connection.
const STREAMS: u32 = 100;

/// Fourteen fields of 3 925 bytes, which from the second stream on cost fourteen.
fn large_head(path: &str, body: Option<&str>) -> HeldHead {
    HeldHead {
        method: if body.is_some() { "POST" } else { "GET" }.into(),
        path: path.into(),
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        repeated: Some(((b"x-large".to_vec(), vec![b'a'; 3925]), 14)),
        body: body.map(Into::into),
    }
}

/// Opens them; what the answers were, and the connections.
fn flood(stage: &Stage, head: &HeldHead, streams: u32) -> (Tally, Vec<HeldStreams>) {
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
                statuses.into_iter().for_each(|status| tally.count(Some(status)));
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

/// A refusal that nobody reads leaves a stream; the memory of the VM does not grow with them.
fn refused_streams(workers: u32) {
    let stage = Stage::start(Setting::new(workers, Delivery::Lds), &guarded());
    stage.await_good();
    let before = stage.resident_mebibytes();
    let streams = size(2_000, 20_000);
    let ((mut tally, connections), seen) =
        stage.watched(|| flood(&stage, &large_head("/x", None), streams));
    println!(
        "{streams} refused streams: {tally}; from {before} to {} MiB resident",
        stage.resident_mebibytes()
    );
    tally.add(seen);
    tally.add(stage.ask_without_token());
    drop(connections);
    stage.assert_shut("refused streams", tally);
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
    let streams = size(2_000, 19_050);
    let head = large_head("/guarded", Some("{"));
    let (mut tally, connections) = flood(&stage, &head, streams);
    println!("{streams} held streams: {tally}, {} MiB resident", stage.resident_mebibytes());
    let documents: [Value; 4] = [
        with_schemas(size(100, 300), 1),
        super::documents::bad(1),
        guarded_as("small"),
        before,
    ];
    for (n, document) in documents.iter().enumerate() {
        let accepted = stage.update(document);
        let seen = stage.ask_without_token();
        println!("update {n} of {} bytes, accepted {accepted}: {seen}", document.to_string().len());
        tally.add(seen);
    }
    drop(connections);
    stage.assert_shut(&format!("held streams, {workers} workers, {delivery:?}"), tally);
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
    let stage = Stage::start(Setting::new(1, Delivery::Lds), &guarded());
    let rounds = 3;
    let mut resident = Vec::new();
    let mut tally = Tally::default();
    for _ in 0..rounds {
        let (seen, connections) = flood(&stage, &large_head("/x", None), size(1_000, 5_000));
        tally.add(seen);
        drop(connections);
        tally.add(stage.ask_without_token());
        resident.push(stage.resident_mebibytes());
    }
    println!("rounds of refused streams: {resident:?} MiB resident");
    let grown = resident[rounds - 1].saturating_sub(resident[0]);
    stage.assert_shut("rounds of streams", tally);
    assert!(grown < 64, "{resident:?}");
}
