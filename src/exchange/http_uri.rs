//! Addresses of published documents.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use portcullis_document::{Node, Problems};

/// An absolute URI, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// `http` or `https`; whether the connection is encrypted is up to the cluster.
    pub scheme: &'static str,
    /// The host, with its port if it has one.
    pub authority: String,
    /// Path and query; it begins with `/`.
    pub path: String,
}

impl Uri {
    /// The longest one, in bytes.
    const LONGEST: usize = 2048;

    /// Reads one that the document names.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let parsed = Self::parse(node.text(problems)?);
        if parsed.is_none() {
            node.report(
                problems,
                "must be an absolute http or https URI without user and fragment, such as \"https://id.example.com/jwks.json\"",
            );
        }
        parsed
    }

    /// RFC 3986 as far as it is needed, and nothing beside: a scheme in lower case, a host (a name,
    /// an address of IPv4, or one of IPv6 in brackets), perhaps a port, path and query. No user,
    /// no fragment, and only bytes that may stand there.
    pub fn parse(uri: &str) -> Option<Self> {
        if uri.len() > Self::LONGEST {
            return None;
        }
        let (scheme, rest) = match uri.split_once("://")? {
            ("https", rest) => ("https", rest),
            ("http", rest) => ("http", rest),
            _ => return None,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        host_and_port(authority)?;
        if !is_path(path.as_bytes()) {
            return None;
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some(Self {
            scheme,
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }

    /// The pseudo-header fields of a request for it.
    pub fn fields(&self, method: &str) -> Vec<(Cow<'static, str>, String)> {
        let field = |(name, value): (&'static str, &str)| (Cow::Borrowed(name), value.to_owned());
        [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", &self.authority),
            (":path", &self.path),
        ]
        .map(field)
        .into()
    }

    /// Whether both are served by the same host on the same port.
    pub fn has_host_of(&self, other: &Self) -> bool {
        let origin = |uri: &Self| {
            let (host, port) = host_and_port(&uri.authority)?;
            let usual = if uri.scheme == "https" { 443 } else { 80 };
            Some((host.to_ascii_lowercase(), port.unwrap_or(usual)))
        };
        origin(self) == origin(other)
    }
}

impl std::fmt::Display for Uri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let literal = authority.starts_with('[');
    let end = if literal {
        authority.find(']')?.checked_add(1)?
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at_checked(end)?;
    let is_host = if literal {
        let address = host.strip_prefix('[')?.strip_suffix(']')?;
        address.parse::<Ipv6Addr>().is_ok()
    } else {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        !host.is_empty() && host.bytes().all(allowed)
    };
    if !is_host {
        return None;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    Some((host, port))
}

/// RFC 3986 §3.3 and §3.4: `pchar`, `/` and `?`.
fn is_path(path: &[u8]) -> bool {
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(u8::is_ascii_hexdigit)),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart() {
        let parts = |uri: &str| {
            Uri::parse(uri).map(|uri| format!("{} {} {}", uri.scheme, uri.authority, uri.path))
        };
        assert_eq!(parts("https://a.b:8/c?d=e").unwrap(), "https a.b:8 /c?d=e");
        assert_eq!(parts("http://a").unwrap(), "http a /");
        assert_eq!(parts("http://a?b").unwrap(), "http a /?b");
        assert_eq!(parts("http://[::1]:80/%2f").unwrap(), "http [::1]:80 /%2f");
        let long = format!("https://a/{}", "a".repeat(Uri::LONGEST));
        for wrong in [
            "",
            "a.b/c",
            "//a/c",
            "HTTPS://a/",
            "ftp://a/",
            "file:///etc/passwd",
            "https://",
            "https:///c",
            "https:a/",
            "https://u@a/",
            "https://u:p@a/",
            "https://a@b:443/",
            "https://a\\@b/",
            "https://a/ b",
            "https://a/\tb",
            "https://a/\r\nx: y",
            "https://a/\0",
            "https://a/#b",
            "https://a#/b",
            "https://é/",
            "https://a/é",
            "https://a/%",
            "https://a/%0",
            "https://a/%gg",
            "https://a/<b>",
            "https://a/\"",
            "https://a/{b}",
            "https://a:/",
            "https://a:0/",
            "https://a:65536/",
            "https://a:+1/",
            "https://a:80:80/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[]x]/",
            "https://[]/",
            "https://[[::1]/",
            "https://[::1::]/",
            "https://[1.2.3.4]/",
            "https://[fe80::1%25eth0]/",
            "https://a%2fb/",
            "https://*/",
            &long,
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_a_port() {
        let uri = |text: &str| Uri::parse(text).unwrap();
        for (one, other, same) in [
            ("https://a/x", "https://a/y", true),
            ("https://a/x", "https://A:443/y", true),
            ("http://a/x", "http://a:80/x", true),
            ("https://a/x", "https://a:8443/x", false),
            ("https://a/x", "https://b/x", false),
            ("https://a/x", "https://a.b/x", false),
            ("https://a/x", "http://a/x", false),
        ] {
            assert_eq!(uri(one).has_host_of(&uri(other)), same, "{one} {other}");
        }
    }
}
