//! As much passes as a limit says: never more, in any window, and no less while it is asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::envoy::Update;
use serde_json::{Value, json};

use super::bundle::Bundle;
use super::{Proxy, limited};

/// Requests that were sent at one moment and answered by another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    sent: Duration,
    answered: Duration,
    passed: u64,
    refused: u64,
    pub(crate) other: u64,
}

// A busy machine, on which a fraction of what is usual gets through, still asks for more.
const BURST: f64 = 500.0;
const RATE: f64 = 500.0;
const CLIENTS: usize = 4;
const LASTING: Duration = Duration::from_secs(4);

pub(crate) fn limits(more: &Value) -> Value {
    let mut limits = json!([{
        "name": "all",
        "key": [],
        "token_bucket": { "max_tokens": BURST as u64, "tokens_per_fill": RATE as u64, "fill_interval": "1s" },
    }]);
    for limit in more.as_array().unwrap() {
        limits.as_array_mut().unwrap().push(limit.clone());
    }
    limits
}

/// Keeps a proxy busy from several connections, while `meanwhile` runs.
pub(crate) fn load(proxy: &Proxy, meanwhile: impl FnOnce(&Proxy)) -> Vec<Batch> {
    let (start, stop) = (Instant::now(), AtomicBool::new(false));
    let client = |number: usize| {
        let mut bundle = Bundle::open(proxy.addr).unwrap();
        let keys: Vec<String> = (0..16).map(|each| format!("{number}-{each}")).collect();
        let mut batches = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let sent = start.elapsed();
            let statuses = bundle.ask(&keys).unwrap();
            let count = |wanted| statuses.iter().filter(|status| **status == wanted).count() as u64;
            // A replaced listener lets its connections go; what was on its way is lost.
            let (passed, refused, lost) = (count(200), count(429), count(0));
            batches.push(Batch {
                sent,
                answered: start.elapsed(),
                passed,
                refused,
                other: statuses.len() as u64 - passed - refused - lost,
            });
        }
        batches
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        meanwhile(proxy);
        // What passes in that time is what is tested.
        thread::sleep(LASTING.saturating_sub(start.elapsed()));
        stop.store(true, Ordering::Relaxed);
        let batches = clients.into_iter().map(|client| client.join().unwrap());
        batches.flatten().collect()
    })
}

/// What passed of the batches that were sent and answered in a window is what the limit let pass
/// in it, at most.
pub(crate) fn assert_never_more(batches: &[Batch]) {
    let last = batches.iter().map(|batch| batch.answered).max().unwrap();
    let grid: Vec<Duration> = (0..=40).map(|step| last * step / 40).collect();
    for (index, from) in grid.iter().enumerate() {
        for until in &grid[index + 1..] {
            let within = batches
                .iter()
                .filter(|batch| batch.sent >= *from && batch.answered <= *until);
            let passed: u64 = within.map(|batch| batch.passed).sum();
            let most = BURST + RATE * (*until - *from).as_secs_f64();
            assert!(
                passed as f64 <= most,
                "{passed} of {most} in {from:?}..{until:?}"
            );
        }
    }
}

/// When a request is refused there is no token: all that came until then has been given out.
fn assert_no_less(batches: &[Batch]) -> f64 {
    let begin = batches.iter().map(|batch| batch.answered).min().unwrap();
    let refused = batches.iter().filter(|batch| batch.refused > 0);
    let last = refused.map(|batch| batch.sent).max();
    let last = last.expect("there was more demand than the limit lets pass");
    let until = batches.iter().filter(|batch| batch.sent <= last);
    let passed: u64 = until.map(|batch| batch.passed).sum();
    let expected = BURST + RATE * last.saturating_sub(begin).as_secs_f64();
    let share = passed as f64 / expected;
    assert!(share >= 0.99, "{passed} of {expected}");
    share
}

fn is_exact_with(workers: u32) {
    let proxy = Proxy::start(workers, &limits(&json!([])));
    let batches = load(&proxy, |_| {});
    assert_never_more(&batches);
    let share = assert_no_less(&batches);
    let sum = |part: fn(&Batch) -> u64| batches.iter().map(part).sum::<u64>();
    assert_eq!(sum(|batch| batch.other), 0, "something else was answered");
    assert_eq!(proxy.stat("contended"), 0);
    println!(
        "{workers} workers: {} passed, {} refused, share {share:.4}",
        sum(|batch| batch.passed),
        sum(|batch| batch.refused)
    );
}

#[test]
fn one_worker_is_exact() {
    is_exact_with(1);
}

#[test]
fn two_workers_are_exact() {
    is_exact_with(2);
}

#[test]
fn four_workers_are_exact() {
    is_exact_with(4);
}

#[test]
fn a_new_document_under_load_gives_nothing_away() {
    let proxy = Proxy::start_alone(2, &limits(&json!([])));
    let batches = load(&proxy, |proxy| {
        for round in 0..3 {
            let more = json!([{
                "name": format!("more-{round}"),
                "key": [{ "header": "x-key" }],
                "token_bucket": { "max_tokens": 1_000_000, "tokens_per_fill": 100_000, "fill_interval": "1s" },
            }]);
            let update = proxy.envoy.update_listeners(&[limited(&limits(&more))]);
            assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
        }
    });
    assert_never_more(&batches);
    let other: u64 = batches.iter().map(|batch| batch.other).sum();
    assert_eq!(other, 0, "something else was answered");
}
