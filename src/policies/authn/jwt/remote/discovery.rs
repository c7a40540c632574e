//! Where a provider says that its keys are: OpenID Connect Discovery 1.0 §4, RFC 8414.

use std::rc::Rc;

use super::response::{FetchError, MAX_DEPTH};
use crate::authn::jwt::claims::Accepted;
use crate::authn::jwt::rules::are_near;
use crate::remote::NoAnswer;
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::http_uri::Uri;
use portcullis_wire::json::compact::{Compact, Value};

/// The longest discovery document that is read.
pub(super) const MAX_DOCUMENT_BYTES: usize = 64 << 10;

/// What is known beforehand of a provider's discovery document.
#[derive(Debug)]
pub(super) struct Discovery {
    /// What the document must say that it is of.
    pub(super) issuer: String,
    /// Where the document is.
    pub(super) document: Rc<Uri>,
    /// The cluster of the keys, if they may be on another host than the document.
    pub(super) keys_cluster: Option<Rc<str>>,
}

impl Discovery {
    /// Reads `issuer`, `uri` and `jwks_cluster`. `accepted` are the issuers whose tokens the
    /// provider accepts; `None` when something is wrong with those, which has been reported.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        accepted: Option<&Accepted>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let written = fields.optional("issuer");
        let uri = fields.or_default("uri", None, problems, |node, problems| {
            Uri::read(node, problems).map(Some)
        });
        let keys_cluster = fields.or_default("jwks_cluster", None, problems, |node, problems| {
            node.non_empty(problems).map(|name| Some(name.into()))
        });
        let issuer = match (&written, accepted) {
            (Some(node), _) => node.non_empty(problems)?,
            (None, Some(Accepted::OneOf(issuers))) if issuers.len() == 1 => issuers.first()?,
            (None, None) => return None,
            (None, Some(_)) => {
                problems.report(
                    fields.pointer(),
                    "lacks the field \"issuer\": whose document it is cannot be told, since the provider's own `issuer` is not a single one",
                );
                return None;
            }
        };
        let document = match uri? {
            Some(uri) => uri,
            None => document_uri(issuer).or_else(|| {
                report_issuer(written.as_ref(), fields, problems);
                None
            })?,
        };
        if let Some(Accepted::OneOf(issuers)) = accepted
            && !issuers.iter().any(|each| each == issuer)
        {
            notes.push(format!(
                "{}: keys are taken from an issuer whose tokens are not accepted, since it is not in the provider's own `issuer`",
                fields.pointer()
            ));
        }
        Some(Self {
            issuer: issuer.to_owned(),
            document: Rc::new(document),
            keys_cluster: keys_cluster?,
        })
    }

    /// Whose document a response is that is of another issuer, and whose it should be.
    pub(super) fn issuers(&self, response: &[u8]) -> Option<String> {
        let json = Compact::parse(response, MAX_DEPTH)?;
        let said = json.member("issuer").and_then(Value::as_str);
        let wanted = Quoted(&self.issuer);
        let Some(said) = said else {
            return Some(format!("it names no issuer; {wanted} is asked for"));
        };
        let near = if are_near(said, &self.issuer) {
            "; they differ in a \"/\" at the end or in the case of letters, and must be the same byte for byte"
        } else {
            ""
        };
        Some(format!(
            "it is of the issuer {}, and {wanted} is asked for{near}",
            Quoted(said)
        ))
    }

    /// Where the keys are, by the response to a question for the document.
    pub(super) fn keys_uri(&self, response: &[u8]) -> Result<Uri, FetchError> {
        let uri = read_discovery_document(response, &self.issuer)?;
        self.allows(&uri).map(|()| uri)
    }

    /// Whether keys may be fetched there. Without a cluster of their own they are fetched where
    /// the document was: another host would not be asked at all, only named in a question to
    /// this one.
    pub(super) fn allows(&self, uri: &Uri) -> Result<(), FetchError> {
        if self.document.scheme == "https" && uri.scheme != "https" {
            return Err(FetchError::Insecure);
        }
        if self.keys_cluster.is_none() && !uri.has_host_of(&self.document) {
            return Err(FetchError::OtherHost);
        }
        Ok(())
    }
}

/// OpenID Connect Discovery 1.0 §4: the issuer without a `/` at its end, and the well-known path.
/// `None` when the issuer is not a URI, or has a query.
fn document_uri(issuer: &str) -> Option<Uri> {
    let Uri {
        scheme,
        authority,
        path,
    } = Uri::parse(issuer)?;
    if path.contains('?') {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(&path);
    Some(Uri {
        scheme,
        authority,
        path: format!("{path}/.well-known/openid-configuration"),
    })
}

fn report_issuer(written: Option<&Node<'_>>, fields: &Fields<'_>, problems: &mut Problems) {
    let place = written.map_or_else(|| fields.pointer(), Node::pointer);
    problems.report(
        place,
        "the issuer is not an http or https URI without query and fragment, so where its discovery document is cannot be told; write `uri`",
    );
}

/// Reads a discovery document: the `jwks_uri` of exactly that issuer. It is not said yet that
/// keys may be fetched there.
///
/// # Errors
/// Why it is of no use: not strict JSON (a member that appears twice is an error), another
/// issuer, no `jwks_uri`, or one that is not a plain absolute URI.
pub fn read_discovery_document(body: &[u8], issuer: &str) -> Result<Uri, FetchError> {
    if body.len() > MAX_DOCUMENT_BYTES {
        return Err(FetchError::NoAnswer(NoAnswer::TooLong(MAX_DOCUMENT_BYTES)));
    }
    let json = Compact::parse(body, MAX_DEPTH).ok_or(FetchError::NoDocument)?;
    let members = json.value().as_object().ok_or(FetchError::NoDocument)?;
    // §4.3: identical, no normalisation.
    if members.member("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(FetchError::OtherIssuer);
    }
    let uri = members.member("jwks_uri").ok_or(FetchError::NoKeysUri)?;
    uri.as_str()
        .and_then(Uri::parse)
        .ok_or(FetchError::BadKeysUri)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example.com/";

    fn read(document: &str) -> Result<String, FetchError> {
        read_discovery_document(document.as_bytes(), ISSUER).map(|uri| uri.to_string())
    }

    #[test]
    fn the_well_known_path_follows_the_issuer() {
        let uri = |issuer: &str| document_uri(issuer).map(|uri| uri.to_string());
        for (issuer, document) in [
            ("https://a", "https://a/.well-known/openid-configuration"),
            ("https://a/", "https://a/.well-known/openid-configuration"),
            (
                "https://a:8/t/v2.0",
                "https://a:8/t/v2.0/.well-known/openid-configuration",
            ),
            ("http://a/t/", "http://a/t/.well-known/openid-configuration"),
        ] {
            assert_eq!(uri(issuer).as_deref(), Some(document));
        }
        for wrong in ["", "a", "https://a/?b", "https://a?b", "https://a/#b"] {
            assert_eq!(uri(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_the_document_of_the_issuer_counts() {
        let good =
            r#"{"issuer":"https://id.example.com/","jwks_uri":"https://k.example/j?v=1","x":[{}]}"#;
        assert_eq!(read(good).unwrap(), "https://k.example/j?v=1");
        for other in [
            r#"{"jwks_uri":"https://id.example.com/j"}"#,
            r#"{"issuer":"https://id.example.com","jwks_uri":"https://id.example.com/j"}"#,
            r#"{"issuer":"HTTPS://id.example.com/","jwks_uri":"https://id.example.com/j"}"#,
            r#"{"issuer":"https://id.example.com:443/","jwks_uri":"https://id.example.com/j"}"#,
            r#"{"issuer":["https://id.example.com/"],"jwks_uri":"https://id.example.com/j"}"#,
            r#"{"issuer":null,"jwks_uri":"https://id.example.com/j"}"#,
        ] {
            assert_eq!(read(other), Err(FetchError::OtherIssuer), "{other}");
        }
    }

    #[test]
    fn a_document_is_strict_json() {
        let twice = r#"{"issuer":"https://id.example.com/","jwks_uri":"https://a/","jwks_uri":"https://b/"}"#;
        let twice_issuer = r#"{"issuer":"https://evil/","issuer":"https://id.example.com/","jwks_uri":"https://a/"}"#;
        let deep = "[".repeat(100);
        for wrong in [
            "",
            "<html>",
            "[]",
            "\"x\"",
            "{} x",
            twice,
            twice_issuer,
            &deep,
        ] {
            assert_eq!(read(wrong), Err(FetchError::NoDocument), "{wrong}");
        }
        assert_eq!(
            read(&" ".repeat(MAX_DOCUMENT_BYTES + 1)),
            Err(FetchError::NoAnswer(NoAnswer::TooLong(MAX_DOCUMENT_BYTES)))
        );
    }

    #[test]
    fn the_address_of_keys_is_plain() {
        assert_eq!(
            read(r#"{"issuer":"https://id.example.com/"}"#),
            Err(FetchError::NoKeysUri)
        );
        for wrong in [
            "7",
            "null",
            "\"\"",
            "\"/jwks\"",
            "\"https://u@id.example.com/j\"",
            "\"https://id.example.com/j#k\"",
            "\"https://id.example.com/\\u0000\"",
            "\"https://id.example.com/\\r\\nhost: x\"",
            "\"https://id.example.com/ j\"",
            "\"javascript://id.example.com/\"",
        ] {
            let document = format!(r#"{{"issuer":"https://id.example.com/","jwks_uri":{wrong}}}"#);
            assert_eq!(read(&document), Err(FetchError::BadKeysUri), "{wrong}");
        }
    }

    #[test]
    fn keys_are_where_the_document_is_unless_they_have_a_cluster() {
        let discovery = |issuer: &str, cluster: Option<&str>| Discovery {
            issuer: issuer.to_owned(),
            document: Rc::new(document_uri(issuer).unwrap()),
            keys_cluster: cluster.map(Rc::from),
        };
        let allows = |issuer, cluster, uri: &str| {
            discovery(issuer, cluster).allows(&Uri::parse(uri).unwrap())
        };
        assert_eq!(allows("https://a", None, "https://a/j"), Ok(()));
        assert_eq!(allows("https://a", None, "https://A:443/j"), Ok(()));
        assert_eq!(
            allows("https://a", None, "https://b/j"),
            Err(FetchError::OtherHost)
        );
        assert_eq!(allows("https://a", Some("keys"), "https://b/j"), Ok(()));
        assert_eq!(
            allows("https://a", Some("keys"), "http://a/j"),
            Err(FetchError::Insecure)
        );
        assert_eq!(allows("http://a", Some("keys"), "http://b/j"), Ok(()));
        assert_eq!(
            allows("http://a", None, "https://a/j"),
            Err(FetchError::OtherHost)
        );
    }
}
