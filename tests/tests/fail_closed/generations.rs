//! Updates, one after the other, that leave older generations behind.

use std::time::Duration;

use serde_json::Value;

use super::documents::{bad, first_accepted, guarded_as, with_patterns};
use super::size;
use super::stage::{Delivery, Setting, Stage, Tally};

/// The most patterns that the filter takes, in a document that says so many.
fn patterns() -> usize {
    first_accepted(&[60, 40, 20, 10, 5], |count| with_patterns(count, 0)).0
}

/// A series of large documents, bad ones and old ones among them.
fn replay(workers: u32, delivery: Delivery) {
    let patterns = patterns();
    let stage = Stage::start(Setting::new(workers, delivery), &with_patterns(patterns, 0));
    let (seen, mut tally) = stage.watched(|| {
        let mut all = Tally::default();
        for generation in 1..=size(16, 40) {
            let accepted = stage.update(&with_patterns(patterns, generation));
            let seen = stage.ask_without_token();
            println!("update {generation}, accepted {accepted}: {seen}");
            all.add(seen);
            if generation % 4 == 0 {
                assert!(
                    !stage.update(&bad(generation)),
                    "a bad document is accepted"
                );
                all.add(stage.ask_without_token());
                stage.update(&with_patterns(patterns, 1));
                all.add(stage.ask_without_token());
            }
        }
        all
    });
    tally.add(seen);
    stage.update(&guarded_as("small again"));
    stage.assert_shut(
        &format!("generations of {patterns} patterns, {workers} workers, {delivery:?}"),
        tally,
    );
}

#[test]
fn generations_of_patterns_by_lds() {
    replay(1, Delivery::Lds);
}

#[test]
fn generations_of_patterns_by_lds_on_three_workers() {
    replay(3, Delivery::Lds);
}

#[test]
fn generations_of_patterns_by_ecds() {
    replay(1, Delivery::Ecds);
}

#[test]
fn generations_of_patterns_by_ecds_on_three_workers() {
    replay(3, Delivery::Ecds);
}

/// How long a worker stands still while it takes a document up.
fn latency(patterns: usize) -> Duration {
    let stage = Stage::start(Setting::new(1, Delivery::Lds), &guarded_as("before"));
    let mut seen = Tally::default();
    for generation in 0..3 {
        let (_, tally) = stage.watched(|| {
            stage.update(&with_patterns(patterns, generation));
            stage.ask_without_token()
        });
        seen.add(tally);
    }
    println!("updates with {patterns} patterns: {seen}");
    let longest = seen.longest;
    stage.assert_shut("updates under load", seen);
    longest
}

#[test]
fn no_update_holds_a_worker() {
    let longest = latency(20);
    assert!(
        longest < Duration::from_millis(size(300, 150)),
        "{longest:?}"
    );
}

/// Processor time until Envoy is ready with a document.
fn start_of(document: &Value) -> (Stage, Duration) {
    let stage = Stage::start(Setting::new(1, Delivery::Lds), document);
    let took = stage.envoy.cpu_time().unwrap();
    (stage, took)
}

/// Envoy is ready with the most patterns that the filter takes nearly as soon as without any.
#[test]
fn many_patterns_do_not_keep_envoy_from_being_ready() {
    let (count, document) =
        first_accepted(&[150, 100, 60, 40, 20], |count| with_patterns(count, 0));
    let (_, plain) = start_of(&guarded_as("plain"));
    let (stage, took) = start_of(&document);
    println!("ready after {took:.1?} of processor time with {count} patterns, {plain:.1?} without");
    stage.assert_shut("many patterns", Tally::default());
    assert!(took < plain + Duration::from_secs(3), "{took:?}, {plain:?}");
}
