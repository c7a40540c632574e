//! How a version of an API, or an operation, grows old: from the day on which clients are told to leave it to
//! the one from which it is no more.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::edit::Edit;
use portcullis_wire::effort::TooCostly;
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// The dates of a version or an operation, and what clients are told of them. Dates are in seconds since the
/// epoch.
#[derive(Debug, Default)]
pub struct Lifecycle {
    /// From when on clients are to leave it.
    pub deprecated: Option<u32>,
    /// From when on it is no more.
    pub sunset: Option<u32>,
    /// Whether it is no more already.
    pub is_removed: bool,
    /// When it is switched off for a while, before it is no more.
    pub brownouts: Vec<Brownout>,
    /// The fields that say so.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The same as changes of an answer, whatever that has.
    pub edits: Rc<[Edit]>,
    /// Members of the problem document, as JSON writes them: its successor, and where to read how to get there.
    pub members: Rc<str>,
}

/// A time in which a share of requests is refused.
#[derive(Debug)]
pub struct Brownout {
    /// Its first second.
    pub from: u32,
    /// The first second behind it.
    pub until: u32,
    /// Of a hundred requests, so many.
    pub percent: u8,
    /// How many requests have come in it, to this worker.
    seen: Cell<u64>,
}

/// How old a version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionState {
    /// In use.
    Current,
    /// Clients are to leave it.
    Deprecated,
    /// Its time is over.
    Sunset,
    /// It has been taken out.
    Removed,
}

impl VersionState {
    /// All of them.
    pub const ALL: [Self; 4] = [
        VersionState::Current,
        VersionState::Deprecated,
        VersionState::Sunset,
        VersionState::Removed,
    ];

    /// The word in the log, and in conditions.
    pub fn name(self) -> &'static str {
        match self {
            VersionState::Current => "current",
            VersionState::Deprecated => "deprecated",
            VersionState::Sunset => "sunset",
            VersionState::Removed => "removed",
        }
    }

    /// Whether requests are refused for it.
    pub fn is_gone(self) -> bool {
        self >= VersionState::Sunset
    }
}

impl Lifecycle {
    /// How old it is at a time since the epoch.
    pub fn state(&self, now: Duration) -> VersionState {
        let passed = |date: Option<u32>| date.is_some_and(|date| now.as_secs() >= u64::from(date));
        if self.is_removed {
            VersionState::Removed
        } else if passed(self.sunset) {
            VersionState::Sunset
        } else if passed(self.deprecated) {
            VersionState::Deprecated
        } else {
            VersionState::Current
        }
    }

    /// The window in which it is switched off at a time since the epoch.
    pub fn brownout(&self, now: Duration) -> Option<&Brownout> {
        let now = now.as_secs();
        let mut windows = self.brownouts.iter();
        windows.find(|each| (u64::from(each.from)..u64::from(each.until)).contains(&now))
    }
}

impl Brownout {
    /// From one second to another, for so many requests of a hundred.
    pub fn new(from: u32, until: u32, percent: u8) -> Self {
        Self {
            from,
            until,
            percent,
            seen: Cell::new(0),
        }
    }

    /// Whether the next request is one of those that are refused. Of any hundred that follow one another it is
    /// exactly the share, evenly: nothing that a client sends decides which.
    pub fn takes_next(&self) -> bool {
        let (before, percent) = (self.seen.get() % 100, u64::from(self.percent));
        self.seen.set(before.saturating_add(1));
        let so_far = |seen: u64| seen.saturating_mul(percent) / 100;
        so_far(before.saturating_add(1)) > so_far(before)
    }
}

/// One version of an API.
#[derive(Debug)]
pub struct ApiVersion {
    /// As the document names it, and clients do.
    pub name: Rc<str>,
    /// Where it stands in the document.
    pub pointer: Rc<str>,
    /// How it grows old.
    pub lifecycle: Lifecycle,
    /// What has become of its requests, in this worker.
    pub counts: VersionCounts,
}

/// Counts of the requests of one version.
#[derive(Debug, Default)]
pub struct VersionCounts {
    /// All that were judged.
    pub requests: Cell<u64>,
    /// Those that were refused since it is no more.
    pub refused: Cell<u64>,
    /// Those that were refused since it was switched off for a while.
    pub brownouts: Cell<u64>,
    /// Those that would have been refused for either.
    pub shadow_refused: Cell<u64>,
}

impl VersionCounts {
    /// Counts a request, and whether it is refused since the version is no more: in force, or only tried.
    pub fn judged(&self, is_refused: bool, is_tried: bool) {
        Self::add(&self.requests);
        if is_refused {
            Self::add(match is_tried {
                true => &self.shadow_refused,
                false => &self.refused,
            });
        }
    }

    /// Adds one.
    pub fn add(cell: &Cell<u64>) {
        cell.set(cell.get().saturating_add(1));
    }
}

/// Why it cannot be told which version a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFault {
    /// It names two.
    Several,
    /// A field or a parameter came more than once, or one beside it that some services take for it.
    Repeated,
    /// The query is malformed.
    Query,
    /// The path may be read in several ways, and is for another version in one of them.
    Path,
    /// The `Accept` field is malformed, or leaves it to the service.
    Accept,
    /// It would take too much work.
    Effort,
}

impl From<TooCostly> for VersionFault {
    fn from(_: TooCostly) -> Self {
        VersionFault::Effort
    }
}

/// The version of a request.
#[derive(Clone, Debug)]
pub struct RequestVersion {
    /// Which one; none where only the operation has an age.
    pub of: Option<Rc<ApiVersion>>,
    /// How old it is, or its operation, if that is older.
    pub state: VersionState,
    /// Whether it was drawn to be refused in a window in which the version is switched off; none where that has
    /// not been asked.
    pub is_drawn: Option<bool>,
}

impl RequestVersion {
    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.of.as_ref().map(|version| &*version.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_grows_old_by_its_dates() {
        let lifecycle = Lifecycle {
            deprecated: Some(100),
            sunset: Some(200),
            ..Lifecycle::default()
        };
        for (now, state) in [
            (99, VersionState::Current),
            (100, VersionState::Deprecated),
            (199, VersionState::Deprecated),
            (200, VersionState::Sunset),
            (u64::MAX, VersionState::Sunset),
        ] {
            assert_eq!(lifecycle.state(Duration::from_secs(now)), state, "{now}");
        }
        let removed = Lifecycle {
            is_removed: true,
            ..lifecycle
        };
        assert_eq!(removed.state(Duration::ZERO), VersionState::Removed);
    }

    #[test]
    fn of_any_hundred_requests_the_share_is_refused() {
        for percent in 0..=100_u8 {
            let window = Brownout::new(0, 1, percent);
            let taken: Vec<bool> = (0..1000).map(|_| window.takes_next()).collect();
            for run in taken.windows(100) {
                let refused = run.iter().filter(|taken| **taken).count();
                assert_eq!(refused, usize::from(percent));
            }
            // Evenly: no run of ten has more than one more than its part.
            for run in taken.windows(10) {
                let refused = run.iter().filter(|taken| **taken).count();
                assert!(
                    refused <= usize::from(percent).div_ceil(10) + 1,
                    "{percent}"
                );
            }
        }
    }

    #[test]
    fn a_window_ends_before_its_last_second() {
        let lifecycle = Lifecycle {
            brownouts: vec![Brownout::new(10, 20, 100), Brownout::new(30, 40, 100)],
            ..Lifecycle::default()
        };
        for (now, is_off) in [(9, false), (10, true), (19, true), (20, false), (30, true)] {
            let found = lifecycle.brownout(Duration::from_secs(now));
            assert_eq!(found.is_some(), is_off, "{now}");
        }
    }
}
