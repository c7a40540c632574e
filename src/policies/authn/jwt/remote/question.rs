//! What is asked of a provider, and what comes of it.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::answer::{FetchError, MAX_BODY_BYTES};
use super::discovery::MAX_DOCUMENT_BYTES;
use portcullis_exchange::http_uri::Uri;

/// Something to ask a provider for.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked for.
    pub subject: Subject,
    /// The proxy's cluster for the host.
    pub cluster: Rc<str>,
    /// Where it is.
    pub uri: Rc<Uri>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The document that says where the keys are.
    Document,
    /// The keys.
    Keys,
}

/// What has become of a question.
#[derive(Debug)]
pub struct Settled {
    /// Why the answer is of no use, if it is not.
    pub outcome: Result<(), FetchError>,
    /// What to do now.
    pub next: Next,
    /// Where the keys are, if that is news.
    pub moved: Option<Rc<Uri>>,
    /// What else an operator should know, a line each.
    pub notes: Vec<String>,
}

/// What to do after an answer.
#[derive(Debug)]
pub enum Next {
    /// Ask this.
    Ask(Question),
    /// Leave this record where the other workers find it; they need not ask then.
    Share(Vec<u8>),
    /// Wait for so long before anything is asked again.
    Wait(Duration),
}

impl Subject {
    /// The longest answer that is read, in bytes.
    pub fn longest(self) -> usize {
        match self {
            Subject::Document => MAX_DOCUMENT_BYTES,
            Subject::Keys => MAX_BODY_BYTES,
        }
    }

    /// The media types to ask for.
    pub fn media_types(self) -> &'static str {
        match self {
            Subject::Document => "application/json",
            Subject::Keys => "application/jwk-set+json, application/json",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Subject::Document => "the discovery document",
            Subject::Keys => "the keys",
        })
    }
}
