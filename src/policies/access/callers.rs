//! As whom a rule meets a request for which several credentials were accepted.

use portcullis_exchange::exchange::Facts;
use portcullis_wire::effort::Effort;

use super::decision::{Truth, all};
use super::from;
use super::request::CallerIdentity;
use super::rule::{AccessRule, FieldTest, Group, Need, RuleAction, Values};

/// Everybody whom the credentials of a request name.
#[derive(Clone, Copy)]
pub(super) struct Callers<'c> {
    /// Who calls.
    first: CallerIdentity<'c>,
    facts: &'c Facts,
    /// Whether another credential may be accepted at the end of the body.
    names_another_late: bool,
}

impl<'c> Callers<'c> {
    pub(super) fn new(
        first: CallerIdentity<'c>,
        facts: &'c Facts,
        names_another_late: bool,
    ) -> Self {
        Self {
            first,
            facts,
            names_another_late,
        }
    }

    /// Each of them, who calls first.
    pub(super) fn all(self) -> impl Iterator<Item = CallerIdentity<'c>> {
        let beside = self.facts.named().skip(1).map(CallerIdentity::Known);
        let is_late = self.names_another_late && matches!(self.first, CallerIdentity::Known(_));
        let late = is_late.then_some(CallerIdentity::KnownLater);
        std::iter::once(self.first).chain(beside).chain(late)
    }

    /// Of whom a field of a rule is asked: of who calls. A group of a denial that says who is meant is asked of
    /// each, and all of its fields of the same one: a stolen key is denied beside a token that is not.
    pub(super) fn met_by(
        self,
        rule: &AccessRule,
        test: &FieldTest,
        effort: &Effort,
    ) -> CallerIdentity<'c> {
        if rule.action == RuleAction::Allow || self.all().nth(1).is_none() {
            return self.first;
        }
        let mut groups = rule.from.iter();
        let group = groups.find(|group| group.tests.iter().any(|each| each.part == test.part));
        let Some(group) = group.filter(|group| of_caller(group).any(says_who)) else {
            return self.first;
        };
        let mut met = (self.first, Truth::No);
        for caller in self.all() {
            let tests = of_caller(group);
            let truths = tests
                .map(|test| from::holds(&test.values, caller, effort).negated_if(test.is_negated));
            let truth = all(truths);
            if rank(truth) > rank(met.1) {
                met = (caller, truth);
            }
        }
        met.0
    }
}

/// The fields of a group that are of who calls.
fn of_caller(group: &Group) -> impl Iterator<Item = &FieldTest> {
    let tests = group.tests.iter();
    tests.filter(|test| test.values.need() == Need::Identity)
}

/// Whether a field says who is meant, and not only who is not.
fn says_who(test: &FieldTest) -> bool {
    !test.is_negated && !matches!(test.values, Values::Authenticated(_))
}

fn rank(truth: Truth) -> u8 {
    match truth {
        Truth::No => 0,
        Truth::Unknown(_) => 1,
        Truth::Later => 2,
        Truth::Yes => 3,
    }
}
