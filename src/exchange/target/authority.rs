//! The host that a request asks: what routes are matched on beside the path.
//!
//! A service reads `api.example.com.`, `API.example.com` and `api.example.com:443` as one host. So that
//! no spelling reaches it under the policy for other hosts, a host is brought to one spelling as a path
//! is, and what is none, or what servers read differently, is refused.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use portcullis_wire::headers::Headers;

/// Host and port of a request, or of a host that a document names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority<'a> {
    host: Cow<'a, str>,
    port: Option<u16>,
}

/// Why a host cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// There is none, or it is empty.
    Missing,
    /// It came more than once.
    Repeated,
    /// A byte that no name has: `,`, `%`, `@`, a blank, one outside ASCII.
    Byte,
    /// An empty label, as in `a..b`, or a name longer than any.
    Label,
    /// Brackets without an IPv6 address, or a name that ends in a number and is no IPv4 address.
    Address,
    /// What follows the `:` is not a port.
    Port,
}

/// RFC 1035 §2.3.4, without the length in front and the root behind.
const LONGEST_NAME: usize = 253;

impl<'a> Authority<'a> {
    /// The host of a request, from its `:authority`.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    pub fn of(headers: &'a Headers) -> Result<Self, AuthorityError> {
        let raw = headers
            .one(":authority")
            .map_err(|_| AuthorityError::Repeated)?;
        Self::parse(raw.unwrap_or_default())
    }

    /// Reads a registered name or an address, and a port if there is one. One dot at the end of a name is
    /// dropped, and letters become lower case.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    pub fn parse(raw: &'a [u8]) -> Result<Self, AuthorityError> {
        if raw.is_empty() {
            return Err(AuthorityError::Missing);
        }
        let text = std::str::from_utf8(raw).map_err(|_| AuthorityError::Byte)?;
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(AuthorityError::Address)?;
            let address = Ipv6Addr::from_str(address).map_err(|_| AuthorityError::Address)?;
            let written = format!("[{address}]");
            let host = match text.starts_with(&written) {
                true => Cow::Borrowed(text.get(..written.len()).unwrap_or_default()),
                false => Cow::Owned(written),
            };
            let port = match port {
                "" => None,
                port => read_port(port.strip_prefix(':').ok_or(AuthorityError::Address)?)?,
            };
            return Ok(Self { host, port });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, read_port(port)?),
            None => (text, None),
        };
        let host = read_name(name)?;
        Ok(Self { host, port })
    }

    /// The host in its one spelling: lower case, without a dot at its end; an IPv6 address has its
    /// brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is an address.
    pub fn is_address(&self) -> bool {
        self.host.starts_with('[') || Ipv4Addr::from_str(&self.host).is_ok()
    }

    /// The port, if one is named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

fn read_name(name: &str) -> Result<Cow<'_, str>, AuthorityError> {
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if name.is_empty() {
        return Err(AuthorityError::Missing);
    }
    if !name.bytes().all(name_byte) {
        return Err(AuthorityError::Byte);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > LONGEST_NAME || name.split('.').any(str::is_empty) {
        return Err(AuthorityError::Label);
    }
    // The WHATWG URL standard reads such a name as an address: `127.1` is `127.0.0.1`.
    if ends_in_number(name) && Ipv4Addr::from_str(name).is_err() {
        return Err(AuthorityError::Address);
    }
    Ok(match name.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    })
}

fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// RFC 3986 §3.2.3 has any digits, or none. After a `:` without digits Envoy finds no virtual host by the
/// name in front of it, and others do: none is refused.
fn read_port(digits: &str) -> Result<Option<u16>, AuthorityError> {
    // `parse` takes a sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthorityError::Port);
    }
    digits.parse().map(Some).map_err(|_| AuthorityError::Port)
}

impl AuthorityError {
    /// The word for it in the log.
    pub fn reason(self) -> &'static str {
        match self {
            AuthorityError::Missing => "host_missing",
            AuthorityError::Repeated => "host_repeated",
            AuthorityError::Byte => "host_byte",
            AuthorityError::Label => "host_label",
            AuthorityError::Address => "host_address",
            AuthorityError::Port => "host_port",
        }
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<(String, Option<u16>), AuthorityError> {
        let authority = Authority::parse(raw.as_bytes())?;
        Ok((authority.host().to_owned(), authority.port()))
    }

    #[test]
    fn one_spelling_for_each_host() {
        for (raw, host, port) in [
            ("a.example", "a.example", None),
            ("A.Example", "a.example", None),
            ("a.example.", "a.example", None),
            ("A.example.:443", "a.example", Some(443)),
            ("a.example:00443", "a.example", Some(443)),
            ("a.example:65535", "a.example", Some(65535)),
            ("a_b-c", "a_b-c", None),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
            ("4f", "4f", None),
            ("1.example", "1.example", None),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("192.0.2.1.", "192.0.2.1", None),
            ("[::1]:8080", "[::1]", Some(8080)),
            ("[0:0:0:0:0:0:0:1]", "[::1]", None),
            ("[2001:DB8::1]", "[2001:db8::1]", None),
        ] {
            assert_eq!(read(raw), Ok((host.to_owned(), port)), "{raw}");
            assert_eq!(read(host), Ok((host.to_owned(), None)), "{raw}");
        }
    }

    #[test]
    fn refuses_what_servers_read_differently() {
        use AuthorityError::*;
        for (raw, error) in [
            ("", Missing),
            (":80", Missing),
            ("a.example:", Port),
            ("a.example.:", Port),
            ("[::1]:", Port),
            ("a.example,", Byte),
            ("a.example,b.example", Byte),
            ("a.example, b.example", Byte),
            ("a.example%2e", Byte),
            ("a%2eexample", Byte),
            ("user@a.example", Byte),
            ("a.example/", Byte),
            ("a.example#", Byte),
            ("a.example\\", Byte),
            (" a.example", Byte),
            ("*.example", Byte),
            ("bücher.example", Byte),
            ("a.example\u{ff0e}", Byte),
            ("a.example..", Label),
            (".a.example", Label),
            ("a..example", Label),
            (".", Label),
            ("127.1", Address),
            ("127.0.0.01", Address),
            ("0x7f.1", Address),
            ("a.0x7f000001", Address),
            ("2130706433", Address),
            ("192.0.2.256", Address),
            ("[::1", Address),
            ("[::1]x", Address),
            ("[::1%25eth0]", Address),
            ("[192.0.2.1]", Address),
            ("[v1.x]", Address),
            ("::1", Port),
            ("user:secret@a.example", Port),
            ("a.example:x", Port),
            ("a.example:80:80", Port),
            ("a.example:+80", Port),
            ("a.example:-1", Port),
            ("a.example:65536", Port),
            ("a.example:80,a.example", Port),
            ("[::1]:x", Port),
        ] {
            assert_eq!(read(raw), Err(error), "{raw}");
        }
        let long = format!("{}.example", "a".repeat(LONGEST_NAME));
        assert_eq!(read(&long), Err(Label));
        assert_eq!(Authority::parse(b"a\xff"), Err(Byte));
    }

    #[test]
    fn a_request_has_one_host() {
        let mut headers = Headers::default();
        assert_eq!(Authority::of(&headers), Err(AuthorityError::Missing));
        headers.push(b":authority", b"a.example");
        assert_eq!(Authority::of(&headers).unwrap().host(), "a.example");
        headers.push(b":authority", b"a.example");
        assert_eq!(Authority::of(&headers), Err(AuthorityError::Repeated));
    }
}
