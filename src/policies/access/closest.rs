//! Which allowance a refused request came closest to, for the log.

use super::decision::{RequestFacts, Truth, field_holds};
use super::rule::{AccessRule, Group, RuleAction, RuleCondition};

/// An allowance, and what of it does not hold, as places in the rule.
pub(super) struct Closest<'r> {
    pub(super) rule: &'r AccessRule,
    pub(super) unmet: Vec<String>,
    /// Whether all that does not hold is that the object of the request is the caller's.
    pub(super) lacks_only_object: bool,
}

/// So many allowances are compared, of so many rules that are looked at: more would cost a refused request more
/// than a passed one.
const MOST: usize = 32;
const MOST_LOOKED_AT: usize = 256;

/// The one that is for the request, if there is one, and of which the fewest parts do not hold; of several, the
/// first. `rules` may have one twice.
pub(super) fn closest<'r>(
    rules: impl Iterator<Item = &'r AccessRule>,
    asked: &dyn RequestFacts,
) -> Option<Closest<'r>> {
    let allowances = rules
        .take(MOST_LOOKED_AT)
        .filter(|rule| rule.action == RuleAction::Allow)
        .take(MOST);
    let rule = allowances.min_by_key(|rule| distance(rule, asked))?;
    let unmet = unmet(rule, asked);
    Some(Closest {
        rule,
        lacks_only_object: is_of_object(rule, &unmet),
        unmet,
    })
}

/// How far a rule is from allowing a request: whether it is for others, and how many of its parts do not hold.
fn distance(rule: &AccessRule, asked: &dyn RequestFacts) -> (bool, usize) {
    let fewest = |groups: &[Group]| {
        let unmet = groups.iter().map(|group| {
            let unmet = group.tests.iter();
            unmet
                .filter(|test| field_holds(rule, test, asked) != Truth::Yes)
                .count()
        });
        unmet.min().unwrap_or_default()
    };
    let (to, from) = (fewest(&rule.to), fewest(&rule.from));
    let conditions = rule.when.iter();
    let conditions = conditions.filter(|when| asked.condition(rule, when) != Truth::Yes);
    let time = usize::from(!asked.time(&rule.schedule));
    let all = [to, from, conditions.count(), time];
    (to > 0, all.into_iter().fold(0, usize::saturating_add))
}

/// Whether these parts of a rule compare the object of a request with its caller, all of them.
fn is_of_object(rule: &AccessRule, unmet: &[String]) -> bool {
    let condition = |part: &String| {
        let place = part.strip_prefix("when/")?.parse::<usize>().ok()?;
        rule.when.get(place)
    };
    let is_of_object = |part| condition(part).is_some_and(RuleCondition::is_of_object);
    !unmet.is_empty() && unmet.iter().all(is_of_object)
}

/// What of a rule does not hold.
fn unmet(rule: &AccessRule, asked: &dyn RequestFacts) -> Vec<String> {
    let mut unmet = Vec::new();
    if !asked.time(&rule.schedule) {
        unmet.push("time".to_owned());
    }
    unmet.extend(unmet_groups("from", &rule.from, rule, asked));
    unmet.extend(unmet_groups("to", &rule.to, rule, asked));
    for (place, when) in rule.when.iter().enumerate() {
        if asked.condition(rule, when) != Truth::Yes {
            unmet.push(format!("when/{place}"));
        }
    }
    unmet
}

/// What does not hold of that group of which the least does not.
fn unmet_groups(
    name: &str,
    groups: &[Group],
    rule: &AccessRule,
    asked: &dyn RequestFacts,
) -> Vec<String> {
    let all = groups.iter().enumerate().map(|(place, group)| {
        let place = match groups.len() {
            1 => name.to_owned(),
            _ => format!("{name}/{place}"),
        };
        unmet_of(group, &place, rule, asked)
    });
    all.min_by_key(Vec::len).unwrap_or_default()
}

fn unmet_of(
    group: &Group,
    place: &str,
    rule: &AccessRule,
    asked: &dyn RequestFacts,
) -> Vec<String> {
    let tests = group.tests.iter();
    let unmet = tests.filter(|test| field_holds(rule, test, asked) != Truth::Yes);
    unmet.map(|test| format!("{place}/{}", test.name)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::rule::FieldTest;
    use super::super::schedule::RuleSchedule;
    use super::super::testing::rules;
    use super::*;

    /// A request of which no field holds but `methods`, and which counts how often it is asked.
    #[derive(Default)]
    struct Counting(Cell<usize>);

    impl RequestFacts for Counting {
        fn field(&self, _: &AccessRule, test: &FieldTest) -> Truth {
            self.0.set(self.0.get() + 1);
            Truth::of(test.name == "methods")
        }

        fn condition(&self, _: &AccessRule, _: &RuleCondition) -> Truth {
            Truth::No
        }

        fn time(&self, _: &RuleSchedule) -> bool {
            true
        }
    }

    #[test]
    fn few_of_many_allowances_are_compared_and_one_is_named() {
        let rule = |n: usize| match n % 2 {
            0 => format!(
                r#"{{"name": "r{n}", "action": "allow", "from": {{"roles": ["a"], "clients": ["b"]}}, "to": {{"methods": ["GET"]}}}}"#
            ),
            _ => format!(r#"{{"name": "r{n}", "action": "deny", "to": {{"methods": ["GET"]}}}}"#),
        };
        let written: Vec<String> = (0..1000).map(rule).collect();
        let mut written = rules(&format!("[{}]", written.join(", ")));
        let asked = Counting::default();
        let all = || written.iter().map(|rule| &**rule);
        let found = closest(all(), &asked).unwrap();
        assert_eq!((&*found.rule.name, found.lacks_only_object), ("r0", false));
        assert_eq!(found.unmet, ["from/clients", "from/roles"]);
        assert!(asked.0.get() <= 3 * (MOST + 1), "{}", asked.0.get());
        assert!(closest(all().skip(1).step_by(2), &asked).is_none());
        // One that is for the request is closer than one of which less does not hold.
        let near = r#"[{"name": "near", "action": "allow", "to": {"paths": ["/a"]}}]"#;
        written.splice(..0, rules(near));
        let all = written.iter().map(|rule| &**rule);
        assert_eq!(&*closest(all, &asked).unwrap().rule.name, "r0");
    }
}
