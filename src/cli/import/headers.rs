//! Conditions on header fields, as Envoy has them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::expression::{Expression, Leaf};
use super::paths::string_matcher;
use super::reading::{boolean, member, scalar, text};
use portcullis_cases::tree::Tree;

/// A test of texts as documents have it; none if there is no counterpart.
pub(super) fn test(
    (kind, value, ignores_case): (&str, String, bool),
) -> Option<Map<String, Value>> {
    if kind == "regex" {
        portcullis::regex::Regex::compile(&value, false).ok()?;
    }
    let mut test = Map::new();
    test.insert(kind.to_owned(), value.into());
    if ignores_case {
        test.insert("ignore_case".into(), true.into());
    }
    Some(test)
}

/// A test that is a text where it asks for one, as lists of texts have it.
pub(super) fn item(test: Map<String, Value>) -> Value {
    match test.get("exact").and_then(Value::as_str) {
        Some(text) if test.len() == 1 && !text.contains('*') => text.into(),
        _ => test.into(),
    }
}

/// What happens to a request before something looks at its fields.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Fields that may be others than those that were sent.
    changed: BTreeSet<String>,
    /// Whether any may be.
    is_any: bool,
    /// Whether the port is taken off the host.
    pub(super) is_portless: bool,
}

impl Before {
    /// A field is changed: any, if nobody says which.
    pub(super) fn change(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.changed.insert(field(name));
            }
            None => self.is_any = true,
        }
    }

    /// Whether a field may be another than the one that was sent.
    pub(super) fn changes(&self, name: &str) -> bool {
        self.is_any || self.changed.contains(&field(name))
    }
}

/// A field's name, of which the host has two.
fn field(name: &str) -> String {
    match name.to_ascii_lowercase() {
        name if name == "host" => ":authority".to_owned(),
        name => name,
    }
}

/// A `HeaderMatcher`.
pub(super) fn header(tree: &Tree, before: &Before) -> Expression {
    of_header(tree, before).unwrap_or(Expression::Unknown)
}

fn of_header(tree: &Tree, before: &Before) -> Option<Expression> {
    let name = text(tree, "name")?.to_ascii_lowercase();
    if before.changes(&name) {
        return None;
    }
    let is_inverted = boolean(tree, "invert_match");
    if boolean(tree, "treat_missing_header_as_empty") {
        return None;
    }
    if let Some(present) = member(tree, "present_match") {
        let is_asked = present.json() != false;
        return match name.starts_with(':') {
            true => Some(Expression::Const(is_asked != is_inverted)),
            false => Some(exists(&name).inverted(is_asked == is_inverted)),
        };
    }
    let test = matcher(tree)?;
    let found = match name.as_str() {
        ":method" => match test {
            HeaderTest::Text("exact", method, false) => Expression::methods(vec![method]),
            _ => return None,
        },
        ":authority" | "host" => match test {
            HeaderTest::Text("exact", host, ignores_case) if !host.contains('*') => {
                host_is(&host, ignores_case && before.is_portless)?
            }
            HeaderTest::Text("suffix", end, ignores_case) if end.starts_with('.') => {
                host_is(&format!("*{end}"), ignores_case && before.is_portless)?
            }
            _ => return None,
        },
        name if name.starts_with(':') => return None,
        name => {
            let mut condition = match test {
                HeaderTest::Text(kind, value, ignores_case) => {
                    self::test((kind, value, ignores_case))?
                }
                HeaderTest::Range(range) => range,
            };
            condition.insert("header".into(), name.into());
            let holds = Expression::Is(Leaf::When(condition.into()));
            // One that is not there does not match, inverted or not.
            return Some(match is_inverted {
                true => Expression::all([exists(name), holds.not()]),
                false => holds,
            });
        }
    };
    Some(found.inverted(is_inverted))
}

enum HeaderTest {
    Text(&'static str, String, bool),
    Range(Map<String, Value>),
}

fn matcher(tree: &Tree) -> Option<HeaderTest> {
    if let Some(matcher) = member(tree, "string_match") {
        let (kind, value, ignores_case) = string_matcher(matcher)?;
        return Some(HeaderTest::Text(kind, value, ignores_case));
    }
    // As they were written once.
    for (kind, old) in [
        ("exact", "exact_match"),
        ("prefix", "prefix_match"),
        ("suffix", "suffix_match"),
        ("contains", "contains_match"),
    ] {
        if let Some(value) = member(tree, old) {
            return Some(HeaderTest::Text(kind, scalar(value)?, false));
        }
    }
    if let Some(regex) = member(tree, "safe_regex_match") {
        return Some(HeaderTest::Text(
            "regex",
            text(regex, "regex")?.to_owned(),
            false,
        ));
    }
    let range = member(tree, "range_match")?;
    let bound = |name: &str| Some(member(range, name).map_or(Some(0), |tree| tree.json().as_i64()));
    let (start, end) = (bound("start")??, bound("end")??);
    let range = json!({ "range": { "minimum": start, "less_than": end } });
    Some(HeaderTest::Range(range.as_object()?.clone()))
}

/// Whether a field is there.
pub(super) fn exists(name: &str) -> Expression {
    Expression::Is(Leaf::When(json!({ "header": name, "exists": true })))
}

/// Whether the request is for a host, or for one below `*.`. Rules ask that in any case and at any port; `is_asked`: and so
/// does what is read. None if it is asked for one port.
pub(super) fn host_is(host: &str, is_asked: bool) -> Option<Expression> {
    let name = host_name(host).filter(|name| name.len() == host.len())?;
    let leaf = Leaf::To("hosts", vec![name.into()]);
    Some(match is_asked {
        true => Expression::Is(leaf),
        false => Expression::Over(leaf),
    })
}

/// A host without its port, as documents write it; none if it is none.
pub(super) fn host_name(host: &str) -> Option<String> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let is_name = !rest.is_empty()
        && !rest.contains('*')
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    (is_port && is_name).then(|| name.to_ascii_lowercase())
}
