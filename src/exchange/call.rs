//! HTTP calls that the proxy makes for us: what is asked, and what comes of it.
//!
//! A call is a value. Its owner (a fetch on a schedule, an export, a request that waits)
//! hands it to [`Calls`] and hears of its end once, by its [`Token`]. A client that has gone does
//! not cancel a call: if its end comes when the request waits no more, it is ignored.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use portcullis_wire::headers::Headers;

/// One HTTP call.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The proxy's cluster that is called.
    pub cluster: Rc<str>,
    /// All fields, pseudo-header fields (`:method`, `:scheme`, `:authority`, `:path`) included.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body; none if it is empty.
    pub body: Vec<u8>,
    /// How long the proxy waits for the response. Zero would be for ever; [`Call::millis`] never is.
    pub timeout: Duration,
}

/// The response to a call, as long as it is at hand.
#[derive(Clone, Copy, Debug)]
pub struct CallResponse<'a> {
    /// Its fields, `:status` included.
    pub headers: &'a Headers,
    /// Its body, whole.
    pub body: &'a [u8],
}

/// Why a call has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The proxy has no cluster of that name.
    NoCluster,
    /// The server cannot be reached, or what it sent cannot be read.
    Unreachable,
    /// The response did not come in time.
    Timeout,
    /// Nor did it, and the server had less than that time: the call had to be made again for those who waited.
    CutShort,
    /// The response is longer than so many bytes.
    TooLong(usize),
    /// There is no memory for the response.
    NoMemory,
}

/// A call in flight, by the proxy's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u32);

/// What is told of the end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// What is fetched on a schedule, by its place.
    Fetch(usize),
    /// The export of records.
    Export,
    /// A request that waits, by the proxy's number of its context.
    Stream(u32),
    /// All requests that share it: the one that had made it first has left.
    Shared,
}

/// The part of the proxy that makes calls.
pub trait Calls {
    /// Makes a call. INVARIANT: its end is told later, and never before this has returned.
    ///
    /// # Errors
    /// The call is not made, and nothing will be told of it.
    fn call(&self, call: &Call) -> Result<Token, CallError>;
}

/// A response in the proxy's hands, while a worker is told of it.
pub trait HostResponse {
    /// Its fields.
    ///
    /// # Errors
    /// There is no response, or its head is too long, or the proxy does not hand it over.
    fn headers(&self) -> Result<Headers, CallError>;

    /// How many bytes its body has.
    fn body_size(&self) -> usize;

    /// The body. The memory for it must be there: [`crate::whole_response::read_body`] is the way to it.
    ///
    /// # Errors
    /// The proxy does not hand it over.
    fn body(&self) -> Result<Vec<u8>, CallError>;
}

impl Call {
    /// The timeout in milliseconds. Less than one counts as one: proxies take zero for "for ever".
    pub fn millis(&self) -> u32 {
        u32::try_from(self.timeout.as_millis())
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let fields = self.headers.iter().map(|(name, value)| {
            let name = match name {
                Cow::Borrowed(_) => 0,
                Cow::Owned(name) => name.capacity(),
            };
            name.saturating_add(value.capacity())
        });
        let list = self.headers.capacity();
        let list = list.saturating_mul(size_of::<(Cow<'static, str>, String)>());
        fields.fold(
            list.saturating_add(self.body.capacity()),
            usize::saturating_add,
        )
    }
}

impl CallResponse<'_> {
    /// Its status; none if it has none that is a number.
    pub fn status(&self) -> Option<u16> {
        let status = self.headers.one(":status").ok()??;
        std::str::from_utf8(status).ok()?.parse().ok()
    }
}

/// Fields and body may hold credentials.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("cluster", &self.cluster)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_waits_for_ever_and_none_shows_its_credentials() {
        let call = Call {
            cluster: "keys".into(),
            headers: vec![("authorization".into(), "Bearer secret".to_owned())],
            body: b"token=secret".to_vec(),
            timeout: Duration::from_micros(1),
        };
        assert_eq!(call.millis(), 1);
        assert!(!format!("{call:?}").contains("secret"));
        assert!(call.memory() >= "Bearer secret".len() + call.body.len());
    }
}
