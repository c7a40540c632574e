//! The two ways to count, as one.

#![deny(clippy::arithmetic_side_effects)]

use super::gcra::Gcra;
use super::sliding_window::{Count, SlidingWindow};

/// How requests are counted, and how many pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `token_bucket`
    TokenBucket(Gcra),
    /// `sliding_window`
    SlidingWindow(SlidingWindow),
}

/// What is known of one caller: numbers that mean something to one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State(pub [u64; 2]);

/// What it takes to take a charge back: what it led to, or when it was made, in the rule's own
/// measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt(u64);

impl Rule {
    /// How many numbers of a [`State`] it uses.
    pub fn width(&self) -> usize {
        match self {
            Rule::TokenBucket(_) => 1,
            Rule::SlidingWindow(_) => 2,
        }
    }

    /// What its states cannot be read without.
    pub fn scale(&self) -> u64 {
        match self {
            Rule::TokenBucket(_) => 0,
            Rule::SlidingWindow(window) => window.per(),
        }
    }

    /// All that it is, in numbers: two rules with the same read a state alike.
    pub fn meaning(&self) -> [u64; 4] {
        match self {
            Rule::TokenBucket(bucket) => {
                let [interval, max_tokens, debt] = bucket.meaning();
                [1, interval, max_tokens, debt]
            }
            Rule::SlidingWindow(window) => [2, window.requests(), window.per(), 0],
        }
    }

    /// The most that passes at once.
    pub fn quota(&self) -> u64 {
        match self {
            Rule::TokenBucket(bucket) => bucket.max_tokens(),
            Rule::SlidingWindow(window) => window.requests(),
        }
    }

    /// The time in which so much passes.
    pub fn period(&self) -> u64 {
        match self {
            Rule::TokenBucket(bucket) => bucket.span(),
            Rule::SlidingWindow(window) => window.per(),
        }
    }

    /// The state of somebody who has not asked for anything.
    pub fn fresh(&self, now: u64) -> State {
        match self {
            Rule::TokenBucket(_) => State([now, 0]),
            Rule::SlidingWindow(window) => packed(window.settle(Count::default(), now)),
        }
    }

    /// Whether a state is as good as none.
    pub fn is_fresh(&self, state: State, now: u64) -> bool {
        match (self, state) {
            (Rule::TokenBucket(_), State([spent, _])) => spent <= now,
            (Rule::SlidingWindow(window), state) => {
                let Count {
                    window: _,
                    previous,
                    current,
                } = window.settle(unpacked(state), now);
                previous == 0 && current == 0
            }
        }
    }

    /// The state as it is to be believed now.
    pub fn settle(&self, state: State, now: u64) -> State {
        match (self, state) {
            (Rule::TokenBucket(bucket), State([spent, _])) => State([bucket.settle(spent, now), 0]),
            (Rule::SlidingWindow(window), state) => packed(window.settle(unpacked(state), now)),
        }
    }

    /// The state after a request.
    ///
    /// # Errors
    /// How long until it would pass, in nanoseconds.
    pub fn spend(&self, state: State, now: u64, cost: u64) -> Result<State, u64> {
        match (self, state) {
            (Rule::TokenBucket(bucket), State([spent, _])) => bucket
                .spend(spent, now, cost)
                .map(|after| State([after, 0])),
            (Rule::SlidingWindow(window), state) => {
                window.spend(unpacked(state), now, cost).map(packed)
            }
        }
    }

    /// The state after a cost that is charged in any case.
    pub fn charge(&self, state: State, now: u64, cost: u64) -> State {
        match (self, state) {
            (Rule::TokenBucket(bucket), State([spent, _])) => {
                State([bucket.charge(spent, now, cost), 0])
            }
            (Rule::SlidingWindow(window), state) => {
                packed(window.charge(unpacked(state), now, cost))
            }
        }
    }

    /// What to keep of a charge that led to this state.
    pub fn receipt(&self, after: State) -> Receipt {
        match self {
            Rule::TokenBucket(_) => {
                let State([spent, _]) = after;
                Receipt(spent)
            }
            Rule::SlidingWindow(_) => Receipt(unpacked(after).window),
        }
    }

    /// The state after so much of a charge has been taken back.
    pub fn refund(&self, state: State, Receipt(when): Receipt, now: u64, cost: u64) -> State {
        match (self, state) {
            (Rule::TokenBucket(bucket), State([spent, _])) => {
                State([bucket.refund(spent, when, now, cost), 0])
            }
            (Rule::SlidingWindow(window), state) => {
                packed(window.refund(unpacked(state), when, now, cost))
            }
        }
    }

    /// How much passes now.
    pub fn remaining(&self, state: State, now: u64) -> u64 {
        match (self, state) {
            (Rule::TokenBucket(bucket), State([spent, _])) => bucket.remaining(spent, now),
            (Rule::SlidingWindow(window), state) => window.remaining(unpacked(state), now),
        }
    }

    /// How long until all of it would pass again, in nanoseconds.
    pub fn whole_in(&self, state: State, now: u64) -> u64 {
        match (self, state) {
            (Rule::TokenBucket(bucket), State([spent, _])) => {
                bucket.settle(spent, now).saturating_sub(now)
            }
            (Rule::SlidingWindow(window), state) => window.whole_in(unpacked(state), now),
        }
    }

    /// How much has been used, to compare callers by.
    pub fn load(&self, state: State, now: u64) -> u128 {
        match (self, state) {
            (Rule::TokenBucket(_), State([spent, _])) => spent.into(),
            (Rule::SlidingWindow(window), state) => {
                window.used(window.settle(unpacked(state), now), now)
            }
        }
    }

    /// A state in which at no time more passes than in either.
    pub fn join(&self, one: State, other: State, now: u64) -> State {
        match (self, one, other) {
            (Rule::TokenBucket(_), State([one, _]), State([other, _])) => {
                State([one.max(other), 0])
            }
            (Rule::SlidingWindow(window), one, other) => {
                let (one, other) = (unpacked(one), unpacked(other));
                let (one, other) = (window.settle(one, now), window.settle(other, now));
                // If a clock stepped back, one may stand a window further: brought there, the
                // other has its own in both places, which is never too little.
                let both = |count: Count| count.current.max(count.previous);
                match one.window.cmp(&other.window) {
                    std::cmp::Ordering::Equal => packed(Count {
                        window: one.window,
                        previous: one.previous.max(other.previous),
                        current: one.current.max(other.current),
                    }),
                    order => packed(Count {
                        window: one.window.max(other.window),
                        previous: both(one).max(both(other)),
                        current: if order.is_gt() {
                            one.current
                        } else {
                            other.current
                        },
                    }),
                }
            }
        }
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
