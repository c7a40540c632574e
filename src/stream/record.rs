//! What became of an exchange.

use crate::refusal::Code;

/// What became of an exchange, for the log.
#[derive(Debug, Default)]
pub struct Record {
    /// The refusal that was carried out.
    pub refusal: Option<(&'static Code, &'static str)>,
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
}
