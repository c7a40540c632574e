//! What the filter makes of a vector.

use std::fmt;

/// The filter's verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The token or the signature is accepted.
    Accepted,
    /// The token is refused with this code and reason, as in `jwt_invalid.signature`.
    Refused(String),
    /// The keys are refused when the document is loaded, for this reason.
    KeyRefused(String),
    /// The signature does not fit.
    Unfit,
    /// No key of the set checks that algorithm.
    NoKey,
}

impl Outcome {
    /// Whether it is one of acceptance.
    pub fn is_accepted(&self) -> bool {
        *self == Outcome::Accepted
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Accepted => f.write_str("accepted"),
            Outcome::Refused(details) => write!(f, "refused: {details}"),
            Outcome::KeyRefused(reason) => write!(f, "key refused: {reason}"),
            Outcome::Unfit => f.write_str("refused: signature"),
            Outcome::NoKey => f.write_str("refused: no key checks this algorithm"),
        }
    }
}
