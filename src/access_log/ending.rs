//! What became of an exchange, in one word.

use crate::metrics::Outcome;
use crate::stream::Stream;

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The request was judged to its end.
    Judged(Outcome),
    /// The client left, or the proxy answered, before all of it had come.
    Unfinished,
    /// Answered by the proxy or by a filter in front of this one.
    NotJudged,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Judged(Outcome::Allowed),
        Self::Judged(Outcome::Denied),
        Self::Judged(Outcome::Answered),
        Self::Judged(Outcome::ShadowDenied),
        Self::Unfinished,
        Self::NotJudged,
    ];

    /// That of an exchange, so far. What shadow mode would have refused was allowed.
    pub fn of(stream: &Stream) -> Self {
        let record = stream.record();
        match (record.refusal, stream.started()) {
            (Some(_), _) => Self::Judged(Outcome::Denied),
            (None, Some(_)) if record.answered_by.is_some() => Self::Judged(Outcome::Answered),
            (None, Some(_)) if stream.awaits_body() => Self::Unfinished,
            (None, Some(_)) => Self::Judged(Outcome::Allowed),
            (None, None) => Self::NotJudged,
        }
    }

    /// The word in the log, the field of `sample`, and the leaf of the metric's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Judged(outcome) => outcome.name(),
            Self::Unfinished => "unfinished",
            Self::NotJudged => "not_judged",
        }
    }
}
