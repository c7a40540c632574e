//! For which target a proof was made: its `htu`, RFC 9449 §4.3 (9).

use super::refusals::URI;
use portcullis_document::{Node, Problems};
use portcullis_exchange::exchange::{Request, Scheme};
use portcullis_exchange::refusal::{Fact, Refusal};
use portcullis_exchange::target::Authority;

/// Where clients see a service whose own host and path are others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SeenAs {
    scheme: Scheme,
    host: String,
    port: u16,
    /// What stands before the path of a request, in its one spelling and without a `/` at its end.
    base: String,
}

/// How much of what a request asks for is how clients see a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Other,
    Host,
    HostAndPort,
}

/// A URI without query and fragment, taken apart.
struct Parts<'u> {
    scheme: Scheme,
    authority: Authority<'u>,
    path: &'u str,
}

impl SeenAs {
    /// Reads one of `origins`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let seen = Self::parse(node.non_empty(problems)?);
        if seen.is_none() {
            node.report(
                problems,
                "must be how clients write the service: an http or https URI without query, such as \"https://api.example.com\" or \"https://api.example.com/v1\"",
            );
        }
        seen
    }

    fn parse(uri: &str) -> Option<Self> {
        if uri.contains(['?', '#']) {
            return None;
        }
        let Parts {
            scheme,
            authority,
            path,
        } = Parts::of(uri)?;
        let base = normal_path(path.as_bytes())?;
        let base = base.strip_suffix('/').unwrap_or(&base);
        Some(Self {
            scheme,
            port: port(&authority, scheme),
            host: authority.host().to_owned(),
            base: base.to_owned(),
        })
    }

    /// How well that is what a request asks for: the host, or the port as well.
    fn nearness(&self, authority: &Authority<'_>) -> Nearness {
        let is_port = self.port == port(authority, self.scheme);
        match (self.host == authority.host(), is_port) {
            (false, _) => Nearness::Other,
            (true, false) => Nearness::Host,
            (true, true) => Nearness::HostAndPort,
        }
    }

    /// Whether a URI is that of a path there.
    fn is_of(&self, uri: &Parts<'_>, path: &str) -> bool {
        let own = || {
            let own = normal_path(uri.path.as_bytes())?;
            let rest = own.strip_prefix(&*self.base)?;
            Some(rest == path)
        };
        self.scheme == uri.scheme
            && self.host == uri.authority.host()
            && self.port == port(&uri.authority, uri.scheme)
            && own() == Some(true)
    }

    /// As a client may write it.
    fn written(&self) -> String {
        let Self {
            scheme, host, base, ..
        } = self;
        let scheme_name = name(*scheme);
        match self.port == usual_port(*scheme) {
            true => format!("{scheme_name}://{host}{base}"),
            false => format!("{scheme_name}://{host}:{}{base}", self.port),
        }
    }

    /// How many bytes of memory its texts take.
    pub(super) fn memory(&self) -> usize {
        self.host.len().saturating_add(self.base.len())
    }
}

impl<'u> Parts<'u> {
    /// RFC 3986 §3, as far as it is of the web: no user, and whatever follows the path is cut off.
    fn of(uri: &'u str) -> Option<Self> {
        let end = uri.find(['?', '#']).unwrap_or(uri.len());
        let (scheme, rest) = uri.get(..end)?.split_once("://")?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ => return None,
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        // RFC 3986 §6.2.3: the same as without the `:`. A `Host` written so is none.
        let authority = authority.strip_suffix(':').unwrap_or(authority);
        Some(Self {
            scheme,
            authority: Authority::parse(authority.as_bytes()).ok()?,
            path,
        })
    }
}

/// Whether a proof for that URI is one for that request, which came by that scheme. Where the document says how
/// clients see the service, the host that a request names chooses among that, if it is there; with its port, if
/// that is there as well. A client may add any port to a host: that does not make it one that is not there.
pub(super) fn fits(uri: &str, request: &Request<'_>, scheme: Scheme, seen: &[SeenAs]) -> bool {
    let Some(uri) = Parts::of(uri) else {
        return false;
    };
    let Some(path) = path_of(request) else {
        return false;
    };
    let authority = request.authority;
    if seen.is_empty() {
        let own = SeenAs {
            scheme,
            host: authority.host().to_owned(),
            port: port(authority, scheme),
            base: String::new(),
        };
        return own.is_of(&uri, &path);
    }
    nearest(seen, authority).any(|each| each.is_of(&uri, &path))
}

/// Those that a request may be meant for.
fn nearest<'s>(
    seen: &'s [SeenAs],
    authority: &'s Authority<'_>,
) -> impl Iterator<Item = &'s SeenAs> {
    let nearest = seen.iter().map(|each| each.nearness(authority)).max();
    let mut each = seen.iter();
    std::iter::from_fn(move || each.find(|each| Some(each.nearness(authority)) == nearest))
}

/// The path of a request in its one spelling.
fn path_of(request: &Request<'_>) -> Option<String> {
    let path = request.headers.one(":path").ok().flatten()?;
    normal_path(path.split(|b| *b == b'?').next()?)
}

/// The refusal of a proof for another URI than that of a request: what it was compared with.
pub(super) fn expected(request: &Request<'_>, scheme: Scheme, seen: &[SeenAs]) -> Refusal {
    let refusal = Refusal::new(&URI);
    let authority = request.authority;
    let refusal = if seen.is_empty() {
        let host = match authority.port() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        refusal
            .and("expected_scheme", Fact::Word(name(scheme)))
            .and("expected_host", Fact::untrusted(host.as_bytes()))
    } else {
        let origins: Vec<String> = nearest(seen, authority).map(SeenAs::written).collect();
        let origins = origins.iter().map(String::as_str);
        refusal.and("expected_origins", Fact::trusted_list(origins))
    };
    match path_of(request) {
        Some(path) => refusal.and("expected_path", Fact::path(path.as_bytes())),
        None => refusal,
    }
}

fn name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

/// RFC 3986 §6.2.3: the scheme's own port need not be named.
fn port(authority: &Authority<'_>, scheme: Scheme) -> u16 {
    authority.port().unwrap_or(usual_port(scheme))
}

fn usual_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

/// A path in the one spelling of RFC 3986 §6.2.2 and §6.2.3: what need not be encoded is not, and what is has
/// upper-case digits; no `.` and `..`; an empty one is `/`. None if it is no path.
fn normal_path(path: &[u8]) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                let byte = u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?;
                match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    true => decoded.push(char::from(byte)),
                    false => decoded.push_str(&format!("%{byte:02X}")),
                }
            }
            b'?' | b'#' => return None,
            byte if byte.is_ascii_graphic() => decoded.push(char::from(byte)),
            _ => return None,
        }
    }
    if decoded.is_empty() {
        return Some("/".to_owned());
    }
    let segments = decoded.strip_prefix('/')?.split('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in segments {
        ends_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let end = match ends_open && !kept.is_empty() {
        true => "/",
        false => "",
    };
    Some(format!("/{}{end}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_exchange::target::Target;
    use portcullis_wire::effort::Effort;
    use portcullis_wire::headers::Headers;

    fn fits_request(uri: &str, authority: &str, path: &str, scheme: Scheme, seen: &[&str]) -> bool {
        asked(authority, path, seen, |request, seen| {
            fits(uri, request, scheme, seen)
        })
    }

    fn asked<T>(
        authority: &str,
        path: &str,
        seen: &[&str],
        see: impl FnOnce(&Request<'_>, &[SeenAs]) -> T,
    ) -> T {
        let mut headers = Headers::default();
        headers.push(b":authority", authority.as_bytes());
        headers.push(b":path", path.as_bytes());
        let target = Target::parse(path.as_bytes()).unwrap();
        let authority = Authority::parse(authority.as_bytes()).unwrap();
        let request = Request {
            headers: &headers,
            authority: &authority,
            target: &target,
            effort: &Effort::new(0),
        };
        let seen: Vec<SeenAs> = seen.iter().map(|uri| SeenAs::parse(uri).unwrap()).collect();
        see(&request, &seen)
    }

    #[test]
    fn a_refusal_says_what_a_uri_was_compared_with() {
        let expected = |authority: &str, path: &str, seen: &[&str]| {
            let refusal = asked(authority, path, seen, |request, seen| {
                expected(request, Scheme::Https, seen)
            });
            refusal.detail.unwrap().facts().to_vec()
        };
        let path = ("expected_path", Fact::path(b"/b%40"));
        let own = [
            ("expected_scheme", Fact::Word("https")),
            ("expected_host", Fact::untrusted(b"api.example:8443")),
            path.clone(),
        ];
        assert_eq!(expected("API.example:8443", "/%62%40?token=x", &[]), own);
        let seen = [
            "https://api.example/v1/",
            "http://api.example:8080",
            "https://b.example",
        ];
        let origins = ["https://api.example/v1", "http://api.example:8080"];
        let written = [
            ("expected_origins", Fact::trusted_list(origins.into_iter())),
            path,
        ];
        assert_eq!(expected("api.example:1", "/b%40", &seen), written);
    }

    #[test]
    fn rfc9449_4_3_9_the_target_is_that_of_the_request() {
        let fits = |uri: &str, authority: &str, path: &str| {
            fits_request(uri, authority, path, Scheme::Https, &[])
        };
        for (uri, authority, path) in [
            ("https://api.example/orders", "api.example", "/orders"),
            ("https://api.example/orders", "api.example", "/orders?a=b"),
            (
                "https://api.example/orders?x=y#z",
                "api.example",
                "/orders?a=b",
            ),
            ("https://api.example", "api.example", "/"),
            ("https://api.example/", "api.example", "/?a"),
            ("HTTPS://API.Example:443/orders", "api.example", "/orders"),
            ("https://api.example/orders", "API.example:443", "/orders"),
            ("https://api.example:/orders", "api.example", "/orders"),
            ("https://api.example:8443/o", "api.example:8443", "/o"),
            (
                "https://api.example/%7euser/%c3%a4",
                "api.example",
                "/~user/%C3%A4",
            ),
            ("https://api.example/a/./b/../c", "api.example", "/a/c"),
            ("https://api.example/a/..", "api.example", "/"),
            ("https://[2001:db8:0::1]/a", "[2001:db8::1]", "/a"),
        ] {
            assert!(fits(uri, authority, path), "{uri}");
        }
        for (uri, authority, path) in [
            ("http://api.example/orders", "api.example", "/orders"),
            ("https://api.example.evil/orders", "api.example", "/orders"),
            ("https://evil@api.example/orders", "api.example", "/orders"),
            ("https://api.example:8443/orders", "api.example", "/orders"),
            ("https://api.example/orders/", "api.example", "/orders"),
            ("https://api.example/Orders", "api.example", "/orders"),
            ("https://api.example/orders/7", "api.example", "/orders"),
            ("https://api.example/order%2Fs", "api.example", "/order/s"),
            ("https://api.example/a%40", "api.example", "/a@"),
            ("https://api.example/%zz", "api.example", "/zz"),
            ("https://api.example/a b", "api.example", "/a"),
            ("/orders", "api.example", "/orders"),
            ("//api.example/orders", "api.example", "/orders"),
            ("wss://api.example/orders", "api.example", "/orders"),
            ("https:///orders", "api.example", "/orders"),
            ("", "api.example", "/"),
        ] {
            assert!(!fits(uri, authority, path), "{uri}");
        }
    }

    #[test]
    fn the_document_may_say_how_clients_see_the_service() {
        let seen = ["https://api.example", "https://gate.example/v1/"];
        let fits = |uri: &str, authority: &str, path: &str| {
            fits_request(uri, authority, path, Scheme::Http, &seen)
        };
        assert!(fits("https://api.example/a", "api.example", "/a"));
        assert!(!fits("http://api.example/a", "api.example", "/a"));
        // The host that is asked is there, so another one does not do.
        assert!(!fits("https://gate.example/v1/a", "api.example", "/a"));
        for uri in ["https://api.example/a", "https://gate.example/v1/a"] {
            assert!(fits(uri, "orders.internal:8080", "/a"), "{uri}");
        }
        assert!(!fits("https://gate.example/a", "orders.internal", "/a"));
        assert!(!fits("https://gate.example/v1a", "orders.internal", "/a"));
        assert!(!fits("https://orders.internal/a", "orders.internal", "/a"));
        // A port that no client writes does not open the others.
        assert!(!fits("https://gate.example/v1/a", "api.example:1", "/a"));
        assert!(fits("https://api.example/a", "api.example:1", "/a"));
        for wrong in [
            "",
            "api.example",
            "https://",
            "ftp://a",
            "https://a/?b",
            "https://a/#b",
            "https://u@a",
        ] {
            assert_eq!(SeenAs::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn of_two_ports_of_a_host_the_one_that_is_asked_counts() {
        let seen = ["https://api.example", "https://api.example:8443"];
        let fits =
            |uri: &str, authority: &str| fits_request(uri, authority, "/a", Scheme::Https, &seen);
        assert!(fits("https://api.example:8443/a", "api.example:8443"));
        assert!(!fits("https://api.example/a", "api.example:8443"));
        assert!(!fits("https://api.example:8443/a", "api.example"));
        for uri in ["https://api.example/a", "https://api.example:8443/a"] {
            assert!(fits(uri, "api.example:10000"), "{uri}");
        }
    }

    #[test]
    fn a_path_has_one_spelling() {
        let normal = |path: &str| normal_path(path.as_bytes());
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/a/", "/a/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("/%2e%2E/a", "/a"),
            ("/a%2fb", "/a%2Fb"),
            ("//a", "//a"),
        ] {
            assert_eq!(normal(path).as_deref(), Some(expected), "{path}");
        }
        for wrong in ["a", "/%", "/%2", "/%2g", "/ ", "/\u{e9}", "/a?b"] {
            assert_eq!(normal(wrong), None, "{wrong}");
        }
    }
}
