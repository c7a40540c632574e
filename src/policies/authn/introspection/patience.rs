//! Whether a server is asked at all: one that fails is left alone for a while, so that no request waits for
//! what will not come, and no server that struggles is asked ever more.

use std::cell::Cell;
use std::time::Duration;

/// After so many failures in a row a server is left alone.
const FAILURES: u32 = 3;

/// What is known of how a server does.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: Cell<u32>,
    /// Until when it is left alone, on the clock that does not step.
    rests_until: Cell<Duration>,
    /// Counts failures, those apart of questions that were asked before the last.
    failed: Cell<u64>,
}

impl Patience {
    /// Whether it may be asked now. When its rest is over one question is let through, and no other until there
    /// may be an answer, `patience` later.
    pub(super) fn may_ask(&self, now: Duration, patience: Duration) -> bool {
        if self.failures.get() < FAILURES {
            return true;
        }
        let may = now >= self.rests_until.get();
        if may {
            self.rests_until.set(now.saturating_add(patience));
        }
        may
    }

    /// What a question notes, to be told apart from those before a failure.
    pub(super) fn note(&self) -> u64 {
        self.failed.get()
    }

    /// It has answered.
    pub(super) fn succeeded(&self) {
        self.failures.set(0);
    }

    /// It has not, to a question with that note. Many that wait at once hear of one failure.
    pub(super) fn failed(&self, note: u64, now: Duration, cooldown: Duration) {
        if note != self.failed.get() {
            return;
        }
        self.failed.set(note.wrapping_add(1));
        let failures = self.failures.get().saturating_add(1);
        self.failures.set(failures);
        if failures >= FAILURES {
            self.rests_until.set(now.saturating_add(cooldown));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn three_failures_in_a_row_bring_a_rest_and_one_question_ends_it() {
        let patience = Patience::default();
        let fail = |at| patience.failed(patience.note(), at, SECOND * 5);
        fail(SECOND);
        fail(SECOND);
        patience.succeeded();
        fail(SECOND);
        fail(SECOND);
        assert!(patience.may_ask(SECOND, SECOND));
        fail(SECOND);
        assert!(!patience.may_ask(SECOND * 2, SECOND));
        assert!(patience.may_ask(SECOND * 6, SECOND), "one is let through");
        assert!(!patience.may_ask(SECOND * 6, SECOND), "and no other");
        assert!(
            patience.may_ask(SECOND * 7, SECOND),
            "unless it is lost with its client"
        );
        fail(SECOND * 7);
        assert!(!patience.may_ask(SECOND * 11, SECOND));
        assert!(patience.may_ask(SECOND * 12, SECOND));
        patience.succeeded();
        assert!(patience.may_ask(SECOND * 12, SECOND));
    }

    #[test]
    fn many_that_wait_at_once_count_as_one_failure() {
        let patience = Patience::default();
        let note = patience.note();
        for _ in 0..100 {
            patience.failed(note, SECOND, SECOND);
        }
        assert!(patience.may_ask(SECOND, SECOND));
        assert_eq!(patience.failures.get(), 1);
    }
}
