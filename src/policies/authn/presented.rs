//! The credential that a request presents, and how it is taken out of it.

use portcullis_exchange::exchange::Edit;
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// As what a token was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthScheme {
    /// As one that needs a proof of possession: `Authorization: DPoP`, RFC 9449 §7.1.
    Dpop,
    /// As anything else.
    Other,
}

/// The one token of a request.
#[derive(Debug)]
pub(super) struct PresentedCredential<'r> {
    pub(super) token: &'r [u8],
    pub(super) scheme: AuthScheme,
    pub(super) place: CredentialSource<'r>,
}

#[derive(Debug)]
pub(super) enum CredentialSource<'r> {
    Header(&'r HeaderName),
    Param {
        path: &'r [u8],
        name: &'r str,
    },
    Cookie {
        line: &'r [u8],
        name: &'r str,
    },
    /// In no part of the request.
    Connection,
}

/// What would be left without the credential cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unwritable;

impl<'r> PresentedCredential<'r> {
    /// The token as it was sent.
    pub(super) fn token(&self) -> &'r [u8] {
        self.token
    }

    /// What the connection proves.
    pub(super) fn of_connection() -> Self {
        Self {
            token: &[],
            scheme: AuthScheme::Other,
            place: CredentialSource::Connection,
        }
    }

    /// As what it was sent.
    pub(super) fn scheme(&self) -> AuthScheme {
        self.scheme
    }

    /// Whether it is the same token in the same place.
    pub(super) fn is_same(&self, other: &PresentedCredential<'_>) -> bool {
        match (&self.place, &other.place) {
            (CredentialSource::Connection, CredentialSource::Connection) => true,
            (CredentialSource::Connection, _) | (_, CredentialSource::Connection) => false,
            _ => std::ptr::eq(self.token, other.token),
        }
    }

    /// Takes the token out of what the service will see, and nothing else. What has been taken out
    /// before stays out.
    pub(super) fn strip(&self, edits: &mut Vec<Edit>) -> Result<(), Unwritable> {
        // A value that we may not write back is not one to pass on with a token in it.
        let value = |bytes: &[u8]| HeaderValue::parse(bytes).map_err(|_| Unwritable);
        let edit = match &self.place {
            CredentialSource::Header(name) => Edit::Remove((*name).clone()),
            CredentialSource::Param { path, name } => {
                let before = edits.iter().rev().find_map(|edit| match edit {
                    Edit::SetPath(path) => Some(path.as_bytes()),
                    _ => None,
                });
                Edit::SetPath(value(&without_param(before.unwrap_or(path), name))?)
            }
            CredentialSource::Cookie { line, name } => {
                let header = HeaderName::parse("cookie").map_err(|_| Unwritable)?;
                let before = edits.iter().rev().find_map(|edit| match edit {
                    Edit::Set(name, line) if *name == header => Some(line.as_bytes()),
                    Edit::Remove(name) if *name == header => Some(&b""[..]),
                    _ => None,
                });
                match without_cookie(before.unwrap_or(line), name).as_slice() {
                    [] => Edit::Remove(header),
                    rest => Edit::Set(header, value(rest)?),
                }
            }
            CredentialSource::Connection => return Ok(()),
        };
        edits.push(edit);
        Ok(())
    }
}

pub(super) fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|b| *b == at)?;
    let (before, from) = bytes.split_at_checked(place)?;
    Some((before, from.get(1..)?))
}

fn without_param(path: &[u8], name: &str) -> Vec<u8> {
    let Some((before, query)) = split_once(path, b'?') else {
        return path.to_vec();
    };
    let is_named =
        |pair: &&[u8]| split_once(pair, b'=').map_or(*pair, |(key, _)| key) == name.as_bytes();
    let kept: Vec<&[u8]> = query
        .split(|b| *b == b'&')
        .filter(|pair| !is_named(pair))
        .collect();
    if kept.is_empty() {
        return before.to_vec();
    }
    [before, b"?", &kept.join(&b'&')].concat()
}

/// The pairs of a `Cookie` line, RFC 6265 §5.4, read as leniently as services read it.
pub(super) fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|b| *b == b';').map(|pair| {
        let (name, value) = split_once(pair, b'=').unwrap_or((pair, b""));
        (name.trim_ascii(), unquoted(value.trim_ascii()))
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// The line without one cookie; the others stay byte for byte as they were.
fn without_cookie(line: &[u8], name: &str) -> Vec<u8> {
    let is_named = |pair: &&[u8]| {
        split_once(pair, b'=')
            .map_or(*pair, |(key, _)| key)
            .trim_ascii()
            == name.as_bytes()
    };
    let kept: Vec<&[u8]> = line
        .split(|b| *b == b';')
        .filter(|pair| !is_named(pair))
        .collect();
    kept.join(&b';').trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_parameter_goes_and_the_others_stay() {
        let strip = |path: &str| String::from_utf8(without_param(path.as_bytes(), "t")).unwrap();
        assert_eq!(strip("/a?t=x"), "/a");
        assert_eq!(strip("/a?b=1&t=x&c=%20"), "/a?b=1&c=%20");
        assert_eq!(strip("/a?t&tt=1"), "/a?tt=1");
        assert_eq!(strip("/a?b=t=x"), "/a?b=t=x");
        assert_eq!(strip("/a"), "/a");
    }

    #[test]
    fn one_cookie_goes_and_the_others_stay() {
        let strip = |line: &str| String::from_utf8(without_cookie(line.as_bytes(), "t")).unwrap();
        assert_eq!(strip("t=x"), "");
        assert_eq!(strip("a=1; t=x; b=\"2\""), "a=1; b=\"2\"");
        assert_eq!(strip("t=x; a=1"), "a=1");
        assert_eq!(strip("a=t=x; tt=1"), "a=t=x; tt=1");
    }

    #[test]
    fn cookies_may_be_quoted() {
        let all: Vec<_> = cookies(b"a=1; t = \"x\" ;b").collect();
        assert_eq!(all, [(&b"a"[..], &b"1"[..]), (b"t", b"x"), (b"b", b"")]);
    }
}
