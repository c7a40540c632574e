//! How long a signature is good.

use std::time::Duration;

use portcullis_document::{Node, Problems};
use portcullis_exchange::refusal::{Fact, Refusal};

use super::refusals::{EARLY, OLD};

/// The time of a request, and how far from it the time of a signature may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    /// Seconds since 1970.
    pub(super) now: u64,
    pub(super) tolerance: u64,
}

/// What it is unless the document says so: what Standard Webhooks, Stripe and Slack have.
pub(super) const USUAL_TOLERANCE: u64 = 300;
/// The most that it may say: longer than services try again.
const MOST_TOLERANCE: u64 = 24 * 3600;

/// Reads `tolerance`.
pub(super) fn read_tolerance(node: &Node<'_>, problems: &mut Problems) -> Option<u64> {
    let seconds = node.duration(problems)?.as_secs();
    if !(1..=MOST_TOLERANCE).contains(&seconds) {
        node.report(problems, "must be from 1s to 24h");
        return None;
    }
    Some(seconds)
}

impl Period {
    /// About a request that came then.
    pub(super) fn new(arrived: Duration, tolerance: u64) -> Self {
        Self {
            now: arrived.as_secs(),
            tolerance,
        }
    }

    /// The second after which a message that was signed then is no longer good. It has to be good now.
    pub(super) fn until(&self, signed: u64) -> Result<u64, Refusal> {
        let until = signed.saturating_add(self.tolerance);
        if until < self.now {
            let age = self.now.saturating_sub(signed);
            return Err(Refusal::new(&OLD).and("seconds", Fact::Number(age)));
        }
        if signed > self.now.saturating_add(self.tolerance) {
            let early = signed.saturating_sub(self.now);
            return Err(Refusal::new(&EARLY).and("seconds", Fact::Number(early)));
        }
        Ok(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_good_within_the_tolerance() {
        let period = Period::new(Duration::from_millis(1_000_900), 300);
        for good in [700, 701, 1000, 1299, 1300] {
            assert_eq!(period.until(good), Ok(good + 300), "{good}");
        }
        for (bad, reason) in [(699, &OLD), (0, &OLD), (1301, &EARLY), (u64::MAX, &EARLY)] {
            assert_eq!(period.until(bad).unwrap_err().reason, reason, "{bad}");
        }
    }
}
