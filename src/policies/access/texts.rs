//! Texts that a value of a request may be, as `from` lists them.

use portcullis_document::{Node, Problems, Quoted};
use portcullis_exchange::condition::Check;
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::Json;
use portcullis_wire::sort;

/// Texts as they are, and tests of texts.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Sorted.
    pub(super) exact: Vec<Box<str>>,
    pub(super) tests: Vec<Check>,
}

/// What texts are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    /// A name of a certificate: a URI, or a host name.
    Certificate,
    /// Anything else.
    Name,
}

/// A step of the effort is enough to compare so many bytes with all texts.
const BYTES_COMPARED_BY_A_STEP: u64 = 8;

impl Texts {
    /// Reads a list of texts, and of objects with one test of a text: `{"prefix": "spiffe://prod/"}`.
    pub(super) fn read(node: &Node<'_>, what: TextKind, problems: &mut Problems) -> Option<Self> {
        let mut texts = Self::default();
        if let Some(name) = ["any", "all"]
            .iter()
            .find(|name| node.member(name).is_some())
        {
            node.report(
                problems,
                format_args!(
                    "must be an array, of which one value is to fit; take `{name}` away: [\"…\"]"
                ),
            );
            return None;
        }
        let items = node.list(problems, |item, problems| match item.json() {
            Json::Object(_) => {
                let mut fields = item.fields(problems)?;
                let check = Check::read_of_text(&mut fields, problems);
                fields.deny_unknown(problems);
                let check = check?;
                check_test(item, what, problems)?;
                texts.tests.push(check);
                Some(())
            }
            Json::String(text) if text.is_empty() => {
                item.report(problems, "must not be empty");
                None
            }
            Json::String(text) => {
                if let Some(reason) = mistaken(text, what) {
                    item.report(problems, reason);
                    return None;
                }
                texts.exact.push(text.as_str().into());
                Some(())
            }
            other => {
                let kind = other.kind();
                let reason = format_args!(
                    "must be a string, or an object with a test such as {{\"prefix\": \"…\"}}, not {kind}"
                );
                item.report(problems, reason);
                None
            }
        });
        items?;
        sort::sort(&mut texts.exact, Ord::cmp);
        Some(texts)
    }

    /// Whether a text is one of them.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known.
    pub(super) fn has(&self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        effort.spend((text.len() as u64 / BYTES_COMPARED_BY_A_STEP).saturating_add(1))?;
        if self
            .exact
            .binary_search_by(|each| (**each).cmp(text))
            .is_ok()
        {
            return Ok(true);
        }
        for test in &self.tests {
            if test.matches(text, effort)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Reports a test of texts with a value that is taken for another than it is.
fn check_test(node: &Node<'_>, what: TextKind, problems: &mut Problems) -> Option<()> {
    for name in ["exact", "prefix", "suffix", "contains"] {
        let Some(value) = node.member(name) else {
            continue;
        };
        let Some(text) = value.json().as_str() else {
            continue;
        };
        let reason = match name {
            // Whoever writes a test of the whole text means what it says.
            "exact" => without_scheme(text, what),
            _ if text.contains('*') => Some(
                "`*` stands for itself here; leave it out, or write `regex`, with a backslash in front of it if it is meant literally".to_owned(),
            ),
            "prefix" => without_scheme(text, what),
            _ => None,
        };
        if let Some(reason) = reason {
            value.report(problems, reason);
            return None;
        }
    }
    Some(())
}

/// Why a text cannot be what its author means by it.
fn mistaken(text: &str, what: TextKind) -> Option<String> {
    let literally = format!("{{\"exact\": {}}}", Quoted(text));
    match (text.strip_suffix('*'), text.strip_prefix('*')) {
        (Some(""), _) => Some(format!(
            "`*` stands for itself here; for anybody who is known, write `authenticated: true`; literally it is {literally}"
        )),
        (Some(rest), _) if !rest.contains('*') => without_scheme(rest, what).or_else(|| {
            Some(format!(
                "`*` stands for itself here; write {{\"prefix\": {}}}; literally it is {literally}",
                Quoted(rest)
            ))
        }),
        (_, Some(rest)) if !rest.contains('*') => Some(format!(
            "`*` stands for itself here; write {{\"suffix\": {}}}; literally it is {literally}",
            Quoted(rest)
        )),
        _ if text.contains('*') => Some(format!(
            "`*` stands for itself here; write {{\"regex\": …}}; literally it is {literally}"
        )),
        _ => without_scheme(text, what),
    }
}

/// Why a text is no name of a certificate: it has a path, and nothing that tells a URI.
fn without_scheme(text: &str, what: TextKind) -> Option<String> {
    let (host, _) = text.split_once('/')?;
    if what != TextKind::Certificate || host.ends_with(':') {
        return None;
    }
    let whole = format!("spiffe://{text}");
    Some(format!(
        "is neither a host name nor a URI: a SPIFFE ID begins with `spiffe://`; write {}",
        Quoted(&whole)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_of_them_or_passes_a_test() {
        let json = Json::parse(br#"["b", "a", {"prefix": "x-"}]"#, 4).unwrap();
        let mut problems = Problems::default();
        let texts = Texts::read(&Node::root(&json), TextKind::Name, &mut problems);
        let texts = problems.into_result(texts).unwrap();
        let effort = Effort::new(1000);
        for (text, is_one) in [
            ("a", true),
            ("b", true),
            ("x-1", true),
            ("c", false),
            ("", false),
        ] {
            assert_eq!(texts.has(text, &effort), Ok(is_one), "{text}");
        }
        assert_eq!(texts.has("a", &Effort::new(0)), Err(TooCostly));
    }

    #[test]
    fn other_values_are_problems() {
        for written in [
            "[]",
            "[1]",
            r#"[""]"#,
            r#"["a", {}]"#,
            r#""a""#,
            r#"[{"range": {}}]"#,
            r#"["*"]"#,
            r#"["a*", {"prefix": "b"}]"#,
            r#"[{"prefix": "a*"}]"#,
            r#"{"any": ["a"]}"#,
        ] {
            let json = Json::parse(written.as_bytes(), 4).unwrap();
            let mut problems = Problems::default();
            assert!(
                Texts::read(&Node::root(&json), TextKind::Name, &mut problems).is_none(),
                "{written}"
            );
            assert_eq!(problems.count(), 1, "{written}");
        }
    }
}
