//! Updates, one after the other, that leave older generations behind.

use std::time::Duration;

use super::documents::{bad, guarded_as, with_patterns};
use super::size;
use super::stage::{Delivery, Setting, Stage, Tally};

/// Patterns in each document of the series.
fn patterns() -> usize {
    size(20, 60)
}

/// A series of large documents, bad ones and old ones among them.
fn replay(workers: u32, delivery: Delivery) {
    let stage = Stage::start(Setting::new(workers, delivery), &with_patterns(patterns(), 0));
    let (opened, mut tally) = stage.watched(|| {
        let mut opened = Vec::new();
        for generation in 1..=size(6, 16) {
            let accepted = stage.update(&with_patterns(patterns(), generation));
            let seen = stage.ask_without_token();
            println!("update {generation}, accepted {accepted}: {seen}");
            if generation % 4 == 0 {
                assert!(!stage.update(&bad(generation)), "a bad document is accepted");
                stage.update(&with_patterns(patterns(), 1));
            }
            opened.push(seen);
        }
        opened
    });
    for seen in opened {
        tally.add(seen);
    }
    stage.update(&guarded_as("small again"));
    stage.assert_shut(&format!("generations, {workers} workers, {delivery:?}"), tally);
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
    assert!(longest < Duration::from_millis(size(300, 150)), "{longest:?}");
}

/// Envoy is ready soon with the most patterns that the filter takes.
#[test]
fn many_patterns_do_not_keep_envoy_from_being_ready() {
    let begun = std::time::Instant::now();
    let (count, document) = super::documents::first_accepted(&[150, 100, 60, 40, 20], |count| with_patterns(count, 0));
    let stage = Stage::start(Setting::new(1, Delivery::Lds), &document);
    println!("ready with {count} patterns after {:.1?}", begun.elapsed());
    stage.assert_shut("many patterns", Tally::default());
    assert!(begun.elapsed() < Duration::from_secs(10));
}
