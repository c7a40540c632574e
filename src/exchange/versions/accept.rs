//! Versions in `Accept`: RFC 9110 §12.5.1.

use super::{NamedVersion, VersionFault, VersionPlace, VersionScheme};
use crate::media_type::MediaType;

/// What stands before and behind a version in a subtype, both in lower case: `vnd.example.` and nothing, or what
/// comes before the suffix.
#[derive(Debug, PartialEq, Eq)]
pub struct SubtypePattern {
    /// What comes first.
    pub before: Box<str>,
    /// What comes last, a suffix such as `+json` apart.
    pub after: Box<str>,
}

/// More ranges than anybody needs.
const MOST_RANGES: usize = 64;

/// The weight of a range, in thousandths.
type Weight = u16;
const FULL: Weight = 1000;

impl SubtypePattern {
    /// The version in a subtype, if it is one of these.
    fn version<'s>(&self, subtype: &'s str) -> Option<&'s str> {
        let bare = subtype.split_once('+').map_or(subtype, |(bare, _)| bare);
        let rest = strip_prefix_in_any_case(bare, &self.before)?;
        let end = rest.len().checked_sub(self.after.len())?;
        let (version, after) = rest.split_at_checked(end)?;
        (after.eq_ignore_ascii_case(&self.after) && !version.is_empty()).then_some(version)
    }
}

fn strip_prefix_in_any_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What the fields say. Every range that names a version names the same one; a range that names none may stand
/// beside them only where it weighs less, or where what names none has that version as well: else the service
/// would choose.
pub(super) fn find<'f>(
    fields: impl Iterator<Item = &'f [u8]>,
    place: &VersionPlace,
    scheme: &VersionScheme,
) -> Result<NamedVersion, VersionFault> {
    let mut found: Option<(NamedVersion, Weight)> = None;
    let mut heaviest_without: Weight = 0;
    let mut many: usize = 0;
    for range in fields.flat_map(ranges) {
        let range = range.ok_or(VersionFault::Accept)?;
        if range.is_empty() {
            continue;
        }
        many = many.saturating_add(1);
        if many > MOST_RANGES {
            return Err(VersionFault::Accept);
        }
        let read = MediaType::parse(range).ok_or(VersionFault::Accept)?;
        let weight = weight(&read).ok_or(VersionFault::Accept)?;
        match named(&read, place, scheme) {
            None => heaviest_without = heaviest_without.max(weight),
            // What is not to be sent is named all the same: which one is meant is not plain.
            Some(_) if weight == 0 => return Err(VersionFault::Accept),
            Some(version) => match &mut found {
                None => found = Some((version, weight)),
                Some((first, lightest)) if *first == version => *lightest = weight.min(*lightest),
                Some(_) => return Err(VersionFault::Several),
            },
        }
    }
    let Some((version, lightest)) = found else {
        return Ok(NamedVersion::None);
    };
    let is_usual = scheme.usual.map(NamedVersion::Known) == Some(version.clone());
    match heaviest_without < lightest || is_usual {
        true => Ok(version),
        false => Err(VersionFault::Accept),
    }
}

fn named(
    range: &MediaType<'_>,
    place: &VersionPlace,
    scheme: &VersionScheme,
) -> Option<NamedVersion> {
    match place {
        VersionPlace::AcceptParameter(name) => {
            let version = range.parameter(name)?;
            Some(scheme.named(version.as_bytes()))
        }
        // Media types are no matter of case.
        VersionPlace::AcceptSubtype(pattern) => {
            let version = pattern.version(range.subtype())?;
            Some(scheme.named_in_any_case(version))
        }
        VersionPlace::PathSegment(_) | VersionPlace::Header(_) | VersionPlace::Query(_) => None,
    }
}

/// RFC 9110 §12.4.2: from 0 to 1, with three digits at most.
fn weight(range: &MediaType<'_>) -> Option<Weight> {
    let Some(written) = range.parameter("q") else {
        return Some(FULL);
    };
    let (whole, part) = written.split_once('.').unwrap_or((written, ""));
    let digits = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    let thousandths: Weight = match digits {
        true => format!("{part:0<3}").parse().ok()?,
        false => return None,
    };
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

/// The ranges of a field, between its commas; none for one whose quotation mark is not closed, or has a `,` or `;` in
/// it.
fn ranges(field: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let whole = rest?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        for (at, byte) in whole.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                // Many services part ranges and parameters without regard to quotation marks.
                b',' | b';' if is_quoted => {
                    rest = None;
                    return Some(None);
                }
                b',' => {
                    let (range, after) = whole.split_at_checked(at)?;
                    rest = after.get(1..);
                    return Some(Some(range.trim_ascii()));
                }
                _ => {}
            }
        }
        rest = None;
        Some((!is_quoted).then(|| whole.trim_ascii()))
    })
}
