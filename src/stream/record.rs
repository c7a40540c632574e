//! What became of an exchange.

use crate::refusal::Code;
use crate::schema::Violation;

/// What became of an exchange, for the log.
#[derive(Debug, Default)]
pub struct Record {
    /// The refusal that was carried out.
    pub refusal: Option<(&'static Code, &'static str)>,
    /// What a schema found wrong, if that is why.
    pub violations: Vec<Violation>,
    /// The policy that refused; none if it was the core.
    pub refused_by: Option<&'static str>,
    /// The policy that answered in place of the service without refusing.
    pub answered_by: Option<&'static str>,
    /// What policies in shadow mode would have refused.
    pub shadow: Vec<ShadowRefusal>,
}

/// A refusal that was not carried out.
#[derive(Debug)]
pub struct ShadowRefusal {
    /// The policy; none if it was the core.
    pub policy: Option<&'static str>,
    /// What the client would have been told.
    pub code: &'static Code,
    /// What the log would have said.
    pub reason: &'static str,
    /// What a schema found wrong, if that is why.
    pub violations: Vec<Violation>,
}

/// What a policy said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// No objection.
    Allowed,
    /// It refused.
    Denied,
    /// It answered without refusing.
    Answered,
    /// It would have refused, but is in shadow mode.
    ShadowDenied,
    /// It waits for the body.
    Waiting,
}

impl Said {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Said::Allowed => "allowed",
            Said::Denied => "denied",
            Said::Answered => "answered",
            Said::ShadowDenied => "shadow_denied",
            Said::Waiting => "waiting",
        }
    }

    /// Whether nobody was asked after it.
    pub(super) fn ends(self) -> bool {
        matches!(self, Said::Denied | Said::Answered)
    }
}

impl Record {
    /// What a policy said that was asked.
    pub(super) fn said_by(&self, policy: &str) -> Said {
        if self.refused_by == Some(policy) {
            Said::Denied
        } else if self.answered_by == Some(policy) {
            Said::Answered
        } else if self.shadow.iter().any(|each| each.policy == Some(policy)) {
            Said::ShadowDenied
        } else {
            Said::Allowed
        }
    }
}
