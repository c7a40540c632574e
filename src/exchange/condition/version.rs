//! Conditions on the version of a request: what they ask for has to be there.

use super::operand::{Operand, VersionFact};
use super::{Check, Condition, Negation};
use crate::lifecycle::VersionState;
use portcullis_document::{DidYouMean, Pointer, Quoted};
use portcullis_wire::effort::{Effort, HEAD};

/// What a condition asks of the version of a request.
#[derive(Clone, Debug)]
pub struct VersionTest {
    check: Check,
    fact: VersionFact,
    is_negated: bool,
    /// Where the condition stands.
    pub place: Pointer,
}

impl Condition {
    /// What it asks of the version of a request; none if it looks at something else.
    pub fn version_test(&self) -> Option<VersionTest> {
        let Operand::Version(fact) = self.operand() else {
            return None;
        };
        Some(VersionTest {
            check: self.check.clone(),
            fact: *fact,
            is_negated: self.negation == Negation::Not,
            place: self.place()?.clone(),
        })
    }
}

impl VersionTest {
    /// Whether the condition holds for none of the versions of these names.
    pub fn never_holds(&self, names: &[&str]) -> bool {
        if self.is_negated {
            return false;
        }
        let mut texts = self.check.texts();
        let names_one = self.check.is_equality() && texts.any(|text| names.contains(&text));
        !names_one && self.impossible(names).is_some()
    }

    /// Why it passes for none of the versions of these names, or not for one that it asks for.
    pub fn impossible(&self, known: &[&str]) -> Option<String> {
        match self.fact {
            VersionFact::Name => impossible(&self.check, "version", known),
            VersionFact::State => None,
        }
    }
}

/// The same of a test of how old a version is.
pub(super) fn impossible_state(check: &Check) -> Option<String> {
    impossible(
        check,
        "state of a version",
        &VersionState::ALL.map(VersionState::name),
    )
}

fn impossible(check: &Check, what: &str, names: &[&str]) -> Option<String> {
    if check.is_of_presence() || check.part().is_some() {
        return None;
    }
    if check.is_equality() {
        let mut texts = check.texts();
        let unknown = texts.find(|text| !names.contains(text))?;
        let near = DidYouMean(unknown, names.iter().copied());
        return Some(format!("no {what} is named {}{near}", Quoted(unknown)));
    }
    let effort = Effort::new(HEAD);
    // What is too costly to tell may pass.
    let mut passing = names.iter().map(|name| check.matches(name, &effort));
    let none = passing.all(|passes| passes == Ok(false));
    none.then(|| {
        let listed: Vec<String> = names.iter().map(|name| Quoted(name).to_string()).collect();
        format!("no {what} passes: there are {}", listed.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::super::ACCESS;
    use super::*;
    use portcullis_document::{Node, Problems};
    use portcullis_wire::json::Json;

    fn condition(written: &str) -> Result<Condition, String> {
        let json = Json::parse(written.as_bytes(), 6).unwrap();
        let mut problems = Problems::default();
        let condition = Condition::read(&Node::root(&json), &ACCESS, &mut problems);
        problems
            .into_result(condition)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn versions_that_there_are_not_are_told() {
        let told = |written: &str| {
            let test = condition(written).unwrap().version_test();
            test.and_then(|test| test.impossible(&["v1", "v2"]))
        };
        for (written, what) in [
            (
                r#"{"version": "name", "exact": "v12"}"#,
                "\"v12\"; did you mean \"v1\"?",
            ),
            (r#"{"version": "name", "in": ["v1", "v9"]}"#, "named \"v9\""),
            (
                r#"{"not": {"version": "name", "exact": "V1"}}"#,
                "did you mean \"v1\"",
            ),
            (
                r#"{"version": "name", "prefix": "v3"}"#,
                "there are \"v1\", \"v2\"",
            ),
            (
                r#"{"version": "name", "regex": "[0-9]+"}"#,
                "no version passes",
            ),
        ] {
            let found = told(written).unwrap_or_default();
            assert!(found.contains(what), "{written}: {found}");
        }
        for written in [
            r#"{"version": "name", "exact": "v1"}"#,
            r#"{"version": "name", "exact": "V2", "ignore_case": true}"#,
            r#"{"version": "name", "regex": "v[0-9]"}"#,
            r#"{"version": "name", "exists": true}"#,
            r#"{"version": "name", "exact": {"header": "x-version"}}"#,
            r#"{"version": "state", "exact": "sunset"}"#,
            r#"{"header": "x", "exact": "v9"}"#,
        ] {
            assert_eq!(told(written), None, "{written}");
        }
    }

    #[test]
    fn states_that_there_are_not_are_errors() {
        for (written, what) in [
            (
                r#"{"version": "state", "exact": "deprecate"}"#,
                "/exact: no state of a version is named \"deprecate\"; did you mean \"deprecated\"?",
            ),
            (
                r#"{"not": {"version": "state", "in": ["gone"]}}"#,
                "/not/in: ",
            ),
            (
                r#"{"version": "state", "prefix": "old"}"#,
                "no state of a version passes",
            ),
        ] {
            let found = condition(written).err().unwrap_or_default();
            assert!(found.contains(what), "{written}: {found}");
        }
        assert!(condition(r#"{"version": "state", "in": ["deprecated", "current"]}"#).is_ok());
    }
}
