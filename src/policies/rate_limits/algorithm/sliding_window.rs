//! A sliding window counter: two windows that stand still, and an estimate of the one between.
//!
//! Requests of the present window count in full, those of the one before by the part of it that
//! the sliding window still covers. The estimate takes them to be spread evenly. It may be wrong
//! about when they came, and the sum never is: in any time `t` no more than
//! `requests + requests × t / per` pass. Arithmetic is exact.

#![deny(clippy::arithmetic_side_effects)]

use std::cmp::Ordering;

use super::{Algorithm, LONGEST, Receipt, State, nanoseconds};
use portcullis_document::{Node, Problems};

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
        let usable = (1..=MOST).contains(&requests) && (SHORTEST..=LONGEST).contains(&per);
        usable.then_some(Self { requests, per })
    }

    /// How many requests pass in one window.
    pub fn requests(&self) -> u64 {
        self.requests.into()
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
    pub fn resets_in(&self, count: Count, now: u64) -> u64 {
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

impl Algorithm for SlidingWindow {
    const NAME: &'static str = "sliding_window";
    const ID: u64 = 2;
    const WIDTH: usize = 2;

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let requests = fields
            .required("requests", problems)
            .and_then(|node| node.integer(problems, 1..=1_000_000_000));
        let per_node = fields.required("per", problems);
        let per = per_node.as_ref().and_then(|node| node.duration(problems));
        fields.deny_unknown(problems);
        let window = Self::new(u32::try_from(requests?).ok()?, nanoseconds(per?));
        if let (None, Some(node)) = (window, per_node) {
            node.report(problems, "must not be 0");
        }
        window
    }

    /// Counts can be larger than what is allowed as they are.
    fn with_debt(self) -> Self {
        self
    }

    fn scale(&self) -> u64 {
        self.per
    }

    fn meaning(&self) -> [u64; 3] {
        [self.requests(), self.per, 0]
    }

    fn quota(&self) -> u64 {
        self.requests()
    }

    fn period(&self) -> u64 {
        self.per
    }

    fn fresh(&self, now: u64) -> State {
        packed(self.settle(Count::default(), now))
    }

    fn is_fresh(&self, state: State, now: u64) -> bool {
        let Count {
            window: _,
            previous,
            current,
        } = self.settle(unpacked(state), now);
        previous == 0 && current == 0
    }

    fn settle(&self, state: State, now: u64) -> State {
        packed(self.settle(unpacked(state), now))
    }

    fn spend(&self, state: State, now: u64, cost: u64) -> Result<State, u64> {
        self.spend(unpacked(state), now, cost).map(packed)
    }

    fn charge(&self, state: State, now: u64, cost: u64) -> State {
        packed(self.charge(unpacked(state), now, cost))
    }

    /// The window that was charged.
    fn receipt(&self, after: State) -> Receipt {
        Receipt(unpacked(after).window)
    }

    fn refund(&self, state: State, Receipt(window): Receipt, now: u64, cost: u64) -> State {
        packed(self.refund(unpacked(state), window, now, cost))
    }

    fn remaining(&self, state: State, now: u64) -> u64 {
        self.remaining(unpacked(state), now)
    }

    fn resets_in(&self, state: State, now: u64) -> u64 {
        self.resets_in(unpacked(state), now)
    }

    fn load(&self, state: State, now: u64) -> u128 {
        self.used(self.settle(unpacked(state), now), now)
    }

    fn merge(&self, one: State, other: State, now: u64) -> State {
        let (one, other) = (unpacked(one), unpacked(other));
        let (one, other) = (self.settle(one, now), self.settle(other, now));
        // If a clock stepped back, one may stand a window further: brought there, the other has
        // its own in both places, which is never too little.
        let both = |count: Count| count.current.max(count.previous);
        packed(match one.window.cmp(&other.window) {
            Ordering::Equal => Count {
                window: one.window,
                previous: one.previous.max(other.previous),
                current: one.current.max(other.current),
            },
            order => Count {
                window: one.window.max(other.window),
                previous: both(one).max(both(other)),
                current: if order.is_gt() {
                    one.current
                } else {
                    other.current
                },
            },
        })
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::windows()
    }
}

fn packed(count: Count) -> State {
    let counts = u64::from(count.previous).wrapping_shl(32) | u64::from(count.current);
    State([count.window, counts])
}

fn unpacked(State([window, counts]): State) -> Count {
    let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    Count {
        window,
        previous: half(counts.wrapping_shr(32)),
        current: half(counts),
    }
}

#[cfg(test)]
mod tests;
