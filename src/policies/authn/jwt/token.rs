//! The compact serialisation of a signed token, RFC 7515 §7.1, before anything in it is believed.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

use super::algorithm::SignatureAlgorithm;
use portcullis_document::{Fields, Problems};
use portcullis_wire::json::compact::{Compact, Members, Value};

/// A token taken apart. Nothing in it is to be trusted before its signature has been checked.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) header: JoseHeader,
    /// What was signed.
    pub(super) signed: &'t [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// What the header says about how to check the signature.
#[derive(Debug)]
pub(super) struct JoseHeader {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) key_id: Option<String>,
    /// `typ` as a media type without its `application/`, in lower case.
    pub(super) typ: Option<String>,
}

/// In which form a provider's tokens come, where that differs from what the standards have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenForm {
    /// Which of [`REFERENCES`] are looked over.
    ignored: [bool; REFERENCES.len()],
    padding: Padding,
}

/// How base64url ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    /// RFC 7515 §2: it is left out.
    Absent,
    /// It is there wherever RFC 4648 §5 has it, and nowhere else.
    Canonical,
    /// Either, for those who only look.
    Any,
}

/// `jku` and `x5u` say where keys are, `jwk` and `x5c` bring one. A forger would
/// choose them, so none is ever followed.
const REFERENCES: [&str; 4] = ["jku", "x5u", "jwk", "x5c"];

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
    /// It does not name its key, and the provider demands that.
    KeyId,
    /// None of the keys that were tried fits, and the provider has more that can have signed it
    /// than may be tried.
    Untried,
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
    pub(super) fn parse(token: &'t [u8], form: &TokenForm) -> Result<Self, TokenError> {
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
            header: JoseHeader::parse(&form.padding.decode(header)?, form)?,
            signed,
            payload: form.padding.decode(payload)?,
            signature: form.padding.decode(signature)?,
        })
    }
}

/// The key by which a signed token says it was signed, if it says so in a way that can be read. Nothing of it is
/// checked here.
pub(in crate::authn) fn key_named_by(token: &[u8]) -> Option<String> {
    Token::parse(token, &TokenForm::ANY).ok()?.header.key_id
}

impl TokenForm {
    /// What every provider's tokens can be read by.
    const ANY: Self = Self {
        ignored: [true; REFERENCES.len()],
        padding: Padding::Any,
    };

    /// Reads `ignored_header_members` and `base64url_padding`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let ignored = fields.or_default(
            "ignored_header_members",
            Vec::new(),
            problems,
            |node, problems| {
                let choices = REFERENCES.map(|name| (name, name));
                node.list(problems, |item, problems| item.choice(problems, &choices))
            },
        );
        let padding = fields.or_default(
            "base64url_padding",
            Padding::Absent,
            problems,
            |node, problems| {
                let choices = [("none", Padding::Absent), ("required", Padding::Canonical)];
                node.choice(problems, &choices)
            },
        );
        let ignored = ignored?;
        Some(Self {
            ignored: REFERENCES.map(|name| ignored.contains(&name)),
            padding: padding?,
        })
    }

    /// Whether a header with that member is refused, whatever it says.
    fn refuses(&self, name: &str) -> bool {
        // `crit` demands what we do not know (RFC 7515 §4.1.11); `zip` and `enc` are for other
        // kinds of tokens.
        const NEVER: [&str; 3] = ["crit", "zip", "enc"];
        // A chain of certificates is looked over as all that has no meaning here.
        const NOWHERE: &str = "x5c";
        let mut references = REFERENCES.iter().zip(self.ignored);
        let refused = |(each, ignored): (&&str, bool)| *each == name && !ignored;
        NEVER.contains(&name) || (name != NOWHERE && references.any(refused))
    }
}

impl Padding {
    /// RFC 7515 §2: base64url without bits that no byte uses, so that there is one spelling.
    /// Nothing in a token is secret from the client that sent it, so the decoder need not take the
    /// same time for all.
    fn decode(self, part: &[u8]) -> Result<Vec<u8>, TokenError> {
        let decoded = match self {
            Padding::Absent => URL_SAFE_NO_PAD.decode(part),
            Padding::Canonical => URL_SAFE.decode(part),
            Padding::Any => URL_SAFE_NO_PAD.decode(without_padding(part)),
        };
        decoded.map_err(|_| TokenError::Format)
    }
}

/// A part of a token, without the `=` at its end.
pub(super) fn without_padding(part: &[u8]) -> &[u8] {
    let mut part = part;
    while let Some(shorter) = part.strip_suffix(b"=") {
        part = shorter;
    }
    part
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
        let read = || {
            let token = Token::parse(self.token, &TokenForm::ANY).ok()?;
            Compact::parse(&token.payload, MAX_DEPTH)
        };
        self.claims.get_or_init(read).as_ref()
    }
}

impl JoseHeader {
    fn parse(header: &[u8], form: &TokenForm) -> Result<Self, TokenError> {
        let json = Compact::parse(header, MAX_DEPTH).ok_or(TokenError::Header)?;
        let members = json.value().as_object().ok_or(TokenError::Header)?;
        if members.iter().any(|(name, _)| form.refuses(name)) {
            return Err(TokenError::Header);
        }
        let typ = optional_text(members, "typ")?.map(media_type);
        let key_id = optional_text(members, "kid")?.map(str::to_owned);
        let name = optional_text(members, "alg")?.ok_or(TokenError::Header)?;
        let algorithm = SignatureAlgorithm::named(name).ok_or(TokenError::Algorithm)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: TokenForm = TokenForm {
        ignored: [false; REFERENCES.len()],
        padding: Padding::Absent,
    };

    fn with_header(header: &str, form: &TokenForm) -> Result<SignatureAlgorithm, TokenError> {
        let header = URL_SAFE_NO_PAD.encode(header);
        let token = format!("{header}.e30.AA");
        Token::parse(token.as_bytes(), form).map(|token| token.header.algorithm)
    }

    #[test]
    fn what_leads_to_other_keys_is_looked_over_where_that_is_written() {
        let form = TokenForm {
            ignored: REFERENCES.map(|name| ["jku", "x5c"].contains(&name)),
            padding: Padding::Absent,
        };
        for fine in [
            r#"{"alg":"RS256","jku":"https://evil.example/","x5c":["AA"]}"#,
            r#"{"alg":"RS256","jku":7}"#,
        ] {
            assert_eq!(
                with_header(fine, &form),
                Ok(SignatureAlgorithm::Rs256),
                "{fine}"
            );
        }
        for wrong in [
            r#"{"alg":"RS256","jku":"a","x5u":"https://evil.example/"}"#,
            r#"{"alg":"RS256","jwk":{}}"#,
            r#"{"alg":"RS256","jku":"a","crit":["jku"]}"#,
            r#"{"alg":"RS256","JKU":"a","jku":"a","jku":"b"}"#,
        ] {
            assert_eq!(
                with_header(wrong, &form),
                Err(TokenError::Header),
                "{wrong}"
            );
        }
        let x5c = r#"{"alg":"RS256","x5c":["AA"]}"#;
        assert_eq!(with_header(x5c, &USUAL), Ok(SignatureAlgorithm::Rs256));
    }

    #[test]
    fn padding_is_canonical_or_absent() {
        let padded = TokenForm {
            padding: Padding::Canonical,
            ..USUAL
        };
        let is_token = |token: &str, form| Token::parse(token.as_bytes(), form).is_ok();
        let header = "eyJhbGciOiJSUzI1NiJ9";
        let (longer, pad) = ("eyJhbGciOiJSUzI1NiIgfQ", "==");
        for (token, with, without) in [
            (format!("{header}.e30=.AA=="), true, false),
            (format!("{longer}{pad}.e30=.AAAA"), true, false),
            (format!("{header}.e30.AA"), false, true),
            (format!("{longer}.e30=.AA=="), false, false),
            (format!("{header}.e30==.AA=="), false, false),
            (format!("{header}.e30=.AA="), false, false),
            (format!("{header}.e30=.AA==="), false, false),
            (format!("{header}.e30=.AB=="), false, false),
            (format!("{header}.e3=0.AA=="), false, false),
            (format!("{header}.e30%3D.AA=="), false, false),
            (format!("{header}.e30=.+A=="), false, false),
            (format!("{header}=.e30=.AA=="), false, false),
        ] {
            assert_eq!(is_token(&token, &padded), with, "{token}");
            assert_eq!(is_token(&token, &USUAL), without, "{token}");
        }
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
            let error = Token::parse(wrong.as_bytes(), &USUAL).unwrap_err();
            assert!(
                matches!(error, TokenError::Format | TokenError::Header),
                "{wrong}: {error:?}"
            );
        }
        let long = format!("eyJhbGciOiJSUzI1NiJ9.{}.AA", "A".repeat(MAX_TOKEN_BYTES));
        assert_eq!(
            Token::parse(long.as_bytes(), &USUAL).unwrap_err(),
            TokenError::Format
        );
    }

    #[test]
    fn the_header_may_not_lead_astray() {
        let with_header = |header: &str| with_header(header, &USUAL);
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
