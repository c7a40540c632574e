//! How a server is asked about a token: RFC 7662 §2.1.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::authn::secret::EnvironmentSecret;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::call::Call;
use portcullis_exchange::host::Host;
use portcullis_exchange::http_uri::Uri;
use portcullis_exchange::section::{EnvironmentFault, Variable};
use portcullis_wire::headers::HeaderValue;

/// Where a server is asked, and as whom.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) cluster: Rc<str>,
    pub(super) uri: Uri,
    pub(super) client: ClientAuthentication,
    /// How long it may take to answer.
    pub(super) timeout: Duration,
}

/// How the filter authenticates to the server. RFC 7662 §2.1: a server must not answer just anybody, or
/// it could be used to try tokens.
#[derive(Debug)]
pub(super) enum ClientAuthentication {
    /// By nothing in the request: the connection of the cluster does.
    Connection,
    /// RFC 6749 §2.3.1, in `Authorization`.
    Basic(ClientSecret),
    /// The same, in the body.
    Post(ClientSecret),
    /// RFC 6750, with a token of our own.
    Bearer(EnvironmentSecret),
}

/// A client and its secret.
#[derive(Debug)]
pub(super) struct ClientSecret {
    id: String,
    secret: EnvironmentSecret,
}

const WAYS: &str = "{\"client_secret_basic\": {…}}";

impl ClientAuthentication {
    /// Reads `authentication: { client_secret_basic | client_secret_post | bearer }`, or `none`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if node.json().as_str() == Some("none") {
            return Some(Self::Connection);
        }
        let mut fields = node.object(problems, WAYS)?;
        let basic = fields.optional("client_secret_basic");
        let post = fields.optional("client_secret_post");
        let bearer = fields.optional("bearer");
        let read = match (&basic, &post, &bearer) {
            (Some(node), None, None) => ClientSecret::read(node, problems).map(Self::Basic),
            (None, Some(node), None) => ClientSecret::read(node, problems).map(Self::Post),
            (None, None, Some(node)) => EnvironmentSecret::read(node, problems).map(Self::Bearer),
            (None, None, None) => {
                let names = ["client_secret_basic", "client_secret_post", "bearer"];
                fields.lacks(
                    &names,
                    problems,
                    "needs one of `client_secret_basic`, `client_secret_post` and `bearer`; or write \"none\" where the cluster's connection authenticates",
                );
                None
            }
            _ => {
                node.report(problems, "names two ways to authenticate; keep one of them");
                None
            }
        };
        fields.deny_unknown(problems);
        read
    }

    fn secret(&self) -> Option<&EnvironmentSecret> {
        match self {
            Self::Connection => None,
            Self::Basic(client) | Self::Post(client) => Some(&client.secret),
            Self::Bearer(secret) => Some(secret),
        }
    }

    /// The variable of the environment that it needs.
    pub(super) fn variable(&self, server: &str) -> Option<Variable> {
        let secret = self.secret()?;
        let place = format!("introspection server {server}");
        let without = "its tokens are refused with 503";
        let needed = Variable::new(place, secret.variable(), without);
        Some(match self {
            Self::Bearer(_) => needed.checked(|value| {
                HeaderValue::parse(value).is_err().then(|| EnvironmentFault {
                    is_error: true,
                    text: "cannot stand in a header field. Until then its tokens are refused with 503".to_owned(),
                })
            }),
            _ => needed,
        })
    }
}

impl ClientSecret {
    /// Reads `{ client_id, client_secret: { env } }`.
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields: Fields<'_> = node.object(problems, "{\"client_id\": \"…\"}")?;
        let id = fields
            .required("client_id", problems)
            .and_then(|node| node.non_empty(problems).map(str::to_owned));
        let secret = fields
            .required("client_secret", problems)
            .and_then(|node| EnvironmentSecret::read(&node, problems));
        fields.deny_unknown(problems);
        Some(Self {
            id: id?,
            secret: secret?,
        })
    }
}

impl Endpoint {
    /// The call that asks about a token; none if the environment has nothing to authenticate with.
    pub(super) fn call(&self, token: &[u8], host: &dyn Host) -> Option<Call> {
        let mut headers = self.uri.fields("POST");
        let mut add = |name: &'static str, value: String| headers.push((name.into(), value));
        add(
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        );
        add("accept", "application/json".to_owned());
        let mut body = String::from("token=");
        push_encoded(&mut body, token);
        body.push_str("&token_type_hint=access_token");
        match &self.client {
            ClientAuthentication::Connection => {}
            ClientAuthentication::Basic(client) => {
                let mut pair = String::new();
                push_encoded(&mut pair, client.id.as_bytes());
                pair.push(':');
                push_encoded(&mut pair, client.secret.value(host)?);
                add("authorization", format!("Basic {}", STANDARD.encode(pair)));
            }
            ClientAuthentication::Post(client) => {
                body.push_str("&client_id=");
                push_encoded(&mut body, client.id.as_bytes());
                body.push_str("&client_secret=");
                push_encoded(&mut body, client.secret.value(host)?);
            }
            ClientAuthentication::Bearer(secret) => {
                let value = secret.value(host)?;
                HeaderValue::parse(value).ok()?;
                let value = std::str::from_utf8(value).ok()?;
                add("authorization", format!("Bearer {value}"));
            }
        }
        Some(Call {
            cluster: Rc::clone(&self.cluster),
            headers,
            body: body.into_bytes(),
            timeout: self.timeout,
        })
    }
}

/// RFC 6749 appendix B: `application/x-www-form-urlencoded`.
fn push_encoded(out: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or('0');
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(*byte));
            }
            b' ' => out.push('+'),
            _ => out.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;
    use portcullis_wire::json::Json;

    fn call(authentication: &str) -> Option<(Vec<(String, String)>, String)> {
        let json = Json::parse(authentication.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let client = ClientAuthentication::read(&Node::root(&json), &mut problems);
        let endpoint = Endpoint {
            cluster: "idp".into(),
            uri: Uri::parse("https://id.example.com/introspect").unwrap(),
            client: problems.into_result(client).unwrap(),
            timeout: Duration::from_secs(1),
        };
        let host = MemoryHost::new()
            .with_variable("SECRET", "s: &%\u{e9}")
            .with_variable("TOKEN", "tok-1");
        let call = endpoint.call(b"a+b/c~d=", &host)?;
        let headers = call.headers.into_iter();
        let headers = headers.map(|(name, value)| (name.into_owned(), value));
        Some((headers.collect(), String::from_utf8(call.body).unwrap()))
    }

    fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
        let found = fields.iter().find(|(each, _)| each == name)?;
        Some(&found.1)
    }

    /// RFC 7662 §2.1: POST, `application/x-www-form-urlencoded`, `token` and `token_type_hint`, and that the
    /// filter authenticates.
    #[test]
    fn the_request_of_rfc_7662_2_1() {
        const BODY: &str = "token=a%2Bb%2Fc%7Ed%3D&token_type_hint=access_token";
        let (fields, body) = call(r#""none""#).unwrap();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "id.example.com"),
            (":path", "/introspect"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
        ] {
            assert_eq!(field(&fields, name), Some(value), "{name}");
        }
        assert_eq!(field(&fields, "authorization"), None);
        assert_eq!(body, BODY);
        let client = r#"{"client_id":"gate way","client_secret":{"env":"SECRET"}}"#;
        let (fields, body) = call(&format!(r#"{{"client_secret_basic":{client}}}"#)).unwrap();
        let pair = STANDARD.encode("gate+way:s%3A+%26%25%C3%A9");
        assert_eq!(
            field(&fields, "authorization"),
            Some(&*format!("Basic {pair}"))
        );
        assert_eq!(body, BODY);
        let (fields, body) = call(&format!(r#"{{"client_secret_post":{client}}}"#)).unwrap();
        assert_eq!(field(&fields, "authorization"), None);
        assert_eq!(
            body,
            format!("{BODY}&client_id=gate+way&client_secret=s%3A+%26%25%C3%A9")
        );
        let (fields, body) = call(r#"{"bearer":{"env":"TOKEN"}}"#).unwrap();
        assert_eq!(field(&fields, "authorization"), Some("Bearer tok-1"));
        assert_eq!(body, BODY);
        assert_eq!(call(r#"{"bearer":{"env":"NOWHERE"}}"#), None);
    }
}
