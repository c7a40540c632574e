//! A sliding window counter: two windows that stand still, and an estimate of the one between.
//!
//! Requests of the present window count in full, those of the one before by the part of it that
//! the sliding window still covers. The estimate takes them to be spread evenly. It may be wrong
//! about when they came, and the sum never is: in any time `t` no more than
//! `requests + requests × t / per` pass. Arithmetic is exact.

#![deny(clippy::arithmetic_side_effects)]

/// `sliding_window: { requests, per }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    requests: u32,
    /// Nanoseconds.
    per: u64,
}

/// What is known of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The number of the window, counted from the beginning of the clock.
    pub window: u64,
    /// What was asked in the one before.
    pub previous: u32,
    /// What was asked in this one.
    pub current: u32,
}

impl SlidingWindow {
    /// None when there is nothing to count, or no time to count it in.
    pub fn new(requests: u32, per: u64) -> Option<Self> {
        const MOST: u32 = 1_000_000_000;
        const SHORTEST: u64 = 1_000_000;
        let usable =
            (1..=MOST).contains(&requests) && (SHORTEST..=super::gcra::LONGEST).contains(&per);
        usable.then_some(Self { requests, per })
    }

    /// How many requests pass in one window.
    pub fn requests(&self) -> u64 {
        self.requests.into()
    }

    /// How long a window is.
    pub fn per(&self) -> u64 {
        self.per
    }

    /// The count as it stands now. A clock that stepped back does not take a count back; one
    /// that stepped further than a window makes what was counted count from now.
    pub fn settle(&self, count: Count, now: u64) -> Count {
        let window = now.checked_div(self.per).unwrap_or(0);
        let most = self.requests.saturating_mul(2);
        let fresh = Count {
            window,
            ..Count::default()
        };
        let settled = match window.checked_sub(count.window) {
            Some(0) => count,
            Some(1) => Count {
                previous: count.current,
                ..fresh
            },
            Some(_) => fresh,
            None if count.window.checked_sub(window) == Some(1) => count,
            None => Count {
                current: count.current.max(count.previous),
                ..fresh
            },
        };
        Count {
            previous: settled.previous.min(most),
            current: settled.current.min(most),
            ..settled
        }
    }

    /// The count after a request of that cost.
    ///
    /// # Errors
    /// How long until it would pass.
    pub fn spend(&self, count: Count, now: u64, cost: u64) -> Result<Count, u64> {
        let count = self.settle(count, now);
        let (used, all) = (self.used(count, now), self.weight(self.requests()));
        if used.saturating_add(self.weight(cost)) <= all {
            return Ok(self.add(count, cost));
        }
        Err(self.wait(count, now, cost))
    }

    /// The count after a cost that is charged whether or not there is room for it.
    pub fn charge(&self, count: Count, now: u64, cost: u64) -> Count {
        let added = self.add(self.settle(count, now), cost);
        self.settle(added, now)
    }

    /// The count after a charge to a window has been taken back.
    pub fn refund(&self, count: Count, charged_window: u64, now: u64, cost: u64) -> Count {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let count = self.settle(count, now);
        match count.window.checked_sub(charged_window) {
            Some(0) => Count {
                current: count.current.saturating_sub(cost),
                ..count
            },
            Some(1) => Count {
                previous: count.previous.saturating_sub(cost),
                ..count
            },
            _ => count,
        }
    }

    /// How many requests would pass now.
    pub fn remaining(&self, count: Count, now: u64) -> u64 {
        let used = self.used(self.settle(count, now), now);
        let left = self.weight(self.requests()).saturating_sub(used);
        let whole = left.checked_div(self.per.into()).unwrap_or(0);
        u64::try_from(whole).unwrap_or(0)
    }

    /// What the sliding window has in it, in requests × nanoseconds.
    pub fn used(&self, count: Count, now: u64) -> u128 {
        let covered = self.per.saturating_sub(self.elapsed(count, now));
        let previous = u128::from(count.previous).saturating_mul(covered.into());
        previous.saturating_add(self.weight(count.current.into()))
    }

    /// How long until nothing that was counted counts any more.
    pub fn whole_in(&self, count: Count, now: u64) -> u64 {
        let count = self.settle(count, now);
        let left = self.left(count, now);
        match (count.previous, count.current) {
            (0, 0) => 0,
            (_, 0) => left,
            _ => left.saturating_add(self.per),
        }
    }

    /// The time from the window's beginning; none of it if the clock stepped back behind that.
    fn elapsed(&self, count: Count, now: u64) -> u64 {
        now.saturating_sub(count.window.saturating_mul(self.per))
    }

    /// The time from now to the window's end.
    fn left(&self, count: Count, now: u64) -> u64 {
        let end = count.window.saturating_add(1).saturating_mul(self.per);
        end.saturating_sub(now)
    }

    fn weight(&self, requests: u64) -> u128 {
        u128::from(requests).saturating_mul(self.per.into())
    }

    fn add(&self, count: Count, cost: u64) -> Count {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        Count {
            current: count.current.saturating_add(cost),
            ..count
        }
    }

    /// A request that does not pass in `count` passes first when enough of the window before has
    /// gone by: in this window, or, with what this one has, in the next.
    fn wait(&self, count: Count, now: u64, cost: u64) -> u64 {
        let room = self.requests().saturating_sub(cost);
        if let Some(room) = room.checked_sub(count.current.into()) {
            let end = self.left(count, now);
            return end.saturating_sub(self.covered(room, count.previous));
        }
        let end = self.left(count, now).saturating_add(self.per);
        end.saturating_sub(self.covered(room, count.current))
    }

    /// How much of a window with `requests` in it may still be covered if no more than `room` of
    /// them may count.
    fn covered(&self, room: u64, requests: u32) -> u64 {
        let covered = self.weight(room).checked_div(requests.into());
        let covered = covered.unwrap_or(self.per.into());
        u64::try_from(covered).unwrap_or(u64::MAX).min(self.per)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, as it should"
    )]

    use super::super::gcra::LONGEST;
    use super::super::random::Random;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn windows() -> Vec<SlidingWindow> {
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
                let whole = now + window.whole_in(count, now);
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
                        let _ = window.whole_in(count, now);
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
}
