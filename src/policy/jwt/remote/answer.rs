//! What a provider answers, and how it is passed from worker to worker.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::config::{Node, Problems};
use crate::json::Json;
use crate::policy::jwt::jwk::Key;
use crate::policy::jwt::signature::KeyClass;

/// Why an answer is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// No answer, or not in time.
    Unreachable,
    /// A status other than 200.
    Status(u16),
    /// Longer than [`MAX_BODY_BYTES`].
    TooLong,
    /// Not a JWK Set.
    Malformed,
    /// A set without any key that can be used.
    Empty,
}

/// The longest answer that is read.
pub const MAX_BODY_BYTES: usize = 512 << 10;

/// The most keys of an answer that are read.
const MAX_KEYS: usize = 64;

/// How deep an answer may nest.
const MAX_DEPTH: usize = 16;

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Unreachable => f.write_str("no answer in time"),
            FetchError::Status(status) => write!(f, "status {status}"),
            FetchError::TooLong => write!(f, "an answer longer than {MAX_BODY_BYTES} bytes"),
            FetchError::Malformed => f.write_str("an answer that is not a JWK Set"),
            FetchError::Empty => f.write_str("a JWK Set without any key that can be used"),
        }
    }
}

/// Reads what a provider published. A key that cannot be used does not spoil the others; a secret
/// that is published is none.
pub(in crate::policy::jwt) fn read_set(body: &[u8]) -> Result<Rc<[Key]>, FetchError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(FetchError::TooLong);
    }
    let json = Json::parse(body, MAX_DEPTH).map_err(|_| FetchError::Malformed)?;
    let set = json.as_object().and_then(|set| set.member("keys"));
    let Some(Json::Array(items)) = set else {
        return Err(FetchError::Malformed);
    };
    let usable = items
        .iter()
        .filter_map(|item| Key::read(&Node::root(item), &mut Problems::default()))
        .filter(|key| key.verifying.class() == KeyClass::Public);
    let keys: Rc<[Key]> = usable.take(MAX_KEYS).collect();
    if keys.is_empty() {
        Err(FetchError::Empty)
    } else {
        Ok(keys)
    }
}

/// What workers share: a format number, when it was fetched and when to fetch again in
/// milliseconds since the epoch, and the answer as it came.
const FORMAT: u8 = 1;

pub(super) fn record(fetched: Duration, next_fetch: Duration, body: &[u8]) -> Vec<u8> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut record = vec![FORMAT];
    record.extend_from_slice(&millis(fetched).to_le_bytes());
    record.extend_from_slice(&millis(next_fetch).to_le_bytes());
    record.extend_from_slice(body);
    record
}

pub(super) fn read_record(record: &[u8]) -> Option<(Duration, Duration, &[u8])> {
    let (FORMAT, rest) = record.split_first().map(|(format, rest)| (*format, rest))? else {
        return None;
    };
    let (fetched, rest) = rest.split_first_chunk::<8>()?;
    let (next_fetch, body) = rest.split_first_chunk::<8>()?;
    let time = |bytes: &[u8; 8]| Duration::from_millis(u64::from_le_bytes(*bytes));
    Some((time(fetched), time(next_fetch), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = br#"{"keys":[
        {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"kty":"XYZ"}, {"kty":"RSA","n":"AA","e":"AQAB"}, 7
    ]}"#;
    #[test]
    fn one_usable_key_is_a_set() {
        let keys = read_set(SET).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].id.as_deref(), Some("a"));
        for (body, error) in [
            (&b"<html>"[..], FetchError::Malformed),
            (b"{}", FetchError::Malformed),
            (b"{\"keys\":{}}", FetchError::Malformed),
            (b"{\"keys\":[]}", FetchError::Empty),
            (
                br#"{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#,
                FetchError::Empty,
            ),
        ] {
            assert_eq!(read_set(body).err(), Some(error));
        }
        assert_eq!(
            read_set(&vec![b' '; MAX_BODY_BYTES + 1]).err(),
            Some(FetchError::TooLong)
        );
    }
}
