//! What is known of rules while the body comes that the rest of them waits for.

use std::rc::Rc;

use portcullis_exchange::condition::{self, BodyMembers, View};
use portcullis_exchange::exchange::Facts;
use portcullis_wire::budget::{self, Reservation, Share};

use super::decision::{RequestFacts, Truth, matches};
use super::from;
use super::request::{CallerIdentity, Head, holds};
use super::rule::{AccessRule, FieldTest, RuleCondition};
use super::schedule::RuleSchedule;
use portcullis_wire::effort::Effort;

/// The rules of one part of a chain that may match.
pub(super) struct Kept {
    /// Of which part they are.
    pub(super) part: u8,
    rules: Vec<KeptRule>,
    /// What their conditions look at.
    head: condition::Kept,
    _memory: Reservation,
}

/// A rule of which it is not certain that it does not match.
pub(super) struct KeptRule {
    pub(super) rule: Rc<AccessRule>,
    pub(super) is_in_force: bool,
    /// Whether each of its parts holds.
    parts: Box<[Truth]>,
}

impl Kept {
    /// What the head says of these rules. None if there is no memory for it.
    pub(super) fn of<'r>(
        part: u8,
        rules: impl Iterator<Item = (&'r Rc<AccessRule>, bool)>,
        asked: &Head<'_>,
    ) -> Option<Self> {
        let mut kept: Vec<KeptRule> = Vec::new();
        let mut bytes = 0_usize;
        for (rule, is_in_force) in rules {
            if matches(rule, asked) == Truth::No {
                continue;
            }
            let size = rule.parts.saturating_mul(size_of::<Truth>());
            bytes = bytes
                .saturating_add(size)
                .saturating_add(size_of::<KeptRule>());
            kept.push(KeptRule {
                rule: Rc::clone(rule),
                is_in_force,
                parts: parts(rule, asked),
            });
        }
        let whens = kept.iter().flat_map(|kept| kept.rule.when.iter());
        let head = condition::Kept::of(whens.map(|when| &when.condition), asked.view())?;
        Some(Self {
            part,
            head,
            rules: kept,
            _memory: budget::reserve(Share::Streams, bytes)?,
        })
    }

    /// Its rules; all, or those in force.
    pub(super) fn rules(&self, all: bool) -> impl Iterator<Item = &AccessRule> + Clone {
        let rules = self
            .rules
            .iter()
            .filter(move |kept| all || kept.is_in_force);
        rules.map(|kept| &*kept.rule)
    }

    /// What the head said of a part of a rule; of one that is not kept it said that it does not match.
    fn said(&self, rule: &AccessRule, part: usize) -> Truth {
        let mut rules = self.rules.iter();
        let found = rules.find(|kept| std::ptr::eq(&*kept.rule, rule));
        let truth = found.and_then(|kept| kept.parts.get(part).copied());
        truth.unwrap_or(Truth::No)
    }
}

fn parts(rule: &AccessRule, asked: &dyn RequestFacts) -> Box<[Truth]> {
    let mut parts = vec![Truth::No; rule.parts];
    let fields = rule
        .tests()
        .map(|test| (test.part, asked.field(rule, test)));
    let conditions = rule.when.iter();
    let conditions = conditions.map(|when| (when.part, asked.condition(rule, when)));
    for (part, truth) in fields.chain(conditions) {
        if let Some(place) = parts.get_mut(part) {
            *place = truth;
        }
    }
    parts.into()
}

/// A request whose body has come.
pub(super) struct Whole<'w> {
    kept: &'w Kept,
    caller: CallerIdentity<'w>,
    view: View<'w>,
}

impl<'w> Whole<'w> {
    pub(super) fn new(
        kept: &'w Kept,
        facts: &'w Facts,
        body: &'w BodyMembers,
        effort: &'w Effort,
    ) -> Self {
        let caller = match &facts.principal {
            Some(principal) => CallerIdentity::Known(principal),
            None => CallerIdentity::Nobody,
        };
        Self {
            kept,
            caller,
            view: View::later(&kept.head, body, effort).of(caller.claims()),
        }
    }
}

impl RequestFacts for Whole<'_> {
    fn field(&self, rule: &AccessRule, test: &FieldTest) -> Truth {
        match self.kept.said(rule, test.part) {
            Truth::Later => from::holds(&test.values, self.caller, self.view.effort()),
            said => said,
        }
    }

    fn condition(&self, rule: &AccessRule, when: &RuleCondition) -> Truth {
        match self.kept.said(rule, when.part) {
            Truth::Later => holds(&when.condition, &self.view),
            said => said,
        }
    }

    /// What is kept was in time.
    fn time(&self, _: &RuleSchedule) -> bool {
        true
    }
}
