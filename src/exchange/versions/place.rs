//! Where a request names its version.

use super::accept::SubtypePattern;
use super::{NamedVersion, VersionFault, VersionScheme, accept};
use crate::alike::{comes_alike, is_like};
use crate::blanks::without_blanks;
use crate::exchange::Request;
use portcullis_wire::headers::{HeaderName, are_alike};
use portcullis_wire::urlencoded::{Controls, pairs};

/// Where a request may name its version.
#[derive(Debug, PartialEq, Eq)]
pub enum VersionPlace {
    /// A segment of the path: its number, from 0.
    PathSegment(usize),
    /// A header field.
    Header(HeaderName),
    /// A parameter of the query.
    Query(Box<str>),
    /// A parameter of the media types in `Accept`.
    AcceptParameter(Box<str>),
    /// A part of the media types in `Accept`.
    AcceptSubtype(SubtypePattern),
}

/// A step of the effort is enough to read so many bytes.
const BYTES_READ_BY_A_STEP: u64 = 8;

const ACCEPT: &str = "accept";

impl VersionPlace {
    /// The header field that it is in, if it is in one.
    pub fn header(&self) -> Option<HeaderName> {
        match self {
            VersionPlace::Header(name) => Some(name.clone()),
            VersionPlace::AcceptParameter(_) | VersionPlace::AcceptSubtype(_) => {
                HeaderName::parse(ACCEPT).ok()
            }
            VersionPlace::PathSegment(_) | VersionPlace::Query(_) => None,
        }
    }

    /// Whether two fields or parameters are one for some services, so that no request may name its version in both.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (VersionPlace::Header(one), VersionPlace::Header(other)) => {
                are_alike(one.as_str().as_bytes(), other.as_str().as_bytes())
            }
            (VersionPlace::Query(one), VersionPlace::Query(other)) => {
                is_like(one, other) || is_like_but_for_dashes(one, other)
            }
            _ => self == other,
        }
    }

    /// What a request says there.
    pub(super) fn find(
        &self,
        scheme: &VersionScheme,
        request: &Request<'_>,
    ) -> Result<NamedVersion, VersionFault> {
        match self {
            VersionPlace::PathSegment(place) => in_path(*place, scheme, request),
            VersionPlace::Header(name) => {
                request.effort.spend(1)?;
                let value = one_field(request, name)?;
                Ok(value.map_or(NamedVersion::None, |value| scheme.named(value)))
            }
            VersionPlace::Query(name) => in_query(name, scheme, request),
            VersionPlace::AcceptParameter(_) | VersionPlace::AcceptSubtype(_) => {
                let Ok(name) = HeaderName::parse(ACCEPT) else {
                    return Err(VersionFault::Accept);
                };
                if comes_alike(request.headers, &name) {
                    return Err(VersionFault::Repeated);
                }
                let fields = || request.headers.all(ACCEPT);
                let bytes: usize = fields().map(<[u8]>::len).sum();
                request.effort.spend(bytes as u64 / BYTES_READ_BY_A_STEP)?;
                accept::find(fields(), self, scheme)
            }
        }
    }
}

impl VersionScheme {
    /// A version by the name that a client gives it.
    pub(super) fn named(&self, name: &[u8]) -> NamedVersion {
        let mut known = self.known.iter();
        match known.position(|each| each.name.as_bytes() == name) {
            Some(place) => NamedVersion::Known(place),
            None => NamedVersion::Unknown(crate::refusal::detail::cut(name)),
        }
    }

    /// The same of a name that is no matter of upper and lower case.
    pub(super) fn named_in_any_case(&self, name: &str) -> NamedVersion {
        let mut known = self.known.iter();
        match known.position(|each| each.name.eq_ignore_ascii_case(name)) {
            Some(place) => NamedVersion::Known(place),
            None => NamedVersion::Unknown(crate::refusal::detail::cut(name.as_bytes())),
        }
    }

    /// What a segment of a path says: only what looks like a version is meant as one.
    fn of_segment(&self, segment: Option<&str>, any_case: bool) -> NamedVersion {
        let Some(segment) = segment else {
            return NamedVersion::None;
        };
        if any_case {
            let named = self.named_in_any_case(segment);
            return match named {
                NamedVersion::Unknown(_) if !self.form.fits(segment) => NamedVersion::None,
                named => named,
            };
        }
        match self.named(segment.as_bytes()) {
            NamedVersion::Unknown(_) if !self.form.fits(segment) => NamedVersion::None,
            named => named,
        }
    }
}

/// In each way in which servers may read the path it has to be the same.
fn in_path(
    place: usize,
    scheme: &VersionScheme,
    request: &Request<'_>,
) -> Result<NamedVersion, VersionFault> {
    let mut found: Option<NamedVersion> = None;
    for (path, any_case) in request.target.readings() {
        let price = (path.len() as u64 / BYTES_READ_BY_A_STEP).saturating_add(1);
        request.effort.spend(price)?;
        let segment = path.split('/').skip(1).nth(place);
        let named = scheme.of_segment(segment, any_case);
        match &found {
            None => found = Some(named),
            Some(first) if *first == named => {}
            Some(_) => return Err(VersionFault::Path),
        }
    }
    Ok(found.unwrap_or(NamedVersion::None))
}

fn one_field<'r>(
    request: &Request<'r>,
    name: &HeaderName,
) -> Result<Option<&'r [u8]>, VersionFault> {
    let value = request.headers.one(name.as_str());
    let value = value.map_err(|_| VersionFault::Repeated)?;
    match comes_alike(request.headers, name) {
        true => Err(VersionFault::Repeated),
        false => Ok(value.map(without_blanks)),
    }
}

/// Whether the names are alike where `-` is taken for `_`, as it is for fields.
fn is_like_but_for_dashes(one: &str, other: &str) -> bool {
    let has_dashes = one.contains('-') || other.contains('-');
    let underscored = |name: &str| name.replace('-', "_");
    has_dashes && is_like(&underscored(one), &underscored(other))
}

fn in_query(
    name: &str,
    scheme: &VersionScheme,
    request: &Request<'_>,
) -> Result<NamedVersion, VersionFault> {
    let Some(query) = request.query() else {
        return Ok(NamedVersion::None);
    };
    let price = (query.len() as u64 / BYTES_READ_BY_A_STEP).saturating_add(1);
    request.effort.spend(price)?;
    let pairs = pairs(query, Controls::Refused).map_err(|_| VersionFault::Query)?;
    let mut found = None;
    for pair in &pairs {
        if pair.name != name {
            let bare = pair.name.trim();
            if is_like(bare, name) || is_like_but_for_dashes(bare, name) {
                return Err(VersionFault::Repeated);
            }
        } else if found.replace(&pair.value).is_some() {
            return Err(VersionFault::Repeated);
        }
    }
    Ok(found.map_or(NamedVersion::None, |value| scheme.named(value.as_bytes())))
}
