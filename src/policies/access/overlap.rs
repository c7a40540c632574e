//! Rules of one block that make others of it say nothing, as far as that is plain to see.

use std::rc::Rc;

use portcullis_document::Quoted;

use super::rule::{AccessRule, FieldTest, Group, Need, RuleAction, Values};
use super::texts::Texts;

/// How many pairs of rules of a document are compared.
pub(super) const MOST_PAIRS: usize = 200_000;
/// How many notes there are of one block.
const MOST_NOTES: usize = 16;

/// What an operator should know of rules of a block, which are judged together with the first so many of the
/// list, those of all routes. Each pair that is compared is taken from `pairs`.
pub(super) fn notes(rules: &[&AccessRule], everywhere: usize, pairs: &mut usize) -> Vec<String> {
    let mut notes = Vec::new();
    for (place, rule) in rules.iter().enumerate().skip(everywhere) {
        for (other_place, other) in rules.iter().enumerate() {
            if place == other_place {
                continue;
            }
            match pairs.checked_sub(1) {
                Some(left) => *pairs = left,
                None => return notes,
            }
            // Of two that are the same, the later one is too many.
            let is_first = other_place < place || !holds_all_of(rule, other);
            if !other.is_always_in_force() || !holds_all_of(other, rule) {
                continue;
            }
            if let Some(what) = what_is_said(rule, other, is_first) {
                notes.push(format!("{}: {what}", rule.place));
                break;
            }
        }
        if notes.len() >= MOST_NOTES {
            break;
        }
    }
    notes
}

/// What there is to say of a rule of which another holds all. Whether that other comes first, or holds more.
fn what_is_said(rule: &AccessRule, other: &AccessRule, is_first: bool) -> Option<String> {
    let name = Quoted(&other.name);
    match (rule.action, other.action) {
        (RuleAction::Allow, RuleAction::Deny) if holds_all_of(rule, other) => Some(format!(
            "allows what {name} denies: they contradict each other, and the denial wins; remove one of them"
        )),
        (RuleAction::Allow, RuleAction::Deny) => Some(format!(
            "never allows anything: {name} denies all of it; remove one of them, or let them differ"
        )),
        (RuleAction::Deny, RuleAction::Allow) => None,
        _ if is_first => Some(format!(
            "says nothing: {name} is for all of its requests, and says the same; remove it, or let them differ"
        )),
        _ => None,
    }
}

/// Whether a rule matches all requests that `other` matches.
fn holds_all_of(rule: &AccessRule, other: &AccessRule) -> bool {
    let in_time = rule.schedule.is_always() || rule.schedule == other.schedule;
    in_time
        && one_holds_all_of(&rule.to, &other.to)
        && one_holds_all_of(&rule.from, &other.from)
        && rule.when.iter().all(|own| {
            let mut others = other.when.iter();
            others.any(|each| own.condition.holds_where(&each.condition))
        })
}

fn one_holds_all_of(groups: &[Group], others: &[Group]) -> bool {
    let holds = |other: &Group| groups.iter().any(|group| group_holds_all_of(group, other));
    groups.is_empty() || (!others.is_empty() && others.iter().all(holds))
}

fn group_holds_all_of(group: &Group, other: &Group) -> bool {
    group.tests.iter().all(|test| {
        let mut others = other.tests.iter();
        others.any(|each| test_holds_all_of(test, each))
    })
}

fn test_holds_all_of(test: &FieldTest, other: &FieldTest) -> bool {
    let names_somebody = !other.is_negated
        && other.values.need() == Need::Identity
        && !matches!(other.values, Values::Authenticated(false));
    match (&test.values, test.is_negated, other.is_negated) {
        (Values::Authenticated(true), false, _) if names_somebody => true,
        (_, false, false) => have_all_of(&test.values, &other.values),
        (_, true, true) => have_all_of(&other.values, &test.values),
        _ => false,
    }
}

/// Why a rule never matches, as far as that is plain to see: each of the groups of a list contradicts itself.
pub(super) fn never_matches(rule: &AccessRule) -> Option<String> {
    let lists = [&rule.from, &rule.to].into_iter();
    let mut lists = lists.filter(|groups| !groups.is_empty());
    lists.find_map(|groups| {
        let each: Option<Vec<String>> = groups.iter().map(contradiction).collect();
        each?.into_iter().next()
    })
}

/// Two fields of a group that never hold together.
fn contradiction(group: &Group) -> Option<String> {
    let tests = || group.tests.iter();
    let plain = || tests().filter(|test| !test.is_negated);
    let is_of_nobody = |test: &&FieldTest| matches!(test.values, Values::Authenticated(false));
    let names = |test: &&FieldTest| {
        test.values.need() == Need::Identity && !matches!(test.values, Values::Authenticated(_))
    };
    if plain().any(|test| is_of_nobody(&test))
        && let Some(named) = plain().find(names)
    {
        return Some(format!(
            "{}: is never so of nobody, whom `authenticated: false` asks for",
            named.at
        ));
    }
    let never = |test: &&FieldTest| {
        let mut others = tests().filter(|other| other.is_negated);
        others.any(|other| have_all_of(&other.values, &test.values))
    };
    let test = plain().find(never)?;
    Some(format!(
        "{}: all of it is in `not_{}` beside it",
        test.at, test.name
    ))
}

/// Whether values have all that others have.
fn have_all_of(values: &Values, others: &Values) -> bool {
    match (values, others) {
        (Values::Clients(own), Values::Clients(other))
        | (Values::Subjects(own), Values::Subjects(other))
        | (Values::Issuers(own), Values::Issuers(other))
        | (Values::Roles(own), Values::Roles(other))
        | (Values::Scopes(own), Values::Scopes(other))
        | (Values::Certificates(own), Values::Certificates(other)) => have_all_texts(own, other),
        (Values::Credentials(own), Values::Credentials(other)) => contain_all(own, other),
        (Values::Authorities(own), Values::Authorities(other)) => contain_all(own, other),
        (Values::Addresses(own), Values::Addresses(other)) => own.holds_all_of(other),
        (Values::Networks(own), Values::Networks(other)) => {
            let holds = |list| own.iter().any(|each| Rc::ptr_eq(each, list));
            other.iter().all(holds)
        }
        (Values::Countries(_, own), Values::Countries(_, other)) => contain_all(own, other),
        (Values::Asns(_, own), Values::Asns(_, other)) => {
            let holds = |range| own.iter().any(|each| each.contains(range));
            other.iter().all(holds)
        }
        (Values::Methods(own), Values::Methods(other)) => contain_all(own, other),
        (Values::Operations(own), Values::Operations(other))
        | (Values::Versions(own), Values::Versions(other)) => contain_all(own, other),
        (Values::Graphql(own), Values::Graphql(other)) => contain_all(own, other),
        (Values::Authenticated(own), Values::Authenticated(other)) => own == other,
        (Values::Hosts(own), Values::Hosts(other)) => {
            let holds = |host| own.iter().any(|each| each.holds_all_of(host));
            other.iter().all(holds)
        }
        (Values::Paths(own), Values::Paths(other)) => {
            let holds = |path| own.iter().any(|each| each.holds_all_of(path));
            other.iter().all(holds)
        }
        _ => false,
    }
}

fn contain_all<T: PartialEq>(own: &[T], other: &[T]) -> bool {
    other.iter().all(|each| own.contains(each))
}

/// Tests of texts are not compared with one another.
fn have_all_texts(own: &Texts, other: &Texts) -> bool {
    other.tests.is_empty() && contain_all(&own.exact, &other.exact)
}

#[cfg(test)]
mod tests {
    use super::super::testing::rules;
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let rules = rules(text);
        let rules: Vec<&AccessRule> = rules.iter().map(|rule| &**rule).collect();
        notes(&rules, 0, &mut 1000)
    }

    #[test]
    fn rules_that_say_nothing_are_found() {
        for (text, expected) in [
            (
                r#"[{"name": "a", "action": "allow", "to": {"paths": [{"prefix": "/a"}]}},
                    {"name": "b", "action": "allow", "to": {"paths": ["/a/b"], "methods": ["GET"]}}]"#,
                Some("/1: says nothing: \"a\""),
            ),
            (
                r#"[{"name": "a", "action": "allow", "from": {"scopes": ["x"]}},
                    {"name": "b", "action": "allow", "from": {"authenticated": true}}]"#,
                Some("/0: says nothing: \"b\""),
            ),
            (
                r#"[{"name": "a", "action": "deny", "when": [{"claim": "x", "exact": "1"}]},
                    {"name": "b", "action": "deny", "when": [{"claim": "x", "exact": "1"}]}]"#,
                Some("/1: says nothing: \"a\""),
            ),
            (
                r#"[{"name": "a", "action": "allow", "to": {"methods": ["GET"]}},
                    {"name": "b", "action": "deny", "to": {"methods": ["GET"]}}]"#,
                Some("/0: allows what \"b\" denies"),
            ),
            (
                r#"[{"name": "a", "action": "allow", "to": {"methods": ["GET"]}},
                    {"name": "b", "action": "deny", "to": {"methods": ["GET", "PUT"]}}]"#,
                Some("/0: never allows anything: \"b\""),
            ),
            (
                r#"[{"name": "a", "action": "allow", "from": {"not_clients": ["x", "y"]}},
                    {"name": "b", "action": "allow", "from": {"not_clients": ["x"]}}]"#,
                Some("/0: says nothing: \"b\""),
            ),
            (
                r#"[{"name": "a", "action": "allow", "mode": "shadow"},
                    {"name": "b", "action": "allow", "to": {"methods": ["GET"]}}]"#,
                None,
            ),
            (
                r#"[{"name": "a", "action": "allow", "not_after": 7},
                    {"name": "b", "action": "allow", "to": {"methods": ["GET"]}}]"#,
                None,
            ),
            (
                r#"[{"name": "a", "action": "allow"},
                    {"name": "b", "action": "deny", "to": {"methods": ["GET"]}}]"#,
                None,
            ),
            (
                r#"[{"name": "a", "action": "allow", "from": {"scopes": ["x"]}, "to": {"methods": ["GET"]}},
                    {"name": "b", "action": "allow", "from": {"scopes": ["y"]}, "to": {"methods": ["GET"]}}]"#,
                None,
            ),
        ] {
            let found = told(text);
            match expected {
                None => assert_eq!(found, [""; 0], "{text}"),
                Some(note) => {
                    assert_eq!(found.len(), 1, "{text} {found:?}");
                    assert!(found[0].starts_with(note), "{text} {found:?}");
                }
            }
        }
    }

    #[test]
    fn rules_that_contradict_themselves_are_found() {
        for (text, expected) in [
            (
                r#"{"from": {"roles": ["a"], "not_roles": ["b", "a"]}}"#,
                Some("/0/from/roles: all of it is in `not_roles` beside it"),
            ),
            (
                r#"{"to": {"paths": ["/a/b"], "not_paths": [{"prefix": "/a"}]}}"#,
                Some("/0/to/paths: all of it is in `not_paths` beside it"),
            ),
            (
                r#"{"from": {"authenticated": false, "roles": ["a"]}}"#,
                Some("/0/from/roles: is never so of nobody, whom `authenticated: false` asks for"),
            ),
            (
                r#"{"from": [{"roles": ["a"], "not_roles": ["a"]}, {"scopes": ["a"]}]}"#,
                None,
            ),
            (
                r#"{"from": {"roles": ["a", "b"], "not_roles": ["a"]}}"#,
                None,
            ),
            (
                r#"{"from": {"authenticated": false, "not_roles": ["a"]}}"#,
                None,
            ),
            (r#"{}"#, None),
        ] {
            let fields = text.trim_start_matches('{');
            let separator = if fields == "}" { "" } else { "," };
            let rules = rules(&format!(
                r#"[{{"name": "a", "action": "deny"{separator}{fields}]"#
            ));
            let told = rules.first().and_then(|rule| never_matches(rule));
            assert_eq!(told.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_so_many_are_compared() {
        let rules =
            rules(r#"[{"name": "a", "action": "allow"}, {"name": "b", "action": "allow"}]"#);
        let rules: Vec<&AccessRule> = rules.iter().map(|rule| &**rule).collect();
        let mut pairs = 0;
        assert_eq!(notes(&rules, 0, &mut pairs), [""; 0]);
    }
}
