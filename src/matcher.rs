//! Matching one string, with the names of Envoy's `StringMatcher`.

use crate::regex::{Effort, Regex, TooCostly};

use crate::config::{Case, Fields, Node, Problems};

/// What a string is compared with.
#[derive(Clone, Debug)]
pub(crate) struct StringMatcher {
    pattern: Pattern,
    case: Case,
}

#[derive(Clone, Debug)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
}

/// So many bytes of a text are looked through in one step, where there is no regular expression.
const BYTES_OF_A_STEP: usize = 4;

impl StringMatcher {
    /// The fields of which exactly one says how to compare.
    pub(crate) const FIELDS: [&'static str; 5] = ["exact", "prefix", "suffix", "contains", "regex"];

    /// Reads one of [`Self::FIELDS`] and `ignore_case`. `Ok(None)` when none of them is there.
    ///
    /// # Errors
    /// `Err(())` when something is there and wrong; it has been reported.
    pub(crate) fn read(
        fields: &mut Fields<'_>,
        problems: &mut Problems,
    ) -> Result<Option<Self>, ()> {
        let ignore_case = fields.optional("ignore_case");
        let case = match &ignore_case {
            None => Case::Significant,
            Some(node) => match node.boolean(problems) {
                Some(true) => Case::Ignored,
                Some(false) => Case::Significant,
                None => return Err(()),
            },
        };
        let written = Self::FIELDS.map(|name| fields.optional(name).map(|node| (name, node)));
        let mut written = written.into_iter().flatten();
        let Some((name, node)) = written.next() else {
            return match ignore_case {
                None => Ok(None),
                Some(node) => {
                    node.report(problems, "says nothing without a string to match");
                    Err(())
                }
            };
        };
        if let Some((_, second)) = written.next() {
            second.report(
                problems,
                format_args!("cannot stand beside `{name}`; keep one of them"),
            );
            return Err(());
        }
        let pattern = Pattern::read(name, &node, case, problems).ok_or(())?;
        Ok(Some(Self { pattern, case }))
    }

    /// Compares. `ignore_case` folds ASCII only, so that it means the same everywhere.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known.
    pub(crate) fn matches(&self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        let looks_through = match self.pattern {
            Pattern::Regex(_) => return self.pattern.compare(text, effort),
            Pattern::Contains(_) => true,
            Pattern::Exact(_) | Pattern::Prefix(_) | Pattern::Suffix(_) => {
                self.case == Case::Ignored
            }
        };
        if looks_through {
            effort.spend(u64::try_from(text.len() / BYTES_OF_A_STEP).unwrap_or(u64::MAX))?;
        }
        match self.case {
            Case::Significant => self.pattern.compare(text, effort),
            Case::Ignored => self.pattern.compare(&text.to_ascii_lowercase(), effort),
        }
    }
}

impl Pattern {
    fn read(name: &str, node: &Node<'_>, case: Case, problems: &mut Problems) -> Option<Self> {
        if name == "regex" {
            return node.regex(problems, case).map(Pattern::Regex);
        }
        let text = if name == "exact" {
            node.text(problems)?
        } else {
            node.name(problems)?
        };
        let text = match case {
            Case::Significant => text.to_owned(),
            Case::Ignored => text.to_ascii_lowercase(),
        };
        Some(match name {
            "exact" => Pattern::Exact(text),
            "prefix" => Pattern::Prefix(text),
            "suffix" => Pattern::Suffix(text),
            _ => Pattern::Contains(text),
        })
    }

    fn compare(&self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        Ok(match self {
            Pattern::Exact(exact) => text == exact,
            Pattern::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Pattern::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Pattern::Contains(part) => text.contains(part.as_str()),
            Pattern::Regex(regex) => regex.is_match(text, effort)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    fn matcher(text: &str) -> StringMatcher {
        let json = Json::parse(text.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let mut fields = Node::root(&json).fields(&mut problems).unwrap();
        StringMatcher::read(&mut fields, &mut problems)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn compares_as_it_says() {
        for (written, yes, no) in [
            (r#"{"exact": "ab"}"#, "ab", "abc"),
            (r#"{"prefix": "ab"}"#, "abc", "cab"),
            (r#"{"suffix": "ab"}"#, "cab", "abc"),
            (r#"{"contains": "ab"}"#, "cabc", "acb"),
            (r#"{"regex": "a.?b"}"#, "acb", "acbd"),
            (r#"{"exact": "aB", "ignore_case": true}"#, "Ab", "A"),
            (r#"{"regex": "ab", "ignore_case": true}"#, "AB", "ABC"),
        ] {
            let matcher = matcher(written);
            let matches = |text| matcher.matches(text, &Effort::new(1000));
            assert_eq!(matches(yes), Ok(true), "{written} {yes}");
            assert_eq!(matches(no), Ok(false), "{written} {no}");
        }
    }

    #[test]
    fn what_is_too_costly_is_neither() {
        let matcher = matcher(r#"{"regex": ".*a.*"}"#);
        let effort = Effort::new(1000);
        assert_eq!(matcher.matches(&"b".repeat(2000), &effort), Err(TooCostly));
        assert_eq!(matcher.matches("a", &effort), Err(TooCostly));
    }

    #[test]
    fn looking_through_a_text_costs_by_its_length() {
        let text = "b".repeat(6000);
        for written in [
            r#"{"contains": "a"}"#,
            r#"{"exact": "a", "ignore_case": true}"#,
            r#"{"prefix": "a", "ignore_case": true}"#,
        ] {
            let effort = Effort::new(2000);
            assert_eq!(
                matcher(written).matches(&text, &effort),
                Ok(false),
                "{written}"
            );
            assert_eq!(
                matcher(written).matches(&text, &effort),
                Err(TooCostly),
                "{written}"
            );
        }
        let effort = Effort::new(0);
        assert_eq!(
            matcher(r#"{"prefix": "a"}"#).matches(&text, &effort),
            Ok(false)
        );
    }
}
