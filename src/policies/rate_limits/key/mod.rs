//! What a request is counted by: an ordered list of parts, each read from the request or from
//! what is known of its sender.

mod kinds;
mod networks;
pub mod query;
mod read;

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

pub use self::networks::NetworkChoice;
use self::query::parameter;
use portcullis_exchange::blanks::without_blanks;
use portcullis_exchange::condition::ClaimPath;
use portcullis_exchange::exchange::Several;
use portcullis_exchange::exchange::{Facts, Request};
use portcullis_exchange::geo::{Asn, Geo};
use portcullis_exchange::host::Host;
use portcullis_exchange::lifecycle::RequestVersion;
use portcullis_exchange::plan;
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::route::PathTemplate;
use portcullis_wire::address;
use portcullis_wire::headers::{HeaderName, HeaderValue, Repeated};
use portcullis_wire::json::compact;

/// `key: [ … ]`. A key without parts is the same for all requests.
#[derive(Debug)]
pub struct Key {
    parts: Vec<KeyPart>,
}

/// One part of a key.
#[derive(Debug)]
enum KeyPart {
    /// The client's address, or the network it is in.
    ClientAddress {
        ipv4_prefix: u32,
        ipv6_prefix: u32,
    },
    /// Who asks: the provider and its `sub`.
    Subject,
    /// The `sub` of a token that has not been checked.
    ClaimedSubject,
    Claim(ClaimPath, String),
    Header(HeaderName),
    QueryParameter(String),
    /// The name of the first of these lists that the client's address is in.
    Network(NetworkChoice),
    /// The country that it is in.
    Country(Rc<Geo>),
    /// The autonomous system.
    Asn(Rc<Geo>),
    /// The first template that fits the path.
    PathTemplate(Vec<PathTemplate>),
    Method,
    Route,
    /// The version of the API that the request is for.
    Version,
    Constant(String),
}

/// What keys are read from.
#[derive(Clone, Copy)]
pub struct Caller<'r> {
    /// The request.
    pub request: Request<'r>,
    /// The name of its route.
    pub route: &'r str,
    /// What policies have found out.
    pub facts: &'r Facts,
    /// The proxy, which knows the client's address.
    pub host: &'r dyn Host,
}

/// Why a request has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A part is not there, or empty.
    Missing,
    /// A header field, a parameter or a token came more than once: which of them would count is for
    /// the client to choose.
    Repeated,
    /// It would take too much work to tell which callers it is from.
    Effort,
    /// A list of networks is not there, or too old; or a tier depends on an address that is not known.
    Unknown,
}

/// The value of one part.
enum Value<'v> {
    Address(IpAddr, u32),
    Bytes(&'v [u8]),
    Owned(Vec<u8>),
    /// Whose subject it is.
    Subject(CredentialKind, &'v str, &'v str),
}

impl Key {
    /// Hands out the key of a request, piece by piece: bytes that differ whenever keys differ.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn pieces(&self, caller: &Caller<'_>, out: &mut dyn FnMut(&[u8])) -> Result<(), KeyError> {
        for part in &self.parts {
            part.value(caller)?.pieces(out);
        }
        Ok(())
    }

    /// Whether plans can hand it out: [`Key::plain_pieces`].
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| match part {
            KeyPart::ClientAddress { .. }
            | KeyPart::Subject
            | KeyPart::Claim(..)
            | KeyPart::Network(_)
            | KeyPart::Method
            | KeyPart::Route
            | KeyPart::Constant(_) => true,
            KeyPart::ClaimedSubject
            | KeyPart::Header(_)
            | KeyPart::QueryParameter(_)
            | KeyPart::Country(_)
            | KeyPart::Asn(_)
            | KeyPart::Version
            | KeyPart::PathTemplate(_) => false,
        })
    }

    /// Whether it is the same for all requests of a route.
    pub fn is_fixed(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.all(|part| matches!(part, KeyPart::Route | KeyPart::Constant(_)))
    }

    /// Hands out the key piece by piece as [`Key::pieces`] does, if it needs no look at the request's
    /// fields. None where a part is missing.
    pub fn plain_pieces(
        &self,
        caller: &plan::Caller<'_>,
        host: &dyn Host,
        out: &mut dyn FnMut(&[u8]),
    ) -> Option<()> {
        for part in &self.parts {
            let value = part.plain_value(caller, host)?;
            (!value.is_empty()).then(|| value.pieces(out))?;
        }
        Some(())
    }

    /// The key of a request for people and for header fields:
    /// `client_address=192.0.2.1|claim.plan=gold`. Different keys have different texts.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn text(&self, caller: &Caller<'_>) -> Result<String, KeyError> {
        let mut text = String::with_capacity(64);
        for part in &self.parts {
            let value = part.value(caller)?;
            let separator = if text.is_empty() { "" } else { "|" };
            // Writing to a `String` cannot fail.
            let _ = fmt::write(&mut text, format_args!("{separator}{}=", part.label()));
            value.spell(&mut text);
        }
        Ok(text)
    }

    /// The text of the key; what is longer than `longest` bytes, as its digest.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn header_value(
        &self,
        caller: &Caller<'_>,
        longest: usize,
    ) -> Result<HeaderValue, KeyError> {
        let text = self.text(caller)?;
        let text = if text.len() > longest {
            format!(
                "sha256={}",
                hexadecimal(&hmac_sha256::Hash::hash(text.as_bytes()))
            )
        } else {
            text
        };
        HeaderValue::parse(text.as_bytes()).map_err(|_| KeyError::Missing)
    }

    /// The SHA-256 of the key's text, for those who must not see what stands in it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn digest(&self, caller: &Caller<'_>) -> Result<HeaderValue, KeyError> {
        self.header_value(caller, 0)
    }
}

impl KeyPart {
    fn value<'v>(&'v self, caller: &'v Caller<'v>) -> Result<Value<'v>, KeyError> {
        let principal = caller.facts.principal.as_ref();
        let value = match self {
            KeyPart::ClientAddress {
                ipv4_prefix,
                ipv6_prefix,
            } => {
                let client = caller.facts.client(caller.host);
                client.map(|client| Value::network(client, *ipv4_prefix, *ipv6_prefix))
            }
            KeyPart::Subject => principal.and_then(Value::subject),
            KeyPart::ClaimedSubject => {
                let claimants = caller.facts.claimants.as_ref();
                let subject = claimants.map(|claimants| claimants.subject(&caller.request));
                let subject = subject.transpose().map_err(|Several| KeyError::Repeated)?;
                subject
                    .flatten()
                    .map(|subject| Value::Owned(subject.into_bytes()))
            }
            KeyPart::Claim(path, _) => {
                principal.and_then(|who| scalar(path.value(&who.attributes)?))
            }
            KeyPart::Header(name) => {
                let one = caller.request.headers.one(name.as_str());
                let value = one.map_err(|_| KeyError::Repeated)?;
                value.map(without_blanks).map(Value::Bytes)
            }
            KeyPart::QueryParameter(name) => {
                let query = caller.request.query().unwrap_or_default();
                parameter(query, name)?.map(Value::Owned)
            }
            KeyPart::Network(networks) => match caller.facts.client(caller.host) {
                Some(client) => networks.name_of(client, caller.host)?.map(Value::text),
                None => None,
            },
            KeyPart::Country(geo) => {
                let country = geo.sent_country(caller.request.headers);
                let country = country.map_err(|Repeated| KeyError::Repeated)?;
                country.map(|country| Value::Owned(country.as_bytes().to_vec()))
            }
            KeyPart::Asn(geo) => {
                let asn = geo.sent_asn(caller.request.headers);
                let asn = asn.map_err(|Repeated| KeyError::Repeated)?;
                asn.map(|Asn(number)| Value::Owned(number.to_string().into_bytes()))
            }
            KeyPart::PathTemplate(templates) => {
                let path = caller.request.target.path();
                let fitting = templates.iter().find(|template| template.matches(path));
                fitting.map(|template| Value::Bytes(template.as_str().as_bytes()))
            }
            KeyPart::Method => Some(Value::Bytes(caller.request.method().as_bytes())),
            KeyPart::Route => Some(Value::Bytes(caller.route.as_bytes())),
            KeyPart::Version => {
                // In shadow mode a request goes on of which it cannot be told: no key of its own choice.
                let version = caller.facts.told_version();
                let version = version.map_err(|_| KeyError::Repeated)?;
                version.and_then(RequestVersion::name).map(Value::text)
            }
            KeyPart::Constant(text) => Some(Value::Bytes(text.as_bytes())),
        };
        value
            .filter(|value| !value.is_empty())
            .ok_or(KeyError::Missing)
    }

    /// The same, where it takes no look at the request's fields.
    fn plain_value<'v>(&'v self, caller: &plan::Caller<'v>, host: &dyn Host) -> Option<Value<'v>> {
        match self {
            KeyPart::ClientAddress {
                ipv4_prefix,
                ipv6_prefix,
            } => {
                let client = caller.connection.client(host)?;
                Some(Value::network(client, *ipv4_prefix, *ipv6_prefix))
            }
            KeyPart::Network(networks) => {
                let client = caller.connection.client(host)?;
                networks.name_of(client, host).ok()?.map(Value::text)
            }
            KeyPart::Subject => Value::subject(caller.principal?),
            KeyPart::Claim(path, _) => scalar(path.value(&caller.principal?.attributes)?),
            KeyPart::Method => Some(Value::Bytes(caller.method.as_bytes())),
            KeyPart::Route => Some(Value::Bytes(caller.route.as_bytes())),
            KeyPart::Constant(text) => Some(Value::Bytes(text.as_bytes())),
            KeyPart::ClaimedSubject
            | KeyPart::Header(_)
            | KeyPart::QueryParameter(_)
            | KeyPart::Country(_)
            | KeyPart::Asn(_)
            | KeyPart::Version
            | KeyPart::PathTemplate(_) => None,
        }
    }

    fn label(&self) -> String {
        match self {
            KeyPart::ClientAddress { .. } => "client_address".to_owned(),
            KeyPart::Subject => "subject".to_owned(),
            KeyPart::ClaimedSubject => "claimed_subject".to_owned(),
            KeyPart::Claim(_, written) => format!("claim.{}", Spelled(written.as_bytes())),
            KeyPart::Header(name) => format!("header.{}", Spelled(name.as_str().as_bytes())),
            KeyPart::QueryParameter(name) => {
                format!("query_parameter.{}", Spelled(name.as_bytes()))
            }
            KeyPart::Network(_) => "network".to_owned(),
            KeyPart::Country(_) => "country".to_owned(),
            KeyPart::Asn(_) => "asn".to_owned(),
            KeyPart::PathTemplate(_) => "path_template".to_owned(),
            KeyPart::Method => "method".to_owned(),
            KeyPart::Route => "route".to_owned(),
            KeyPart::Version => "version".to_owned(),
            KeyPart::Constant(_) => "constant".to_owned(),
        }
    }
}

/// A claim that is one value; lists and objects have no one spelling.
fn scalar(claim: compact::Value<'_>) -> Option<Value<'_>> {
    match claim {
        compact::Value::Number(text) | compact::Value::String(text) => {
            Some(Value::Bytes(text.as_bytes()))
        }
        compact::Value::Bool(value) => Some(Value::Owned(value.to_string().into_bytes())),
        compact::Value::Null | compact::Value::Array(_) | compact::Value::Object(_) => None,
    }
}

impl<'v> Value<'v> {
    fn network(client: IpAddr, ipv4_prefix: u32, ipv6_prefix: u32) -> Self {
        let prefix = match client {
            IpAddr::V4(_) => ipv4_prefix,
            IpAddr::V6(_) => ipv6_prefix,
        };
        Value::Address(address::network(client, ipv4_prefix, ipv6_prefix), prefix)
    }

    fn text(text: &'v str) -> Self {
        Value::Bytes(text.as_bytes())
    }

    fn subject(who: &'v Principal) -> Option<Self> {
        Some(Value::Subject(who.kind, &who.authority, who.subject()?))
    }
}

impl Value<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Value::Address(..) => false,
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Owned(bytes) => bytes.is_empty(),
            Value::Subject(_, _, subject) => subject.is_empty(),
        }
    }

    /// Each piece after its length, so that no two lists of pieces look alike.
    fn pieces(&self, out: &mut dyn FnMut(&[u8])) {
        let mut piece = |bytes: &[u8]| {
            out(&(bytes.len() as u64).to_le_bytes());
            out(bytes);
        };
        match self {
            Value::Address(IpAddr::V4(address), _) => piece(&address.octets()),
            Value::Address(IpAddr::V6(address), _) => piece(&address.octets()),
            Value::Bytes(bytes) => piece(bytes),
            Value::Owned(bytes) => piece(bytes),
            Value::Subject(kind, authority, subject) => {
                // A piece more than a token's: what vouches for another kind may have a provider's name.
                if *kind != CredentialKind::Jwt {
                    piece(kind.name().as_bytes());
                }
                piece(authority.as_bytes());
                piece(subject.as_bytes());
            }
        }
    }

    fn spell(&self, out: &mut String) {
        let _ = match self {
            Value::Address(address @ IpAddr::V4(_), 32)
            | Value::Address(address @ IpAddr::V6(_), 128) => {
                fmt::write(out, format_args!("{address}"))
            }
            Value::Address(address, prefix) => fmt::write(out, format_args!("{address}/{prefix}")),
            Value::Bytes(bytes) => fmt::write(out, format_args!("{}", Spelled(bytes))),
            Value::Owned(bytes) => fmt::write(out, format_args!("{}", Spelled(bytes))),
            Value::Subject(kind, authority, subject) => fmt::write(
                out,
                format_args!(
                    "{}{},{}",
                    match kind {
                        CredentialKind::Jwt => "",
                        CredentialKind::ApiKey => "api_key,",
                        CredentialKind::Certificate => "certificate,",
                        CredentialKind::SignedRequest => "signed_request,",
                        CredentialKind::Introspection => "introspection,",
                    },
                    Spelled(authority.as_bytes()),
                    Spelled(subject.as_bytes())
                ),
            ),
        };
    }
}

/// Bytes with everything encoded that could end a part, a line or a field.
struct Spelled<'b>(&'b [u8]);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            if byte.is_ascii_alphanumeric() || b"-._~:/@{}*".contains(byte) {
                write!(f, "{}", char::from(*byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _ = fmt::write(&mut text, format_args!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests;
