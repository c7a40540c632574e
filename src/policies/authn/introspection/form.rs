//! What can be seen of a token before anybody is asked about it.

use super::refusals::{NOT_OPAQUE, malformed};
use portcullis_exchange::refusal::Refusal;

/// The longest token that is asked about, in bytes.
pub(super) const LONGEST_TOKEN: usize = 8 << 10;

/// Which tokens the server is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedTokens {
    /// Those that are no signed JWTs: of these, whoever has the keys can judge at once.
    Opaque,
    /// All.
    Any,
}

impl AskedTokens {
    /// Refuses what is not asked about. RFC 6750 §2.1: a token is a `b64token`; anything else could mean
    /// something in the body of our request.
    pub(super) fn check(self, token: &[u8]) -> Result<(), Refusal> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Err(malformed("length"));
        }
        if !is_b64token(token) {
            return Err(malformed("characters"));
        }
        match self {
            AskedTokens::Opaque if is_signed_jwt(token) => Err(Refusal::new(&NOT_OPAQUE)),
            AskedTokens::Opaque | AskedTokens::Any => Ok(()),
        }
    }
}

/// RFC 6750 §2.1: letters, digits and `-._~+/`, then perhaps `=`.
fn is_b64token(token: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(b);
    let rest = token.iter().skip_while(|b| plain(b));
    let mut rest = rest.peekable();
    token.first().is_some_and(plain) && rest.all(|b| *b == b'=')
}

/// Whether a token has the form of a signed JWT (RFC 7515 §7.1): three parts, of which the first begins as the
/// base64url of a JSON object does. An encrypted one has five.
pub(in crate::authn) fn is_signed_jwt(token: &[u8]) -> bool {
    let dots = token.iter().filter(|b| **b == b'.').count();
    // `{` and the first two bits of what follows.
    dots == 2 && matches!(token, [b'e', b'w'..=b'z' | b'0'..=b'9' | b'-' | b'_', ..])
}

/// Whether it has another form.
pub(in crate::authn) fn is_opaque(token: &[u8]) -> bool {
    !is_signed_jwt(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_jwts_are_told_from_other_tokens() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        for header in ["{\"alg\":\"RS256\"}", "{ \"alg\":1}", "{\n}", "{\t}", "{}"] {
            let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
            assert!(is_signed_jwt(token.as_bytes()), "{header:?}");
            assert!(AskedTokens::Opaque.check(token.as_bytes()).is_err());
            assert!(AskedTokens::Any.check(token.as_bytes()).is_ok());
        }
        for other in [
            "",
            "2YotnFZFEjr1zCsicMWpAA",
            "v4.public.eyJh",
            "eyJhbGciOiJSUzI1NiJ9.e30",
            "eyJhbGciOiJkaXIifQ....AA",
            "a.b.c",
            "e.b.c",
        ] {
            assert!(is_opaque(other.as_bytes()), "{other}");
        }
    }

    /// RFC 6750 §2.1.
    #[test]
    fn only_b64tokens_are_asked_about() {
        let is_asked = |token: &[u8]| AskedTokens::Any.check(token).is_ok();
        for fine in ["a", "aZ09-._~+/", "a=", "a==", "mF_9.B5f-4.1JqM"] {
            assert!(is_asked(fine.as_bytes()), "{fine}");
        }
        for wrong in [
            "",
            "=",
            "a=b",
            "a b",
            "a&token=b",
            "a%20",
            "a\"",
            "a,b",
            "\u{e9}",
            "a\0",
        ] {
            assert!(!is_asked(wrong.as_bytes()), "{wrong:?}");
        }
        assert!(is_asked(&[b'a'; LONGEST_TOKEN]));
        assert!(!is_asked(&[b'a'; LONGEST_TOKEN + 1]));
    }
}
