//! Tokens that are good, and so many and so large that remembering them fills a VM.

use std::thread;

use portcullis_tests::client::Connection;
use serde_json::{Value, json};

use super::documents::{first_accepted, get, guarded, guarded_as, token_with};
use super::size;
use super::stage::{Delivery, Setting, Stage, TIMEOUT, Tally};

/// What the document allows to be remembered.
fn remembering((entries, bytes): (u32, u32)) -> Value {
    let mut document = guarded();
    document["providers"]["corp"]["jwt_cache"] =
        json!({ "max_entries": entries, "max_token_bytes": bytes });
    document
}

const BOUNDS: &[(u32, u32)] = &[(100_000, 16_384), (10_000, 16_384), (4_000, 16_384), (1_000, 4_096)];

/// Sends that many good tokens with so many values in their claims; how many did not pass.
pub(crate) fn fill(stage: &Stage, tokens: u32, values: usize) -> u32 {
    let values = json!({ "x": vec![json!({ "": 0 }); values] });
    let clients = 2;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                let values = values.clone();
                scope.spawn(move || {
                    let mut connection = Connection::new(stage.addr);
                    let mut refused = 0;
                    for number in (client..tokens).step_by(clients as usize) {
                        let token = token_with(&format!("user-{number}"), values.clone());
                        let answer = connection.send(&get(Some(&token)), TIMEOUT);
                        refused += u32::from(!matches!(answer, Ok(answer) if answer.status == 200));
                    }
                    refused
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

#[test]
fn the_most_that_the_document_lets_be_remembered() {
    let (bounds, document) = first_accepted(BOUNDS, remembering);
    let stage = Stage::start(Setting::new(1, Delivery::Lds), &document);
    stage.await_good();
    let before = stage.resident_mebibytes();
    let tokens = size(400, 4_200);
    let (refused, seen) = stage.watched(|| fill(&stage, tokens, 1150));
    println!(
        "{tokens} tokens, bounds {bounds:?}: {refused} refused; from {before} to {} MiB resident",
        stage.resident_mebibytes()
    );
    stage.assert_shut("remembered tokens", seen);
    assert_eq!(refused, 0, "good tokens were refused");
}

/// The cache of the old document is full while ordinary updates come.
fn updates_beside_a_full_cache(workers: u32, delivery: Delivery) {
    let (_, document) = first_accepted(BOUNDS, remembering);
    let stage = Stage::start(Setting::new(workers, delivery), &document);
    let refused = fill(&stage, size(400, 3_700) * workers, 1450);
    println!("filled, {refused} refused; {} MiB resident", stage.resident_mebibytes());
    let mut tally = Tally::default();
    for generation in 0..3 {
        let accepted = stage.update(&guarded_as(&format!("generation-{generation}")));
        let seen = stage.ask_without_token();
        println!("update {generation}, accepted {accepted}: {seen}");
        tally.add(seen);
    }
    stage.assert_shut(
        &format!("a full cache, {workers} workers, {delivery:?}"),
        tally,
    );
}

#[test]
fn updates_beside_a_full_cache_by_lds() {
    updates_beside_a_full_cache(1, Delivery::Lds);
}

#[test]
fn updates_beside_a_full_cache_by_ecds() {
    updates_beside_a_full_cache(size(1, 3), Delivery::Ecds);
}
