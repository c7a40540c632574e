//! Whether a server is asked at all: one that fails is left alone for a while, so that no request waits for
//! what will not come, and no server that struggles is asked ever more.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use portcullis_exchange::asked::Turn;

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
    /// While the one question is under way that follows a rest: until when an answer may come.
    tried: Rc<Cell<Option<Duration>>>,
}

impl Patience {
    /// Whether it may be asked now. When its rest is over, one question is let through that takes the
    /// [`turn`](Self::turn), and no other before the end of that. Whoever only looks takes nothing.
    pub(super) fn may_ask(&self, now: Duration) -> bool {
        let is_free = || self.tried.get().is_none_or(|until| now >= until);
        !self.has_failed() || (now >= self.rests_until.get() && is_free())
    }

    /// What a question to a server has to take that has rested: there is an answer by `until`, or none.
    pub(super) fn turn(&self, until: Duration) -> Option<Turn> {
        self.has_failed().then(|| Turn::new(&self.tried, until))
    }

    fn has_failed(&self) -> bool {
        self.failures.get() >= FAILURES
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
        self.failures.set(self.failures.get().saturating_add(1));
        if self.has_failed() {
            self.rests_until.set(now.saturating_add(cooldown));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_exchange::asked::{Asked, Asker, Question};

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
        assert!(patience.may_ask(SECOND));
        assert!(patience.turn(SECOND).is_none());
        fail(SECOND);
        assert!(!patience.may_ask(SECOND * 2));
        let ask = |now: Duration| {
            let mut asked = Asked::default();
            asked.ask(Question {
                by: Asker(1),
                since: now,
                note: patience.note(),
                turn: patience.turn(now + SECOND),
            });
            asked
        };
        let mut one = ask(SECOND * 6);
        assert!(patience.may_ask(SECOND * 6), "who only looks takes nothing");
        one.made();
        assert!(!patience.may_ask(SECOND * 6), "one is let through");
        drop(one);
        assert!(patience.may_ask(SECOND * 6), "unless its client leaves");
        let mut one = ask(SECOND * 6);
        one.made();
        assert!(patience.may_ask(SECOND * 7), "or there is no answer");
        drop(one);
        fail(SECOND * 7);
        assert!(!patience.may_ask(SECOND * 11));
        assert!(patience.may_ask(SECOND * 12));
        patience.succeeded();
        assert!(patience.may_ask(SECOND * 12));
    }

    #[test]
    fn many_that_wait_at_once_count_as_one_failure() {
        let patience = Patience::default();
        let note = patience.note();
        for _ in 0..100 {
            patience.failed(note, SECOND, SECOND);
        }
        assert!(patience.may_ask(SECOND));
        assert_eq!(patience.failures.get(), 1);
    }
}
