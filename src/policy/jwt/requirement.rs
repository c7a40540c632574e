//! What a route demands of the claims of an accepted token.

use std::collections::BTreeSet;

use super::claim_path::ClaimPath;
use crate::config::{Fields, Node, Problems};
use crate::effort::{self, Effort, TooCostly};
use crate::json::Json;
use crate::json::compact::{Compact, Value};
use crate::matcher::StringMatcher;
use crate::refusal::{Detail, Fact};

/// Scopes and conditions, all of which must be met.
#[derive(Debug, Default)]
pub(super) struct Requirement {
    all_scopes: Vec<String>,
    any_scopes: Vec<String>,
    /// Where those stand of which all are needed.
    all_at: &'static str,
    claims: Vec<Condition>,
}

/// What is not met: the scopes, or the condition at that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    Scope,
    Claim(usize),
    /// It would take too much work to tell.
    Effort(usize),
}

#[derive(Debug)]
struct Condition {
    claim: ClaimPath,
    test: Test,
    sense: Sense,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    Holds,
    Fails,
}

#[derive(Debug)]
enum Test {
    Exists,
    /// Equal to a string, number or boolean.
    Equals(Json),
    Matches(StringMatcher),
    /// An array with such an item.
    Includes(Json),
}

impl Requirement {
    /// Reads `require: { scopes, claims }`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let scopes = fields.or("scopes", Default::default(), problems, read_scopes);
        let claims = fields.or("claims", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                Condition::read(item, Sense::Holds, problems)
            })
        });
        fields.finish(problems);
        let (Scopes { all_at, all, any }, claims) = (scopes?, claims?);
        Some(Self {
            all_scopes: all,
            any_scopes: any,
            all_at,
            claims,
        })
    }

    /// The scopes as RFC 6750 §3 lists them to the client.
    pub(super) fn scopes(&self) -> String {
        let all: Vec<&str> = self
            .all_scopes
            .iter()
            .chain(&self.any_scopes)
            .map(String::as_str)
            .collect();
        all.join(" ")
    }

    /// Whether the claims meet everything.
    pub(super) fn check(&self, claims: &Compact) -> Result<(), Unmet> {
        if !self.grants_scopes(claims) {
            return Err(Unmet::Scope);
        }
        let effort = Effort::new(effort::HEAD);
        for (index, condition) in self.claims.iter().enumerate() {
            match condition.holds(claims, &effort) {
                Ok(true) => {}
                Ok(false) => return Err(Unmet::Claim(index)),
                Err(TooCostly) => return Err(Unmet::Effort(index)),
            }
        }
        Ok(())
    }

    /// What is not met, for the log. `at` is where the block with this stands in that of the policy.
    pub(super) fn detail(&self, unmet: Unmet, claims: &Compact, at: &str) -> Detail {
        let place = |index| format!("{at}/require/claims/{index}");
        match unmet {
            Unmet::Scope => self.scope_detail(claims, at),
            Unmet::Claim(index) => {
                let detail = Detail::within(place(index));
                match self.claims.get(index) {
                    Some(condition) => condition.detail(detail, claims),
                    None => detail,
                }
            }
            Unmet::Effort(index) => {
                Detail::within(place(index)).and("fault", Fact::Word("too_costly"))
            }
        }
    }

    fn scope_detail(&self, claims: &Compact, at: &str) -> Detail {
        let granted = granted_scopes(claims);
        let lacks = |scope: &&String| !granted.contains(scope.as_str());
        let lacking: Vec<&str> = self
            .all_scopes
            .iter()
            .filter(lacks)
            .map(String::as_str)
            .collect();
        let first = self.all_scopes.iter().position(|scope| lacks(&scope));
        let (rule, name, scopes) = match first {
            Some(index) => (format!("{at}{}/{index}", self.all_at), "scopes", lacking),
            None => {
                let any = self.any_scopes.iter().map(String::as_str).collect();
                (format!("{at}/require/scopes/any"), "any_scope", any)
            }
        };
        let detail = Detail::within(rule).and(name, Fact::owns(scopes.into_iter()));
        let (claim, value) = scope_claim(claims);
        let detail = detail.and("claim", Fact::Word(claim));
        match value {
            None => detail.and("fault", Fact::Word("missing")),
            Some(Value::String(_) | Value::Array(_)) => {
                detail.and("fault", Fact::Word("not_granted"))
            }
            Some(other) => detail
                .and("fault", Fact::Word("kind"))
                .and("found", Fact::Word(other.kind())),
        }
    }

    fn grants_scopes(&self, claims: &Compact) -> bool {
        if self.any_scopes.is_empty() && self.all_scopes.is_empty() {
            return true;
        }
        let granted = granted_scopes(claims);
        let has = |scope: &String| granted.contains(scope.as_str());
        let any = self.any_scopes.is_empty() || self.any_scopes.iter().any(has);
        any && self.all_scopes.iter().all(has)
    }
}

/// What `scopes` says.
#[derive(Default)]
struct Scopes {
    all_at: &'static str,
    all: Vec<String>,
    any: Vec<String>,
}

/// A list of which all are needed, or `{ all: [...] }`, or `{ any: [...] }`.
fn read_scopes(node: &Node<'_>, problems: &mut Problems) -> Option<Scopes> {
    if let Json::Array(_) = node.json() {
        return Some(Scopes {
            all_at: "/require/scopes",
            all: node.list(problems, read_scope)?,
            any: Vec::new(),
        });
    }
    let mut fields = node.fields(problems)?;
    let mut list = |name, problems: &mut Problems| {
        fields.or(name, Vec::new(), problems, |node, problems| {
            node.list(problems, read_scope)
        })
    };
    let all = list("all", problems);
    let any = list("any", problems);
    fields.finish(problems);
    let (all, any) = (all?, any?);
    if all.is_empty() && any.is_empty() {
        problems.lacks(
            node.pointer(),
            "needs \"all\" or \"any\", or a list of scopes in its place",
        );
        return None;
    }
    let all_at = "/require/scopes/all";
    Some(Scopes { all_at, all, any })
}

/// RFC 6749 §3.3 `scope-token`.
fn read_scope(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let scope = node.name(problems)?;
    let plain = scope
        .bytes()
        .all(|b| (b'!'..=b'~').contains(&b) && b != b'"' && b != b'\\');
    if !plain {
        node.report(
            problems,
            "is not one scope: printable ASCII without blanks, quotes and backslashes",
        );
    }
    plain.then(|| scope.to_owned())
}

/// The claim that holds the scopes, and its value.
fn scope_claim(claims: &Compact) -> (&'static str, Option<Value<'_>>) {
    match (claims.member("scope"), claims.member("scp")) {
        (None, Some(value)) => ("scp", Some(value)),
        (value, _) => ("scope", value),
    }
}

/// `scope` as RFC 8693 §4.2 has it, a string of words; `scp`, as others call it; either may be an array.
fn granted_scopes(claims: &Compact) -> BTreeSet<&str> {
    match scope_claim(claims).1 {
        Some(Value::String(words)) => words.split(' ').filter(|word| !word.is_empty()).collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}

impl Condition {
    fn read(node: &Node<'_>, sense: Sense, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let condition = match fields.optional("not") {
            Some(inner) => match sense {
                Sense::Holds => Condition::read(&inner, Sense::Fails, problems),
                Sense::Fails => {
                    inner.report(problems, "`not` within `not`; leave out both");
                    None
                }
            },
            None => Self::read_plain(&mut fields, sense, problems),
        };
        fields.finish(problems);
        condition
    }

    fn read_plain(fields: &mut Fields<'_>, sense: Sense, problems: &mut Problems) -> Option<Self> {
        let claim = fields
            .required("claim", problems)
            .and_then(|node| ClaimPath::read(&node, problems));
        let exists = fields.optional("exists");
        let includes = fields.optional("includes");
        let scalar = fields
            .optional("exact")
            .filter(|node| matches!(node.json(), Json::Bool(_) | Json::Number(_)));
        let matcher = match &scalar {
            Some(_) => Ok(None),
            None => StringMatcher::read(fields, problems),
        };
        let mut sense = sense;
        let tests = [
            exists.map(|node| match node.boolean(problems) {
                Some(true) => Some(Test::Exists),
                Some(false) => {
                    sense = sense.opposite();
                    Some(Test::Exists)
                }
                None => None,
            }),
            includes.map(|node| read_scalar(&node, problems).map(Test::Includes)),
            scalar.map(|node| read_scalar(&node, problems).map(Test::Equals)),
            matcher.map_or(Some(None), |matcher| {
                matcher.map(|matcher| Some(Test::Matches(matcher)))
            }),
        ];
        let mut tests = tests.into_iter().flatten();
        match (tests.next(), tests.next()) {
            (Some(test), None) => Some(Self {
                claim: claim?,
                test: test?,
                sense,
            }),
            _ => {
                let mut names = vec!["includes", "exists"];
                names.extend(StringMatcher::FIELDS);
                fields.lacks(
                    &names,
                    problems,
                    "needs exactly one of \"exact\", \"prefix\", \"suffix\", \"contains\", \"regex\", \"includes\", \"exists\"",
                );
                None
            }
        }
    }

    /// In what way it does not hold.
    fn detail(&self, detail: Detail, claims: &Compact) -> Detail {
        let detail = detail.and("claim", Fact::own(&self.claim.to_string()));
        let Some(value) = self.claim.value(claims) else {
            return detail.and("fault", Fact::Word("missing"));
        };
        let fault = match (&self.test, self.sense) {
            (Test::Exists, _) => "unexpected",
            (_, Sense::Fails) => "forbidden",
            (test, Sense::Holds) if !test.fits(value) => {
                let detail = detail.and("fault", Fact::Word("kind"));
                return detail.and("found", Fact::Word(value.kind()));
            }
            (Test::Equals(_), _) => "not_equal",
            (Test::Matches(_), _) => "no_match",
            (Test::Includes(_), _) => "not_included",
        };
        detail.and("fault", Fact::Word(fault))
    }

    fn holds(&self, claims: &Compact, effort: &Effort) -> Result<bool, TooCostly> {
        let value = self.claim.value(claims);
        let holds = match (&self.test, value) {
            (Test::Exists, value) => value.is_some(),
            (_, None) => false,
            (Test::Equals(expected), Some(value)) => same(expected, value),
            (Test::Matches(matcher), Some(value)) => match value.as_str() {
                Some(text) => matcher.matches(text, effort)?,
                None => false,
            },
            (Test::Includes(expected), Some(Value::Array(items))) => {
                items.iter().any(|item| same(expected, item))
            }
            (Test::Includes(_), Some(_)) => false,
        };
        Ok(match self.sense {
            Sense::Holds => holds,
            Sense::Fails => !holds,
        })
    }
}

impl Test {
    /// Whether a value is of a kind that could meet it.
    fn fits(&self, value: Value<'_>) -> bool {
        matches!(
            (self, value),
            (Test::Exists, _)
                | (Test::Equals(Json::Number(_)), Value::Number(_))
                | (Test::Equals(Json::String(_)), Value::String(_))
                | (Test::Equals(Json::Bool(_)), Value::Bool(_))
                | (Test::Matches(_), Value::String(_))
                | (Test::Includes(_), Value::Array(_))
        )
    }
}

impl Sense {
    fn opposite(self) -> Self {
        match self {
            Sense::Holds => Sense::Fails,
            Sense::Fails => Sense::Holds,
        }
    }
}

fn read_scalar(node: &Node<'_>, problems: &mut Problems) -> Option<Json> {
    match node.json() {
        Json::Array(_) | Json::Object(_) | Json::Null => {
            node.report(
                problems,
                format_args!(
                    "must be a string, a number or a boolean, not {}",
                    node.json().kind()
                ),
            );
            None
        }
        scalar => Some(scalar.clone()),
    }
}

/// Numbers are compared by value: `1` is `1.0`.
fn same(one: &Json, other: Value<'_>) -> bool {
    match (one, other) {
        (Json::Number(one), other @ Value::Number(_)) => other
            .as_number()
            .is_some_and(|other| one.is_same_value(&other)),
        (Json::String(one), Value::String(other)) => one == other,
        (Json::Bool(one), Value::Bool(other)) => *one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::BlockPlace;

    fn requirement(text: &str) -> Result<Requirement, String> {
        let json = Json::parse(text.as_bytes(), 16).unwrap();
        let mut problems = Problems::default();
        let requirement = Requirement::read(&Node::root(&json), &mut problems);
        problems
            .settle(requirement)
            .map_err(|error| error.to_string())
    }

    fn check(written: &str, claims: &str) -> Result<(), Unmet> {
        requirement(written)
            .unwrap()
            .check(&Compact::parse(claims.as_bytes(), 16).unwrap())
    }

    #[test]
    fn scopes_are_whole_words() {
        let both = r#"{"scopes": ["a.read", "b"]}"#;
        assert_eq!(check(both, r#"{"scope": "b a.read c"}"#), Ok(()));
        assert_eq!(check(both, r#"{"scp": ["b", "a.read"]}"#), Ok(()));
        for claims in [
            r#"{"scope": "a.read"}"#,
            r#"{"scope": "a.readb b"}"#,
            "{}",
            r#"{"scope": 1}"#,
        ] {
            assert_eq!(check(both, claims), Err(Unmet::Scope), "{claims}");
        }
        let any = r#"{"scopes": {"any": ["a", "b"]}}"#;
        assert_eq!(check(any, r#"{"scope": "b"}"#), Ok(()));
        assert_eq!(check(any, r#"{"scope": "c"}"#), Err(Unmet::Scope));
    }

    #[test]
    fn conditions_mean_what_they_say() {
        let claims =
            r#"{"n": 1, "b": true, "s": "gold-1", "r": {"roles": ["admin", 7]}, "a/b": null}"#;
        for (condition, holds) in [
            (r#"{"claim": "n", "exact": 1.0}"#, true),
            (r#"{"claim": "n", "exact": "1"}"#, false),
            (r#"{"claim": "b", "exact": true}"#, true),
            (r#"{"claim": "b", "exact": false}"#, false),
            (r#"{"claim": "s", "prefix": "gold"}"#, true),
            (r#"{"claim": "s", "regex": "gold"}"#, false),
            (
                r#"{"claim": "s", "exact": "GOLD-1", "ignore_case": true}"#,
                true,
            ),
            (r#"{"claim": "/r/roles", "includes": "admin"}"#, true),
            (r#"{"claim": "/r/roles", "includes": 7}"#, true),
            (r#"{"claim": "/r/roles", "includes": "adm"}"#, false),
            (r#"{"claim": "s", "includes": "gold-1"}"#, false),
            (r#"{"claim": "/a~1b", "exists": true}"#, true),
            (r#"{"claim": "a/b", "exists": true}"#, true),
            (r#"{"claim": "x", "exists": true}"#, false),
            (r#"{"claim": "x", "exists": false}"#, true),
            (r#"{"not": {"claim": "s", "prefix": "gold"}}"#, false),
            (r#"{"not": {"claim": "x", "exact": "y"}}"#, true),
        ] {
            let expected = if holds { Ok(()) } else { Err(Unmet::Claim(0)) };
            let written = format!(r#"{{"claims": [{condition}]}}"#);
            assert_eq!(check(&written, claims), expected, "{condition}");
        }
    }

    #[test]
    fn what_is_not_met_is_named_and_in_what_way() {
        let claims = r#"{"n": "1", "s": "gold", "r": ["user"], "scope": "a"}"#;
        let said = |written: &str, claims: &str| {
            let requirement = requirement(written).unwrap();
            let claims = Compact::parse(claims.as_bytes(), 16).unwrap();
            let unmet = requirement.check(&claims).unwrap_err();
            let mut detail = requirement.detail(unmet, &claims, "/any_of/1");
            let block = Json::parse(br#"{"any_of": []}"#, 4).unwrap();
            detail.place(&BlockPlace::of(&Node::root(&block)), None);
            let word = |name: &str| {
                let mut facts = detail.facts().iter().filter(|(each, _)| *each == name);
                facts.next().map_or(String::new(), |(_, fact)| match fact {
                    Fact::Word(word) => (*word).to_owned(),
                    Fact::Own(name) => name.to_string(),
                    Fact::Owns(names) => names.join(" "),
                    other => panic!("{other:?}"),
                })
            };
            let all = ["claim", "fault", "found", "scopes", "any_scope"].map(word);
            format!("{} {}", detail.rule().unwrap(), all.join(","))
        };
        for (written, expected) in [
            (
                r#"{"scopes": ["a", "b", "c"]}"#,
                "/any_of/1/require/scopes/1 scope,not_granted,,b c,",
            ),
            (
                r#"{"scopes": {"all": ["b"], "any": ["a"]}}"#,
                "/any_of/1/require/scopes/all/0 scope,not_granted,,b,",
            ),
            (
                r#"{"scopes": {"any": ["x", "y"]}}"#,
                "/any_of/1/require/scopes/any scope,not_granted,,,x y",
            ),
            (
                r#"{"claims": [{"claim": "s", "exact": "gold"}, {"claim": "n", "exact": 1}]}"#,
                "/any_of/1/require/claims/1 n,kind,string,,",
            ),
            (
                r#"{"claims": [{"claim": "/x/y", "exists": true}]}"#,
                "/any_of/1/require/claims/0 /x/y,missing,,,",
            ),
            (
                r#"{"claims": [{"claim": "s", "exists": false}]}"#,
                "/any_of/1/require/claims/0 s,unexpected,,,",
            ),
            (
                r#"{"claims": [{"not": {"claim": "s", "prefix": "g"}}]}"#,
                "/any_of/1/require/claims/0 s,forbidden,,,",
            ),
            (
                r#"{"claims": [{"claim": "s", "prefix": "x"}]}"#,
                "/any_of/1/require/claims/0 s,no_match,,,",
            ),
            (
                r#"{"claims": [{"claim": "s", "exact": true}]}"#,
                "/any_of/1/require/claims/0 s,kind,string,,",
            ),
            (
                r#"{"claims": [{"claim": "r", "includes": "admin"}]}"#,
                "/any_of/1/require/claims/0 r,not_included,,,",
            ),
        ] {
            assert_eq!(said(written, claims), expected, "{written}");
        }
        let scope = r#"{"scopes": ["b"]}"#;
        let none = "/any_of/1/require/scopes/0 scope,missing,,b,";
        assert_eq!(said(scope, "{}"), none);
        let number = "/any_of/1/require/scopes/0 scp,kind,number,b,";
        assert_eq!(said(scope, r#"{"scp": 1}"#), number);
    }

    #[test]
    fn a_condition_that_is_too_costly_neither_holds_nor_fails() {
        let claims = format!(r#"{{"s":"{}"}}"#, "b".repeat(1_000_000));
        let costly = r#"{"claim": "s", "regex": ".*a.*"}"#;
        for condition in [costly.to_owned(), format!(r#"{{"not": {costly}}}"#)] {
            let written = format!(r#"{{"claims": [{condition}]}}"#);
            assert_eq!(
                check(&written, &claims),
                Err(Unmet::Effort(0)),
                "{condition}"
            );
        }
    }

    #[test]
    fn conditions_that_say_nothing_or_two_things_are_errors() {
        for condition in [
            r#"{"claim": "n"}"#,
            r#"{"claim": "n", "exact": 1, "exists": true}"#,
            r#"{"claim": "n", "exact": "a", "prefix": "b"}"#,
            r#"{"claim": "n", "includes": []}"#,
            r#"{"claim": "n", "exact": 1, "prefix": "b"}"#,
            r#"{"exact": 1}"#,
            r#"{"not": {"not": {"claim": "n", "exists": true}}}"#,
        ] {
            assert!(
                requirement(&format!(r#"{{"claims": [{condition}]}}"#)).is_err(),
                "{condition}"
            );
        }
    }
}
