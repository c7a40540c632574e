//! What holds for every algorithm of the list.

use std::collections::BTreeSet;

use super::{ALGORITHMS, LimitAlgorithm, State};
use crate::rate_limits::random::Random;

fn rules() -> Vec<LimitAlgorithm> {
    let samples = ALGORITHMS.iter().flat_map(|each| (each.samples)());
    samples.collect()
}

/// What one request takes to be made up for.
fn interval(rule: &LimitAlgorithm) -> u64 {
    rule.period() / rule.quota()
}

/// Times between requests: none, close together, far apart, and about as long as one takes.
fn step(random: &mut Random, rule: &LimitAlgorithm) -> u64 {
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

fn passes(rule: &LimitAlgorithm, state: State, now: u64, cost: u64) -> bool {
    rule.spend(state, now, cost).is_ok()
}

#[test]
fn algorithms_are_told_apart() {
    let ids = ALGORITHMS.iter().map(|each| {
        let samples = (each.samples)();
        assert!(samples.len() > 3, "{}", each.name);
        let ids: BTreeSet<u64> = samples.iter().map(|rule| rule.meaning()[0]).collect();
        assert_eq!(ids.len(), 1, "{}", each.name);
        ids.into_iter().next()
    });
    let ids: BTreeSet<Option<u64>> = ids.collect();
    assert_eq!(ids.len(), ALGORITHMS.len());
    let names: BTreeSet<&str> = super::names().collect();
    assert_eq!(names.len(), ALGORITHMS.len());
    // Two rules with the same meaning would share cells.
    let rules: Vec<LimitAlgorithm> = rules()
        .into_iter()
        .flat_map(|rule| [rule, rule.with_debt()])
        .collect();
    for one in &rules {
        for other in &rules {
            assert_eq!(one == other, one.meaning() == other.meaning());
        }
    }
}

/// States of a caller after some requests, and one that nobody of ours has written, as a cell has
/// them that was just read.
fn states(random: &mut Random, rule: &LimitAlgorithm, now: u64) -> Vec<State> {
    let mut state = rule.fresh(now);
    let mut states = vec![
        state,
        State([random.below(u64::MAX), random.below(u64::MAX)]),
    ];
    for _ in 0..3 {
        let cost = 1 + random.below(rule.quota().min(3));
        state = rule.charge(state, now, cost);
        states.push(state);
    }
    states
        .iter()
        .map(|state| rule.settle(*state, now))
        .collect()
}

#[test]
fn a_joined_state_gives_no_more_than_either() {
    let mut random = Random(3);
    for rule in rules() {
        for _ in 0..200 {
            let now = random.below(1 << 60);
            let states = states(&mut random, &rule, now);
            for one in &states {
                for other in &states {
                    let later = now + step(&mut random, &rule);
                    let joined = rule.merge(*one, *other, now);
                    let [joined, one, other] =
                        [joined, *one, *other].map(|state| rule.remaining(state, later));
                    assert!(joined <= one.min(other), "{rule:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_taken_back_at_once_was_never_there() {
    let mut random = Random(4);
    for rule in rules() {
        for _ in 0..500 {
            let now = random.below(1 << 60);
            for before in states(&mut random, &rule, now) {
                let cost = 1 + random.below(rule.quota().min(3));
                let Ok(after) = rule.spend(before, now, cost) else {
                    continue;
                };
                let back = rule.refund(after, rule.receipt(after), now, cost);
                assert_eq!(
                    rule.remaining(back, now),
                    rule.remaining(before, now),
                    "{rule:?}"
                );
            }
        }
    }
}

#[test]
fn whatever_was_read_is_over_in_time() {
    let mut random = Random(5);
    for rule in rules() {
        for _ in 0..500 {
            let now = random.below(1 << 60);
            for state in states(&mut random, &rule, now) {
                assert_eq!(rule.settle(state, now), state, "{rule:?}");
                let over = now + rule.resets_in(state, now);
                assert_eq!(rule.remaining(state, over), rule.quota(), "{rule:?}");
                assert!(rule.is_fresh(rule.fresh(now), now), "{rule:?}");
            }
        }
    }
}

/// An algorithm may have functions of its own for what most requests need, in less code.
#[test]
fn what_is_worked_out_in_one_go_is_what_its_parts_come_to() {
    let mut random = Random(9);
    let (mut charged, mut refused) = (0, 0);
    for rule in rules() {
        for round in 0..5000 {
            let now = random.below(1 << 60);
            let mut state = || {
                let spent = match random.below(6) {
                    0 => now,
                    1 => random.below(now),
                    2 => now + random.below(3 * rule.period()),
                    // As far ahead as is believed, and a little more.
                    3 => now + rule.period() + 1_000_000_000 - 2 + random.below(4),
                    4 => now + 3 * rule.period() + random.below(3_000_000_000),
                    _ => random.below(u64::MAX),
                };
                match rule.width() {
                    1 => State([spent, 0]),
                    _ => State([spent, random.below(1 << 40)]),
                }
            };
            let (floor, known) = (state(), state());
            let cost = match round % 4 {
                0 | 1 => 1,
                2 => random.below(rule.quota() + 2),
                _ => random.below(u64::MAX),
            };
            let reset = match rule.spend(known, now, cost) {
                Ok(after) if rule.turn(after, now) > 0 => rule.turn(after, now),
                Ok(_) => rule.resets_in(known, now),
                Err(wait) => wait,
            };
            let parts = (rule.remaining(known, now), reset);
            assert_eq!(rule.standing(known, now, cost), parts, "{rule:?} {known:?}");
            let stands = |state| rule.settle(state, now) == state;
            let is_fresh = rule.is_fresh(known, now);
            let before = match is_fresh {
                true => rule.merge(floor, rule.fresh(now), now),
                false => known,
            };
            let after = rule.spend(before, now, cost).ok();
            let after = after.filter(|_| stands(floor) && stands(known));
            let parts = after.map(|after| (after, is_fresh));
            let alone = rule.charge_alone(floor, known, now, cost);
            assert_eq!(alone, parts, "{rule:?} {floor:?} {known:?} {now} {cost}");
            match alone {
                Some(_) => charged += 1,
                None => refused += 1,
            }
        }
    }
    assert!(charged > 1000 && refused > 1000, "{charged} {refused}");
}
