//! The versions of an API: where a request names one, and what becomes of it.
//!
//! One request has one version. What could be read as two is refused: two places that disagree, a field or a
//! parameter that comes twice, a path that servers read in several ways, an `Accept` field that leaves the
//! choice to the service.

mod accept;
mod form;
mod place;
pub mod refusals;

use std::rc::Rc;
use std::time::Duration;

use crate::enforcement::Mode;
use crate::exchange::Request;
pub use crate::lifecycle::VersionFault;
use crate::lifecycle::{ApiVersion, RequestVersion, VersionState};
use crate::refusal::{Detail, Fact, Reason, Refusal};
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::json::quoted;

pub use self::accept::SubtypePattern;
pub use self::form::VersionForm;
pub use self::place::VersionPlace;

/// How the requests of an API name its versions.
#[derive(Debug)]
pub struct VersionScheme {
    /// Where it stands in the document.
    pub pointer: Rc<str>,
    /// Whether it is carried out what it says.
    pub mode: Mode,
    /// Where a version may be named.
    pub places: Vec<VersionPlace>,
    /// How one looks.
    pub form: VersionForm,
    /// All that there are and have been.
    pub known: Vec<Rc<ApiVersion>>,
    /// The place of the version of requests that name none; none if they are refused.
    pub usual: Option<usize>,
    /// Why requests are refused that name another.
    pub unknown: &'static Reason,
    /// What becomes of what the service says itself of its age.
    pub upstream: UpstreamFields,
}

/// What becomes of the fields in which the service itself says how old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFields {
    /// A date of ours takes the place of its own; links stand beside each other.
    Replace,
    /// Its own stay, and ours are written where it has none.
    Keep,
    /// Its own go.
    Remove,
}

/// What a place, or a request, says of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedVersion {
    /// Nothing.
    None,
    /// The one at that place of the list.
    Known(usize),
    /// One that there is not.
    Unknown(Box<[u8]>),
}

impl VersionScheme {
    /// Which version a request is for; none if it names none and there is no usual one.
    ///
    /// # Errors
    /// [`VersionFault`].
    pub fn of(&self, request: &Request<'_>) -> Result<NamedVersion, VersionFault> {
        let mut found = NamedVersion::None;
        for place in &self.places {
            match (place.find(self, request)?, &found) {
                (NamedVersion::None, _) => {}
                (named, NamedVersion::None) => found = named,
                (named, already) if named == *already => {}
                (_, _) => return Err(VersionFault::Several),
            }
        }
        Ok(match (found, self.usual) {
            (NamedVersion::None, Some(usual)) => NamedVersion::Known(usual),
            (found, _) => found,
        })
    }

    /// The parameters of the query that may name a version.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|place| match place {
            VersionPlace::Query(name) => Some(&**name),
            _ => None,
        })
    }

    /// The place of the version of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.known.iter().position(|each| *each.name == *name)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.known.iter().map(|version| &*version.name)
    }

    /// What a request is for that came at a time since the epoch, if that can be told; and why it is refused, if
    /// it is.
    pub fn judge(
        &self,
        request: &Request<'_>,
        now: Duration,
    ) -> (
        Result<Option<RequestVersion>, VersionFault>,
        Option<Refusal>,
    ) {
        let named = match self.of(request) {
            Ok(named) => named,
            Err(fault) => return (Err(fault), Some(self.undecided(fault, now))),
        };
        match named {
            NamedVersion::None => (Ok(None), Some(self.telling_all(&refusals::ABSENT, now))),
            NamedVersion::Unknown(sent) => {
                let refusal = self.telling_all(self.unknown, now);
                (
                    Ok(None),
                    Some(refusal.and("version", Fact::untrusted(&sent))),
                )
            }
            NamedVersion::Known(place) => {
                let Some(version) = self.known.get(place) else {
                    return (Ok(None), Some(self.telling_all(self.unknown, now)));
                };
                let state = version.lifecycle.state(now);
                let refusal = gone(version, state);
                let of = Some(Rc::clone(version));
                let version = RequestVersion {
                    of,
                    state,
                    is_drawn: None,
                };
                (Ok(Some(version)), refusal)
            }
        }
    }

    /// The refusal of a request of which it cannot be told which version it is for.
    pub fn undecided(&self, fault: VersionFault, now: Duration) -> Refusal {
        self.telling_all(refusals::of_fault(fault), now)
    }

    fn telling_all(&self, reason: &'static Reason, now: Duration) -> Refusal {
        Refusal::new(reason)
            .because(Detail::at(Rc::clone(&self.pointer)))
            .with_members(self.listed(now))
    }

    /// A member of problem documents: the versions that there are at a time since the epoch.
    fn listed(&self, now: Duration) -> Rc<str> {
        let there = self.known.iter();
        let there = there.filter(|version| !version.lifecycle.state(now).is_gone());
        let names: Vec<String> = there
            .map(|version| quoted(&version.name).to_string())
            .collect();
        format!("\"versions\":[{}]", names.join(",")).into()
    }

    /// Whether something is told of the age of one of them.
    pub fn tells_of_age(&self) -> bool {
        let mut known = self.known.iter();
        known.any(|version| !version.lifecycle.fields.is_empty())
    }

    /// The fields in which a version may be named.
    pub fn header_names(&self) -> impl Iterator<Item = HeaderName> + '_ {
        self.places.iter().filter_map(VersionPlace::header)
    }

    /// What it takes of memory, at most.
    pub fn memory(&self) -> usize {
        const EACH: usize = 2 << 10;
        const WINDOW: usize = 64;
        let windows = self.known.iter();
        let windows = windows.map(|each| each.lifecycle.brownouts.len().saturating_mul(WINDOW));
        let windows = windows.fold(0, usize::saturating_add);
        let all = self.known.len().saturating_add(self.places.len());
        all.saturating_add(1)
            .saturating_mul(EACH)
            .saturating_add(windows)
    }
}

/// Why requests for a version are refused that is no more.
fn gone(version: &ApiVersion, state: VersionState) -> Option<Refusal> {
    let (reason, field) = match state {
        VersionState::Removed => (&refusals::REMOVED, "removed"),
        VersionState::Sunset => (&refusals::SUNSET, "sunset"),
        VersionState::Current | VersionState::Deprecated => return None,
    };
    Some(refused_version(reason, version, field))
}

/// The refusal of a version that is no more, or is switched off, by that field of it.
pub fn refused_version(reason: &'static Reason, version: &ApiVersion, field: &str) -> Refusal {
    let place = [&version.pointer, "/", field].concat();
    let detail = Detail::at(place).and("version", Fact::trusted(&version.name));
    refused(reason, &version.lifecycle.members).because(detail)
}

/// A refusal for a version or an operation that is no more, or is switched off: with what is said of where to go.
pub fn refused(reason: &'static Reason, members: &Rc<str>) -> Refusal {
    let refusal = Refusal::new(reason).with_members(Rc::clone(members));
    // RFC 9111 §4.2.2 lets a cache keep a 410 for as long as it likes, and this one may be over tomorrow.
    let name = HeaderName::parse("cache-control").ok();
    match name.zip(HeaderValue::parse(b"no-store").ok()) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}

#[cfg(test)]
mod tests;
