//! What a provider objects to in the claims of a token: which of them is wrong, in what way, and by
//! which of its rules. Not the values: those are a client's.

use super::claims::{ClaimsError, Times};
use portcullis_exchange::refusal::{Detail, Fact};

/// Why the claims of a well-signed token are not accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::authn) struct Objection {
    pub(in crate::authn) error: ClaimsError,
    /// None: all of them.
    claim: Option<&'static str>,
    fault: ClaimFault,
    /// Where in the provider's block the rule stands; nothing, if it is one that always holds.
    rule: &'static str,
    /// When the token is valid, if that had been read and its lifetime accepted.
    pub(in crate::authn) times: Option<Times>,
}

/// What is wrong with a claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::authn) enum ClaimFault {
    /// It is not there.
    Missing,
    /// It is there, and must not be.
    Unexpected,
    /// It is of that kind, and has to be of another.
    Kind(&'static str),
    /// No date that there can be.
    Range,
    /// It is none of the values that are accepted.
    NotListed,
    /// It is one of the values that are not.
    Listed,
    /// A time that is over, so many seconds ago.
    Past(f64),
    /// A time that has not come, for so many seconds.
    Future(f64),
    /// Older than is allowed by so many seconds.
    TooOld(f64),
    /// Later than is allowed by so many seconds.
    TooLong(f64),
    /// It would take too much work to tell.
    TooCostly,
    /// What should hold the claims is no JSON object that could be read.
    Unreadable,
}

impl ClaimsError {
    /// The same of a claim, with what is wrong with it.
    pub(in crate::authn) const fn of(self, claim: &'static str, fault: ClaimFault) -> Objection {
        Objection {
            error: self,
            claim: Some(claim),
            fault,
            rule: "",
            times: None,
        }
    }
}

impl Objection {
    /// The payload is no JSON object.
    pub(in crate::authn) const UNREADABLE: Self = Self {
        error: ClaimsError::Malformed,
        claim: None,
        fault: ClaimFault::Unreadable,
        rule: "",
        times: None,
    };

    /// By a rule that stands there in the provider's block.
    pub(in crate::authn) const fn by(self, rule: &'static str) -> Self {
        Self { rule, ..self }
    }

    /// Of a token with these times, when they had been read and its lifetime accepted.
    pub(in crate::authn) const fn after(self, times: Times) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// Whether a claim cannot be read, whatever the rules.
    pub(in crate::authn) fn is_of_form(self) -> bool {
        matches!(
            self.fault,
            ClaimFault::Kind(_) | ClaimFault::Range | ClaimFault::Unreadable
        )
    }

    /// For the log.
    pub(in crate::authn) fn detail(self) -> Detail {
        // Nobody reads claims before the signature has been checked.
        let detail = Detail::within(self.rule).of_signed();
        let detail = match self.claim {
            Some(claim) => detail.and("claim", Fact::Word(claim)),
            None => detail,
        };
        let detail = detail.and("fault", Fact::Word(self.fault.name()));
        match self.fault {
            ClaimFault::Kind(kind) => detail.and("found", Fact::Word(kind)),
            ClaimFault::Past(by)
            | ClaimFault::Future(by)
            | ClaimFault::TooOld(by)
            | ClaimFault::TooLong(by) => detail.and("seconds", Fact::Number(seconds(by))),
            _ => detail,
        }
    }
}

impl ClaimFault {
    /// The word in the log.
    fn name(self) -> &'static str {
        match self {
            ClaimFault::Missing => "missing",
            ClaimFault::Unexpected => "unexpected",
            ClaimFault::Kind(_) => "kind",
            ClaimFault::Range => "out_of_range",
            ClaimFault::NotListed => "not_listed",
            ClaimFault::Listed => "listed",
            ClaimFault::Past(_) => "past",
            ClaimFault::Future(_) => "future",
            ClaimFault::TooOld(_) => "too_old",
            ClaimFault::TooLong(_) => "too_long",
            ClaimFault::TooCostly => "too_costly",
            ClaimFault::Unreadable => "unreadable",
        }
    }
}

/// Whole seconds, rounded up: what is over is so by one at least.
fn seconds(by: f64) -> u64 {
    // Saturates; there is nothing below 0 here.
    by.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_claim_and_says_by_how_much() {
        let detail = ClaimsError::Expired
            .of("exp", ClaimFault::Past(39.5))
            .detail();
        let expected = [
            ("claim", Fact::Word("exp")),
            ("fault", Fact::Word("past")),
            ("seconds", Fact::Number(40)),
        ];
        assert_eq!(detail.facts(), expected);
        assert_eq!(seconds(f64::INFINITY), u64::MAX);
        assert_eq!(seconds(-1.0), 0);
    }
}
