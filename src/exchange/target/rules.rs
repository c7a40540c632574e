//! `paths`: what of that which servers read differently may pass, and when.
//!
//! A path that may be read in several ways passes only if each of them leads to the same route, so
//! that whatever the service reads has been judged by the policies for it.

use super::TargetError;
use crate::section::{Reading, Section};
use portcullis_document::{Node, Problems};

/// What may stand in a path beyond what every server reads alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `;` and what follows it in a segment.
    pub semicolons: Ambiguous,
    /// An encoded `/`.
    pub encoded_slashes: Ambiguous,
    /// Empty segments.
    pub empty_segments: Empty,
    /// Dots and blanks at the ends of segments, and characters that nobody sees.
    pub padding: Padding,
    /// Upper and lower case.
    pub letter_case: LetterCase,
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

/// What becomes of segments that end in dots or blanks, begin with blanks, or have characters in them that
/// nobody sees: many servers take those off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// They pass if the path belongs to the same route without it. Names do end in a dot, and scripts
    /// need joiners, so they are not refused in any case.
    #[default]
    SameRoute,
    /// They are refused.
    Refuse,
    /// They are read as they stand.
    Pass,
}

/// Whether upper and lower case are the same in paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LetterCase {
    /// They are not.
    #[default]
    Significant,
    /// They may be: a path passes if it belongs to the same route both ways.
    SameRoute,
}

impl PathRules {
    fn read_all(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let semicolons =
            fields.or_default("semicolons", Ambiguous::Refuse, problems, Ambiguous::read);
        let slashes = fields.or_default(
            "encoded_slashes",
            Ambiguous::Refuse,
            problems,
            Ambiguous::read,
        );
        let empty = fields.or_default(
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
        let padding = fields.or_default("padding", Padding::SameRoute, problems, Padding::read);
        let letter_case = fields.or_default(
            "letter_case",
            LetterCase::Significant,
            problems,
            LetterCase::read,
        );
        fields.deny_unknown(problems);
        Some(Self {
            semicolons: semicolons?,
            encoded_slashes: slashes?,
            empty_segments: empty?,
            padding: padding?,
            letter_case: letter_case?,
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

impl Section for PathRules {
    const NAME: &'static str = "paths";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Self::read_all(node, reading.problems)
    }
}

impl Ambiguous {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [("refuse", Self::Refuse), ("same_route", Self::SameRoute)];
        node.choice(problems, &choices)
    }
}

impl Padding {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("same_route", Self::SameRoute),
            ("refuse", Self::Refuse),
            ("pass", Self::Pass),
        ];
        node.choice(problems, &choices)
    }
}

impl LetterCase {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("significant", Self::Significant),
            ("same_route", Self::SameRoute),
        ];
        node.choice(problems, &choices)
    }
}

/// Whether a byte may stand in a path, or be encoded there, by these rules.
pub(super) fn allows_semicolon(rules: PathRules) -> Result<(), TargetError> {
    match rules.semicolons {
        Ambiguous::Refuse => Err(TargetError::PathParameter),
        Ambiguous::SameRoute => Ok(()),
    }
}
