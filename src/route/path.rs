//! Which paths a route is for.

use regex::Regex;

use crate::config::{Case, Node, Problems};

/// What a path is compared with.
#[derive(Debug)]
pub(super) enum PathPattern {
    Exact(String),
    /// Whole segments: `/a` is for `/a` and `/a/b`, not for `/ab`. Without its last `/`.
    Prefix(String),
    Regex(Regex),
    Template(Vec<Segment>),
}

/// A template of paths, for those who tell requests apart by it.
#[derive(Debug)]
pub struct PathTemplate {
    written: String,
    segments: Vec<Segment>,
}

impl PathTemplate {
    /// Reads `/users/{id}/posts`.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let written = read_path(node, problems)?.to_owned();
        let segments = Segment::read_all(&written, node, problems)?;
        Some(Self { written, segments })
    }

    /// As the document writes it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether a path in its one spelling fits.
    pub fn matches(&self, path: &str) -> bool {
        Segment::match_all(&self.segments, path)
    }
}

/// What one segment of a template is compared with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// `{name}`: one segment that is not empty.
    One,
    /// `{name=**}`: the rest of the path, at least one segment.
    Rest,
}

impl PathPattern {
    const FIELDS: [&'static str; 4] = ["exact", "prefix", "regex", "template"];

    /// Reads a `path` block.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let written = Self::FIELDS.map(|name| fields.optional(name).map(|node| (name, node)));
        fields.finish(problems);
        let mut written = written.into_iter().flatten();
        let Some((kind, value)) = written.next() else {
            node.report(
                problems,
                "needs one of \"exact\", \"prefix\", \"regex\", \"template\"",
            );
            return None;
        };
        if let Some((_, second)) = written.next() {
            second.report(
                problems,
                format_args!("cannot stand beside `{kind}`; keep one of them"),
            );
            return None;
        }
        if kind == "regex" {
            return value
                .regex(problems, Case::Significant)
                .map(PathPattern::Regex);
        }
        let path = read_path(&value, problems)?;
        match kind {
            "exact" => Some(PathPattern::Exact(path.to_owned())),
            "prefix" => Some(PathPattern::Prefix(
                path.strip_suffix('/').unwrap_or(path).to_owned(),
            )),
            _ => Segment::read_all(path, &value, problems).map(PathPattern::Template),
        }
    }

    /// Whether a path in its one spelling fits.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Exact(exact) => path == exact,
            PathPattern::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            PathPattern::Regex(regex) => regex.is_match(path),
            PathPattern::Template(segments) => Segment::match_all(segments, path),
        }
    }
}

impl Segment {
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
                None => Some(Segment::Literal(part.to_owned())),
                Some(inner) => match inner.split_once('=') {
                    None if is_variable(inner) => Some(Segment::One),
                    Some((name, "*")) if is_variable(name) => Some(Segment::One),
                    Some((name, "**")) if is_variable(name) && index == last => Some(Segment::Rest),
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

    fn match_all(segments: &[Segment], path: &str) -> bool {
        let mut parts = path.split('/').skip(1);
        for segment in segments {
            let part = parts.next();
            match (segment, part) {
                (Segment::Literal(literal), Some(part)) if part == literal => {}
                (Segment::One, Some(part)) if !part.is_empty() => {}
                (Segment::Rest, Some(part)) => return !part.is_empty(),
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

/// A path of the document: as [`crate::target::Target`] spells them, for another is never matched.
fn read_path<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
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
