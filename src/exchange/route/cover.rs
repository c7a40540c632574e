//! Which routes are for all requests of others.

use super::path::{PathPattern, PathTemplate, Segment};
use super::{HostPattern, RequestMatcher};

impl RequestMatcher {
    /// Whether every request that `other` is for is one that this is for. `false` where that would
    /// take long to find out.
    pub fn holds_all_of(&self, other: &Self) -> bool {
        let versions = self.versions.is_empty()
            || (!other.versions.is_empty()
                && other
                    .versions()
                    .all(|each| self.versions().any(|own| own == each)));
        versions && self.holds_whatever_version(other) == HeldRequests::All
    }

    /// Which requests that `other` is for are such as this is for, whatever their version. Nothing where that would
    /// take long to find out.
    pub fn holds_whatever_version(&self, other: &Self) -> HeldRequests {
        let hosts = self.takes_hosts_of(other);
        let headers = || {
            self.headers
                .iter()
                .all(|own| other.headers.iter().any(|each| own.holds_where(each)))
        };
        let path = || match (&self.path, &other.path) {
            (None, _) => true,
            (Some(own), None) => own.is_everything(),
            (Some(own), Some(other)) => own.holds_all_of(other),
        };
        let methods = match (self.methods.is_empty(), other.methods.is_empty()) {
            (true, _) => HeldRequests::All,
            (false, true) => HeldRequests::SomeMethods,
            (false, false) => {
                let held = other.methods.iter();
                let held = held.filter(|each| self.methods.contains(each)).count();
                match held {
                    0 => HeldRequests::Nothing,
                    all if all == other.methods.len() => HeldRequests::All,
                    _ => HeldRequests::SomeMethods,
                }
            }
        };
        match hosts && methods != HeldRequests::Nothing && path() && headers() {
            true => methods,
            false => HeldRequests::Nothing,
        }
    }

    /// Whether any segment may stand at that place of the path, from 0.
    pub fn leaves_open(&self, segment: usize) -> bool {
        let path = self.path.as_ref();
        path.is_none_or(|path| path.is_everything() || path.leaves_open(segment))
    }
}

/// Which requests of one route another would be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldRequests {
    /// All.
    All,
    /// Those of some methods.
    SomeMethods,
    /// None, or it is not known.
    Nothing,
}

impl RequestMatcher {
    /// Whether host and path of an address fit, as far as they are known. One whose comparison would take long
    /// does not.
    pub fn fits_target(&self, host: Option<&str>, path: Option<&str>) -> bool {
        let effort = portcullis_wire::effort::Effort::new(MOST_STEPS);
        let mut hosts = self.hosts.iter();
        let is_host = |host: &str| self.hosts.is_empty() || hosts.any(|each| each.matches(host));
        let path_fits = match (&self.path, path) {
            (None, _) | (_, None) => true,
            (Some(own), Some(path)) => own.matches_path(path, &effort).unwrap_or_default(),
        };
        path_fits && host.is_none_or(is_host)
    }

    /// Whether it asks for more than host, path and method.
    pub fn asks_for_more(&self) -> bool {
        !self.headers.is_empty() || !self.versions.is_empty()
    }

    /// Whether it takes all methods that another takes.
    pub fn takes_methods_of(&self, other: &Self) -> bool {
        self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|each| self.methods.contains(each)))
    }

    /// Whether it takes all hosts that another takes.
    pub fn takes_hosts_of(&self, other: &Self) -> bool {
        self.hosts.is_empty()
            || (!other.hosts.is_empty()
                && other
                    .hosts
                    .iter()
                    .all(|host| self.hosts.iter().any(|each| each.holds_all_of(host))))
    }

    /// Whether both may be for one host.
    pub fn meets_hosts_of(&self, other: &Self) -> bool {
        other.hosts.is_empty() || self.meets_host(&other.hosts)
    }

    /// Whether it may be for a host that one of these is for.
    pub fn meets_host(&self, hosts: &[HostPattern]) -> bool {
        let meets = |own: &HostPattern| {
            let mut hosts = hosts.iter();
            hosts.any(|each| own.holds_all_of(each) || each.holds_all_of(own))
        };
        self.hosts.is_empty() || self.hosts.iter().any(meets)
    }
}

impl HostPattern {
    /// Whether every host that `other` is for is one that this is for.
    pub fn holds_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(own), Self::Exact(other)) => own == other,
            (Self::Exact(_), Self::Below(_)) => false,
            (Self::Below(_), Self::Exact(other)) => self.matches(other),
            (Self::Below(own), Self::Below(other)) => other.ends_with(own.as_str()),
        }
    }
}

impl PathPattern {
    /// Whether any segment may stand at that place; `false` where that would take long to find out.
    fn leaves_open(&self, segment: usize) -> bool {
        match self {
            PathPattern::Exact(_) | PathPattern::Regex { .. } => false,
            PathPattern::Prefix(prefix) => prefix.split('/').skip(1).nth(segment).is_none(),
            PathPattern::Template(template) => {
                let found = template.segments.get(segment);
                !matches!(found, Some(Segment::Literal(_)))
            }
        }
    }

    fn is_everything(&self) -> bool {
        match self {
            PathPattern::Exact(_) | PathPattern::Template(_) => false,
            PathPattern::Prefix(prefix) => prefix.is_empty(),
            PathPattern::Regex { regex, .. } => {
                matches!(
                    regex.text(),
                    "^(?:.*)$"
                        | "^(?:/.*)$"
                        | "^(?:^/.*$)$"
                        | "^(?:^.*$)$"
                        | "^(?:^/.*)$"
                        | "^(?:^.*)$"
                )
            }
        }
    }

    /// Whether every path that fits `other` fits this too. `false` where that would take long to find out.
    pub fn holds_all_of(&self, other: &Self) -> bool {
        if self.is_everything() {
            return true;
        }
        match (self, other) {
            (PathPattern::Regex { regex: own, .. }, PathPattern::Regex { regex: other, .. }) => {
                own.address() == other.address()
            }
            (PathPattern::Regex { regex: own, .. }, PathPattern::Exact(other)) => {
                let effort = portcullis_wire::effort::Effort::new(MOST_STEPS);
                own.is_match(other, &effort).unwrap_or_default()
            }
            (PathPattern::Regex { .. }, _) | (_, PathPattern::Regex { .. }) => false,
            (PathPattern::Exact(own), PathPattern::Exact(other)) => own == other,
            (PathPattern::Exact(own), PathPattern::Template(other)) => {
                other.names().next().is_none() && other.as_str() == own
            }
            (PathPattern::Exact(_), PathPattern::Prefix(_)) => false,
            (PathPattern::Prefix(own), PathPattern::Exact(other) | PathPattern::Prefix(other)) => {
                let rest = other.strip_prefix(own.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            (PathPattern::Prefix(own), PathPattern::Template(_)) => {
                let mut literals = other.first_segments().into_iter();
                own.split('/')
                    .skip(1)
                    .all(|segment| literals.next() == Some(segment))
            }
            (PathPattern::Template(own), PathPattern::Exact(other)) => own.matches(other),
            (PathPattern::Template(own), PathPattern::Prefix(_)) => {
                let literals = other.first_segments().into_iter();
                let literals = literals.map(|each| Segment::Literal(each.to_owned()));
                own.holds_all_below(&literals.collect::<Vec<_>>())
            }
            (PathPattern::Template(own), PathPattern::Template(other)) => own.holds_all_of(other),
        }
    }
}

/// What comparing one path with one expression may take here.
const MOST_STEPS: u64 = 1000;

impl PathTemplate {
    fn holds_all_of(&self, other: &Self) -> bool {
        let mut others = other.segments.iter();
        for own in &self.segments {
            let Some(other) = others.next() else {
                return false;
            };
            match own {
                Segment::Rest(_) => return own.holds(other),
                _ if matches!(other, Segment::Rest(_)) || !own.holds(other) => return false,
                _ => {}
            }
        }
        others.next().is_none()
    }

    /// Whether it is for every path that begins with these segments.
    fn holds_all_below(&self, segments: &[Segment]) -> bool {
        for (own, other) in self.segments.iter().zip(segments) {
            match own {
                Segment::Rest(_) => return own.holds(other),
                _ if !own.holds(other) => return false,
                _ => {}
            }
        }
        false
    }
}

impl Segment {
    fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Segment::Literal(own), Segment::Literal(other)) => own == other,
            (Segment::Literal(_), _) => false,
            (_, Segment::Literal(other)) => !other.is_empty(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::LetterCase;
    use portcullis_document::{Node, Problems};
    use portcullis_wire::json::Json;

    fn matcher(text: &str) -> RequestMatcher {
        let json = Json::parse(text.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let matcher =
            RequestMatcher::read(&Node::root(&json), LetterCase::Significant, &mut problems);
        problems
            .into_result(matcher)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_one_route_holds_of_another() {
        let holds = |one: &str, other: &str| matcher(one).holds_all_of(&matcher(other));
        for (one, other) in [
            ("{}", r#"{"hosts": ["a.example"], "methods": ["GET"]}"#),
            (
                r#"{"path": {"prefix": "/"}}"#,
                r#"{"path": {"regex": "/a.*"}}"#,
            ),
            (
                r#"{"path": {"prefix": "/a"}}"#,
                r#"{"path": {"prefix": "/a/b"}}"#,
            ),
            (
                r#"{"path": {"prefix": "/a"}}"#,
                r#"{"path": {"template": "/a/{x}"}}"#,
            ),
            (
                r#"{"path": {"template": "/u/{x}"}}"#,
                r#"{"path": {"exact": "/u/me"}}"#,
            ),
            (
                r#"{"path": {"template": "/u/{x}/p"}}"#,
                r#"{"path": {"template": "/u/{y}/p"}}"#,
            ),
            (
                r#"{"path": {"template": "/{x=**}"}}"#,
                r#"{"path": {"prefix": "/a"}}"#,
            ),
            (
                r#"{"path": {"regex": "/a[0-9]"}}"#,
                r#"{"path": {"exact": "/a7"}}"#,
            ),
            (
                r#"{"hosts": ["*.example"]}"#,
                r#"{"hosts": ["a.example", "*.b.example"]}"#,
            ),
            (r#"{"methods": ["GET", "PUT"]}"#, r#"{"methods": ["PUT"]}"#),
            (
                r#"{"headers": [{"name": "x", "present": true}]}"#,
                r#"{"headers": [{"name": "x", "exact": "1"}, {"name": "y", "exact": "1"}]}"#,
            ),
            (
                r#"{"headers": [{"not": {"name": "x", "present": false}}]}"#,
                r#"{"headers": [{"name": "x", "in": ["1", "2"]}]}"#,
            ),
            (
                r#"{"headers": [{"not": {"name": "x", "exact": "1"}}]}"#,
                r#"{"headers": [{"not": {"name": "x", "exact": "1"}}, {"name": "y", "exists": false}]}"#,
            ),
        ] {
            assert!(holds(one, other), "{one} {other}");
            assert!(holds(one, one) && holds(other, other), "{one} {other}");
            assert!(!holds(other, one) || one.contains("{x}/p"), "{other} {one}");
        }
        for (one, other) in [
            (
                r#"{"path": {"prefix": "/a"}}"#,
                r#"{"path": {"prefix": "/ab"}}"#,
            ),
            (
                r#"{"path": {"template": "/files/{x=**}"}}"#,
                r#"{"path": {"prefix": "/files"}}"#,
            ),
            (
                r#"{"path": {"template": "/{x}"}}"#,
                r#"{"path": {"exact": "/"}}"#,
            ),
            (
                r#"{"path": {"template": "/{x}"}}"#,
                r#"{"path": {"template": "/{x=**}"}}"#,
            ),
            (r#"{"hosts": ["*.example"]}"#, r#"{"hosts": ["example"]}"#),
            (
                r#"{"headers": [{"name": "x", "exact": "1"}]}"#,
                r#"{"headers": [{"name": "x", "exact": "2"}]}"#,
            ),
            (
                r#"{"headers": [{"name": "x", "present": true}]}"#,
                r#"{"headers": [{"not": {"name": "x", "exact": "2"}}]}"#,
            ),
            (
                r#"{"headers": [{"name": "x", "exact": "2"}]}"#,
                r#"{"headers": [{"not": {"name": "x", "exact": "2"}}]}"#,
            ),
        ] {
            assert!(!holds(one, other), "{one} {other}");
        }
    }
}
