//! `allOf`, `anyOf`, `oneOf`, `not`, `if`, `then`, `else`, `dependentSchemas`.

use crate::check::{At, Check, SchemaId, Seen, Set};
use crate::cursor::SchemaCursor;
use crate::rule::{Keyword, Outcome};
use crate::type_set::TypeSet;
use crate::value::Value;
use crate::walk::{Demand, Together};

struct AllOf(Vec<SchemaId>);

struct AnyOf(Vec<SchemaId>);

struct OneOf(Vec<SchemaId>);

struct Not(SchemaId);

struct If {
    condition: SchemaId,
    then: Option<SchemaId>,
    otherwise: Option<SchemaId>,
}

/// Names, each with what an object that has it must be.
pub(super) struct DependentSchemas(pub(super) Vec<(String, SchemaId)>);

impl Keyword for AllOf {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let mut holds = true;
        for id in &self.0 {
            holds &= check.schema(*id, value, at, seen);
            if !holds && check.is_settled(at) {
                break;
            }
        }
        Outcome::within(holds)
    }

    fn kinds(&self, set: &Set, depth: usize) -> Option<TypeSet> {
        let kinds = self.0.iter().map(|id| set.kinds(*id, depth));
        kinds.reduce(TypeSet::and)
    }

    fn items(&self, set: &Set, depth: usize) -> Option<SchemaId> {
        self.0.iter().find_map(|id| set.items(*id, depth))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.together(Together::All(self.0.clone()))
    }
}

impl Keyword for AnyOf {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let mut holds = false;
        for id in &self.0 {
            let mut inner = seen.fresh();
            if check.schema(*id, value, at.quietly(), &mut inner) {
                holds = true;
                seen.merge(inner);
                if !seen.is_on() {
                    break;
                }
            }
            if check.is_exhausted() {
                break;
            }
        }
        Outcome::of(holds)
    }

    fn kinds(&self, set: &Set, depth: usize) -> Option<TypeSet> {
        set.any_kinds(&self.0, depth)
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.together(Together::Any(self.0.clone()))
    }
}

impl Keyword for OneOf {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let mut holds = false;
        for id in &self.0 {
            let mut inner = seen.fresh();
            if check.schema(*id, value, at.quietly(), &mut inner) {
                if holds {
                    return Outcome::Fails;
                }
                holds = true;
                seen.merge(inner);
            }
            if check.is_exhausted() {
                break;
            }
        }
        Outcome::of(holds)
    }

    fn kinds(&self, set: &Set, depth: usize) -> Option<TypeSet> {
        set.any_kinds(&self.0, depth)
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.together(Together::One(self.0.clone()))
    }
}

impl Keyword for Not {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, at: At<'_>, _: &mut Seen) -> Outcome {
        Outcome::of(!check.schema(self.0, value, at.quietly(), &mut Seen::Off))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.together(Together::Not(self.0))
    }
}

impl Keyword for If {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let mut inner = seen.fresh();
        let branch = if check.schema(self.condition, value, at.quietly(), &mut inner) {
            seen.merge(inner);
            self.then
        } else {
            self.otherwise
        };
        Outcome::within(branch.is_none_or(|id| check.schema(id, value, at, seen)))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.together(Together::If(self.condition, self.then, self.otherwise))
    }
}

impl Keyword for DependentSchemas {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let Value::Object(members) = value else {
            return Outcome::Holds;
        };
        check.spend_on(self.0.len(), members.search_steps());
        let mut holds = true;
        for (_, id) in self.0.iter().filter(|(name, _)| members.has(name)) {
            holds &= check.schema(*id, value, at, seen);
            if check.is_exhausted() {
                break;
            }
        }
        Outcome::within(holds)
    }
}

pub(super) fn compile_all_of(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    Some(Box::new(AllOf(subject.list_here()?)))
}

pub(super) fn compile_any_of(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    Some(Box::new(AnyOf(subject.list_here()?)))
}

pub(super) fn compile_one_of(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    Some(Box::new(OneOf(subject.list_here()?)))
}

pub(super) fn compile_not(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let place = subject.place("not");
    Some(Box::new(Not(subject.here("not", subject.value, place))))
}

pub(super) fn compile_if(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let mut branch = |keyword: &'static str| {
        let json = subject.sibling(keyword)?;
        let place = subject.place(keyword);
        Some(subject.here(keyword, json, place))
    };
    let (condition, then, otherwise) = (branch("if")?, branch("then"), branch("else"));
    Some(Box::new(If {
        condition,
        then,
        otherwise,
    }))
}

pub(super) fn compile_dependent_schemas(
    subject: &mut SchemaCursor<'_, '_>,
) -> Option<Box<dyn Keyword>> {
    let mut dependent = Vec::new();
    for (name, json, place) in subject.named("dependentSchemas")? {
        let id = subject.here("dependentSchemas", json, place);
        dependent.push((name.to_owned(), id));
    }
    Some(Box::new(DependentSchemas(dependent)))
}
