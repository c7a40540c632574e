//! What a provider answers, and how it is passed from worker to worker.

use std::fmt;
use std::time::Duration;

use crate::remote::NoAnswer;

/// Why a response is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// There is no answer that could be read.
    NoAnswer(NoAnswer),
    /// Not a JWK Set.
    NoKeySet,
    /// A set without any key that can be used.
    Empty,
    /// Not a discovery document.
    NoDocument,
    /// A discovery document of another issuer than the one that was asked for.
    OtherIssuer,
    /// A discovery document without `jwks_uri`.
    NoKeysUri,
    /// A `jwks_uri` that is no address, or one with a user or a fragment.
    BadKeysUri,
    /// A `jwks_uri` without TLS in a document that was fetched with it.
    Insecure,
    /// A `jwks_uri` on another host, for which there is no cluster.
    OtherHost,
}

/// The longest key set that is read.
pub(super) const MAX_BODY_BYTES: usize = 512 << 10;

/// How deep a response may nest.
pub(super) const MAX_DEPTH: usize = 16;

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            FetchError::NoAnswer(error) => return error.fmt(f),
            FetchError::NoKeySet => "an answer that is not a JWK Set",
            FetchError::Empty => "a JWK Set without any key that can be used",
            FetchError::NoDocument => "an answer that is not a discovery document",
            FetchError::OtherIssuer => "a discovery document of another issuer",
            FetchError::NoKeysUri => "a discovery document without jwks_uri",
            FetchError::BadKeysUri => {
                "a jwks_uri that is not an absolute http or https URI without user and fragment"
            }
            FetchError::Insecure => {
                "a jwks_uri without TLS, though the document is fetched with it"
            }
            FetchError::OtherHost => "a jwks_uri on another host, and jwks_cluster is not written",
        };
        f.write_str(words)
    }
}

/// What workers share. Bytes in shared data are anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SharedKeySet<'r> {
    pub(super) fetched: Duration,
    pub(super) next_fetch: Duration,
    /// Where the keys were found, and until when that needs no new question.
    pub(super) location: Option<(&'r str, Duration)>,
    /// The key set as it came.
    pub(super) body: &'r [u8],
}

impl<'r> SharedKeySet<'r> {
    const FORMAT: u8 = 3;

    /// A format number; three times in milliseconds, on the clock that does not step; the length of the location
    /// and the location; the key set.
    pub(super) fn write(&self) -> Vec<u8> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (uri, until) = self.location.unwrap_or_default();
        let mut record = vec![Self::FORMAT];
        for time in [self.fetched, self.next_fetch, until] {
            record.extend_from_slice(&millis(time).to_le_bytes());
        }
        let length = u16::try_from(uri.len()).unwrap_or(u16::MAX);
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(uri.as_bytes());
        record.extend_from_slice(self.body);
        record
    }

    pub(super) fn read(record: &'r [u8]) -> Option<Self> {
        let (format, mut rest) = record.split_first()?;
        if *format != Self::FORMAT {
            return None;
        }
        let mut time = || {
            let (bytes, after) = rest.split_first_chunk()?;
            rest = after;
            Some(Duration::from_millis(u64::from_le_bytes(*bytes)))
        };
        let (fetched, next_fetch, until) = (time()?, time()?, time()?);
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (uri, body) = rest.split_at_checked(length)?;
        let uri = std::str::from_utf8(uri).ok()?;
        Some(Self {
            fetched,
            next_fetch,
            location: (!uri.is_empty()).then_some((uri, until)),
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_written() {
        let at = Duration::from_millis;
        for location in [None, Some(("https://a/j", at(3)))] {
            let record = SharedKeySet {
                fetched: at(1),
                next_fetch: at(2),
                location,
                body: b"{}",
            };
            let bytes = record.write();
            assert_eq!(SharedKeySet::read(&bytes), Some(record));
            for end in 0..bytes.len() - 2 {
                assert_eq!(SharedKeySet::read(&bytes[..end]), None);
            }
        }
        assert_eq!(SharedKeySet::read(&[2; 60]), None, "an older format");
    }
}
