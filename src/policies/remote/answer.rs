//! What a service answers, or why it does not.

use std::fmt;
use std::time::Duration;

use portcullis_exchange::call::CallError;
use portcullis_exchange::whole_response::WholeResponse;
use portcullis_wire::headers::Headers;

/// Why there is no answer that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The proxy has no cluster of that name.
    NoCluster,
    /// No response, or not in time.
    Unreachable,
    /// A status other than 200.
    Status(u16),
    /// Longer than that many bytes.
    TooLong(usize),
    /// There is no memory to read it.
    NoMemory,
}

/// A body, and for how long the service says that it is good; or why there is none.
pub(crate) type FetchAnswer<'a> = Result<(&'a [u8], Option<Duration>), NoAnswer>;

/// What a response says.
pub(crate) fn read_answer(response: &Result<WholeResponse, CallError>) -> FetchAnswer<'_> {
    let response = match response {
        Ok(response) => response.as_response(),
        Err(error) => return Err(NoAnswer::from(*error)),
    };
    match response.status() {
        Some(200) => Ok((response.body, max_age(response.headers))),
        Some(status) => Err(NoAnswer::Status(status)),
        None => Err(NoAnswer::Unreachable),
    }
}

/// RFC 9111 §5.2.2.1. `no-store` and `no-cache` count as no age at all.
fn max_age(headers: &Headers) -> Option<Duration> {
    let directives = headers
        .all("cache-control")
        .flat_map(|value| value.split(|b| *b == b','));
    let mut age = None;
    for directive in directives {
        let directive = directive.trim_ascii().to_ascii_lowercase();
        if directive == b"no-store" || directive == b"no-cache" {
            return Some(Duration::ZERO);
        }
        if let Some(seconds) = directive.strip_prefix(b"max-age=") {
            let seconds = std::str::from_utf8(seconds)
                .ok()
                .and_then(|text| text.parse().ok());
            age = age.or(seconds.map(Duration::from_secs));
        }
    }
    age
}

impl From<CallError> for NoAnswer {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NoCluster => NoAnswer::NoCluster,
            CallError::Unreachable | CallError::Timeout | CallError::CutShort => {
                NoAnswer::Unreachable
            }
            CallError::TooLong(most) => NoAnswer::TooLong(most),
            CallError::NoMemory => NoAnswer::NoMemory,
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // The proxy's own answer where nobody answers is the same as one of the server's.
            NoAnswer::Status(503) => "status 503, the server's or, if nobody answered, the proxy's",
            NoAnswer::Status(status) => return write!(f, "status {status}"),
            NoAnswer::TooLong(most) => return write!(f, "an answer longer than {most} bytes"),
            NoAnswer::NoCluster => "the proxy has no such cluster",
            NoAnswer::Unreachable => "no answer in time",
            NoAnswer::NoMemory => "no memory to read the answer",
        })
    }
}
