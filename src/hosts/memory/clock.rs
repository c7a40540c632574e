//! The two clocks of a host: set by hand, or the system's.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

/// Two clocks that differ by what the wall clock was set to.
#[derive(Default)]
pub(super) struct Clocks {
    wall: Cell<Duration>,
    monotonic: Cell<Duration>,
    /// How far a look at the monotonic clock moves both.
    step: Cell<Duration>,
    /// When the system's clocks are shown in place of these: when that began.
    system: Option<Instant>,
    /// What the wall clock was set to in place of the system's; it goes on from there.
    set: Cell<Option<Duration>>,
}

impl Clocks {
    /// The system's clocks. The monotonic one begins now, with the host and its cells.
    pub(super) fn of_system() -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "this is the clock that everything else is given"
        )]
        let now = Instant::now();
        Self {
            system: Some(now),
            ..Self::default()
        }
    }

    pub(super) fn wall(&self) -> Duration {
        match (self.system, self.set.get()) {
            (None, _) => self.wall.get(),
            (Some(begin), Some(set)) => set.saturating_add(begin.elapsed()),
            (Some(_), None) => {
                #[allow(
                    clippy::disallowed_methods,
                    reason = "this is the clock that everything else is given"
                )]
                let now = SystemTime::now();
                now.duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default()
            }
        }
    }

    pub(super) fn monotonic(&self) -> Duration {
        match self.system {
            Some(begin) => begin.elapsed(),
            None => {
                let now = self.monotonic.get();
                self.advance(self.step.get());
                now
            }
        }
    }

    pub(super) fn set_wall(&self, now: Duration) {
        self.wall.set(now);
        self.set.set(Some(now));
    }

    pub(super) fn set_monotonic(&self, now: Duration) {
        self.monotonic.set(now);
    }

    pub(super) fn set_step(&self, step: Duration) {
        self.step.set(step);
    }

    pub(super) fn advance(&self, by: Duration) {
        self.wall.set(self.wall.get().saturating_add(by));
        let monotonic = self.monotonic.get();
        self.monotonic.set(monotonic.saturating_add(by));
    }
}
