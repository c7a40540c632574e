//! What others have collected about tokens, keys and signatures, and what the filter makes of it.
//!
//! Each suite is read from `tests/vectors` into [`Vector`]s. The filter's verdict on each is
//! written down in `tests/vectors/outcomes`, by `make outcomes` and never by hand, and the test
//! `conformance` finds the same verdicts again: on the engine, in the module, and through Envoy.

mod native;
mod outcome;
mod report;
mod suites;

use serde_json::Value;

pub use native::{CLOCK, document, engine, judge_in, judge_token, judge_with, refused_keys};
pub use outcome::Outcome;
pub use report::{TABLES_BEGIN, TABLES_END, file, path, tables};
pub use suites::{SUITES, Suite};

/// One question of a suite.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its name in the suite.
    pub id: String,
    /// What the suite says.
    pub says: Says,
    /// What is asked.
    pub question: Question,
}

/// What a suite says of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is to be accepted.
    Valid,
    /// It is to be refused.
    Invalid,
    /// Either will do.
    Acceptable,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// Whether a token is accepted by a provider that this block describes.
    Token {
        /// The provider's block.
        provider: Value,
        /// The token.
        token: String,
        /// The time, in seconds since the epoch; [`CLOCK`] if it does not matter.
        at: u64,
    },
    /// Whether a provider with this block is accepted: its keys are what matters.
    Keys {
        /// The provider's block.
        provider: Value,
    },
    /// Whether a signature is accepted from one of these keys.
    Signature {
        /// A JWK Set.
        jwks: Value,
        /// The name of the algorithm.
        algorithm: &'static str,
        /// What is signed.
        signed: Vec<u8>,
        /// The signature as JOSE writes it.
        signature: Vec<u8>,
    },
}

impl Says {
    /// The word for it in the suites.
    pub fn name(self) -> &'static str {
        match self {
            Says::Valid => "valid",
            Says::Invalid => "invalid",
            Says::Acceptable => "acceptable",
        }
    }
}
