//! `$ref` and `$dynamicRef`.

use crate::check::{At, Check, SchemaId, Seen, Set};
use crate::cursor::SchemaCursor;
use crate::rule::{Keyword, Outcome};
use crate::type_set::TypeSet;
use crate::value::Value;
use crate::walk::{Demand, Together};

struct Reference(SchemaId);

/// Leads to the anchor of that name in the outermost resource that has one.
struct DynamicReference {
    name: String,
    otherwise: SchemaId,
}

impl Keyword for Reference {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        Outcome::within(check.schema(self.0, value, at, seen))
    }

    fn kinds(&self, set: &Set, depth: usize) -> Option<TypeSet> {
        Some(set.kinds(self.0, depth))
    }

    fn items(&self, set: &Set, depth: usize) -> Option<SchemaId> {
        set.items(self.0, depth)
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.together(Together::All(vec![self.0]))
    }
}

impl Keyword for DynamicReference {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let target = check.dynamic(&self.name, at).unwrap_or(self.otherwise);
        Outcome::within(check.schema(target, value, at, seen))
    }
}

pub(super) fn compile_ref(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let (target, _) = subject.refer()?;
    Some(Box::new(Reference(target)))
}

pub(super) fn compile_dynamic_ref(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let (otherwise, name) = subject.refer()?;
    // Without a dynamic anchor where it would lead as a `$ref`, it is one.
    Some(match name {
        Some(name) => Box::new(DynamicReference { name, otherwise }),
        None => Box::new(Reference(otherwise)),
    })
}
