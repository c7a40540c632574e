//! `WWW-Authenticate`: what a client is to do to be let in, RFC 9110 §11.6.1 and RFC 6750 §3.

use crate::protected_resource::{metadata_url, served};
use portcullis_document::{DidYouMean, Fields, Node, Problems, Quoted};
use portcullis_exchange::policy::Context;
use portcullis_exchange::refusal::{Blame, Code, Refusal};
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// The field for each class of response; none where there is no scheme to name.
pub(super) struct Challenges {
    name: HeaderName,
    /// With which code credentials are refused of which there are too many.
    several: &'static Code,
    missing: Option<HeaderValue>,
    invalid_request: Option<HeaderValue>,
    invalid_token: Option<HeaderValue>,
    insufficient_scope: Option<HeaderValue>,
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

/// The challenge of a scheme that says nothing but where it is for.
pub(super) fn plain_challenge(scheme: &str, realm: &str) -> String {
    format!("{scheme} realm=\"{realm}\"")
}

/// What a challenge says of where metadata are, RFC 9728 §5.1; nothing if it is not said.
pub(super) fn metadata_parameter(url: &str) -> String {
    match url {
        "" => String::new(),
        url => format!(", resource_metadata=\"{url}\""),
    }
}

/// Reads `resource_metadata`: the address of the metadata of a resource that this document serves, which is what
/// it says, and nothing that a request says. Nothing if there are none, or several of which none is named.
pub(super) fn read_metadata(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<String> {
    let served = served(context.document);
    let named = fields.optional("resource_metadata");
    let resource = match (named, &served[..]) {
        (None, [only]) => *only,
        (None, _) => return Some(String::new()),
        (Some(node), _) if node.is_off() => return Some(String::new()),
        (Some(node), _) => {
            let name = node.non_empty(context.problems)?;
            if !served.contains(&name) {
                let near = DidYouMean(name, served.iter().copied());
                node.report(
                    context.problems,
                    format_args!(
                        "no route of this document serves the metadata of {}{near}; write the `resource` of a `protected_resource` block, or \"off\"",
                        Quoted(name)
                    ),
                );
                return None;
            }
            name
        }
    };
    Some(metadata_url(resource))
}

/// The same where no block says: that of the only resource that the document serves.
pub(super) fn usual_metadata(document: &Node<'_>) -> String {
    match served(document)[..] {
        [only] => metadata_url(only),
        _ => String::new(),
    }
}

impl Challenges {
    /// `scopes` are the scopes that a client may lack.
    pub(super) fn bearer(several: &'static Code, realm: &str, scopes: &str) -> Option<Self> {
        Self::of_scheme(several, &plain_challenge("Bearer", realm), "", scopes)
    }

    /// Of a scheme that says what was wrong: between the `start` of each challenge and its `end`.
    pub(super) fn of_scheme(
        several: &'static Code,
        start: &str,
        end: &str,
        scopes: &str,
    ) -> Option<Self> {
        let value = |parameters: &str| {
            let value = HeaderValue::parse([start, parameters, end].concat().as_bytes());
            value.ok().map(Some)
        };
        let scope = match scopes {
            "" => String::new(),
            scopes => format!(", scope=\"{scopes}\""),
        };
        Some(Self {
            name: name()?,
            several,
            missing: value("")?,
            invalid_request: value(", error=\"invalid_request\"")?,
            invalid_token: value(", error=\"invalid_token\"")?,
            insufficient_scope: value(&format!(", error=\"insufficient_scope\"{scope}"))?,
        })
    }

    /// With the address at which clients learn who issues tokens, RFC 9728 §5.1; none if that is nothing.
    pub(super) fn with_metadata(mut self, url: &str) -> Option<Self> {
        if !url.is_empty() {
            for value in self.values() {
                if let Some(own) = value {
                    let all = [own.as_bytes(), metadata_parameter(url).as_bytes()].concat();
                    *value = Some(HeaderValue::parse(&all).ok()?);
                }
            }
        }
        Some(self)
    }

    fn values(&mut self) -> [&mut Option<HeaderValue>; 4] {
        [
            &mut self.missing,
            &mut self.invalid_request,
            &mut self.invalid_token,
            &mut self.insufficient_scope,
        ]
    }

    /// Of a scheme that says nothing but where it is for.
    pub(super) fn plain(several: &'static Code, scheme: &str, realm: &str) -> Option<Self> {
        let value = plain_challenge(scheme, realm);
        let value = HeaderValue::parse(value.as_bytes()).ok()?;
        Some(Self {
            name: name()?,
            several,
            missing: Some(value.clone()),
            invalid_request: Some(value.clone()),
            invalid_token: Some(value.clone()),
            insufficient_scope: Some(value),
        })
    }

    /// Of what no header field asks for.
    pub(super) fn none(several: &'static Code) -> Option<Self> {
        Some(Self {
            name: name()?,
            several,
            missing: None,
            invalid_request: None,
            invalid_token: None,
            insufficient_scope: None,
        })
    }

    /// With the challenges of other kinds that would do as well, behind its own, RFC 9110 §11.6.1.
    pub(super) fn beside(mut self, others: &str) -> Option<Self> {
        if others.is_empty() {
            return Some(self);
        }
        for value in self.values() {
            let all = match value {
                Some(own) => [own.as_bytes(), b", ", others.as_bytes()].concat(),
                None => others.into(),
            };
            *value = Some(HeaderValue::parse(&all).ok()?);
        }
        Some(self)
    }

    /// RFC 9110 §11.6.1: on 401, and here on 403; any other answer has nothing to ask for.
    pub(super) fn attach(&self, refusal: Refusal) -> Refusal {
        let value = match refusal.reason.blame {
            Blame::Caller => &self.insufficient_scope,
            Blame::NoCredential => &self.missing,
            Blame::Credential if refusal.code() == self.several => &self.invalid_request,
            Blame::Credential | Blame::ExpiredCredential | Blame::UsedCredential => {
                &self.invalid_token
            }
            _ => return refusal,
        };
        match value {
            Some(value) => refusal.with_header(self.name.clone(), value.clone()),
            None => refusal,
        }
    }
}

fn name() -> Option<HeaderName> {
    HeaderName::parse("www-authenticate").ok()
}
