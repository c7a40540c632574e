//! What became of an exchange, for the log.

use crate::metrics::Outcome;
use crate::stream::Stream;

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
    /// How the exchange of a stream ended.
    pub fn of(stream: &Stream) -> Self {
        let record = stream.decision();
        match (record.refusal, stream.started()) {
            (Some(_), _) => Ending::Denied,
            (None, Some(_)) if record.responded_by.is_some() => Ending::Answered,
            (None, Some(_)) if stream.awaits_body() => Ending::Unfinished,
            (None, Some(_)) => Ending::Allowed,
            (None, None) => Ending::NotJudged,
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
