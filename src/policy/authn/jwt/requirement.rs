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
        let mut fields = node.object(problems, "{\"scopes\": […]}")?;
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
    if let Json::Array(_) | Json::String(_) = node.json() {
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
mod tests;
