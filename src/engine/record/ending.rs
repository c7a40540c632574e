//! What became of an exchange, for the log.

use super::Decision;
use portcullis_exchange::meter::Outcome;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was not refused.
    Allowed,
    /// It was refused.
    Denied,
    /// The filter answered it, and that was no refusal.
    Answered,
    /// The client left, or the proxy answered, before all of it had come.
    Unfinished,
    /// It was answered by the proxy, or by a filter in front of this one.
    NotJudged,
}

impl Ending {
    /// How an exchange ended, by what became of it, whether its head came, and whether a policy still
    /// waits.
    pub(crate) fn of(record: &Decision, has_begun: bool, is_awaited: bool) -> Self {
        match (record.refusal, has_begun) {
            (Some(_), _) => Ending::Denied,
            (None, true) if record.responded_by.is_some() => Ending::Answered,
            (None, true) if is_awaited => Ending::Unfinished,
            (None, true) => Ending::Allowed,
            (None, false) => Ending::NotJudged,
        }
    }

    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Allowed => Outcome::Allowed.name(),
            Ending::Denied => Outcome::Denied.name(),
            Ending::Answered => Outcome::Answered.name(),
            Ending::Unfinished => "unfinished",
            Ending::NotJudged => "not_judged",
        }
    }
}
