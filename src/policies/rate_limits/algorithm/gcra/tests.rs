#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use super::*;
use crate::rate_limits::random::Random;

const SECOND: u64 = 1_000_000_000;

pub(super) fn buckets() -> Vec<Gcra> {
    let year = 366 * 24 * 3600 * SECOND;
    [
        (1, 1, SECOND),
        (10, 3, SECOND),
        (100, 7, 60 * SECOND),
        (1, 1, year),
        (4, 1, year),
        (5, 1_000_000, SECOND),
        (1_000_000, 999_983, SECOND),
        (7, 100, SECOND / 20),
    ]
    .into_iter()
    .map(|(max, fill, interval)| Gcra::new(max, fill, interval).unwrap())
    .collect()
}

/// Times at which a caller may come: close together, far apart, and at the end of the range.
fn step(random: &mut Random, bucket: &Gcra) -> u64 {
    match random.below(6) {
        0 => 0,
        1 => random.below(1000),
        2 => random.below(bucket.interval * 2),
        3 => random.below(bucket.span + 2),
        4 => bucket.interval,
        _ => bucket.interval / 3,
    }
}

/// A bucket that counts in fractions of a token and knows no rounding: `level` in
/// nanoseconds of filling.
struct Exact {
    level: u64,
    at: u64,
}

#[test]
fn it_is_a_bucket() {
    let mut random = Random(1);
    for bucket in buckets() {
        for _ in 0..200 {
            let mut now = random.below(1 << 60);
            let mut spent = random.below(2) * now;
            let mut exact = Exact {
                level: bucket.span,
                at: now,
            };
            for _ in 0..100 {
                now += step(&mut random, &bucket);
                let cost = 1 + random.below(bucket.max_tokens.min(4));
                exact.level = bucket.span.min(exact.level + (now - exact.at));
                exact.at = now;
                let price = bucket.interval * cost;
                let expected = exact.level >= price;
                assert_eq!(bucket.remaining(spent, now), exact.level / bucket.interval);
                match bucket.spend(spent, now, cost) {
                    Ok(after) => {
                        assert!(expected);
                        exact.level -= price;
                        spent = after;
                    }
                    Err(wait) => {
                        assert!(!expected);
                        assert_eq!(wait, price - exact.level);
                    }
                }
            }
        }
    }
}

#[test]
fn what_passes_now_passes_later() {
    let mut random = Random(4);
    for bucket in buckets() {
        for _ in 0..1000 {
            let now = random.below(1 << 60);
            let later = now + random.below(bucket.span * 2);
            let spent = now + random.below(bucket.span + 1);
            if bucket.spend(spent, now, 1).is_ok() {
                assert!(bucket.spend(spent, later, 1).is_ok());
            }
            assert!(bucket.remaining(spent, later) >= bucket.remaining(spent, now));
        }
    }
}

#[test]
fn a_clock_that_steps_back_gives_nothing_away() {
    let mut random = Random(5);
    for bucket in buckets() {
        let mut now = 1 << 62;
        let (mut spent, mut forward, mut admitted) = (0, 0_u64, 0);
        for _ in 0..300 {
            if random.below(8) == 0 {
                now -= random.below(bucket.span + bucket.interval);
            } else {
                let step = step(&mut random, &bucket);
                now += step;
                forward += step;
            }
            spent = bucket.settle(spent, now);
            if let Ok(after) = bucket.spend(spent, now, 1) {
                spent = after;
                admitted += 1;
            }
            // What the clock runs through twice is filled twice, and no more.
            assert!(admitted <= bucket.max_tokens + forward / bucket.interval);
        }
        // Back by more than a bucket: empty, and no emptier.
        let earlier = now / 2;
        let wait = bucket.spend(bucket.settle(now + bucket.span, earlier), earlier, 1);
        assert_eq!(wait, Err(bucket.interval));
    }
}

#[test]
fn a_worker_that_is_late_gives_nothing_away() {
    for bucket in buckets().into_iter().flat_map(|b| [b, b.with_debt()]) {
        let now = 1 << 60;
        // Others have just emptied it.
        let spent = now + bucket.span;
        for late in [1, 1000, 1_000_000, LATE] {
            let seen = now - late;
            assert_eq!(bucket.settle(spent, seen), spent);
            assert_eq!(bucket.remaining(spent, seen), 0);
            assert!(bucket.spend(spent, seen, 1).is_err());
            assert!(bucket.charge(spent, seen, 1) >= spent);
        }
    }
}

#[test]
fn the_ends_of_the_ranges_do_not_overflow() {
    for bucket in buckets().into_iter().flat_map(|b| [b, b.with_debt()]) {
        for now in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            for spent in [0, 1, now, u64::MAX] {
                for cost in [0, 1, bucket.max_tokens, u64::MAX] {
                    let _ = bucket.spend(spent, now, cost);
                    let _ = bucket.charge(spent, now, cost);
                    let _ = bucket.refund(spent, now, now, cost);
                    assert!(bucket.remaining(spent, now) <= bucket.max_tokens);
                }
            }
        }
    }
}

#[test]
fn numbers_without_a_bucket_are_refused() {
    assert_eq!(Gcra::new(1, 0, SECOND), Err(BucketError::TooFast));
    assert_eq!(
        Gcra::new(1, 1_000_001, SECOND / 2),
        Err(BucketError::TooFast)
    );
    // A token in a microsecond and no more, however it is rounded.
    let millisecond = SECOND / 1000;
    assert!(Gcra::new(1, 1000, millisecond).is_ok());
    for more in [1001, 1500, u64::MAX] {
        assert_eq!(Gcra::new(1, more, millisecond), Err(BucketError::TooFast));
    }
    assert_eq!(Gcra::new(u64::MAX, 1, SECOND), Err(BucketError::TooSlow));
    assert_eq!(Gcra::new(2, 1, LONGEST), Err(BucketError::TooSlow));
    assert!(Gcra::new(1, 1, LONGEST).is_ok());
    // Three tokens a second: a third of a second, and a third of a nanosecond more.
    assert_eq!(Gcra::new(1, 3, SECOND).unwrap().interval, 333_333_334);
}

#[test]
fn a_refund_leaves_no_more_than_there_would_be() {
    let mut random = Random(6);
    for bucket in buckets() {
        for _ in 0..2000 {
            let now = random.below(1 << 60);
            let cost = 1 + random.below(bucket.max_tokens.min(3));
            let spent = now.saturating_sub(bucket.span) + random.below(bucket.span * 2 + 1);
            let Ok(charged) = bucket.spend(spent, now, cost) else {
                continue;
            };
            // At once: as if nothing had been.
            let back = bucket.refund(charged, charged, now, cost);
            assert_eq!(back.max(now), spent.max(now));
            // While the bucket would not have been full either, all of it.
            if spent > now {
                let back = bucket.refund(charged, charged, spent, cost);
                assert_eq!(back, spent);
            }
            // Later, and others came between: no more than if nothing had been.
            let between = now + random.below(bucket.interval * 2);
            let later = between + random.below(bucket.interval * 2);
            let with = bucket.spend(charged, between, 1);
            let without = bucket.spend(spent, between, 1).unwrap_or(spent);
            let Ok(with) = with else { continue };
            let back = bucket.refund(with, charged, later, cost);
            assert!(bucket.remaining(back, later) <= bucket.remaining(without, later));
        }
    }
}

/// Three requests at a time, each of which gets all back a while later: a bucket that others keep
/// half empty fills as if they had never come.
#[test]
fn what_is_given_back_empties_nothing() {
    let bucket = Gcra::new(10, 1, 180 * SECOND).unwrap();
    let begin = 1 << 60;
    let kept = bucket.spend(0, begin, 5).unwrap();
    let (mut spent, mut now) = (kept, begin);
    for _ in 0..1000 {
        let mut charged = Vec::new();
        for _ in 0..3 {
            spent = bucket.spend(spent, now, 1).unwrap();
            charged.push(spent);
        }
        now += SECOND / 3;
        for each in charged {
            spent = bucket.refund(spent, each, now, 1);
        }
    }
    assert_eq!(spent, kept);
}

/// One request at a time is on its way while others pass: whatever is given back, no more pass in
/// any time than if those that gave back had never come.
#[test]
fn what_is_given_back_is_there_once() {
    let mut random = Random(7);
    for bucket in buckets() {
        for _ in 0..200 {
            let mut now = 1 << 59;
            let (mut spent, mut passed) = (0, Vec::new());
            let mut on_its_way = None;
            for _ in 0..60 {
                now += step(&mut random, &bucket);
                match on_its_way.take() {
                    Some((charged, cost)) if random.below(2) == 0 => {
                        spent = bucket.refund(spent, charged, now, cost);
                    }
                    before => on_its_way = before,
                }
                let cost = 1 + random.below(bucket.max_tokens.min(3));
                let Ok(charged) = bucket.spend(spent, now, cost) else {
                    continue;
                };
                spent = charged;
                if on_its_way.is_none() && random.below(2) == 0 {
                    on_its_way = Some((charged, cost));
                } else {
                    passed.push((now, cost));
                }
            }
            for (first, (from, _)) in passed.iter().enumerate() {
                let mut total = 0;
                for (until, cost) in &passed[first..] {
                    total += cost * bucket.interval;
                    assert!(total <= bucket.span + (until - from), "{bucket:?}");
                }
            }
        }
    }
}

#[test]
fn debt_is_paid_before_anything_passes() {
    let bucket = Gcra::new(10, 1, SECOND).unwrap().with_debt();
    let owing = bucket.charge(0, 100 * SECOND, 15);
    assert_eq!(owing, 115 * SECOND);
    assert_eq!(bucket.remaining(owing, 100 * SECOND), 0);
    assert_eq!(bucket.spend(owing, 100 * SECOND, 1), Err(6 * SECOND));
    let most = bucket.charge(owing, 100 * SECOND, 1000);
    assert_eq!(most, 120 * SECOND);
}
