//! Which requests a route is for.

mod cover;
mod index;
mod lint;
mod method;
mod path;
mod version;

use std::rc::Rc;

pub use self::cover::HeldRequests;
pub use self::index::PathIndex;
pub use self::lint::notes;
pub use self::method::{read_method, stands_for_every_method, with_head};
use self::method::{read_own_method, report_head};
pub use self::path::{PathPattern, PathTemplate, read_path};
use self::version::VersionName;
pub use crate::condition::Undecidable;
pub use crate::condition::read_header_name;
use crate::condition::{Condition, Language, Operand, OperandField, OtherKinds, View};
use crate::exchange::Request;
use crate::target::{Authority, LetterCase};
use crate::versions::VersionScheme;
use portcullis_document::{Node, Pointer, Problems};
use portcullis_wire::headers::HeaderName;
use portcullis_wire::preflight::Preflight;
use portcullis_wire::regex::TooCostly;

/// The conditions of a route, all of which must hold. An absent one always holds.
#[derive(Debug, Default)]
pub struct RequestMatcher {
    hosts: Vec<HostPattern>,
    path: Option<PathPattern>,
    methods: Vec<String>,
    headers: Vec<Condition>,
    versions: Vec<VersionName>,
    scheme: Option<Rc<VersionScheme>>,
}

/// Whether a route will be for a request that is not yet there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreflightMatch {
    /// It will.
    Matches,
    /// That depends on fields that nobody knows yet.
    Depends,
    /// It will not.
    Misses,
}

/// A host, or all hosts below one.
#[derive(Debug)]
pub enum HostPattern {
    /// That host, in its one spelling.
    Exact(String),
    /// Any host that ends in this, the leading dot included.
    Below(String),
}

/// The conditions on header fields.
const LANGUAGE: Language = Language {
    operands: &[OperandField::new(
        "name",
        Operand::HEADER,
        |node, problems| read_seen_header(node, problems).map(Operand::Header),
    )],
    parts: &[],
    elsewhere: &[],
    other_kinds: OtherKinds::Fail,
};

impl RequestMatcher {
    /// Reads a `match` block.
    pub fn read(node: &Node<'_>, letter_case: LetterCase, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let hosts = fields.or_default("hosts", Vec::new(), problems, |node, problems| {
            node.list(problems, HostPattern::read)
        });
        let path = fields.or_default("path", None, problems, |node, problems| {
            PathPattern::read(node, letter_case, problems).map(Some)
        });
        let methods = fields.or_default("methods", Vec::new(), problems, |node, problems| {
            node.list(problems, read_own_method)
        });
        let head = fields.optional("head");
        let takes_head = head.as_ref().map(|node| node.boolean(problems));
        if let (Some(node), Some(methods)) = (&head, &methods) {
            report_head(node, methods, problems);
        }
        let methods = methods.map(|methods| match takes_head {
            Some(Some(false)) => methods,
            _ => with_head(methods),
        });
        let headers = fields.or_default("headers", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                Condition::read(item, &LANGUAGE, problems)
            })
        });
        let versions = fields.or_default("version", Vec::new(), problems, |node, problems| {
            node.list(problems, VersionName::read)
        });
        fields.deny_unknown(problems);
        Some(Self {
            hosts: hosts?,
            path: path?,
            methods: methods?,
            headers: headers?,
            versions: versions?,
            scheme: None,
        })
    }

    /// Whether everything but the method fits.
    ///
    /// # Errors
    /// See [`Undecidable`]; of a header only when the rest fits.
    pub fn matches(&self, request: &Request<'_>) -> Result<bool, Undecidable> {
        if !self.is_for(request)? {
            return Ok(false);
        }
        let of_version = self.is_for_version(request);
        if !of_version.map_err(Undecidable::Version)? {
            return Ok(false);
        }
        let view = view(request);
        for condition in &self.headers {
            if !condition.holds(&view)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether everything fits a request whose host and path have the spelling that they are compared in;
    /// none where that takes more than these three, or effort. Without a method, any would do.
    #[inline]
    pub fn fits_plainly(&self, host: &str, path: &str, method: Option<&str>) -> Option<bool> {
        let path_fits = match &self.path {
            None => true,
            Some(pattern) => pattern.fits_plainly(path)?,
        };
        let mut hosts = self.hosts.iter();
        let fits = path_fits
            && (self.hosts.is_empty() || hosts.any(|pattern| pattern.matches(host)))
            && method.is_none_or(|method| self.allows(method));
        let asks_for_more = !self.headers.is_empty() || !self.versions.is_empty();
        (!fits || !asks_for_more).then_some(fits)
    }

    /// Whether everything but the method will fit the request that a preflight asks about.
    pub fn matches_preflight(
        &self,
        request: &Request<'_>,
        preflight: &Preflight<'_>,
    ) -> PreflightMatch {
        let mut foresight = match self.is_for(request) {
            Ok(true) => PreflightMatch::Matches,
            Ok(false) => return PreflightMatch::Misses,
            Err(TooCostly) => PreflightMatch::Depends,
        };
        match self.foresees_version(request, preflight) {
            PreflightMatch::Matches => {}
            PreflightMatch::Depends => foresight = PreflightMatch::Depends,
            PreflightMatch::Misses => return PreflightMatch::Misses,
        }
        let view = view(request);
        for condition in &self.headers {
            let name = condition.operand().header().map(HeaderName::as_str);
            // What is too costly to tell may be.
            let is_open = |name| preflight.leaves_open(name).unwrap_or(true);
            if name.is_none_or(is_open) {
                foresight = PreflightMatch::Depends;
                continue;
            }
            match condition.holds(&view) {
                Ok(true) => {}
                Ok(false) => return PreflightMatch::Misses,
                Err(_) => foresight = PreflightMatch::Depends,
            }
        }
        foresight
    }

    /// The segments that every path begins with that fits.
    pub fn first_segments(&self) -> Vec<&str> {
        let path = self.path.as_ref();
        path.map(PathPattern::first_segments).unwrap_or_default()
    }

    /// Whether path and host fit.
    fn is_for(&self, request: &Request<'_>) -> Result<bool, TooCostly> {
        let path_fits = match &self.path {
            None => true,
            Some(pattern) => pattern.matches(request.target, request.effort)?,
        };
        let host_fits = || {
            let host = request.host();
            self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host))
        };
        Ok(path_fits && host_fits())
    }

    /// Whether it asks for nothing of a path, nor of anything but the host.
    pub fn is_for_all_paths(&self) -> bool {
        let path = self.path.as_ref();
        path.is_none_or(PathPattern::is_for_all)
            && self.methods.is_empty()
            && self.headers.is_empty()
            && self.versions.is_empty()
    }

    /// Whether it asks for something of a path.
    pub fn names_paths(&self) -> bool {
        self.path.as_ref().is_some_and(|path| !path.is_for_all())
    }

    /// Whether it asks for something of a host.
    pub fn names_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// The header fields that it asks for.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        let conditions = self.headers.iter();
        conditions.filter_map(|condition| condition.operand().header())
    }

    /// The same, each with where the condition stands.
    pub fn conditions_on_headers(&self) -> impl Iterator<Item = (&HeaderName, &Pointer)> {
        let conditions = self.headers.iter();
        conditions.filter_map(|condition| Some((condition.operand().header()?, condition.place()?)))
    }

    /// The template that paths must fit, if it is one.
    pub fn template(&self) -> Option<Rc<PathTemplate>> {
        match &self.path {
            Some(PathPattern::Template(template)) => Some(Rc::clone(template)),
            _ => None,
        }
    }

    /// Whether the method fits.
    #[inline]
    pub fn allows(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|allowed| allowed == method)
    }

    /// The methods that fit; empty if all do.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }
}

/// What its header conditions see of a request: nobody is known yet.
fn view<'r>(request: &Request<'r>) -> View<'r> {
    View::new(request)
}

impl HostPattern {
    /// Reads `api.example.com` or `*.example.com`, and brings it to the spelling that hosts of requests
    /// have.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let written = node.non_empty(problems)?;
        if let Some(reason) = lint::impossible_host(written) {
            node.report(problems, reason);
            return None;
        }
        let (below, rest) = match written.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, written),
        };
        let host = Authority::parse(rest.as_bytes()).ok();
        // A port would never be matched, and there is nothing below an address.
        let host = host.filter(|host| {
            let has_port = match rest.rsplit_once(']') {
                Some((_, behind)) => !behind.is_empty(),
                None => rest.contains(':'),
            };
            !(has_port || below && host.is_address())
        });
        let Some(host) = host else {
            node.report(
                problems,
                "must be a host name without port, such as \"api.example.com\" or \"*.example.com\"",
            );
            return None;
        };
        Some(if below {
            HostPattern::Below(format!(".{}", host.host()))
        } else {
            HostPattern::Exact(host.host().to_owned())
        })
    }

    /// Whether a host in its one spelling is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(exact) => host == exact,
            HostPattern::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|below| !below.is_empty()),
        }
    }
}

/// The name of a field that a route may see.
fn read_seen_header(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    let written = node.text(problems)?.to_ascii_lowercase();
    if let Some(reason) = lint::unseen_field(&written) {
        node.report(problems, reason);
        return None;
    }
    read_header_name(node, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;
    use portcullis_wire::headers::Headers;
    use portcullis_wire::json::Json;
    use portcullis_wire::regex::Effort;

    fn matcher(text: &str) -> RequestMatcher {
        let json = Json::parse(text.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let case = LetterCase::SameRoute;
        let matcher = RequestMatcher::read(&Node::root(&json), case, &mut problems);
        problems.into_result(matcher).unwrap()
    }

    fn fits(
        matcher: &RequestMatcher,
        host: &str,
        path: &str,
        more: &[(&str, &str)],
    ) -> Result<bool, Undecidable> {
        let mut headers = Headers::default();
        headers.push(b":authority", host.as_bytes());
        headers.push(b":path", path.as_bytes());
        for (name, value) in more {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let target = Target::parse(path.as_bytes()).unwrap();
        matcher.matches(&Request {
            headers: &headers,
            authority: &Authority::of(&headers).unwrap(),
            target: &target,
            effort: &Effort::new(1000),
        })
    }

    #[test]
    fn prefixes_are_whole_segments() {
        for written in ["/orders", "/orders/"] {
            let matcher = matcher(&format!(r#"{{"path": {{"prefix": "{written}"}}}}"#));
            for yes in [
                "/orders",
                "/orders/",
                "/orders/1",
                "/orders?x=/",
                "/%6frders/1",
            ] {
                assert_eq!(fits(&matcher, "a", yes, &[]), Ok(true), "{yes}");
            }
            for no in ["/", "/ordersX", "/order", "/x/orders"] {
                assert_eq!(fits(&matcher, "a", no, &[]), Ok(false), "{no}");
            }
        }
        assert_eq!(
            fits(&matcher(r#"{"path": {"prefix": "/"}}"#), "a", "/x/y", &[]),
            Ok(true)
        );
    }

    #[test]
    fn templates_match_segments() {
        let one = matcher(r#"{"path": {"template": "/users/{id}/posts"}}"#);
        assert_eq!(fits(&one, "a", "/users/7/posts", &[]), Ok(true));
        for no in [
            "/users/posts",
            "/users/7/8/posts",
            "/users/7/posts/",
            "/users/7",
        ] {
            assert_eq!(fits(&one, "a", no, &[]), Ok(false), "{no}");
        }
        let rest = matcher(r#"{"path": {"template": "/files/{path=**}"}}"#);
        assert_eq!(fits(&rest, "a", "/files/a/b", &[]), Ok(true));
        assert_eq!(fits(&rest, "a", "/files/", &[]), Ok(false));
        assert_eq!(fits(&rest, "a", "/files", &[]), Ok(false));
    }

    #[test]
    fn regexes_see_the_whole_decoded_path() {
        let matcher = matcher(r#"{"path": {"regex": "/v[0-9]+/.*"}}"#);
        assert_eq!(fits(&matcher, "a", "/v1/%61", &[]), Ok(true));
        assert_eq!(fits(&matcher, "a", "/x/v1/a", &[]), Ok(false));
        let long = ["/v1/", &"a".repeat(2000)].concat();
        assert_eq!(fits(&matcher, "a", &long, &[]), Err(Undecidable::Effort));
    }

    #[test]
    fn hosts_ignore_case_and_port() {
        let matcher = matcher(r#"{"hosts": ["api.example.com", "*.internal.example"]}"#);
        for yes in [
            "API.example.com",
            "api.example.com:8443",
            "api.example.com.",
            "API.example.com.:8443",
            "a.internal.example.",
            "a.b.internal.example",
        ] {
            assert_eq!(fits(&matcher, yes, "/", &[]), Ok(true), "{yes}");
        }
        for no in [
            "example.com",
            "internal.example",
            "xapi.example.com",
            "192.0.2.1",
        ] {
            assert_eq!(fits(&matcher, no, "/", &[]), Ok(false), "{no}");
        }
    }

    #[test]
    fn hosts_of_a_document_have_one_spelling_too() {
        let read = |written: &str| {
            let json = Json::parse(format!("\"{written}\"").as_bytes(), 8).unwrap();
            let mut problems = Problems::default();
            let pattern = HostPattern::read(&Node::root(&json), &mut problems);
            problems.into_result(pattern).ok()
        };
        for (written, host) in [
            ("API.Example.com.", "api.example.com"),
            ("*.Example.com.", "x.example.com"),
            ("[0:0::1]", "[::1]"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert!(read(written).unwrap().matches(host), "{written}");
        }
        for wrong in [
            "",
            ".",
            "*",
            "*.",
            ".example.com",
            "*example.com",
            "a..b",
            "a.example..",
            "a:80",
            "a:",
            "[::1]:80",
            "127.1",
            "*.192.0.2.1",
            "*.[::1]",
            "*.*.a",
            "bücher.example",
            "a/b",
            "::1",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_header_asked_for_may_come_once() {
        let matcher = matcher(
            r#"{"headers": [{"name": "X-Version", "exact": "2"}, {"name": "x-old", "present": false}]}"#,
        );
        assert_eq!(fits(&matcher, "a", "/", &[("x-version", "2")]), Ok(true));
        assert_eq!(fits(&matcher, "a", "/", &[("x-version", "3")]), Ok(false));
        assert_eq!(fits(&matcher, "a", "/", &[]), Ok(false));
        assert_eq!(
            fits(&matcher, "a", "/", &[("x-version", "2"), ("x-old", "")]),
            Ok(false)
        );
        let twice = [("x-version", "2"), ("x-version", "3")];
        assert_eq!(fits(&matcher, "a", "/", &twice), Err(Undecidable::Repeated));
    }
}
