//! `WWW-Authenticate`: what a client is to do to be let in, RFC 6750 §3.

use portcullis_document::{Node, Problems};
use portcullis_exchange::refusal::{Blame, Code, Refusal};
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// The field for each class of response.
pub(super) struct Challenges {
    name: HeaderName,
    /// With which code credentials are refused of which there are too many.
    several: &'static Code,
    missing: HeaderValue,
    invalid_request: HeaderValue,
    invalid_token: HeaderValue,
    insufficient_scope: HeaderValue,
}

/// Reads a realm: what may stand between quotes without escapes, RFC 9110 §5.6.4.
pub(super) fn read_realm<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    let realm = node.non_empty(problems)?;
    let plain = realm
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\');
    if !plain {
        node.report(
            problems,
            "must be printable ASCII without quotes and backslashes",
        );
    }
    plain.then_some(realm)
}

impl Challenges {
    /// `scopes` are the scopes that a client may lack.
    pub(super) fn bearer(several: &'static Code, realm: &str, scopes: &str) -> Option<Self> {
        let value = |parameters: &str| {
            HeaderValue::parse(format!("Bearer realm=\"{realm}\"{parameters}").as_bytes()).ok()
        };
        let scope = match scopes {
            "" => String::new(),
            scopes => format!(", scope=\"{scopes}\""),
        };
        Some(Self {
            name: HeaderName::parse("www-authenticate").ok()?,
            several,
            missing: value("")?,
            invalid_request: value(", error=\"invalid_request\"")?,
            invalid_token: value(", error=\"invalid_token\"")?,
            insufficient_scope: value(&format!(", error=\"insufficient_scope\"{scope}"))?,
        })
    }

    /// RFC 9110 §11.6.1: on 401, and here on 403; any other answer has nothing to ask for.
    pub(super) fn attach(&self, refusal: Refusal) -> Refusal {
        let value = match refusal.reason.blame {
            Blame::Caller => &self.insufficient_scope,
            Blame::NoCredential => &self.missing,
            Blame::Credential if refusal.code() == self.several => &self.invalid_request,
            Blame::Credential | Blame::ExpiredCredential => &self.invalid_token,
            _ => return refusal,
        };
        refusal.with_header(self.name.clone(), value.clone())
    }
}
