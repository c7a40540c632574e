//! What a log must not hold: tokens, keys, passwords, wherever a client put them.

use std::borrow::Cow;

/// What stands in the place of a secret.
pub(super) const REDACTED: &[u8] = b"REDACTED";

/// Header fields that are secrets or hold some.
const SECRET_HEADERS: [&str; 10] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-forwarded-access-token",
    "x-xsrf-token",
];

/// Words in the names of parameters, claims and header fields that hold secrets.
const SECRET_WORDS: [&str; 13] = [
    "apikey",
    "api-key",
    "api_key",
    "assertion",
    "auth",
    "code",
    "credential",
    "jwt",
    "pass",
    "secret",
    "session",
    "sig",
    "token",
];

/// Which values of a query are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    /// None of them, the names alone.
    Names,
    /// Those whose name does not tell a secret, and is none of these.
    Except(&'a [String]),
}

/// Whether a header field's value is never shown.
pub(super) fn is_secret_header(name: &str) -> bool {
    SECRET_HEADERS.contains(&name) || is_secret_name(name)
}

/// Whether a name tells that its value is a secret. More names do than need to: a value too few
/// in a log does less harm than one too many.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word)) || name == "key"
}

/// A text in which every run that looks like a compact JWS or JWE is replaced.
///
/// Such a run begins with `eyJ`, the start of a JSON object in base64url, and goes on through
/// base64url and dots.
pub(super) fn tokens(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = find_token(value) else {
        return Cow::Borrowed(value);
    };
    let mut shown = Vec::with_capacity(value.len());
    let (mut rest, mut next) = (value, Some(first));
    while let Some(at) = next {
        let (before, token) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        shown.extend_from_slice(before);
        shown.extend_from_slice(REDACTED);
        let length = token.iter().position(|b| !in_token(*b));
        rest = length
            .and_then(|length| token.get(length..))
            .unwrap_or_default();
        next = find_token(rest);
    }
    shown.extend_from_slice(rest);
    Cow::Owned(shown)
}

/// A query with its names, and values as `shown` says. What is not shown is [`REDACTED`].
pub(super) fn query(query: &[u8], shown: &Shown<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(query.len());
    for pair in query.split(|b| *b == b'&') {
        if !out.is_empty() {
            out.push(b'&');
        }
        let mut halves = pair.splitn(2, |b| *b == b'=');
        let name = halves.next().unwrap_or_default();
        out.extend_from_slice(&tokens(name));
        let Some(value) = halves.next() else {
            continue;
        };
        out.push(b'=');
        match shown {
            Shown::Except(secret) if !names_a_secret(name, secret) => {
                out.extend_from_slice(&tokens(value));
            }
            Shown::Names | Shown::Except(_) => out.extend_from_slice(REDACTED),
        }
    }
    out
}

/// A name that is not plain text may be a spelling of any other.
fn names_a_secret(name: &[u8], secret: &[String]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    match std::str::from_utf8(name) {
        Ok(name) if name.bytes().all(|b| plain(&b)) => {
            is_secret_name(name) || secret.iter().any(|each| each.eq_ignore_ascii_case(name))
        }
        _ => true,
    }
}

fn find_token(value: &[u8]) -> Option<usize> {
    value.windows(3).position(|window| window == b"eyJ")
}

fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.=+/%~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_out_wherever_they_stand() {
        for (value, shown) in [
            ("nothing here", "nothing here"),
            ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "REDACTED"),
            ("a eyJhbGciOiJIUzI1NiJ9.e30.c2ln b", "a REDACTED b"),
            ("\"eyJ0\", 'eyJ1.a'", "\"REDACTED\", 'REDACTED'"),
            ("/reset/eyJhbGci.x.y?z", "/reset/REDACTED?z"),
            ("eyJ", "REDACTED"),
            ("", ""),
        ] {
            assert_eq!(tokens(value.as_bytes()), shown.as_bytes(), "{value}");
        }
    }

    #[test]
    fn queries_keep_their_names() {
        let secret = ["ssn".to_owned()];
        let all = b"page=2&access_token=abc&q=eyJh.b.c&flag&%74oken=x&SSN=1&=y";
        let names = query(all, &Shown::Names);
        assert_eq!(
            names,
            b"page=REDACTED&access_token=REDACTED&q=REDACTED&flag&%74oken=REDACTED&SSN=REDACTED&=REDACTED"
        );
        let shown = query(all, &Shown::Except(&secret));
        assert_eq!(
            shown,
            b"page=2&access_token=REDACTED&q=REDACTED&flag&%74oken=REDACTED&SSN=REDACTED&=y"
        );
    }
}
