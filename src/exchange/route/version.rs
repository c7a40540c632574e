//! Routes that are for some versions of an API.

use std::rc::Rc;

use super::{PreflightMatch, RequestMatcher};
use crate::exchange::Request;
use crate::versions::{NamedVersion, VersionFault, VersionScheme};
use portcullis_document::{DidYouMean, Node, Pointer, Problems, Quoted};
use portcullis_wire::preflight::Preflight;

/// A version that a route is for, and where that stands.
#[derive(Debug)]
pub(super) struct VersionName {
    name: Box<str>,
    place: Pointer,
}

impl VersionName {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        Some(Self {
            name: node.non_empty(problems)?.into(),
            place: node.pointer().clone(),
        })
    }
}

impl RequestMatcher {
    /// Says how requests name versions, to the route that is for some of them; what it names has to be there.
    pub fn tell_versions(&mut self, scheme: Option<&Rc<VersionScheme>>, problems: &mut Problems) {
        for VersionName { name, place } in &self.versions {
            match scheme {
                None => problems.report(
                    place,
                    "no request has a version: say in `versions` of the document, or of the API of the route, where requests name one",
                ),
                Some(scheme) if scheme.position(name).is_none() => {
                    let near = DidYouMean(name, scheme.names());
                    problems.report(place, format_args!("no version is named {}{near}", Quoted(name)));
                }
                Some(_) => {}
            }
        }
        if !self.versions.is_empty() {
            self.scheme = scheme.cloned();
        }
    }

    /// The versions that it is for; all if there are none.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        self.versions.iter().map(|version| &*version.name)
    }

    /// How the requests of a route for some versions name them.
    pub fn scheme(&self) -> Option<&VersionScheme> {
        self.scheme.as_deref()
    }

    /// The same requests, whatever their version: hosts, methods, fields and path, of which the segment at that
    /// place may be a version. For those who compare routes of several versions.
    pub fn apart_from_version(&self, segment: Option<usize>) -> (String, Option<&str>) {
        let (path, version) = match &self.path {
            None => (String::new(), None),
            Some(path) => path.apart_from(segment),
        };
        let Self { hosts, methods, .. } = self;
        let headers = self.headers.iter().map(|each| format!("{each:?}"));
        let headers: Vec<String> = headers.collect();
        (format!("{path} {hosts:?} {methods:?} {headers:?}"), version)
    }

    /// Whether the version of a request is one of its own.
    pub(super) fn is_for_version(&self, request: &Request<'_>) -> Result<bool, VersionFault> {
        if self.versions.is_empty() {
            return Ok(true);
        }
        // A document with such a route and without versions is refused.
        let Some(scheme) = &self.scheme else {
            return Ok(false);
        };
        let NamedVersion::Known(place) = scheme.of(request)? else {
            return Ok(false);
        };
        let found = scheme.known.get(place);
        Ok(found.is_some_and(|found| self.versions.iter().any(|each| *each.name == *found.name)))
    }

    /// Whether the version of the request that a preflight asks about will be one of its own.
    pub(super) fn foresees_version(
        &self,
        request: &Request<'_>,
        preflight: &Preflight<'_>,
    ) -> PreflightMatch {
        let fields = self.scheme.iter().flat_map(|scheme| scheme.header_names());
        let mut open = fields.map(|name| preflight.leaves_open(name.as_str()).unwrap_or(true));
        if !self.versions.is_empty() && open.any(|is_open| is_open) {
            return PreflightMatch::Depends;
        }
        match self.is_for_version(request) {
            Ok(true) => PreflightMatch::Matches,
            Ok(false) => PreflightMatch::Misses,
            Err(_) => PreflightMatch::Depends,
        }
    }

    /// Whether it is for some versions, and for a request but for its version.
    pub fn misses_version(&self, request: &Request<'_>) -> bool {
        !self.versions.is_empty() && self.is_for(request) == Ok(true)
    }
}
