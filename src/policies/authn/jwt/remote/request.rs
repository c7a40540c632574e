//! What is asked of a provider, and what comes of it.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::discovery::MAX_DOCUMENT_BYTES;
use super::response::{FetchError, MAX_BODY_BYTES};
use portcullis_exchange::http_uri::Uri;

/// Something to ask a provider for.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// What is asked for.
    pub subject: FetchTarget,
    /// The proxy's cluster for the host.
    pub cluster: Rc<str>,
    /// Where it is.
    pub uri: Rc<Uri>,
    /// How long a response may take.
    pub timeout: Duration,
}

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchTarget {
    /// The document that says where the keys are.
    Discovery,
    /// The keys.
    KeySet,
}

/// What has become of a question.
#[derive(Debug)]
pub struct FetchOutcome {
    /// Why the response is of no use, if it is not.
    pub outcome: Result<(), FetchError>,
    /// What to do now.
    pub next: Next,
    /// Where the keys are, if that is news.
    pub moved: Option<Rc<Uri>>,
    /// What else an operator should know, a line each.
    pub notes: Vec<String>,
}

/// What to do after a response.
#[derive(Debug)]
pub enum Next {
    /// Ask this.
    Ask(FetchRequest),
    /// Leave this record where the other workers find it; they need not ask then.
    Share(Vec<u8>),
    /// Wait for so long before anything is asked again.
    Wait(Duration),
}

impl FetchTarget {
    /// The longest answer that is read, in bytes.
    pub fn longest(self) -> usize {
        match self {
            FetchTarget::Discovery => MAX_DOCUMENT_BYTES,
            FetchTarget::KeySet => MAX_BODY_BYTES,
        }
    }

    /// The media types to ask for.
    pub fn media_types(self) -> &'static str {
        match self {
            FetchTarget::Discovery => "application/json",
            FetchTarget::KeySet => "application/jwk-set+json, application/json",
        }
    }
}

impl fmt::Display for FetchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FetchTarget::Discovery => "the discovery document",
            FetchTarget::KeySet => "the keys",
        })
    }
}
