//! What holds for every rule.

use super::gcra::Gcra;
use super::random::Random;
use super::rule::{Rule, State};
use super::sliding_window::SlidingWindow;

const SECOND: u64 = 1_000_000_000;

fn rules() -> Vec<Rule> {
    let year = 366 * 24 * 3600 * SECOND;
    let buckets = [
        (1, 1, SECOND),
        (10, 3, SECOND),
        (100, 7, 60 * SECOND),
        (1, 1, year),
        (4, 1, year),
        (5, 1_000_000, SECOND),
        (1_000_000, 999_983, SECOND),
        (7, 100, SECOND / 20),
    ];
    let windows = [
        (1, SECOND),
        (10, SECOND),
        (7, 60 * SECOND + 1),
        (100, SECOND / 1000),
        (3, year),
        (1_000_000_000, SECOND),
    ];
    let bucket = |(max, fill, interval)| Gcra::new(max, fill, interval).map(Rule::TokenBucket);
    let window = |(requests, per)| SlidingWindow::new(requests, per).map(Rule::SlidingWindow);
    let buckets = buckets.map(|numbers| bucket(numbers).unwrap());
    let windows = windows.map(|numbers| window(numbers).unwrap());
    buckets.into_iter().chain(windows).collect()
}

/// What one request takes to be made up for.
fn interval(rule: &Rule) -> u64 {
    rule.period() / rule.quota()
}

/// Times between requests: none, close together, far apart, and about as long as one takes.
fn step(random: &mut Random, rule: &Rule) -> u64 {
    match random.below(7) {
        0 => 0,
        1 => random.below(1000),
        2 => random.below(interval(rule) * 2 + 2),
        3 => random.below(rule.period() + 2),
        4 => random.below(3 * rule.period()),
        5 => interval(rule),
        _ => interval(rule) / 3,
    }
}

#[test]
fn never_more_than_burst_and_rate_in_any_window() {
    let mut random = Random(1);
    for rule in rules() {
        for _ in 0..50 {
            let mut now = random.below(1 << 60);
            let (mut state, mut admitted) = (rule.fresh(now), Vec::new());
            for _ in 0..200 {
                now += step(&mut random, &rule);
                let cost = 1 + random.below(rule.quota().min(3));
                if let Ok(after) = rule.spend(state, now, cost) {
                    state = after;
                    admitted.push((now, cost));
                }
            }
            assert!(!admitted.is_empty());
            let (quota, period) = (u128::from(rule.quota()), u128::from(rule.period()));
            for (first, (from, _)) in admitted.iter().enumerate() {
                let mut total = 0;
                for (until, cost) in &admitted[first..] {
                    total += u128::from(*cost);
                    let filled = quota * u128::from(until - from) / period;
                    assert!(total <= quota + filled, "{rule:?}");
                }
            }
        }
    }
}

#[test]
fn the_named_wait_is_exact() {
    let mut random = Random(2);
    for rule in rules() {
        let mut refused = 0;
        for _ in 0..3000 {
            let mut now = random.below(1 << 60);
            let mut state = rule.fresh(now);
            for _ in 0..4 {
                let cost = 1 + random.below(rule.quota());
                state = rule.spend(state, now, cost).unwrap_or(state);
                now += random.below(rule.period() / 2);
            }
            let cost = 1 + random.below(rule.quota());
            if let Err(wait) = rule.spend(state, now, cost) {
                refused += 1;
                assert!(wait > 0);
                assert!(passes(&rule, state, now + wait, cost), "{rule:?}");
                assert!(!passes(&rule, state, now + wait - 1, cost), "{rule:?}");
            }
        }
        assert!(refused > 100, "{rule:?}: {refused}");
    }
}

fn passes(rule: &Rule, state: State, now: u64, cost: u64) -> bool {
    rule.spend(state, now, cost).is_ok()
}
