#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use super::*;
use crate::rate_limits::random::Random;

const SECOND: u64 = 1_000_000_000;

pub(super) fn windows() -> Vec<SlidingWindow> {
    let year = 366 * 24 * 3600 * SECOND;
    [
        (1, SECOND),
        (10, SECOND),
        (7, 60 * SECOND + 1),
        (100, SECOND / 1000),
        (3, year),
        (1_000_000_000, SECOND),
    ]
    .into_iter()
    .map(|(requests, per)| SlidingWindow::new(requests, per).unwrap())
    .collect()
}

#[test]
fn what_passes_now_passes_later() {
    let mut random = Random(3);
    for window in windows() {
        for _ in 0..2000 {
            let now = random.below(1 << 60);
            let later = now + random.below(window.per * 3);
            let count = Count {
                window: now / window.per,
                previous: random.below(window.requests() + 1) as u32,
                current: random.below(window.requests() + 1) as u32,
            };
            assert!(window.remaining(count, later) >= window.remaining(count, now));
            assert_eq!(
                window.remaining(count, now) > 0,
                window.spend(count, now, 1).is_ok()
            );
            let whole = now + window.resets_in(count, now);
            assert_eq!(window.remaining(count, whole), window.requests());
        }
    }
}

#[test]
fn a_clock_that_steps_back_gives_nothing_away() {
    let window = SlidingWindow::new(10, SECOND).unwrap();
    let now = 100 * SECOND;
    let mut count = Count::default();
    for _ in 0..10 {
        count = window.spend(count, now, 1).unwrap();
    }
    for back in [1, SECOND / 2, SECOND, 5 * SECOND, now] {
        let earlier = now - back;
        let settled = window.settle(count, earlier);
        assert!(window.spend(settled, earlier, 1).is_err(), "{back}");
        // And it is over after two windows at most, whichever way it went.
        let over = window.spend(settled, earlier + 2 * SECOND + back.min(SECOND), 1);
        assert!(over.is_ok(), "{back}");
    }
}

#[test]
fn the_ends_of_the_ranges_do_not_overflow() {
    assert_eq!(SlidingWindow::new(0, SECOND), None);
    assert_eq!(SlidingWindow::new(1, 999_999), None);
    assert_eq!(SlidingWindow::new(1_000_000_001, SECOND), None);
    assert_eq!(SlidingWindow::new(1, LONGEST + 1), None);
    let longest = SlidingWindow::new(1_000_000_000, LONGEST).unwrap();
    for window in windows().into_iter().chain([longest]) {
        for now in [0, 1, u64::MAX / 2, u64::MAX] {
            for number in [0, 1, now / window.per, u64::MAX] {
                for counted in [0, 1, u32::MAX] {
                    let count = Count {
                        window: number,
                        previous: counted,
                        current: counted,
                    };
                    for cost in [0, 1, u64::MAX] {
                        let _ = window.spend(count, now, cost);
                        let _ = window.charge(count, now, cost);
                        let _ = window.refund(count, number, now, cost);
                    }
                    assert!(window.remaining(count, now) <= window.requests());
                    let _ = window.resets_in(count, now);
                }
            }
        }
    }
}

#[test]
fn a_refund_is_as_if_nothing_had_been() {
    let mut random = Random(4);
    for window in windows() {
        for _ in 0..1000 {
            let now = random.below(1 << 60);
            let count = Count {
                window: now / window.per,
                previous: random.below(window.requests() + 1) as u32,
                current: random.below(window.requests() + 1) as u32,
            };
            let Ok(charged) = window.spend(count, now, 1) else {
                continue;
            };
            let later = now + random.below(window.per * 3);
            let back = window.refund(charged, charged.window, later, 1);
            assert_eq!(back, window.settle(count, later));
        }
    }
}
