//! A token bucket without a timer: the generic cell rate algorithm.
//!
//! All that is known of a caller is one time, until which it has spent: that of the moment when
//! its bucket will be full again. A request moves it on by what its tokens take to be filled; it
//! passes if the bucket can still be that empty. Times are nanoseconds on a clock that all
//! workers share.
//!
//! Where requests wait for their turn, the bucket can be further than empty: a request moves the time on when it
//! comes, and goes on when the bucket has caught up. So turns are taken in the order in which requests came, by all
//! workers together; nobody who comes later goes before one who waits; and those who wait are what the
//! time is ahead, so that nothing has to be counted, or to be given back by a worker that is gone.
//!
//! INVARIANT: in any time, turns come up for no more than `max_tokens` and what is filled meanwhile. A turn that
//! nobody takes any more is given back if it is the last, which leaves the time as it was before. Any
//! other is lost: those behind it have theirs, and one more in its place would be one too many.

#![deny(clippy::arithmetic_side_effects)]

use super::{Algorithm, LONGEST, Receipt, State, nanoseconds};
use portcullis_document::{Node, Problems};

/// `token_bucket: { max_tokens, tokens_per_fill, fill_interval }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    /// What one token takes to be filled, rounded up: never more tokens than were promised.
    interval: u64,
    max_tokens: u64,
    /// What the whole bucket takes.
    span: u64,
    /// How much further than empty a bucket can be, when costs become known afterwards.
    debt: u64,
    /// How long requests wait for their turn, at most.
    delay: u64,
}

/// Why no bucket has these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketError {
    /// A token in less than a microsecond: rounding would no longer be negligible.
    TooFast,
    /// Filling it takes longer than [`LONGEST`].
    TooSlow,
}

/// The longest that a worker is held up between a look at the clock and one at a cell, for all
/// that matters here: a second.
const LATE: u64 = 1_000_000_000;

/// The shortest time that a token may take.
const SHORTEST: u64 = 1_000;

impl Gcra {
    /// A bucket that holds `max_tokens` and gets `tokens_per_fill` in each `fill_interval`,
    /// evenly.
    ///
    /// # Errors
    /// [`BucketError`].
    pub fn new(
        max_tokens: u64,
        tokens_per_fill: u64,
        fill_interval: u64,
    ) -> Result<Self, BucketError> {
        // As it is written, before anything is rounded.
        if fill_interval < tokens_per_fill.saturating_mul(SHORTEST) {
            return Err(BucketError::TooFast);
        }
        let interval = fill_interval
            .checked_div(tokens_per_fill)
            .ok_or(BucketError::TooFast)?;
        let is_exact = interval.checked_mul(tokens_per_fill) == Some(fill_interval);
        let interval = if is_exact {
            interval
        } else {
            interval.saturating_add(1)
        };
        let span = interval
            .checked_mul(max_tokens)
            .filter(|span| *span <= LONGEST)
            .ok_or(BucketError::TooSlow)?;
        Ok(Self {
            interval,
            max_tokens,
            span,
            debt: 0,
            delay: 0,
        })
    }

    /// What is to be believed of a time that was read: none is further ahead than a bucket can
    /// be empty. So bytes that nobody of ours wrote cost a caller no more than one bucket. A little further ahead is believed: others have charged since this
    /// worker looked at the clock, and to take that back would be to give it away.
    pub fn settle(&self, spent: u64, now: u64) -> u64 {
        let most = self.most(now);
        if spent > most.saturating_add(LATE) {
            most
        } else {
            spent
        }
    }

    fn most(&self, now: u64) -> u64 {
        let ahead = self.debt.saturating_add(self.delay);
        now.saturating_add(self.span).saturating_add(ahead)
    }

    /// The time after a request of that cost, which may have to wait for its [turn](Self::turn).
    ///
    /// # Errors
    /// How long until it would pass, or wait.
    pub fn spend(&self, spent: u64, now: u64, cost: u64) -> Result<u64, u64> {
        let after = self.after(spent, now, cost);
        let full = now.saturating_add(self.span);
        match after.checked_sub(full.saturating_add(self.delay)) {
            None | Some(0) => Ok(after),
            Some(wait) => Err(wait),
        }
    }

    /// How long until it is the turn of a request that led to that time.
    pub fn turn(&self, after: u64, now: u64) -> u64 {
        match self.delay {
            0 => 0,
            _ => after.saturating_sub(now.saturating_add(self.span)),
        }
    }

    /// The time after a cost that is charged whether or not there are tokens for it.
    pub fn charge(&self, spent: u64, now: u64, cost: u64) -> u64 {
        let after = self.after(spent, now, cost).min(self.most(now));
        after.max(self.settle(spent, now))
    }

    /// The time after so much of a charge has been taken back as `cost` says; `charged` is the time
    /// that the charge led to. Without that part the bucket would have been full earlier, and what it
    /// would have been filled with since then would have run over: that much stays charged. So does all of it
    /// while others wait who have come since.
    pub fn refund(&self, spent: u64, charged: u64, now: u64, cost: u64) -> u64 {
        if self.turn(spent, now) > 0 && spent != charged {
            return spent;
        }
        let price = self.interval.saturating_mul(cost);
        let run_over = now.saturating_sub(charged.saturating_sub(price));
        spent.saturating_sub(price.saturating_sub(run_over))
    }

    /// How many tokens are there.
    pub fn remaining(&self, spent: u64, now: u64) -> u64 {
        let used = self.settle(spent, now).saturating_sub(now);
        let left = self.span.saturating_sub(used);
        left.checked_div(self.interval).unwrap_or(0)
    }

    fn after(&self, spent: u64, now: u64, cost: u64) -> u64 {
        let settled = self.settle(spent, now).max(now);
        settled.saturating_add(self.price(cost))
    }

    #[inline]
    fn price(&self, cost: u64) -> u64 {
        match cost {
            // As most have it; a product that may not fit takes much code.
            1 => self.interval,
            _ => self.interval.saturating_mul(cost),
        }
    }
}

impl Algorithm for Gcra {
    const NAME: &'static str = "token_bucket";
    const ID: u64 = 1;
    const WIDTH: usize = 1;

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        const MOST: u64 = u32::MAX as u64;
        let mut fields = node.fields(problems)?;
        let max_tokens = fields
            .required("max_tokens", problems)
            .and_then(|node| node.integer(problems, 1..=MOST));
        let tokens_per_fill =
            fields.or_default("tokens_per_fill", 1, problems, |node, problems| {
                node.integer(problems, 1..=MOST)
            });
        let fill_interval = fields
            .required("fill_interval", problems)
            .and_then(|node| node.duration(problems));
        fields.deny_unknown(problems);
        let (max_tokens, tokens_per_fill) = (max_tokens?, tokens_per_fill?);
        match Self::new(max_tokens, tokens_per_fill, nanoseconds(fill_interval?)) {
            Ok(bucket) => Some(bucket),
            Err(error) => {
                let reason = match error {
                    BucketError::TooFast => {
                        "fills faster than a token in a microsecond; a limit that high limits nothing"
                    }
                    BucketError::TooSlow => "takes more than a hundred years to be full",
                };
                node.report(problems, reason);
                None
            }
        }
    }

    fn with_debt(self) -> Self {
        Self {
            debt: self.span,
            ..self
        }
    }

    fn with_delay(self, longest: u64, queue: u64) -> Option<Self> {
        let of_queue = self.interval.saturating_mul(queue);
        Some(Self {
            delay: longest.min(of_queue),
            ..self
        })
    }

    fn turn(&self, State([after, _]): State, now: u64) -> u64 {
        self.turn(after, now)
    }

    fn scale(&self) -> u64 {
        0
    }

    /// How far ahead a time may be is what counts, not what for.
    fn meaning(&self) -> [u64; 3] {
        let ahead = self.debt.saturating_add(self.delay);
        [self.interval, self.max_tokens, ahead]
    }

    fn quota(&self) -> u64 {
        self.max_tokens
    }

    fn period(&self) -> u64 {
        self.span
    }

    fn fresh(&self, now: u64) -> State {
        State([now, 0])
    }

    fn is_fresh(&self, State([spent, _]): State, now: u64) -> bool {
        spent <= now
    }

    fn settle(&self, State([spent, _]): State, now: u64) -> State {
        State([self.settle(spent, now), 0])
    }

    fn spend(&self, State([spent, _]): State, now: u64, cost: u64) -> Result<State, u64> {
        self.spend(spent, now, cost).map(|after| State([after, 0]))
    }

    fn charge(&self, State([spent, _]): State, now: u64, cost: u64) -> State {
        State([self.charge(spent, now, cost), 0])
    }

    /// The time that the charge led to.
    fn receipt(&self, State([spent, _]): State) -> Receipt {
        Receipt(spent)
    }

    fn refund(
        &self,
        State([spent, _]): State,
        Receipt(charged): Receipt,
        now: u64,
        cost: u64,
    ) -> State {
        State([self.refund(spent, charged, now, cost), 0])
    }

    fn remaining(&self, State([spent, _]): State, now: u64) -> u64 {
        self.remaining(spent, now)
    }

    fn resets_in(&self, State([spent, _]): State, now: u64) -> u64 {
        self.settle(spent, now).saturating_sub(now)
    }

    /// What all of it comes to, in a fraction of the code: most requests go through this.
    fn standing(&self, State([spent, _]): State, now: u64, cost: u64) -> (u64, u64) {
        let used = self.settle(spent, now).saturating_sub(now);
        let left = self.span.saturating_sub(used);
        let after = now.saturating_add(used).saturating_add(self.price(cost));
        let full = now.saturating_add(self.span).saturating_add(self.delay);
        let reset = match (after.saturating_sub(full), self.turn(after, now)) {
            (0, 0) => used,
            (0, turn) => turn,
            (wait, _) => wait,
        };
        (left.checked_div(self.interval).unwrap_or(0), reset)
    }

    /// The same.
    fn charge_alone(
        &self,
        State([floor, _]): State,
        State([known, _]): State,
        now: u64,
        cost: u64,
    ) -> Option<(State, bool)> {
        // What settling leaves as it is.
        let latest = self.most(now).saturating_add(LATE);
        (floor <= latest && known <= latest).then_some(())?;
        let is_fresh = known <= now;
        let before = if is_fresh { floor.max(now) } else { known };
        let after = before.saturating_add(self.price(cost));
        let full = now.saturating_add(self.span).saturating_add(self.delay);
        (after <= full).then_some((State([after, 0]), is_fresh))
    }

    fn load(&self, State([spent, _]): State, _: u64) -> u128 {
        spent.into()
    }

    fn merge(&self, State([one, _]): State, State([other, _]): State, _: u64) -> State {
        State([one.max(other), 0])
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::buckets()
    }
}

#[cfg(test)]
mod tests;
