//! When what is fetched is asked for again: published keys of tokens, and stores of API keys.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// When to ask, on the clock that does not step.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    next_fetch: Duration,
    next_early: Duration,
    failures: u32,
    /// Whether something has been looked for that is not there since an answer was last heard of.
    wanted: bool,
    jitter: RandomState,
}

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Schedule {
    /// From when on it is to be asked.
    pub(crate) fn next_fetch(&self) -> Duration {
        self.next_fetch
    }

    /// Whether it is time to ask. `is_replaced` is for a document beside which another asks for the same: that
    /// one's answer is waited for, unless something is wanted that it may not know of.
    pub(crate) fn is_due(&self, now: Duration, is_replaced: bool) -> bool {
        let rests = is_replaced && !self.wanted;
        // The other may share its answer where it is not found here: then there is none for long.
        let patience = if rests { LONGEST_PAUSE } else { Duration::ZERO };
        now >= self.next_fetch.saturating_add(patience)
    }

    /// Asks early because something was looked for that is not there. At most once in a cool-down, so that
    /// nobody can have the service hammered.
    pub(crate) fn request_refresh(&mut self, now: Duration, cooldown: Duration) {
        if now >= self.next_early {
            self.next_early = now.saturating_add(cooldown);
            self.next_fetch = self.next_fetch.min(now);
            self.wanted = true;
        }
    }

    /// An answer is there that is good until then.
    pub(crate) fn answered(&mut self, next_fetch: Duration) {
        self.failures = 0;
        self.wanted = false;
        self.next_fetch = next_fetch;
    }

    /// There is none. Doubles the pause with each failure, up to a minute.
    pub(crate) fn back_off(&mut self, now: Duration) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let pause = self.early(Duration::from_secs(doubled.into()).min(LONGEST_PAUSE));
        self.failures = self.failures.saturating_add(1).min(16);
        self.next_fetch = now.saturating_add(pause);
        self.wanted = false;
        pause
    }

    /// A little less than `pause`, so that many proxies do not ask all at once.
    pub(crate) fn early(&self, pause: Duration) -> Duration {
        let random = self.jitter.hash_one((self.next_fetch, pause)) % 1000;
        pause.saturating_sub(pause.mul_f64(random as f64 / 4000.0))
    }

    /// The pause after a failure of which nothing can be noted.
    pub(crate) const fn longest_pause() -> Duration {
        LONGEST_PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_an_answer() {
        let mut schedule = Schedule::default();
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = schedule.back_off(seconds(100));
            assert!(
                pause <= seconds(whole) && pause > seconds(whole) * 74 / 100,
                "{whole}: {pause:?}"
            );
            assert_eq!(schedule.next_fetch(), seconds(100) + pause);
        }
        schedule.answered(seconds(200));
        assert!(schedule.back_off(seconds(200)) <= seconds(1));
    }

    #[test]
    fn an_early_question_is_asked_once_in_a_cool_down() {
        let mut schedule = Schedule::default();
        schedule.answered(seconds(1000));
        assert!(!schedule.is_due(seconds(10), false));
        schedule.request_refresh(seconds(10), seconds(30));
        assert!(schedule.is_due(seconds(10), false));
        // What is wanted here another may not know of.
        assert!(schedule.is_due(seconds(10), true));
        schedule.answered(seconds(1000));
        schedule.request_refresh(seconds(39), seconds(30));
        assert!(!schedule.is_due(seconds(39), false));
        schedule.request_refresh(seconds(40), seconds(30));
        assert!(schedule.is_due(seconds(40), false));
    }

    #[test]
    fn one_that_is_replaced_waits_a_minute_longer() {
        let mut schedule = Schedule::default();
        schedule.answered(seconds(100));
        assert!(schedule.is_due(seconds(100), false));
        assert!(!schedule.is_due(seconds(159), true));
        assert!(schedule.is_due(seconds(160), true));
    }
}
