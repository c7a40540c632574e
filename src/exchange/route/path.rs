//! Which paths a route is for.

use std::borrow::Cow;
use std::rc::Rc;

use super::lint;
use crate::condition::{PathVariables, needs_one_of};
use crate::target::{LetterCase, Target, folded};
use portcullis_document::{Case, Node, Problems};
use portcullis_wire::regex::{Effort, Regex, TooCostly};
use portcullis_wire::sort;

/// What a path is compared with.
#[derive(Debug)]
pub enum PathPattern {
    /// That path.
    Exact(String),
    /// Whole segments: `/a` is for `/a` and `/a/b`, not for `/ab`. Without its last `/`.
    Prefix(String),
    /// An expression for the whole path.
    Regex {
        /// It.
        regex: Regex,
        /// The same where upper and lower case may be the same.
        any_case: Option<Regex>,
    },
    /// Segments, some of them with names.
    Template(Rc<PathTemplate>),
}

/// A template of paths, for those who tell requests apart by it.
#[derive(Debug)]
pub struct PathTemplate {
    written: String,
    pub(super) segments: Vec<Segment>,
}

impl PathTemplate {
    /// Reads `/users/{id}/posts`.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let written = read_path(node, problems)?;
        Self::of(written, node, problems)
    }

    fn of(written: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let segments = Segment::read_all(written, node, problems)?;
        let template = Self {
            written: written.to_owned(),
            segments,
        };
        let mut names: Vec<&str> = template.names().collect();
        sort::sort(&mut names, Ord::cmp);
        if names
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one == other))
        {
            node.report(problems, "names a segment twice");
            return None;
        }
        Some(template)
    }

    /// The names of its variables, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.segments.iter().filter_map(Segment::name)
    }

    /// What a path that fits has for each variable.
    pub fn values<'p>(&'p self, path: &'p str) -> impl Iterator<Item = (&'p str, Cow<'p, str>)> {
        let mut rest = path.strip_prefix('/');
        self.segments.iter().filter_map(move |segment| {
            let whole = rest?;
            let part = match segment {
                Segment::Rest(_) => whole,
                _ => match whole.split_once('/') {
                    Some((part, after)) => {
                        rest = Some(after);
                        part
                    }
                    None => {
                        rest = None;
                        whole
                    }
                },
            };
            // There is no other `%` in a path in its one spelling.
            let value = match part.contains('%') {
                true => Cow::Owned(part.replace("%2F", "/")),
                false => Cow::Borrowed(part),
            };
            Some((segment.name()?, value))
        })
    }

    /// As the document writes it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether a path in its one spelling fits.
    pub fn matches(&self, path: &str) -> bool {
        Segment::match_all(&self.segments, path, |literal, part| literal == part)
    }
}

impl PathVariables for PathTemplate {
    fn has(&self, name: &str) -> bool {
        Self::names(self).any(|each| each == name)
    }

    fn names(&self) -> Vec<&str> {
        Self::names(self).collect()
    }

    fn value<'p>(&self, name: &str, path: &'p str) -> Option<Cow<'p, str>> {
        let segment = |each: &&Segment| each.name() == Some(name);
        let place = self.segments.iter().position(|each| segment(&each))?;
        let rest = path.strip_prefix('/')?;
        // In another reading the path may be for another template.
        let part = match self.segments.get(place)? {
            Segment::Rest(_) => rest.splitn(place.checked_add(1)?, '/').nth(place)?,
            _ => rest.split('/').nth(place)?,
        };
        Some(match part.contains('%') {
            true => Cow::Owned(part.replace("%2F", "/")),
            false => Cow::Borrowed(part),
        })
    }
}

/// What one segment of a template is compared with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// `{name}`: one segment that is not empty.
    One(String),
    /// `{name=**}`: the rest of the path, at least one segment.
    Rest(String),
}

/// Whether whole segments of a path are those of a prefix, which has no `/` at its end.
#[inline]
fn is_below(path: &str, prefix: &str) -> bool {
    let split = path.as_bytes().split_at_checked(prefix.len());
    split.is_some_and(|(start, rest)| matches!(rest, [] | [b'/', ..]) && start == prefix.as_bytes())
}

impl PathPattern {
    const FIELDS: [&'static str; 4] = ["exact", "prefix", "regex", "template"];

    /// Reads a `path` block.
    pub fn read(node: &Node<'_>, letter_case: LetterCase, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"prefix\": \"/…\"}")?;
        let written = Self::FIELDS.map(|name| fields.optional(name).map(|node| (name, node)));
        let mut written = written.into_iter().flatten();
        let first = written.next();
        if first.is_none() {
            fields.lacks(&Self::FIELDS, problems, needs_one_of(&Self::FIELDS));
        }
        fields.deny_unknown(problems);
        let (kind, value) = first?;
        if let Some((_, second)) = written.next() {
            second.report(
                problems,
                format_args!("cannot stand beside `{kind}`; keep one of them"),
            );
            return None;
        }
        if kind == "regex" {
            let regex = value.regex(problems, Case::Significant)?;
            let written = value.json().as_str().unwrap_or_default();
            if let Some(reason) = lint::impossible_regex(written) {
                value.report(problems, reason);
                return None;
            }
            let any_case = match letter_case {
                LetterCase::Significant => None,
                LetterCase::SameRoute => Some(value.regex(problems, Case::Ignored)?),
            };
            return Some(PathPattern::Regex { regex, any_case });
        }
        let path = read_path(&value, problems)?;
        if kind != "template"
            && let Some(reason) = lint::pattern_in_literal(kind, path)
        {
            value.report(problems, reason);
            return None;
        }
        match kind {
            "exact" => Some(PathPattern::Exact(path.to_owned())),
            "prefix" => Some(PathPattern::Prefix(
                path.strip_suffix('/').unwrap_or(path).to_owned(),
            )),
            _ => PathTemplate::of(path, &value, problems)
                .map(|template| PathPattern::Template(Rc::new(template))),
        }
    }

    /// Why a path that stands for itself alone was meant as a pattern; none if it was not.
    pub fn impossible_exact(path: &str) -> Option<String> {
        lint::pattern_in_literal("exact", path)
    }

    /// The segments that every path begins with that fits.
    pub fn first_segments(&self) -> Vec<&str> {
        match self {
            PathPattern::Exact(path) | PathPattern::Prefix(path) => {
                path.split('/').skip(1).collect()
            }
            PathPattern::Regex { .. } => Vec::new(),
            PathPattern::Template(template) => {
                fn literal(segment: &Segment) -> Option<&str> {
                    match segment {
                        Segment::Literal(literal) => Some(literal.as_str()),
                        Segment::One(_) | Segment::Rest(_) => None,
                    }
                }
                template.segments.iter().map_while(literal).collect()
            }
        }
    }

    /// Whether the path of a target fits: in the reading that the target is, and no other.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known.
    pub fn matches(&self, target: &Target, effort: &Effort) -> Result<bool, TooCostly> {
        match target.any_case() {
            true => self.matches_any_case(target.path(), effort),
            false => self.matches_path(target.path(), effort),
        }
    }

    /// Whether a path in its one spelling fits, where upper and lower case differ.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known.
    pub fn matches_path(&self, path: &str, effort: &Effort) -> Result<bool, TooCostly> {
        Ok(match self {
            PathPattern::Exact(exact) => path == exact,
            PathPattern::Prefix(prefix) => is_below(path, prefix),
            PathPattern::Regex { regex, .. } => regex.is_match(path, effort)?,
            PathPattern::Template(template) => template.matches(path),
        })
    }

    /// Whether a path in its one spelling fits; none where that takes effort.
    #[inline]
    pub(super) fn fits_plainly(&self, path: &str) -> Option<bool> {
        Some(match self {
            PathPattern::Exact(exact) => path == exact,
            PathPattern::Prefix(prefix) => is_below(path, prefix),
            PathPattern::Regex { .. } => return None,
            PathPattern::Template(template) => template.matches(path),
        })
    }

    /// Whether a folded path fits, where upper and lower case are the same.
    fn matches_any_case(&self, path: &str, effort: &Effort) -> Result<bool, TooCostly> {
        Ok(match self {
            PathPattern::Exact(exact) => folded(exact).eq(path.chars()),
            PathPattern::Prefix(prefix) => {
                let mut rest = path.chars();
                let begins = folded(prefix).all(|c| rest.next() == Some(c));
                begins && matches!(rest.next(), None | Some('/'))
            }
            PathPattern::Regex { regex, any_case } => {
                any_case.as_ref().unwrap_or(regex).is_match(path, effort)?
            }
            PathPattern::Template(template) => {
                Segment::match_all(&template.segments, path, |literal, part| {
                    folded(literal).eq(part.chars())
                })
            }
        })
    }

    /// Its kind and its text, without the segment at that place; and that segment, if it is literal.
    pub(super) fn apart_from(&self, segment: Option<usize>) -> (String, Option<&str>) {
        let (kind, text) = match self {
            PathPattern::Exact(path) => ("exact", path.as_str()),
            PathPattern::Prefix(prefix) => ("prefix", prefix.as_str()),
            PathPattern::Regex { regex, .. } => return (format!("regex {}", regex.text()), None),
            PathPattern::Template(template) => ("template", template.as_str()),
        };
        let literal = segment.and_then(|at| self.first_segments().get(at).copied());
        let Some(literal) = literal else {
            return (format!("{kind} {text}"), None);
        };
        let mut apart = format!("{kind} ");
        for (at, part) in text.split('/').skip(1).enumerate() {
            apart.push('/');
            apart.push_str(if Some(at) == segment { "*" } else { part });
        }
        (apart, Some(literal))
    }

    /// Whether every path fits.
    pub fn is_for_all(&self) -> bool {
        match self {
            PathPattern::Prefix(prefix) => prefix.is_empty(),
            PathPattern::Template(template) => {
                matches!(template.segments.as_slice(), [Segment::Rest(_)])
            }
            PathPattern::Exact(_) | PathPattern::Regex { .. } => false,
        }
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Segment::Literal(_) => None,
            Segment::One(name) | Segment::Rest(name) => Some(name),
        }
    }

    fn read_all(path: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Self>> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let last = parts.len().saturating_sub(1);
        let mut segments = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let inner = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            let segment = match inner {
                None if part.contains(['{', '}', '*']) => None,
                None if lint::is_parameter(part) => {
                    node.report(
                        problems,
                        "`:` stands for itself here; a segment with a name is \"{name}\"",
                    );
                    return None;
                }
                None => Some(Segment::Literal(part.to_owned())),
                Some(inner) => match inner.split_once('=') {
                    None if is_variable(inner) => Some(Segment::One(inner.to_owned())),
                    Some((name, "*")) if is_variable(name) => Some(Segment::One(name.to_owned())),
                    Some((name, "**")) if is_variable(name) && index == last => {
                        Some(Segment::Rest(name.to_owned()))
                    }
                    _ => None,
                },
            };
            let Some(segment) = segment else {
                node.report(
                    problems,
                    "must have whole segments that are literal, \"{name}\", or at the end \"{name=**}\"",
                );
                return None;
            };
            segments.push(segment);
        }
        Some(segments)
    }

    fn match_all(
        segments: &[Segment],
        path: &str,
        is_literal: impl Fn(&str, &str) -> bool,
    ) -> bool {
        let mut parts = path.split('/').skip(1);
        for segment in segments {
            let part = parts.next();
            match (segment, part) {
                (Segment::Literal(literal), Some(part)) if is_literal(literal, part) => {}
                (Segment::One(_), Some(part)) if !part.is_empty() => {}
                (Segment::Rest(_), Some(part)) => return !part.is_empty(),
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

/// A path of the document: as [`crate::target::Target`] spells them, for another is never matched.
pub fn read_path<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    let path = node.text(problems)?;
    let reason = if !path.starts_with('/') {
        "must begin with \"/\""
    } else if path.contains(['%', '?', '#', ';', '\\']) || path.chars().any(char::is_control) {
        "must be a decoded path: no percent-encoding, query, \";\", backslash or control character"
    } else if path.contains("//") || path.split('/').any(|part| part == "." || part == "..") {
        "must have no empty and no dot segments; such a request is always refused"
    } else {
        return Some(path);
    };
    node.report(problems, reason);
    None
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
