//! `paths`: what of that which servers read differently may pass, and when.
//!
//! A path that may be read in several ways passes only if each of them leads to the same route, so
//! that whatever the service reads has been judged by the policies for it.

use super::TargetError;
use crate::config::{Node, Problems};

/// What may stand in a path beyond what every server reads alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `;` and what follows it in a segment.
    pub semicolons: Ambiguous,
    /// An encoded `/`.
    pub encoded_slashes: Ambiguous,
    /// Empty segments.
    pub empty_segments: Empty,
}

/// What becomes of what has several readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ambiguous {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes if all readings belong to the same route.
    SameRoute,
}

/// What becomes of empty segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    /// They are refused.
    #[default]
    Refuse,
    /// They are taken out, before anything is judged and before the service sees the path.
    Merge,
}

/// How an encoded `/` stands in a path in its one spelling. No other `%` does.
pub(super) const SLASH: &str = "%2F";

impl PathRules {
    /// Reads `paths`.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let semicolons = fields.or("semicolons", Ambiguous::Refuse, problems, Ambiguous::read);
        let slashes = fields.or(
            "encoded_slashes",
            Ambiguous::Refuse,
            problems,
            Ambiguous::read,
        );
        let empty = fields.or(
            "empty_segments",
            Empty::Refuse,
            problems,
            |node, problems| {
                node.choice(
                    problems,
                    &[("refuse", Empty::Refuse), ("merge", Empty::Merge)],
                )
            },
        );
        fields.finish(problems);
        Some(Self {
            semicolons: semicolons?,
            encoded_slashes: slashes?,
            empty_segments: empty?,
        })
    }

    /// `:path` without empty segments, if it has some and they are to be taken out.
    pub fn merged(self, raw: &[u8]) -> Option<Vec<u8>> {
        let end = raw.iter().position(|b| *b == b'?').unwrap_or(raw.len());
        let (path, query) = raw.split_at_checked(end)?;
        let doubled = path.windows(2).any(|pair| pair == b"//");
        if self.empty_segments == Empty::Refuse || !doubled {
            return None;
        }
        let mut merged = Vec::with_capacity(raw.len());
        for byte in path {
            if *byte != b'/' || merged.last() != Some(&b'/') {
                merged.push(*byte);
            }
        }
        merged.extend_from_slice(query);
        Some(merged)
    }
}

impl Ambiguous {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [("refuse", Self::Refuse), ("same_route", Self::SameRoute)];
        node.choice(problems, &choices)
    }
}

/// What else servers may read in a path in its one spelling: with its encoded slashes decoded, without
/// what follows a `;` in each segment, without all that follows the first.
pub(super) fn others(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    if path.contains(SLASH) {
        readings.push(path.replace(SLASH, "/"));
    }
    if path.contains(';') {
        let before = readings.clone();
        for reading in std::iter::once(path).chain(before.iter().map(String::as_str)) {
            let kept = |text: &str| text.split(';').next().unwrap_or_default().to_owned();
            let segments: Vec<String> = reading.split('/').map(kept).collect();
            readings.push(segments.join("/"));
            readings.push(kept(reading));
        }
    }
    readings
}

/// Whether a byte may stand in a path, or be encoded there, by these rules.
pub(super) fn allows_semicolon(rules: PathRules) -> Result<(), TargetError> {
    match rules.semicolons {
        Ambiguous::Refuse => Err(TargetError::PathParameter),
        Ambiguous::SameRoute => Ok(()),
    }
}
