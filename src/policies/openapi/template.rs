//! The templates of an OpenAPI document's paths.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use crate::parameters::NamedValue;
use portcullis_exchange::target::fold_case;

/// A path with variables, which stand for a segment or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Template {
    segments: Vec<Vec<TemplatePiece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePiece {
    Text(String),
    /// Stands for at least one character.
    Variable(String),
}

impl fmt::Display for Template {
    /// As a document writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            f.write_str("/")?;
            for piece in segment {
                match piece {
                    TemplatePiece::Text(text) => f.write_str(text)?,
                    TemplatePiece::Variable(name) => write!(f, "{{{name}}}")?,
                }
            }
        }
        Ok(())
    }
}

impl Template {
    /// Reads `/users/{id}/files/{name}.{format}`.
    ///
    /// # Errors
    /// Why no request fits it.
    pub(super) fn parse(path: &str) -> Result<Self, &'static str> {
        let Some(rest) = path.strip_prefix('/') else {
            return Err("does not begin with \"/\"");
        };
        if path.contains(['%', '?', '#', ';', '\\']) || path.chars().any(char::is_control) {
            return Err("has percent-encoding, a query, \";\", a backslash or a control character");
        }
        if path.contains("//") || rest.split('/').any(|part| matches!(part, "." | "..")) {
            return Err("has an empty segment or a dot segment");
        }
        let segments: Option<Vec<_>> = rest.split('/').map(pieces).collect();
        let malformed =
            "has braces that are not around one name, or two variables without text between";
        Ok(Self {
            segments: segments.ok_or(malformed)?,
        })
    }

    /// What a path has for each variable; none if it does not fit.
    pub(super) fn values<'v>(&'v self, segments: &[&'v str]) -> Option<Vec<NamedValue<'v>>> {
        if segments.len() != self.segments.len() {
            return None;
        }
        let mut values = Vec::new();
        for (pieces, segment) in self.segments.iter().zip(segments) {
            take(pieces, segment, &mut values)?;
        }
        Some(values)
    }

    /// The same for paths that are folded, as those are that stand for upper and lower case alike.
    pub(super) fn folded(&self) -> Self {
        let piece = |piece: &TemplatePiece| match piece {
            TemplatePiece::Text(text) => TemplatePiece::Text(fold_case(text)),
            TemplatePiece::Variable(_) => piece.clone(),
        };
        let segments = self.segments.iter();
        Self {
            segments: segments
                .map(|pieces| pieces.iter().map(piece).collect())
                .collect(),
        }
    }

    /// Whether a path fits that is folded, for servers to which upper and lower case are the same.
    pub(super) fn fits_folded(&self, segments: &[&str]) -> bool {
        segments.len() == self.segments.len()
            && self.segments.iter().zip(segments).all(|(pieces, segment)| {
                let pieces: Vec<TemplatePiece> = pieces.iter().map(TemplatePiece::fold).collect();
                take(&pieces, segment, &mut Vec::new()).is_some()
            })
    }

    /// Whether it says more than another in each segment in which the two differ, so that it is meant wherever
    /// both fit.
    pub(super) fn says_more(&self, other: &Self) -> bool {
        self.segments
            .iter()
            .zip(&other.segments)
            .all(|(own, other)| rank(own) < rank(other) || are_alike(own, other))
    }

    /// The names of its variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flatten()
            .filter_map(|piece| match piece {
                TemplatePiece::Text(_) => None,
                TemplatePiece::Variable(name) => Some(name.as_str()),
            })
    }

    /// Which of two is asked first: text comes before variables, from the left.
    pub(super) fn before(&self, other: &Self) -> Ordering {
        let ranks = |template: &Self| -> Vec<u8> {
            let segments = template.segments.iter();
            segments.map(|segment| rank(segment)).collect()
        };
        ranks(self).cmp(&ranks(other))
    }

    /// What it has but for the names of its variables: the same paths fit those of one shape, as
    /// far as that can be told from how they are written.
    pub(super) fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            for piece in segment {
                shape.push_str(match piece {
                    TemplatePiece::Text(text) => text,
                    TemplatePiece::Variable(_) => "{}",
                });
            }
        }
        shape
    }
}

/// How little a segment says: text, a part of one, a whole one.
fn rank(segment: &[TemplatePiece]) -> u8 {
    match segment {
        [] | [TemplatePiece::Text(_)] => 0,
        [TemplatePiece::Variable(_)] => 2,
        _ => 1,
    }
}

/// Whether two segments differ in the names of variables alone.
fn are_alike(one: &[TemplatePiece], other: &[TemplatePiece]) -> bool {
    let mut both = one.iter().zip(other);
    one.len() == other.len()
        && both.all(|both| match both {
            (TemplatePiece::Text(one), TemplatePiece::Text(other)) => one == other,
            (TemplatePiece::Variable(_), TemplatePiece::Variable(_)) => true,
            _ => false,
        })
}

impl TemplatePiece {
    fn fold(&self) -> Self {
        match self {
            TemplatePiece::Text(text) => TemplatePiece::Text(fold_case(text)),
            TemplatePiece::Variable(_) => TemplatePiece::Variable(String::new()),
        }
    }
}

fn pieces(segment: &str) -> Option<Vec<TemplatePiece>> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if name.is_empty() || name.contains('{') || text.contains('}') {
            return None;
        }
        if !text.is_empty() {
            pieces.push(TemplatePiece::Text(text.to_owned()));
        } else if !pieces.is_empty() {
            return None;
        }
        pieces.push(TemplatePiece::Variable(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(TemplatePiece::Text(rest.to_owned()));
    }
    Some(pieces)
}

/// Each variable takes as little as it can, but for the last, which takes what is left.
fn take<'v>(
    pieces: &'v [TemplatePiece],
    segment: &'v str,
    values: &mut Vec<NamedValue<'v>>,
) -> Option<()> {
    let mut rest = segment;
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        let name = match piece {
            TemplatePiece::Text(text) => {
                rest = rest.strip_prefix(text.as_str())?;
                continue;
            }
            TemplatePiece::Variable(name) => name,
        };
        let next = match pieces.next() {
            Some(TemplatePiece::Text(text)) => text.as_str(),
            _ => "",
        };
        let first = rest.chars().next()?.len_utf8();
        let end = if pieces.peek().is_none() {
            rest.strip_suffix(next)?.len()
        } else {
            first.checked_add(rest.get(first..)?.find(next)?)?
        };
        if end == 0 {
            return None;
        }
        let (value, after) = rest.split_at_checked(end)?;
        values.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        rest = after.strip_prefix(next)?;
    }
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, path: &str) -> Option<Vec<String>> {
        let template = Template::parse(template).unwrap();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let values = template.values(&segments)?;
        Some(
            values
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        )
    }

    #[test]
    fn variables_stand_for_segments_and_parts_of_them() {
        for (template, path, expected) in [
            ("/", "/", Some(vec![])),
            ("/a", "/a", Some(vec![])),
            ("/a", "/a/", None),
            ("/a/", "/a/", Some(vec![])),
            ("/a/{b}", "/a/", None),
            ("/a/{b-c}/d", "/a/x/d", Some(vec!["b-c=x"])),
            ("/{f}.{g}", "/a.b.c", Some(vec!["f=a", "g=b.c"])),
            ("/{f}.json", "/a.json.json", Some(vec!["f=a.json"])),
            ("/{f}.json", "/.json", None),
            ("/v{n}", "/v12", Some(vec!["n=12"])),
            ("/v{n}", "/v", None),
            ("/{a}-{b}.x", "/é-.x", None),
            ("/{a}-{b}.x", "/é-ü.x", Some(vec!["a=é", "b=ü"])),
        ] {
            let expected = expected.map(|all| all.iter().map(ToString::to_string).collect());
            assert_eq!(values(template, path), expected, "{template} {path}");
        }
    }

    #[test]
    fn what_no_request_fits_is_told() {
        for wrong in [
            "", "a", "/a//b", "/%41", "/a?b", "/{", "/}", "/{}", "/{a}{b}", "/{a{b}}", "/..",
        ] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn case_is_nothing_to_what_is_folded() {
        for (template, path, expected) in [
            ("/users/Me", "/users/me", true),
            ("/users/{id}", "/users/me", true),
            ("/{f}.JSON", "/a.json", true),
            ("/{f}.JSON", "/.json", false),
            ("/\u{17f}/{x}", "/s/y", true),
            ("/users", "/users/me", false),
            ("/admin", "/users", false),
        ] {
            let parsed = Template::parse(template).unwrap();
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            assert_eq!(parsed.fits_folded(&segments), expected, "{template} {path}");
        }
    }

    #[test]
    fn one_says_more_if_it_does_in_each_segment() {
        let says_more = |one: &str, two: &str| {
            let (one, two) = (Template::parse(one).unwrap(), Template::parse(two).unwrap());
            (one.says_more(&two), two.says_more(&one))
        };
        assert_eq!(says_more("/users/me", "/users/{id}"), (true, false));
        assert_eq!(says_more("/users/v{n}", "/{kind}/{id}"), (true, false));
        assert_eq!(says_more("/users/{id}", "/{kind}/settings"), (false, false));
        assert_eq!(says_more("/r-{x}", "/{x}-admin"), (false, false));
        assert_eq!(says_more("/r-{x}", "/r-a{x}"), (false, false));
        assert_eq!(says_more("/Users", "/users"), (false, false));
    }

    #[test]
    fn text_comes_before_variables() {
        let order = |one: &str, two: &str| {
            Template::parse(one)
                .unwrap()
                .before(&Template::parse(two).unwrap())
        };
        assert_eq!(order("/a/b", "/a/{x}"), Ordering::Less);
        assert_eq!(order("/{x}/b", "/a/{x}"), Ordering::Greater);
        assert_eq!(order("/{x}.json", "/{x}"), Ordering::Less);
        let shape = |written: &str| Template::parse(written).unwrap().shape();
        let like = |one: &str, two: &str| shape(one) == shape(two);
        assert!(like("/a/{x}", "/a/{y}") && !like("/a/{x}", "/b/{x}") && !like("/{x}.a", "/{x}"));
    }
}
