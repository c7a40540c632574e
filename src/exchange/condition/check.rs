//! A test with what it compares with.

use super::comparison::{Compare, Pair};
use super::found::{Found, Letters};
use super::language::TEXTS;
use super::operand::{Operand, Scalars};
use super::test::{Expected, Kinds, Test, TestInput};
use super::{Language, OperandField, OtherKinds, TESTS, Undecidable, exists, needs_one_of, quoted};
use portcullis_document::{Case, Fields, Node, Problems};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::Value;

/// What a value is compared with, and how.
#[derive(Clone, Debug)]
pub struct Check {
    test: &'static Test,
    expected: Expected,
}

/// The names of the tests that can be asked of these kinds.
fn names(kinds: Kinds) -> Vec<&'static str> {
    let tests = TESTS.iter().filter(|test| test.kinds.meet(kinds));
    tests.map(|test| test.name).collect()
}

impl Check {
    /// Reads the one test of an object, and `ignore_case`; `Ok(None)` when none of them is there.
    /// `kinds` is what can be found there, and `language` says what it may be compared with.
    ///
    /// # Errors
    /// `Err(())` when something is there and wrong; it has been reported.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        kinds: Kinds,
        language: &Language,
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
        let written = TESTS.iter();
        let written = written.filter_map(|test| Some((test, fields.optional(test.name)?)));
        let written: Vec<_> = written.collect();
        let asked = TestInput {
            kinds,
            case: case.ok_or(())?,
        };
        let expected = match &written[..] {
            [] if ignore_case.is_none() => return Ok(None),
            [] if fields.misnames(&names(kinds), problems) => return Err(()),
            [] => None,
            [(test, node)] if test.kinds.meet(kinds) => {
                let expected = read_expected(test, node, asked, language, problems).ok_or(())?;
                Some((*test, expected))
            }
            [(_, node)] => {
                let names = quoted(&names(kinds));
                node.report(
                    problems,
                    format_args!("cannot be asked here; use one of {names}"),
                );
                return Err(());
            }
            [(first, _), (_, second), ..] => {
                let first = first.name;
                second.report(
                    problems,
                    format_args!("cannot stand beside `{first}`; keep one of them"),
                );
                return Err(());
            }
        };
        let textual = |expected: &Expected| expected.is_textual();
        match (expected, ignore_case) {
            (Some((test, expected)), None) => Ok(Some(Self { test, expected })),
            (Some((test, expected)), Some(_)) if textual(&expected) => {
                Ok(Some(Self { test, expected }))
            }
            (_, Some(node)) => {
                node.report(problems, "says nothing without a string to match");
                Err(())
            }
            (None, None) => Ok(None),
        }
    }

    /// The boolean of a field that is itself the test. No other may stand beside it.
    pub(super) fn read_beside(
        fields: &mut Fields<'_>,
        name: &str,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Result<Option<Self>, ()> {
        let tests = TESTS.iter().map(|test| test.name);
        let written = tests
            .chain(["ignore_case"])
            .filter_map(|name| fields.optional(name));
        let written: Vec<Node<'_>> = written.collect();
        if let Some(second) = written.first() {
            let reason = format_args!("cannot stand beside `{name}`; keep one of them");
            second.report(problems, reason);
            return Err(());
        }
        let expected = node.boolean(problems).ok_or(())?;
        Ok(Some(Self::presence(expected)))
    }

    /// Reads the one test of an object whose value is a text.
    pub fn read_of_text(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let check = Self::read(fields, Kinds::TEXT, &TEXTS, problems).ok()?;
        if check.is_none() {
            Self::lacks(fields, Kinds::TEXT, problems);
        }
        check
    }

    /// Notes that there is no test.
    pub(super) fn lacks(fields: &mut Fields<'_>, kinds: Kinds, problems: &mut Problems) {
        let names = names(kinds);
        fields.lacks(&names, problems, needs_one_of(&names));
    }

    /// Whether something is there.
    pub(super) fn presence(expected: bool) -> Self {
        Self {
            test: &exists::TEST,
            expected: Expected::Flag(expected),
        }
    }

    /// The check that holds where this does not, if there is one.
    pub(super) fn opposite(&self) -> Option<Self> {
        match self.expected {
            Expected::Flag(expected) if self.is_of_presence() => Some(Self::presence(!expected)),
            _ => None,
        }
    }

    /// Whether it asks only whether something is there, or is not.
    pub(super) fn is_of_presence(&self) -> bool {
        self.test.kinds == Kinds::ABSENCE
    }

    /// Whether it asks only that something is there.
    pub(super) fn is_presence(&self) -> bool {
        self.is_of_presence() && matches!(self.expected, Expected::Flag(true))
    }

    /// The texts that it compares with.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let (one, several) = match &self.expected {
            Expected::Text(text, _) => (Some(text.as_str()), None),
            Expected::Choice(choice) => (None, Some(choice.texts.iter())),
            _ => (None, None),
        };
        one.into_iter()
            .chain(several.into_iter().flatten().map(|text| &**text))
    }

    /// The field that asks for it.
    pub(super) fn name(&self) -> &'static str {
        self.test.name
    }

    /// Whether a value has to be one of its texts as they are.
    pub(super) fn is_equality(&self) -> bool {
        ["exact", "in"].contains(&self.test.name)
    }

    /// Whether it is asked of lists.
    pub(super) fn is_of_lists(&self) -> bool {
        self.test.kinds == Kinds::LIST
    }

    /// Whether it compares with a list of values.
    pub(super) fn is_choice(&self) -> bool {
        matches!(self.expected, Expected::Choice(_))
    }

    /// Whether what was found passes.
    pub(super) fn holds(&self, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
        (self.test.holds)(&self.expected, found, effort)
    }

    /// The part of the request that it compares with, if it does.
    pub(super) fn part(&self) -> Option<&Operand> {
        match &self.expected {
            Expected::Part(part, _) => Some(part),
            _ => None,
        }
    }

    /// Whether what was found passes beside what that part has.
    pub(super) fn holds_beside(
        &self,
        found: Found<'_>,
        other: Found<'_>,
        effort: &Effort,
    ) -> Result<bool, Undecidable> {
        let (Some(Compare { holds, .. }), Expected::Part(_, case)) =
            (&self.test.compare, &self.expected)
        else {
            return Ok(false);
        };
        holds(&Pair {
            found,
            other,
            case: *case,
            effort,
        })
    }

    /// Whether a text in which upper and lower case are the same can be asked: no expression is there that
    /// tells them apart.
    pub(super) fn takes(&self, letters: Letters) -> bool {
        match &self.expected {
            Expected::Regex(_, Case::Significant) => letters == Letters::AsWritten,
            _ => true,
        }
    }

    /// Whether what was found can be read as what this asks for.
    ///
    /// # Errors
    /// It cannot: some services would make one thing of it, and some another.
    pub(super) fn read_of(
        &self,
        found: Found<'_>,
        other_kinds: OtherKinds,
        effort: &Effort,
    ) -> Result<(), Undecidable> {
        if self.is_of_presence() {
            return Ok(());
        }
        match found {
            Found::Field(_) if found.text(effort)?.is_none() => Err(Undecidable::Unreadable),
            Found::Field(_) | Found::Text(..) if !self.test.kinds.meet(Kinds::TEXT) => {
                match found.number(effort)? {
                    Some(_) => Ok(()),
                    None => Err(Undecidable::Unreadable),
                }
            }
            Found::Json(value, _)
                if other_kinds == OtherKinds::Undecidable
                    && !matches!(value, Value::Null)
                    && !self.fits(found) =>
            {
                Err(Undecidable::Kind)
            }
            _ => Ok(()),
        }
    }

    /// Whether the items of a list that does not pass can be read as what this asks for.
    ///
    /// # Errors
    /// One is of another kind, or has others in it: a service may make of it what was asked for.
    pub(super) fn read_items(&self, found: Found<'_>, effort: &Effort) -> Result<(), Undecidable> {
        if self.is_of_presence() {
            return Ok(());
        }
        let Some((items, scalars)) = found.items() else {
            return Ok(());
        };
        let expected = self.expected.kinds();
        for item in items.iter() {
            effort.spend(1)?;
            let kinds = Found::Json(item, scalars).kinds();
            if !matches!(item, Value::Null) && !expected.meet(kinds) {
                return Err(Undecidable::Kind);
            }
        }
        Ok(())
    }

    /// Whether a text passes.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known.
    pub fn matches(&self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        self.holds(Found::Json(Value::String(text), Scalars::Typed), effort)
    }

    /// Whether what was found is of a kind that could pass.
    pub(super) fn fits(&self, found: Found<'_>) -> bool {
        self.test.fits(&self.expected, found.kinds())
    }

    /// What the log says when it does not pass.
    pub(super) fn fault(&self) -> &'static str {
        match self.expected {
            Expected::Text(..) | Expected::Regex(..) => "no_match",
            _ => self.test.fault,
        }
    }

    /// Whether it is plain to see that the same passes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let are_of_presence = self.is_of_presence() && other.is_of_presence();
        let is_same = self.test.name == other.test.name || are_of_presence;
        is_same && self.expected.is_same(&other.expected)
    }
}

/// What stands in the field of a test: a part of the request, or what the test itself reads.
fn read_expected(
    test: &'static Test,
    node: &Node<'_>,
    asked: TestInput,
    language: &Language,
    problems: &mut Problems,
) -> Option<Expected> {
    let parts = language.parts;
    let names_part = parts.iter().any(|part| node.member(part.name).is_some());
    match &test.compare {
        Some(compare) if !parts.is_empty() && matches!(node.json(), Json::Object(_)) => {
            let part = read_part(test.name, compare, node, language, problems)?;
            Some(Expected::Part(Box::new(part), asked.case))
        }
        None if names_part => {
            let tests = TESTS.iter().filter(|test| test.compare.is_some());
            let names: Vec<&str> = tests.map(|test| test.name).collect();
            let names = quoted(&names);
            node.report(
                problems,
                format_args!("cannot be another part of the request; that is for {names}"),
            );
            None
        }
        _ => (test.read)(node, asked, problems),
    }
}

/// Reads `{operand}`.
fn read_part(
    test: &str,
    compare: &Compare,
    node: &Node<'_>,
    language: &Language,
    problems: &mut Problems,
) -> Option<Operand> {
    let parts = language.parts;
    let mut fields = node.fields(problems)?;
    let written = parts.iter();
    let written = written.filter_map(|part| Some((part, fields.optional(part.name)?)));
    let written: Vec<(&OperandField, Node<'_>)> = written.collect();
    if written.is_empty() && !language.is_elsewhere(&mut fields, problems) {
        let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
        fields.lacks(&names, problems, needs_one_of(&names));
    }
    fields.deny_unknown(problems);
    let mut written = written.into_iter();
    let (part, named) = written.next()?;
    if let Some((_, second)) = written.next() {
        second.report(
            problems,
            format_args!("cannot stand beside `{}`; keep one of them", part.name),
        );
        return None;
    }
    let operand = (part.read)(&named, problems);
    if !part.kinds.meet(compare.with) {
        let instead = compare.instead;
        node.report(
            problems,
            format_args!("has one value and is no list, which `{test}` is for; write `{instead}`"),
        );
        return None;
    }
    operand
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(text: &str) -> Check {
        let json = Json::parse(text.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let mut fields = Node::root(&json).fields(&mut problems).unwrap();
        Check::read_of_text(&mut fields, &mut problems).unwrap()
    }

    #[test]
    fn compares_as_it_says() {
        for (written, yes, no) in [
            (r#"{"exact": "ab"}"#, "ab", "abc"),
            (r#"{"prefix": "ab"}"#, "abc", "cab"),
            (r#"{"suffix": "ab"}"#, "cab", "abc"),
            (r#"{"contains": "ab"}"#, "cabc", "acb"),
            (r#"{"regex": "a.?b"}"#, "acb", "acbd"),
            (r#"{"in": ["b", "ab", "a"]}"#, "ab", "abc"),
            (r#"{"exact": "aB", "ignore_case": true}"#, "Ab", "A"),
            (r#"{"prefix": "aB", "ignore_case": true}"#, "AbC", "A"),
            (r#"{"suffix": "aB", "ignore_case": true}"#, "cAb", "Abc"),
            (r#"{"contains": "aB", "ignore_case": true}"#, "cAbc", "acb"),
            (r#"{"regex": "ab", "ignore_case": true}"#, "AB", "ABC"),
            (r#"{"in": ["X", "aB"], "ignore_case": true}"#, "Ab", "A"),
            (r#"{"exact": "É", "ignore_case": true}"#, "É", "é"),
            (r#"{"prefix": "é"}"#, "éa", "è"),
            (r#"{"suffix": "é"}"#, "aé", "è"),
            (r#"{"exact": ""}"#, "", "a"),
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
            r#"{"in": ["a"], "ignore_case": true}"#,
        ] {
            let effort = Effort::new(100_000);
            let matcher = matcher(written);
            let compared = (0..100).map(|_| matcher.matches(&long, &effort));
            let decided = compared.take_while(|found| *found == Ok(false)).count();
            assert!((1..10).contains(&decided), "{written}: {decided}");
        }
    }
}
