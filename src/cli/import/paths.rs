//! Sets of paths: what routes and rules of others are for.

use portcullis::effort::Effort;
use portcullis::regex::Regex;
use serde_json::{Value, json};

use super::reading::{member, scalar, text};
use portcullis_cases::tree::Tree;

/// A set of paths, as texts without their query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathSet {
    Any,
    Exact(String),
    /// All that begin with this text, in the middle of a segment too.
    Prefix(String),
    /// This, and all below.
    Segments(String),
    Regex(String),
}

/// What two sets have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Common {
    Nothing,
    Set(PathSet),
    /// Nobody can tell.
    Unknown,
}

impl PathSet {
    /// That of a route's match in Envoy; none if it has no counterpart.
    pub(super) fn of_route(tree: &Tree) -> Option<Self> {
        let ignores_case = member(tree, "case_sensitive").is_some_and(|tree| tree.json() == false);
        // Envoy's expressions and templates know of case by themselves.
        let is_pattern = ["safe_regex", "path_match_policy"]
            .iter()
            .any(|name| member(tree, name).is_some());
        let set = if let Some(path) = text(tree, "path") {
            Self::Exact(path.to_owned())
        } else if let Some(prefix) = text(tree, "prefix") {
            Self::Prefix(prefix.to_owned())
        } else if let Some(prefix) = text(tree, "path_separated_prefix") {
            Self::Segments(prefix.to_owned())
        } else if let Some(regex) = member(tree, "safe_regex") {
            Self::Regex(text(regex, "regex")?.to_owned())
        } else if let Some(template) = member(tree, "path_match_policy") {
            let template = text(member(template, "typed_config")?, "path_template")?;
            Self::Regex(of_template(template)?)
        } else {
            return None;
        };
        set.usable(ignores_case && !is_pattern)
    }

    /// In the words of documents; none if a document cannot say it.
    pub(super) fn usable(self, ignores_case: bool) -> Option<Self> {
        let set = match self {
            Self::Prefix(prefix) if prefix.is_empty() || prefix == "/" => Self::Any,
            Self::Exact(path) | Self::Segments(path) | Self::Prefix(path) if !is_plain(&path) => {
                return None;
            }
            Self::Exact(path) if ignores_case => Self::Regex(escaped(&path)),
            Self::Prefix(prefix) if ignores_case => Self::Regex(escaped(&prefix) + ".*"),
            Self::Segments(prefix) if ignores_case => Self::Regex(escaped(&prefix) + "(/.*)?"),
            set => set,
        };
        match set {
            Self::Regex(regex) => {
                let regex = match ignores_case {
                    true => format!("(?i){regex}"),
                    false => regex,
                };
                Regex::compile(&regex, false).ok()?;
                Some(Self::Regex(regex))
            }
            set => Some(set),
        }
    }

    /// As `path` of a route; none if it is for all.
    pub(super) fn json(&self) -> Option<Value> {
        Some(match self {
            Self::Any => return None,
            Self::Exact(path) => json!({ "exact": path }),
            Self::Prefix(prefix) => json!({ "regex": escaped(prefix) + ".*" }),
            Self::Segments(prefix) => json!({ "prefix": prefix }),
            Self::Regex(regex) => json!({ "regex": regex }),
        })
    }

    /// As an item of `paths` of a rule.
    pub(super) fn item(&self) -> Value {
        match self {
            Self::Exact(path) => json!(path),
            set => set.json().unwrap_or_else(|| json!({ "prefix": "/" })),
        }
    }

    pub(super) fn common(&self, other: &Self) -> Common {
        use Common::{Nothing, Set, Unknown};
        match (self, other) {
            (one, other) if one == other => Set(one.clone()),
            (Self::Any, set) | (set, Self::Any) => Set(set.clone()),
            (Self::Exact(path), set) | (set, Self::Exact(path)) => match set.has(path) {
                Some(true) => Set(Self::Exact(path.clone())),
                Some(false) => Nothing,
                None => Unknown,
            },
            (Self::Prefix(one), Self::Prefix(other)) => {
                let (short, long) = if one.len() < other.len() {
                    (one, other)
                } else {
                    (other, one)
                };
                match long.starts_with(short.as_str()) {
                    true => Set(Self::Prefix(long.clone())),
                    false => Nothing,
                }
            }
            (Self::Segments(one), Self::Segments(other)) => {
                let (short, long) = if one.len() < other.len() {
                    (one, other)
                } else {
                    (other, one)
                };
                match is_below(long, short) {
                    true => Set(Self::Segments(long.clone())),
                    false => Nothing,
                }
            }
            (Self::Prefix(prefix), Self::Segments(place))
            | (Self::Segments(place), Self::Prefix(prefix)) => {
                if place.starts_with(prefix.as_str()) {
                    Set(Self::Segments(place.clone()))
                } else if is_below(prefix, place) {
                    Set(Self::Prefix(prefix.clone()))
                } else {
                    Nothing
                }
            }
            (Self::Regex(_), _) | (_, Self::Regex(_)) => Unknown,
        }
    }

    /// Whether a path is in it; none if that cannot be told.
    fn has(&self, path: &str) -> Option<bool> {
        Some(match self {
            Self::Any => true,
            Self::Exact(own) => own == path,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Segments(place) => is_below(path, place),
            Self::Regex(regex) => {
                const STEPS: u64 = 10_000_000;
                let regex = Regex::compile(regex, false).ok()?;
                regex.is_match(path, &Effort::new(STEPS)).ok()?
            }
        })
    }
}

fn is_below(path: &str, place: &str) -> bool {
    let rest = path.strip_prefix(place);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || place.ends_with('/'))
}

/// Whether requests that pass can have such a path.
fn is_plain(path: &str) -> bool {
    let mut segments = path.split('/').skip(1).peekable();
    let mut is_whole = path.starts_with('/') && !path.contains(['%', '?', '#', ';', '\\']);
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        is_whole &= (is_last || !segment.is_empty()) && segment != "." && segment != "..";
    }
    is_whole && path.is_ascii()
}

/// A text as an expression that is for nothing else.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A template of Envoy or Istio as an expression: `{*}`, `*` and `{name}` are a segment, `{**}` and `**` are any
/// number of them.
pub(super) fn of_template(template: &str) -> Option<String> {
    let mut regex = String::new();
    for segment in template.strip_prefix('/')?.split('/') {
        regex.push('/');
        let inner = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let operator = match (segment, inner) {
            ("*" | "**", _) => Some(segment),
            (_, Some(inner)) => match inner.split_once('=') {
                Some((name, operator)) if is_name(name) => Some(operator),
                None if inner == "*" || inner == "**" => Some(inner),
                None if is_name(inner) => Some("*"),
                _ => return None,
            },
            _ => None,
        };
        match operator {
            Some("*") => regex.push_str("[^/]+"),
            Some("**") => regex.push_str(".*"),
            Some(_) => return None,
            None if segment.contains(['{', '}', '*']) => return None,
            None => regex.push_str(&escaped(segment)),
        }
    }
    Some(regex)
}

/// A test of texts, as `exact`, `prefix`, `suffix`, `contains` or `regex` with its value, for paths.
pub(super) fn of_test(kind: &str, value: &str, ignores_case: bool) -> Option<PathSet> {
    let set = match kind {
        "exact" => PathSet::Exact(value.to_owned()),
        "prefix" => PathSet::Prefix(value.to_owned()),
        "suffix" => PathSet::Regex(format!(".*{}", escaped(value))),
        "contains" => PathSet::Regex(format!(".*{}.*", escaped(value))),
        "regex" => PathSet::Regex(value.to_owned()),
        _ => return None,
    };
    set.usable(ignores_case)
}

/// The kind and value of a `StringMatcher`, and whether it ignores case.
pub(super) fn string_matcher(tree: &Tree) -> Option<(&'static str, String, bool)> {
    let ignores_case = super::reading::boolean(tree, "ignore_case");
    for kind in ["exact", "prefix", "suffix", "contains"] {
        if let Some(value) = member(tree, kind) {
            return Some((kind, scalar(value)?, ignores_case));
        }
    }
    let regex = text(member(tree, "safe_regex")?, "regex")?;
    // Envoy's expressions know of case by themselves.
    Some(("regex", regex.to_owned(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sets_have_in_common_is_exact() {
        use PathSet::{Any, Exact, Prefix, Regex, Segments};
        let set = |text: &str| match text.split_at(1) {
            ("=", path) => Exact(path.to_owned()),
            ("^", path) => Prefix(path.to_owned()),
            ("/", path) => Segments(format!("/{path}")),
            ("~", path) => Regex(path.to_owned()),
            _ => Any,
        };
        for (one, other, common) in [
            ("*", "^/a", Some("^/a")),
            ("=/a", "^/", Some("=/a")),
            ("=/a", "=/b", None),
            ("^/a", "^/ab", Some("^/ab")),
            ("^/a", "^/b", None),
            ("/a", "/a/b", Some("/a/b")),
            ("/a", "/ab", None),
            ("^/a", "/ab", Some("/ab")),
            ("^/ab", "/a", None),
            ("^/a/b", "/a", Some("^/a/b")),
            ("=/v1/a", "~/v[0-9]/.*", Some("=/v1/a")),
            ("=/vx/a", "~/v[0-9]/.*", None),
        ] {
            let expected = common.map_or(Common::Nothing, |text| Common::Set(set(text)));
            assert_eq!(set(one).common(&set(other)), expected, "{one} {other}");
            assert_eq!(set(other).common(&set(one)), expected, "{other} {one}");
        }
        assert_eq!(set("~/a.*").common(&set("^/a")), Common::Unknown);
    }

    #[test]
    fn templates_are_expressions() {
        assert_eq!(of_template("/a/{id}/b").unwrap(), "/a/[^/]+/b");
        assert_eq!(of_template("/a/{*}/{**}").unwrap(), "/a/[^/]+/.*");
        assert_eq!(of_template("/a.b/{x=**}").unwrap(), r"/a\.b/.*");
        assert_eq!(of_template("/a{b}"), None);
    }

    #[test]
    fn a_path_that_no_request_has_is_none() {
        assert_eq!(PathSet::Exact("/a%20b".into()).usable(false), None);
        assert_eq!(PathSet::Prefix("/a//b".into()).usable(false), None);
        assert_eq!(
            PathSet::Prefix("/".into()).usable(false),
            Some(PathSet::Any)
        );
    }
}
