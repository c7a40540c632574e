//! Origins as browsers write them: scheme, host and port, serialised as the HTML standard says.

mod allowed;
mod public_suffix;
mod reader;
mod samples;
mod strangers;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use crate::connection::Scheme;
use crate::target::Authority;
use portcullis_wire::headers::Headers;

pub use self::allowed::{AllowedOrigins, OriginMatch};
pub use self::reader::Power;

/// The parts of a serialised origin, as they are written. `null` has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'o> {
    /// Lower case.
    pub scheme: &'o str,
    /// ASCII in lower case; an IPv6 address has its brackets.
    pub host: &'o str,
    /// None where it is the scheme's own.
    pub port: Option<u16>,
}

/// Why text is no serialised origin, with the cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// No `scheme://`.
    NoScheme,
    /// A path, a query or a fragment, a single `/` included.
    Path,
    /// A user before the host.
    UserInfo,
    /// A letter in upper case.
    UpperCase,
    /// A character outside ASCII.
    NotAscii,
    /// A host that no origin has, or none.
    Host,
    /// Not a port.
    Port,
    /// The port that the scheme has anyway.
    DefaultPort,
}

impl<'o> Origin<'o> {
    /// Reads what a browser would write, and nothing else: there is one spelling of each origin.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse(text: &'o str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::NoScheme)?;
        if !text.is_ascii() {
            return Err(OriginError::NotAscii);
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(OriginError::UpperCase);
        }
        let scheme_byte =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(scheme_byte)
        {
            return Err(OriginError::NoScheme);
        }
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(OriginError::Path);
        }
        if rest.contains('@') {
            return Err(OriginError::UserInfo);
        }
        let (host, port) = split_port(rest);
        let port = port.map(read_port).transpose()?;
        if port.is_some() && port == default_port(scheme) {
            return Err(OriginError::DefaultPort);
        }
        if !is_host(host) {
            return Err(OriginError::Host);
        }
        Ok(Self { scheme, host, port })
    }

    /// Whether it is the origin of the service itself, asked as `authority` over `scheme`.
    pub fn is_own(&self, scheme: Scheme, authority: &Authority<'_>) -> bool {
        let scheme = scheme.name();
        // A name with a dot at its end is an origin of its own, and the same service.
        let host = self.host.strip_suffix('.').unwrap_or(self.host);
        self.scheme == scheme
            && host == authority.host()
            && authority.port().or(default_port(scheme)) == self.port.or(default_port(scheme))
    }
}

/// Whether an origin is that of the service itself, as the request asks for it. A client writes the scheme
/// itself, over HTTP/2; browsers, which are what origins are about, write the one of the page.
pub fn is_own(origin: &[u8], request: &Headers) -> bool {
    let text = std::str::from_utf8(origin).unwrap_or_default();
    let (origin, authority) = (Origin::parse(text), Authority::of(request));
    let own = origin.ok().zip(authority.ok());
    own.is_some_and(|(origin, authority)| origin.is_own(Scheme::of(request), &authority))
}

/// Splits at the colon of a port; colons in brackets are an address's.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn read_port(digits: &str) -> Result<u16, OriginError> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits.parse().ok().filter(|_| plain);
    port.ok_or(OriginError::Port)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        return Ipv6Addr::from_str(address).is_ok();
    }
    // A host that ends in a number is an address, or none (URL standard, §3.5).
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next();
    if last.is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit())) {
        return Ipv4Addr::from_str(host).is_ok();
    }
    let name_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    !host.is_empty()
        && host.bytes().all(name_byte)
        && !host.starts_with('.')
        && !host.contains("..")
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OriginError::NoScheme => {
                "is not an origin; it begins with the scheme, such as \"https://app.example.com\""
            }
            OriginError::Path => {
                "an origin ends with its host or port; take away the path and every `/` after the host"
            }
            OriginError::UserInfo => "an origin has no user; take away what stands before the `@`",
            OriginError::UpperCase => "browsers write origins in lower case; write it so",
            OriginError::NotAscii => {
                "browsers write names in ASCII; write the punycode form, which begins with \"xn--\""
            }
            OriginError::Host => "is not an origin: its host is not a name or an address",
            OriginError::Port => "is not an origin: its port is not a number from 1 to 65535",
            OriginError::DefaultPort => {
                "browsers leave out the port that the scheme has anyway; take it away"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://a_b.example.com:8443",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://[2001:db8::1]",
            "https://xn--bcher-kva.example",
            "capacitor://localhost",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "https://app.example.com.",
        ] {
            assert!(Origin::parse(good).is_ok(), "{good}");
        }
        for (wrong, error) in [
            ("", OriginError::NoScheme),
            ("null", OriginError::NoScheme),
            ("app.example.com", OriginError::NoScheme),
            ("https:/app.example.com", OriginError::NoScheme),
            ("1https://a", OriginError::NoScheme),
            ("https://app.example.com/", OriginError::Path),
            ("https://app.example.com/a", OriginError::Path),
            ("https://a?b", OriginError::Path),
            ("https://a\\b", OriginError::Path),
            ("https://u@a", OriginError::UserInfo),
            ("HTTPS://a", OriginError::UpperCase),
            ("https://A", OriginError::UpperCase),
            ("https://bücher.example", OriginError::NotAscii),
            ("https://", OriginError::Host),
            ("https://.a", OriginError::Host),
            ("https://a..b", OriginError::Host),
            ("https://a b", OriginError::Host),
            ("https://a, https://b", OriginError::Path),
            ("https://*.a", OriginError::Host),
            ("https://[::1", OriginError::Host),
            ("https://[1.2.3.4]", OriginError::Host),
            ("https://1.2.3.4.5", OriginError::Host),
            ("https://1.2.3.256", OriginError::Host),
            ("https://1.2.3.4.", OriginError::Host),
            ("https://a.7", OriginError::Host),
            ("https://a:", OriginError::Port),
            ("https://a:0", OriginError::Port),
            ("https://a:080", OriginError::Port),
            ("https://a:+80", OriginError::Port),
            ("https://a:65536", OriginError::Port),
            ("https://a:443", OriginError::DefaultPort),
            ("http://a:80", OriginError::DefaultPort),
        ] {
            assert_eq!(Origin::parse(wrong), Err(error), "{wrong}");
        }
    }

    #[test]
    fn the_service_has_an_origin_too() {
        let is_own = |origin, scheme, authority: &str| {
            let authority = Authority::parse(authority.as_bytes()).unwrap();
            Origin::parse(origin).unwrap().is_own(scheme, &authority)
        };
        for (origin, scheme, authority) in [
            ("https://a", Scheme::Https, "a"),
            ("https://a", Scheme::Https, "A:443"),
            ("https://a", Scheme::Https, "a.:443"),
            ("https://a.", Scheme::Https, "a."),
            ("http://a:443", Scheme::Http, "a:443"),
            ("http://[::1]:8080", Scheme::Http, "[::1]:8080"),
            ("http://[::1]", Scheme::Http, "[::1]"),
        ] {
            assert!(is_own(origin, scheme, authority), "{origin} {authority}");
        }
        for (origin, scheme, authority) in [
            ("http://a", Scheme::Https, "a"),
            ("https://a", Scheme::Http, "a"),
            ("https://a", Scheme::Https, "a:80"),
            ("https://a:8443", Scheme::Https, "a"),
            ("https://b.a", Scheme::Https, "a"),
        ] {
            assert!(!is_own(origin, scheme, authority), "{origin} {authority}");
        }
    }
}
