//! `type`, `nullable`, `const`, `enum`.

use crate::check::{At, Check, Seen, Set};
use crate::cursor::SchemaCursor;
use crate::rule::{Keyword, Outcome};
use crate::type_set::TypeSet;
use crate::value::Value;
use crate::walk::Demand;
use portcullis_wire::json::Json;
use portcullis_wire::sort::sort;

/// A value of these kinds.
struct Types(TypeSet);

/// One of these values, in their order.
struct Choice {
    values: Vec<Value<'static>>,
    /// The size of the largest.
    size: u64,
}

impl Choice {
    fn new(values: Vec<Value<'static>>) -> Self {
        let size = values.iter().map(Value::size).max().unwrap_or(0);
        Self { values, size }
    }

    /// What it costs to look for a value of that size.
    fn steps(&self, size: u64) -> u64 {
        let rounds = self.values.len().checked_ilog2().unwrap_or(0);
        let rounds = u64::from(rounds).saturating_add(1);
        size.saturating_mul(rounds).saturating_mul(6)
    }
}

impl Keyword for Types {
    fn check(&self, _: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        Outcome::of(self.0.has(TypeSet::of(value)))
    }

    fn kinds(&self, _: &Set, _: usize) -> Option<TypeSet> {
        Some(self.0)
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.kinds(self.0)
    }
}

impl Keyword for Choice {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let size = match value {
            Value::Array(_) | Value::Object(_) => self.size,
            value => value.size().min(self.size),
        };
        check.spend(self.steps(size));
        if check.is_exhausted() {
            return Outcome::Fails;
        }
        Outcome::of(self.values.binary_search_by(|each| each.cmp(value)).is_ok())
    }

    fn kinds(&self, _: &Set, _: usize) -> Option<TypeSet> {
        self.values.iter().map(TypeSet::of).reduce(TypeSet::or)
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.choice(&self.values, self.steps(self.size))
    }
}

pub(super) fn compile_type(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let types = match subject.value {
        Json::String(name) => kind(name),
        Json::Array(names) if !names.is_empty() => {
            names.iter().try_fold(TypeSet::NONE, |types, name| {
                let kind = kind(name.as_str()?)?;
                Some(types.or(kind))
            })
        }
        _ => None,
    };
    let Some(types) = types else {
        subject.report(
            "must be one or more of \"null\", \"boolean\", \"integer\", \"number\", \"string\", \"array\", \"object\"",
        );
        return None;
    };
    let nullable = subject.sibling("nullable") == Some(&Json::Bool(true));
    Some(Box::new(Types(match nullable {
        true => types.or(TypeSet::NULL),
        false => types,
    })))
}

/// OpenAPI 3.0: it widens the `type` beside it and does nothing without one.
pub(super) fn compile_nullable(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    if !matches!(subject.value, Json::Bool(_)) {
        subject.report("must be true or false");
    }
    None
}

pub(super) fn compile_const(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    Some(Box::new(Choice::new(vec![Value::of(subject.value)])))
}

pub(super) fn compile_enum(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let Json::Array(items) = subject.value else {
        subject.report("must be an array");
        return None;
    };
    let mut values: Vec<Value<'static>> = items.iter().map(Value::of).collect();
    sort(&mut values, Value::cmp);
    Some(Box::new(Choice::new(values)))
}

fn kind(name: &str) -> Option<TypeSet> {
    Some(match name {
        "null" => TypeSet::NULL,
        "boolean" => TypeSet::BOOLEAN,
        "integer" => TypeSet::INTEGER,
        "number" => TypeSet::INTEGER.or(TypeSet::FRACTION),
        "string" => TypeSet::STRING,
        "array" => TypeSet::ARRAY,
        "object" => TypeSet::OBJECT,
        _ => return None,
    })
}
