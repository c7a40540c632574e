//! Texts that a value of a request may be, as `from` lists them.

use portcullis_document::{Node, Problems};
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

/// A step of the effort is enough to compare so many bytes with all texts.
const BYTES_COMPARED_BY_A_STEP: u64 = 8;

impl Texts {
    /// Reads a list of texts, and of objects with one test of a text: `{"prefix": "spiffe://prod/"}`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut texts = Self::default();
        let items = node.list(problems, |item, problems| match item.json() {
            Json::Object(_) => {
                let mut fields = item.fields(problems)?;
                let check = Check::read_of_text(&mut fields, problems);
                fields.deny_unknown(problems);
                texts.tests.push(check?);
                Some(())
            }
            Json::String(text) if text.is_empty() => {
                item.report(problems, "must not be empty");
                None
            }
            Json::String(text) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_of_them_or_passes_a_test() {
        let json = Json::parse(br#"["b", "a", {"prefix": "x-"}]"#, 4).unwrap();
        let mut problems = Problems::default();
        let texts = Texts::read(&Node::root(&json), &mut problems);
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
        ] {
            let json = Json::parse(written.as_bytes(), 4).unwrap();
            let mut problems = Problems::default();
            assert!(
                Texts::read(&Node::root(&json), &mut problems).is_none(),
                "{written}"
            );
            assert_eq!(problems.count(), 1, "{written}");
        }
    }
}
