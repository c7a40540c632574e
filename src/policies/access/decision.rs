//! How rules are decided. This is the reference: it asks rule after rule. Whatever finds out sooner has to come
//! to the same.

use portcullis_exchange::condition::Undecidable;

use super::rule::{AccessRule, FieldTest, Group, RuleAction, RuleCondition};
use super::schedule::RuleSchedule;

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// It cannot be told, and will not be.
    Unknown(Fault),
    /// It can be told at the end of the body.
    Later,
}

/// Why it cannot be told whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A condition cannot be decided.
    Condition(Undecidable),
    /// It would take too much work.
    Effort,
    /// The path may be read in several ways, of which one fits and another does not.
    Readings,
    /// What is known of the caller is of another kind than it must be.
    Kind,
    /// The proxy does not say from where the request comes.
    Address,
    /// A list of networks is not there, or too old.
    List,
    /// It is not known where the client is.
    Place,
    /// The proxy does not say that it has verified the certificate of the connection.
    Certificate,
    /// What a GraphQL request asks for cannot be read.
    Graphql,
}

/// What rules ask of a request.
pub(super) trait RequestFacts {
    /// Whether one of the values of a field holds; `not_` is not looked at.
    fn field(&self, rule: &AccessRule, test: &FieldTest) -> Truth;
    /// Whether a condition holds.
    fn condition(&self, rule: &AccessRule, when: &RuleCondition) -> Truth;
    /// Whether it is the time of a rule.
    fn time(&self, schedule: &RuleSchedule) -> bool;
}

/// What becomes of a request that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    Allow,
    Deny,
}

/// What rules say of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Decision<'r> {
    /// This one allows it; without one, none matches and that is allowed.
    Allowed(Option<&'r AccessRule>),
    /// This one denies it.
    Denied(&'r AccessRule),
    /// None matches, and that is not allowed.
    NoRule,
    /// It cannot be told whether this one matches, for that reason.
    Undecidable(&'r AccessRule, Fault),
    /// That is known at the end of the body.
    Later,
}

impl Truth {
    pub(super) fn of(holds: bool) -> Self {
        match holds {
            true => Truth::Yes,
            false => Truth::No,
        }
    }

    pub(super) fn negated_if(self, is_negated: bool) -> Self {
        match self {
            Truth::Yes if is_negated => Truth::No,
            Truth::No if is_negated => Truth::Yes,
            truth => truth,
        }
    }
}

/// Whether all hold. What certainly does not hold settles it, whatever else cannot be told.
pub(super) fn all(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut so_far = Truth::Yes;
    for truth in truths {
        match (truth, so_far) {
            (Truth::No, _) => return Truth::No,
            (Truth::Unknown(_), Truth::Yes | Truth::Later) | (Truth::Later, Truth::Yes) => {
                so_far = truth;
            }
            _ => {}
        }
    }
    so_far
}

/// Whether one holds; of none, that holds.
fn any_or_none(mut truths: impl Iterator<Item = Truth>) -> Truth {
    let Some(mut so_far) = truths.next() else {
        return Truth::Yes;
    };
    for truth in truths {
        match (truth, so_far) {
            (_, Truth::Yes) => break,
            (Truth::Yes | Truth::Later, _) | (Truth::Unknown(_), Truth::No) => so_far = truth,
            _ => {}
        }
    }
    so_far
}

/// Whether a field holds, as it is written.
pub(super) fn field_holds(
    rule: &AccessRule,
    test: &FieldTest,
    asked: &(impl RequestFacts + ?Sized),
) -> Truth {
    asked.field(rule, test).negated_if(test.is_negated)
}

fn one_matches(groups: &[Group], rule: &AccessRule, asked: &(impl RequestFacts + ?Sized)) -> Truth {
    let holds = |test| field_holds(rule, test, asked);
    any_or_none(
        groups
            .iter()
            .map(|group| all(group.tests.iter().map(holds))),
    )
}

/// Whether a rule matches.
pub(super) fn matches(rule: &AccessRule, asked: &(impl RequestFacts + ?Sized)) -> Truth {
    if !asked.time(&rule.schedule) {
        return Truth::No;
    }
    let groups = [&rule.to, &rule.from].into_iter();
    let groups = groups.map(|groups| one_matches(groups, rule, asked));
    let conditions = rule.when.iter().map(|when| asked.condition(rule, when));
    all(groups.chain(conditions))
}

/// What these rules say of a request: denials win, then the first allowance. What cannot be told of a denial
/// refuses, for it may match; an allowance of which it cannot be told allows nothing.
pub(super) fn decide<'r>(
    rules: impl Iterator<Item = &'r AccessRule> + Clone,
    default: Fallback,
    asked: &dyn RequestFacts,
) -> Decision<'r> {
    let of = |action| {
        rules
            .clone()
            .filter(move |rule: &&AccessRule| rule.action == action)
    };
    let mut open = None;
    for rule in of(RuleAction::Deny) {
        match (matches(rule, asked), open) {
            (Truth::Yes, _) => return Decision::Denied(rule),
            (Truth::Unknown(fault), None | Some(Decision::Later)) => {
                open = Some(Decision::Undecidable(rule, fault));
            }
            (Truth::Later, None) => open = Some(Decision::Later),
            _ => {}
        }
    }
    if let Some(open) = open {
        return open;
    }
    if default == Fallback::Allow {
        return Decision::Allowed(None);
    }
    for rule in of(RuleAction::Allow) {
        match (matches(rule, asked), open) {
            (Truth::Yes, _) => return Decision::Allowed(Some(rule)),
            (Truth::Later, _) => open = Some(Decision::Later),
            (Truth::Unknown(fault), None) => open = Some(Decision::Undecidable(rule, fault)),
            _ => {}
        }
    }
    open.unwrap_or(Decision::NoRule)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::testing::rules;
    use super::*;

    const UNKNOWN: Truth = Truth::Unknown(Fault::Kind);
    const TRUTHS: [Truth; 4] = [Truth::Yes, Truth::No, UNKNOWN, Truth::Later];

    #[test]
    fn what_does_not_hold_settles_a_list_of_which_all_must() {
        for one in TRUTHS {
            for other in TRUTHS {
                let both = all([one, other].into_iter());
                assert_eq!(both, all([other, one].into_iter()), "{one:?} {other:?}");
                let expected = match (one, other) {
                    (Truth::No, _) | (_, Truth::No) => Truth::No,
                    (UNKNOWN, _) | (_, UNKNOWN) => UNKNOWN,
                    (Truth::Later, _) | (_, Truth::Later) => Truth::Later,
                    _ => Truth::Yes,
                };
                assert_eq!(both, expected, "{one:?} {other:?}");
            }
        }
        assert_eq!(all(std::iter::empty()), Truth::Yes);
    }

    #[test]
    fn what_holds_settles_a_list_of_which_one_must() {
        for one in TRUTHS {
            for other in TRUTHS {
                let either = any_or_none([one, other].into_iter());
                let swapped = any_or_none([other, one].into_iter());
                assert_eq!(either, swapped, "{one:?} {other:?}");
                let expected = match (one, other) {
                    (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
                    (Truth::Later, _) | (_, Truth::Later) => Truth::Later,
                    (UNKNOWN, _) | (_, UNKNOWN) => UNKNOWN,
                    _ => Truth::No,
                };
                assert_eq!(either, expected, "{one:?} {other:?}");
            }
        }
        assert_eq!(any_or_none(std::iter::empty()), Truth::Yes);
    }

    #[test]
    fn only_what_is_known_is_negated() {
        assert_eq!(Truth::Yes.negated_if(true), Truth::No);
        assert_eq!(Truth::No.negated_if(true), Truth::Yes);
        assert_eq!(UNKNOWN.negated_if(true), UNKNOWN);
        assert_eq!(Truth::Later.negated_if(true), Truth::Later);
        assert_eq!(Truth::Yes.negated_if(false), Truth::Yes);
    }

    /// A request of which the rules of one letter hold, or not.
    struct Letters([Truth; 2]);

    impl RequestFacts for Letters {
        fn field(&self, rule: &AccessRule, _: &FieldTest) -> Truth {
            let [a, d] = self.0;
            match rule.action {
                RuleAction::Allow => a,
                RuleAction::Deny => d,
            }
        }

        fn condition(&self, _: &AccessRule, _: &RuleCondition) -> Truth {
            Truth::Yes
        }

        fn time(&self, _: &RuleSchedule) -> bool {
            true
        }
    }

    #[test]
    fn denials_win_and_what_cannot_be_told_refuses() {
        let rules = rules(
            r#"[{"name": "a", "action": "allow", "to": {"methods": ["GET"]}},
                {"name": "d", "action": "deny", "to": {"methods": ["GET"]}}]"#,
        );
        for allowance in TRUTHS {
            for denial in TRUTHS {
                let asked = Letters([allowance, denial]);
                let decision = |fallback| {
                    let rules: Vec<Rc<AccessRule>> = rules.clone();
                    match decide(rules.iter().map(|rule| &**rule), fallback, &asked) {
                        Decision::Allowed(_) => "allowed",
                        Decision::Denied(_) => "denied",
                        Decision::NoRule => "no rule",
                        Decision::Undecidable(..) => "undecidable",
                        Decision::Later => "later",
                    }
                };
                let of_denials = match denial {
                    Truth::Yes => Some("denied"),
                    Truth::Unknown(_) => Some("undecidable"),
                    Truth::Later => Some("later"),
                    Truth::No => None,
                };
                let of_allowances = match allowance {
                    Truth::Yes => "allowed",
                    Truth::Unknown(_) => "undecidable",
                    Truth::Later => "later",
                    Truth::No => "no rule",
                };
                let expected = of_denials.unwrap_or(of_allowances);
                assert_eq!(
                    decision(Fallback::Deny),
                    expected,
                    "{allowance:?} {denial:?}"
                );
                let expected = of_denials.unwrap_or("allowed");
                assert_eq!(
                    decision(Fallback::Allow),
                    expected,
                    "{allowance:?} {denial:?}"
                );
            }
        }
    }
}
