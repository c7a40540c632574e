//! `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`.

use std::cmp::Ordering;

use crate::check::{At, Check, Seen};
use crate::cursor::SchemaCursor;
use crate::dialect::Dialect;
use crate::rule::{Keyword, Outcome};
use crate::value::Value;
use crate::walk::Demand;
use portcullis_wire::json::Json;
use portcullis_wire::json::decimal::Decimal;

/// A bound, and how a number may not compare with it.
struct Bound {
    bound: Decimal,
    wrong: Ordering,
    /// Whether the bound itself is wrong as well.
    excluded: bool,
}

/// Multiples of this.
struct Multiple(Decimal);

impl Keyword for Bound {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Number(number) = value else {
            return Outcome::Holds;
        };
        check.spend(number.size());
        let order = number.cmp(&self.bound);
        let wrong = order == self.wrong || (self.excluded && order == Ordering::Equal);
        Outcome::of(!wrong)
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.bound(&self.bound, self.wrong, self.excluded)
    }
}

impl Keyword for Multiple {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Number(number) = value else {
            return Outcome::Holds;
        };
        check.spend(number.division_steps(&self.0));
        Outcome::of(!check.is_exhausted() && number.is_multiple_of(&self.0))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.divisor(&self.0)
    }
}

pub(super) fn compile_minimum(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let excluded = has_flag(subject, "exclusiveMinimum");
    bound(subject, Ordering::Less, excluded)
}

pub(super) fn compile_maximum(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let excluded = has_flag(subject, "exclusiveMaximum");
    bound(subject, Ordering::Greater, excluded)
}

pub(super) fn compile_exclusive_minimum(
    subject: &mut SchemaCursor<'_, '_>,
) -> Option<Box<dyn Keyword>> {
    exclusive(subject, Ordering::Less)
}

pub(super) fn compile_exclusive_maximum(
    subject: &mut SchemaCursor<'_, '_>,
) -> Option<Box<dyn Keyword>> {
    exclusive(subject, Ordering::Greater)
}

pub(super) fn compile_multiple_of(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let number = subject.number()?;
    if number.is_zero() || number.is_negative() {
        subject.report("must be a number greater than 0");
        return None;
    }
    Some(Box::new(Multiple(number)))
}

/// In OpenAPI 3.0 it is a flag that belongs to `minimum` or `maximum`.
fn exclusive(subject: &mut SchemaCursor<'_, '_>, wrong: Ordering) -> Option<Box<dyn Keyword>> {
    if subject.dialect != Dialect::OpenApi30 {
        return bound(subject, wrong, true);
    }
    if !matches!(subject.value, Json::Bool(_)) {
        subject.report("must be true or false in OpenAPI 3.0");
    }
    None
}

fn has_flag(subject: &SchemaCursor<'_, '_>, name: &str) -> bool {
    let flag = subject.sibling(name) == Some(&Json::Bool(true));
    flag && subject.dialect == Dialect::OpenApi30
}

fn bound(
    subject: &mut SchemaCursor<'_, '_>,
    wrong: Ordering,
    excluded: bool,
) -> Option<Box<dyn Keyword>> {
    let bound = subject.number()?;
    Some(Box::new(Bound {
        bound,
        wrong,
        excluded,
    }))
}
