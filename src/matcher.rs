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
            None => Some(Case::Significant),
            Some(node) => node.boolean(problems).map(|ignored| match ignored {
                true => Case::Ignored,
                false => Case::Significant,
            }),
        };
        let written = Self::FIELDS.map(|name| fields.optional(name).map(|node| (name, node)));
        let case = case.ok_or(())?;
        let mut written = written.into_iter().flatten();
        let Some((name, node)) = written.next() else {
            return match ignore_case {
                None => Ok(None),
                Some(_) if fields.misnames(&Self::FIELDS, problems) => Err(()),
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

    /// Whether it matches the same strings, as far as that is plain to see.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.case == other.case
            && match (&self.pattern, &other.pattern) {
                (Pattern::Exact(own), Pattern::Exact(other))
                | (Pattern::Prefix(own), Pattern::Prefix(other))
                | (Pattern::Suffix(own), Pattern::Suffix(other))
                | (Pattern::Contains(own), Pattern::Contains(other)) => own == other,
                (Pattern::Regex(own), Pattern::Regex(other)) => own.address() == other.address(),
                _ => false,
            }
    }

    /// Compares. `ignore_case` folds ASCII only, so that it means the same everywhere.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known.
    pub(crate) fn matches(&self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        match self.case {
            Case::Significant => self.pattern.compare(text, effort),
            Case::Ignored => match &self.pattern {
                Pattern::Regex(regex) => regex.is_match(text, effort),
                pattern => {
                    effort.spend(text.len() as u64 / BYTES_LOWERED_BY_A_STEP)?;
                    pattern.compare(&text.to_ascii_lowercase(), effort)
                }
            },
        }
    }
}

/// How many bytes of a text a step of the effort is enough for.
const BYTES_LOWERED_BY_A_STEP: u64 = 4;
const BYTES_SEARCHED_BY_A_STEP: u64 = 2;

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
            Pattern::Contains(part) => {
                effort.spend(text.len() as u64 / BYTES_SEARCHED_BY_A_STEP)?;
                text.contains(part.as_str())
            }
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
    fn a_long_text_is_paid_for_by_whatever_goes_through_it() {
        let long = "b".repeat(60_000);
        for written in [
            r#"{"contains": "a"}"#,
            r#"{"exact": "a", "ignore_case": true}"#,
        ] {
            let effort = Effort::new(100_000);
            let matcher = matcher(written);
            let compared = (0..100).map(|_| matcher.matches(&long, &effort));
            let decided = compared.take_while(|found| *found == Ok(false)).count();
            assert!((1..10).contains(&decided), "{written}: {decided}");
        }
    }
}
