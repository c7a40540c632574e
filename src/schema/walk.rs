//! Judging a text while the gate walks over it, without a value being made of it.
//!
//! A walk only ever says that a text is valid, or nothing. Whatever it finds wrong, does not know, or
//! would take too long, is judged by the slow way ([`crate::check`]), which alone says what is wrong: so
//! both agree by being one. What the walk counts as work is never less than what the slow way would
//! count, so that a text which it takes is one for which the effort would have been enough.
//!
//! Not every schema can be judged so. A keyword takes part by
//! [`crate::rule::Keyword::demand`]; a schema that leads to one that does not is left to the slow way as
//! a whole, and so is one of which it cannot be told beforehand which single schema an array or
//! object has to be judged by. Patterns come last, when all else holds.

use std::cell::Cell;

use crate::check::{Body, MAX_DEPTH, Node, SchemaId};
use crate::cost::{KEYWORD_STEPS, SCHEMA_STEPS};
use crate::type_set::TypeSet;
pub(crate) use crate::walk_demand::{Demand, Together};
pub(crate) use crate::walk_judge::{Judge, Level, Patterns, Walked, judge};
use portcullis_wire::json_gate::Kind;

/// What schemas ask, each in the place that it has among them.
#[derive(Default)]
pub(crate) struct Plan {
    schemas: Vec<Planned>,
}

pub(crate) struct Planned {
    pub(crate) id: SchemaId,
    pub(crate) demand: Demand,
    /// By whom an array is judged, and an object.
    pub(crate) inside: [Inside; 2],
    /// What all schemas that judge the same value cost together, at most.
    pub(crate) steps: u64,
    /// How many of them are evaluated within one another.
    pub(crate) nested: usize,
    /// Whether a pattern is among them.
    pub(crate) has_pattern: bool,
    /// Whether a text can be judged by it on the walk, where formats are not asserted and where they are.
    pub(crate) walks: [bool; 2],
    pub(crate) credit: Cell<u8>,
}

/// Whether a walk is likely to take the next text of a schema. One that it does not take costs more than if
/// it had not been tried; so whoever sends such texts, one after the other, makes nobody try.
const FULL_CREDIT: u8 = 12;
const CREDIT_OF_A_WALK: u8 = 4;

/// What becomes of what is in an array or object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// There may be no such value.
    Wrong,
    /// Nobody asks.
    Free,
    /// It is as that schema asks, and nobody else asks anything.
    By(SchemaId),
    /// There is no telling.
    Unknown,
}

/// How deep schemas that judge the same value may be within one another.
const MOST_NESTED: usize = 16;

impl Plan {
    pub(crate) fn of(nodes: &[Node]) -> Self {
        let mut plan = Self {
            schemas: nodes.iter().enumerate().map(Planned::of).collect(),
        };
        let mut done = vec![false; nodes.len()];
        for index in 0..nodes.len() {
            plan.settle(SchemaId(index), 0, &mut done);
        }
        plan.spread();
        plan
    }

    pub(crate) fn get(&self, id: SchemaId) -> Option<&Planned> {
        self.schemas.get(id.0)
    }

    /// Whether texts can be judged by that schema on the walk.
    pub(crate) fn walks(&self, id: SchemaId, asserts_formats: bool) -> bool {
        let planned = self.get(id);
        planned.is_some_and(|planned| match planned.walks {
            [_, walks] if asserts_formats => walks,
            [walks, _] => walks,
        })
    }

    /// Whether a walk is worth trying.
    pub(crate) fn is_promising(&self, id: SchemaId) -> bool {
        let planned = self.get(id);
        planned.is_some_and(|planned| planned.credit.get() >= CREDIT_OF_A_WALK)
    }

    /// Notes whether a walk took a text.
    pub(crate) fn walked(&self, id: SchemaId, taken: bool) {
        self.change_credit(id, |credit| match taken {
            true => credit.saturating_add(CREDIT_OF_A_WALK),
            false => credit.saturating_sub(CREDIT_OF_A_WALK),
        });
    }

    /// Notes that a text was valid that no walk has been tried on: it might have taken it.
    pub(crate) fn valid_without(&self, id: SchemaId) {
        self.change_credit(id, |credit| credit.saturating_add(1));
    }

    fn change_credit(&self, id: SchemaId, change: impl Fn(u8) -> u8) {
        if let Some(planned) = self.get(id) {
            let credit = change(planned.credit.get());
            planned.credit.set(credit.min(FULL_CREDIT));
        }
    }

    /// Finds out what the schemas that judge the same value come to, those further in first.
    fn settle(&mut self, id: SchemaId, depth: usize, done: &mut [bool]) {
        match done.get_mut(id.0) {
            Some(done) if !*done => *done = true,
            _ => return,
        }
        let Some(planned) = self.get(id) else {
            return;
        };
        let under: Vec<SchemaId> = planned
            .demand
            .together
            .iter()
            .flat_map(Together::schemas)
            .collect();
        if depth < MOST_NESTED {
            for each in under {
                self.settle(each, depth.saturating_add(1), done);
            }
        }
        let Some(planned) = self.get(id) else {
            return;
        };
        let (mut steps, mut nested) = (planned.demand.steps, 0);
        let mut has_pattern = !planned.demand.patterns.is_empty();
        let mut sound = true;
        for together in &planned.demand.together {
            for each in together.schemas() {
                let Some(each) = self.get(each) else {
                    sound = false;
                    continue;
                };
                steps = steps.saturating_add(each.steps);
                nested = nested.max(each.nested);
                has_pattern |= each.has_pattern;
                // A pattern is looked for at the end, when it is too late to try another branch.
                sound &= !(each.has_pattern && together.is_tried());
            }
        }
        let nested = nested.saturating_add(1);
        let inside = [Kind::Array, Kind::Object].map(|kind| self.inside(planned, kind));
        sound &= nested <= MOST_NESTED && !inside.contains(&Inside::Unknown);
        if let Some(planned) = self.schemas.get_mut(id.0) {
            planned.walks = planned.walks.map(|walks| walks && sound);
            (planned.steps, planned.nested) = (steps, nested);
            (planned.has_pattern, planned.inside) = (has_pattern, inside);
        }
    }

    /// By whom a value of that kind is judged.
    fn inside(&self, planned: &Planned, kind: Kind) -> Inside {
        let demand = &planned.demand;
        let (own, asks) = match kind {
            Kind::Array => (TypeSet::ARRAY, demand.asks_arrays()),
            Kind::Object => (TypeSet::OBJECT, !demand.object.is_none()),
        };
        if !demand.kinds.has(own) {
            return Inside::Wrong;
        }
        let mut found = match asks {
            true => Inside::By(planned.id),
            false => Inside::Free,
        };
        for together in &demand.together {
            let of = |id: SchemaId| {
                self.get(id)
                    .map_or(Inside::Unknown, |each| each.of_kind(kind))
            };
            let all = |ids: &[SchemaId]| {
                ids.iter()
                    .fold(Inside::Free, |found, id| found.and(of(*id)))
            };
            let inside = match together {
                Together::All(ids) => all(ids),
                Together::Any(ids) | Together::One(ids) => {
                    let mut live = ids
                        .iter()
                        .map(|id| of(*id))
                        .filter(|each| *each != Inside::Wrong);
                    match (live.next(), live.next()) {
                        (None, _) => Inside::Wrong,
                        (Some(only), None) => only,
                        _ => Inside::Unknown,
                    }
                }
                Together::Not(id) => of(*id).not(),
                Together::If(condition, then, otherwise) => {
                    let branch = match of(*condition) {
                        Inside::Free => Some(then),
                        Inside::Wrong => Some(otherwise),
                        Inside::By(_) | Inside::Unknown => None,
                    };
                    branch.map_or(Inside::Unknown, |id| id.map_or(Inside::Free, of))
                }
            };
            found = found.and(inside);
        }
        found
    }

    /// Whoever leads to a schema that cannot be judged on the walk cannot either.
    fn spread(&mut self) {
        let mut parents: Vec<Vec<SchemaId>> = self.schemas.iter().map(|_| Vec::new()).collect();
        for (index, planned) in self.schemas.iter().enumerate() {
            for id in planned.under() {
                if let Some(parents) = parents.get_mut(id.0) {
                    parents.push(SchemaId(index));
                }
            }
        }
        for mode in 0..2 {
            let blocked = |planned: &Planned| planned.walks.get(mode) == Some(&false);
            let mut open: Vec<SchemaId> = self
                .schemas
                .iter()
                .enumerate()
                .filter(|(_, planned)| blocked(planned))
                .map(|(index, _)| SchemaId(index))
                .collect();
            while let Some(id) = open.pop() {
                for parent in parents.get(id.0).into_iter().flatten() {
                    let planned = self.schemas.get_mut(parent.0);
                    let walks = planned.and_then(|planned| planned.walks.get_mut(mode));
                    if let Some(walks) = walks.filter(|walks| **walks) {
                        *walks = false;
                        open.push(*parent);
                    }
                }
            }
        }
    }

    /// How many arrays and objects may be within one another so that schemas are not evaluated too deep
    /// within one another.
    pub(crate) fn deepest(&self) -> usize {
        let nested = self.schemas.iter().map(|planned| planned.nested).max();
        let levels = MAX_DEPTH.checked_div(nested.unwrap_or(1).max(1));
        levels.unwrap_or(0).saturating_sub(1)
    }
}

impl Planned {
    fn of((index, node): (usize, &Node)) -> Self {
        let mut demand = Demand::none(SCHEMA_STEPS);
        let mut sound = true;
        match &node.body {
            Body::Anything => {}
            Body::Nothing(_) => {
                demand.kinds(TypeSet::NONE);
            }
            Body::Rules { rules, .. } => {
                for rule in rules {
                    demand.steps = demand.steps.saturating_add(KEYWORD_STEPS);
                    sound &= rule.keyword.demand(&mut demand);
                }
            }
        }
        let formats = !demand.has_format;
        Self {
            id: SchemaId(index),
            demand,
            inside: [Inside::Unknown; 2],
            steps: 0,
            nested: MOST_NESTED.saturating_add(1),
            has_pattern: true,
            walks: [sound, sound && formats],
            credit: Cell::new(FULL_CREDIT),
        }
    }

    pub(crate) fn of_kind(&self, kind: Kind) -> Inside {
        let [array, object] = self.inside;
        match kind {
            Kind::Array => array,
            Kind::Object => object,
        }
    }

    /// The schemas that it leads to.
    fn under(&self) -> impl Iterator<Item = SchemaId> {
        let together = self.demand.together.iter().flat_map(Together::schemas);
        together.chain(self.demand.inner())
    }
}

impl Inside {
    /// What both come to. What rules a value out before anything else has been asked costs nothing more; where
    /// something else may have been, it might have cost too much.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Inside::Free, other) => other,
            (Inside::Wrong, _) => Inside::Wrong,
            (one, Inside::Free) => one,
            (Inside::By(_) | Inside::Unknown, _) => Inside::Unknown,
        }
    }

    fn not(self) -> Self {
        match self {
            Inside::Wrong => Inside::Free,
            Inside::Free => Inside::Wrong,
            Inside::By(_) | Inside::Unknown => Inside::Unknown,
        }
    }
}
