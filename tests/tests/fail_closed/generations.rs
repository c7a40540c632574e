//! Updates, one after the other, that leave older generations behind.

use std::sync::OnceLock;

use super::documents::{
    bad, first_accepted, guarded_as, with_enum, with_patterns, with_published_api, with_routes,
    with_schemas,
};
use super::size;
use super::stage::{Delivery, Setting, Stage, Tally};

/// The most patterns that the filter takes, in a document that says so many.
fn patterns() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| first_accepted(&[60, 40, 20, 10, 5], |count| with_patterns(count, 0)).0)
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

/// The longest that a request took while the largest documents were taken up is printed.
#[test]
fn updates_under_load() {
    let stage = Stage::start(Setting::new(1, Delivery::Lds), &guarded_as("before"));
    let mut seen = Tally::default();
    for (name, document) in [
        ("20 patterns", with_patterns(20, 0)),
        ("150 patterns", with_patterns(150, 1)),
        (
            "300 schemas",
            first_accepted(&[300, 250, 200], |count| with_schemas(count, 0)).1,
        ),
        ("an enum", first_accepted(&[95_000, 50_000], with_enum).1),
        (
            "routes",
            first_accepted(&[5_500, 4_000, 2_000], with_routes).1,
        ),
        ("a published API", with_published_api()),
    ] {
        let (_, tally) = stage.watched(|| {
            assert!(stage.update(&document), "{name} is refused");
            stage.ask_without_token()
        });
        println!("{name}, {} bytes: {tally}", document.to_string().len());
        seen.add(tally);
        stage.update(&guarded_as(name));
    }
    stage.assert_shut("updates under load", seen);
}

/// How soon Envoy is ready with many patterns is printed.
#[test]
fn many_patterns_do_not_keep_envoy_from_being_ready() {
    let (count, document) =
        first_accepted(&[150, 100, 60, 40, 20], |count| with_patterns(count, 0));
    let begun = std::time::Instant::now();
    let stage = Stage::start(Setting::new(1, Delivery::Lds), &document);
    let ready = begun.elapsed();
    println!("ready with {count} patterns after {ready:.1?}");
    stage.assert_shut("many patterns", Tally::default());
}
