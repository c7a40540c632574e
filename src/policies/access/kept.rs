//! What is known of rules while the body comes that the rest of them waits for.

use std::rc::Rc;

use portcullis_exchange::condition::{self, BodyMembers, View};
use portcullis_exchange::exchange::Facts;
use portcullis_wire::budget::{self, Reservation, Share};

use super::callers::Callers;
use super::decision::{Fault, RequestFacts, Truth, matches};
use super::request::{CallerIdentity, Head, holds};
use super::rule::{AccessRule, FieldTest, RuleCondition, Values};
use super::schedule::RuleSchedule;
use super::{from, to};
use portcullis_wire::effort::Effort;
use portcullis_wire::sort;

/// The rules of one part of a chain that may match.
pub(super) struct Kept {
    /// Of which part they are.
    pub(super) part: u8,
    rules: Vec<KeptRule>,
    /// Where each of them stands there, in order of its address: there may be thousands, and each part of each
    /// is asked for.
    places: Vec<(usize, usize)>,
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

/// What a rule that is kept takes beside its parts: lists that grow may have twice as much room.
const EACH: usize = (size_of::<KeptRule>() + size_of::<(usize, usize)>()) * 2;

impl Kept {
    /// What the head says of these rules. None if there is no memory for it.
    pub(super) fn of<'r>(
        part: u8,
        rules: impl Iterator<Item = (&'r Rc<AccessRule>, bool)>,
        asked: &Head<'_>,
    ) -> Option<Self> {
        let mut kept: Vec<KeptRule> = Vec::new();
        let mut places = Vec::new();
        let mut memory = budget::reserve(Share::Streams, 0)?;
        for (rule, is_in_force) in rules {
            if matches(rule, asked as &dyn RequestFacts) == Truth::No {
                continue;
            }
            let parts_size = rule.parts.saturating_mul(size_of::<Truth>());
            if !memory.grow(parts_size.saturating_add(EACH)) {
                return None;
            }
            places.push((address(rule), kept.len()));
            kept.push(KeptRule {
                rule: Rc::clone(rule),
                is_in_force,
                parts: parts(rule, asked),
            });
        }
        sort::sort(&mut places, Ord::cmp);
        let whens = kept.iter().flat_map(|kept| kept.rule.when.iter());
        let head = condition::Kept::of(whens.map(|when| &when.condition), asked.view())?;
        Some(Self {
            part,
            head,
            rules: kept,
            places,
            _memory: memory,
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
        let found = self
            .places
            .binary_search_by_key(&address(rule), |each| each.0);
        let place = found.ok().and_then(|found| self.places.get(found));
        let found = place.and_then(|(_, place)| self.rules.get(*place));
        let truth = found.and_then(|kept| kept.parts.get(part).copied());
        truth.unwrap_or(Truth::No)
    }
}

fn address(rule: &AccessRule) -> usize {
    std::ptr::from_ref(rule).addr()
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
    callers: Callers<'w>,
    facts: &'w Facts,
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
            callers: Callers::new(caller, facts, false),
            facts,
            view: View::later(&kept.head, body, effort)
                .of(caller.claims())
                .versioned(facts.told_version()),
        }
    }
}

impl RequestFacts for Whole<'_> {
    fn field(&self, rule: &AccessRule, test: &FieldTest) -> Truth {
        match self.kept.said(rule, test.part) {
            Truth::Later => {
                let effort = self.view.effort();
                if let Values::Graphql(fields) = &test.values {
                    let unread = Truth::Unknown(Fault::Graphql);
                    return to::asks_for(fields, rule.action, test, self.facts, unread, effort);
                }
                let caller = self.callers.met_by(rule, test, effort);
                from::holds(&test.values, caller, effort)
            }
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
