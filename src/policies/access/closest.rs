//! Which allowance a refused request came closest to, for the log.

use super::decision::{Asked, Truth, field_holds};
use super::rule::{Action, Group, Rule};

/// The allowance of which the fewest parts do not hold, and those parts, as places in the rule.
pub(super) struct Closest<'r> {
    pub(super) rule: &'r Rule,
    pub(super) unmet: Vec<String>,
}

/// So many allowances are looked at: more would cost a refused request more than a passed one.
const MOST: usize = 64;

/// The closest of these; of several, the first.
pub(super) fn closest<'r>(
    rules: impl Iterator<Item = &'r Rule>,
    asked: &dyn Asked,
) -> Option<Closest<'r>> {
    let allowances = rules.filter(|rule| rule.action == Action::Allow).take(MOST);
    let unmet = allowances.map(|rule| Closest {
        rule,
        unmet: unmet(rule, asked),
    });
    unmet.min_by_key(|each| each.unmet.len())
}

fn unmet(rule: &Rule, asked: &dyn Asked) -> Vec<String> {
    let mut unmet = Vec::new();
    if !asked.time(&rule.schedule) {
        unmet.push("time".to_owned());
    }
    for (name, groups) in [("from", &rule.from), ("to", &rule.to)] {
        let of_groups = groups.iter().enumerate().map(|(place, group)| {
            let place = match groups.len() {
                1 => name.to_owned(),
                _ => format!("{name}/{place}"),
            };
            unmet_of(group, &place, rule, asked)
        });
        unmet.extend(of_groups.min_by_key(Vec::len).into_iter().flatten());
    }
    for (place, when) in rule.when.iter().enumerate() {
        if asked.condition(rule, when) != Truth::Yes {
            unmet.push(format!("when/{place}"));
        }
    }
    unmet
}

fn unmet_of(group: &Group, place: &str, rule: &Rule, asked: &dyn Asked) -> Vec<String> {
    let tests = group.tests.iter();
    let unmet = tests.filter(|test| field_holds(rule, test, asked) != Truth::Yes);
    unmet.map(|test| format!("{place}/{}", test.name)).collect()
}
