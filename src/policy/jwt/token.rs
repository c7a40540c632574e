//! The compact serialisation of a signed token, RFC 7515 §7.1, before anything in it is believed.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::signature::Algorithm;
use crate::json::compact::{Compact, Members, Value};

/// A token taken apart. Nothing in it is to be trusted before its signature has been checked.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) header: Header,
    /// What was signed.
    pub(super) signed: &'t [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// What the header says about how to check the signature.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// `typ` as a media type without its `application/`, in lower case.
    pub(super) typ: Option<String>,
}

/// Why a token is not accepted, up to and including its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// Not three base64url parts, or too long.
    Format,
    /// The header is not strict JSON, or asks for what we do not do.
    Header,
    /// An algorithm that we, the provider or the key do not allow; `none` is one.
    Algorithm,
    /// No key of the provider can have signed it.
    Key,
    /// It does not name its key, and the provider demands that, or has more keys that can have
    /// signed it than may be tried.
    KeyId,
    /// The provider's keys are not there, or too old.
    NoKeys,
    /// The signature does not fit.
    Signature,
    /// The document leaves signatures to the proxy, and the proxy cannot check this one.
    Unverifiable,
    /// A claim that goes into a header holds what a header cannot.
    ClaimValue,
}

/// The longest token that is looked at.
pub(super) const MAX_TOKEN_BYTES: usize = 16 << 10;

/// How deep the JSON of a token may nest.
pub(super) const MAX_DEPTH: usize = 16;

impl<'t> Token<'t> {
    pub(super) fn parse(token: &'t [u8]) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Format);
        }
        let mut parts = token.split(|b| *b == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Format);
        };
        let signed_length = header.len().saturating_add(1).saturating_add(payload.len());
        let signed = token.get(..signed_length).ok_or(TokenError::Format)?;
        Ok(Self {
            header: Header::parse(&decode(header)?)?,
            signed,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

/// A token whose claims are looked at before anything is checked: to choose between providers, and
/// for nothing else.
pub(super) struct Unverified<'t> {
    token: &'t [u8],
    claims: OnceCell<Option<Compact>>,
}

impl<'t> Unverified<'t> {
    pub(super) fn new(token: &'t [u8]) -> Self {
        Self {
            token,
            claims: OnceCell::new(),
        }
    }

    pub(super) fn token(&self) -> &'t [u8] {
        self.token
    }

    /// What it claims; none if it cannot be read.
    pub(super) fn claims(&self) -> Option<&Compact> {
        let read = || Compact::parse(&Token::parse(self.token).ok()?.payload, MAX_DEPTH);
        self.claims.get_or_init(read).as_ref()
    }
}

impl Header {
    fn parse(header: &[u8]) -> Result<Self, TokenError> {
        // `crit` demands what we do not know (RFC 7515 §4.1.11); `zip` and `enc` are for
        // other kinds of tokens; `jku`, `x5u` and `jwk` bring the forger's own key.
        const REFUSED: [&str; 6] = ["crit", "zip", "enc", "jku", "x5u", "jwk"];
        let json = Compact::parse(header, MAX_DEPTH).ok_or(TokenError::Header)?;
        let members = json.value().as_object().ok_or(TokenError::Header)?;
        if REFUSED.iter().any(|name| members.member(name).is_some()) {
            return Err(TokenError::Header);
        }
        let typ = optional_text(members, "typ")?.map(media_type);
        let key_id = optional_text(members, "kid")?.map(str::to_owned);
        let name = optional_text(members, "alg")?.ok_or(TokenError::Header)?;
        let algorithm = Algorithm::named(name).ok_or(TokenError::Algorithm)?;
        Ok(Self {
            algorithm,
            key_id,
            typ,
        })
    }
}

fn optional_text<'j>(members: Members<'j>, name: &str) -> Result<Option<&'j str>, TokenError> {
    match members.member(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Header),
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out, and case does not count.
pub(super) fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
}

/// RFC 7515 §2: base64url without padding, and without bits that no byte uses. Nothing in a token
/// is secret from the client that sent it, so the decoder need not take the same time for all.
fn decode(part: &[u8]) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(header: &str) -> Result<Algorithm, TokenError> {
        let header = URL_SAFE_NO_PAD.encode(header);
        let token = format!("{header}.e30.AA");
        Token::parse(token.as_bytes()).map(|token| token.header.algorithm)
    }

    #[test]
    fn three_parts_of_strict_base64url() {
        for wrong in [
            "",
            ".",
            "..",
            "a.b",
            "e30.e30",
            "e30.e30.AA.",
            "e30.e30.AA.AA",
            "e30=.e30.AA",
            "eyJhbGciOiJSUzI1NiJ9.e3 0.AA",
            "eyJhbGciOiJSUzI1NiJ9.e31.AA",
            "eyJhbGciOiJSUzI1NiJ9.e30.A",
            "eyJhbGciOiJSUzI1NiJ9.e30.AB",
            "eyJhbGciOiJSUzI1NiJ9.e30.A+",
            "\u{e9}.e30.AA",
        ] {
            let error = Token::parse(wrong.as_bytes()).unwrap_err();
            assert!(
                matches!(error, TokenError::Format | TokenError::Header),
                "{wrong}: {error:?}"
            );
        }
        let long = format!("eyJhbGciOiJSUzI1NiJ9.{}.AA", "A".repeat(MAX_TOKEN_BYTES));
        assert_eq!(
            Token::parse(long.as_bytes()).unwrap_err(),
            TokenError::Format
        );
    }

    #[test]
    fn the_header_may_not_lead_astray() {
        assert!(with_header(r#"{"alg":"RS256","typ":"JWT","x5t":"abc"}"#).is_ok());
        assert!(with_header(r#"{"alg":"RS256","typ":"application/at+JWT"}"#).is_ok());
        for none in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS1"] {
            let header = format!(r#"{{"alg":"{none}"}}"#);
            assert_eq!(with_header(&header), Err(TokenError::Algorithm), "{none}");
        }
        for wrong in [
            r#"{}"#,
            r#"[]"#,
            r#"{"alg":1}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","alg":"HS256"}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":"RS256","crit":[]}"#,
            r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"RS256","zip":"DEF"}"#,
            r#"{"alg":"RS256","jku":"https://evil.example/"}"#,
            r#"{"alg":"RS256","jwk":{}}"#,
            r#"{"alg":"RS256","x5u":"https://evil.example/"}"#,
            r#"{"alg":"RS256","typ":null}"#,
            r#"{"alg":"RS256"} x"#,
        ] {
            assert_eq!(with_header(wrong), Err(TokenError::Header), "{wrong}");
        }
    }
}
