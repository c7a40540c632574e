//! `type`, `nullable`, `const`, `enum`.

use super::{Keyword, Outcome};
use crate::json::Json;
use crate::schema::check::{At, Check, Seen};
use crate::schema::sort::sort;
use crate::schema::subject::Subject;
use crate::schema::value::Value;

/// The kinds of value that a `type` allows, a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Types(u8);

const NULL: u8 = 1;
const BOOLEAN: u8 = 1 << 1;
const INTEGER: u8 = 1 << 2;
/// A number with a fraction.
const FRACTION: u8 = 1 << 3;
const STRING: u8 = 1 << 4;
const ARRAY: u8 = 1 << 5;
const OBJECT: u8 = 1 << 6;

/// One of these values, in their order.
struct Choice(Vec<Value<'static>>);

impl Keyword for Types {
    fn check(&self, _: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let kind = match value {
            Value::Null => NULL,
            Value::Bool(_) => BOOLEAN,
            Value::Number(number) if number.is_integer() => INTEGER,
            Value::Number(_) => FRACTION,
            Value::String(_) => STRING,
            Value::Array(_) => ARRAY,
            Value::Object(_) => OBJECT,
        };
        Outcome::of(self.0 & kind != 0)
    }
}

impl Keyword for Choice {
    fn check(&self, _: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        Outcome::of(self.0.binary_search_by(|each| each.cmp(value)).is_ok())
    }
}

pub(super) fn compile_type(subject: &mut Subject<'_, '_>) -> Option<Box<dyn Keyword>> {
    let types = match subject.value {
        Json::String(name) => kind(name),
        Json::Array(names) if !names.is_empty() => names.iter().try_fold(0, |types, name| {
            let kind = kind(name.as_str()?)?;
            Some(types | kind)
        }),
        _ => None,
    };
    let Some(types) = types else {
        subject.report(
            "must be one or more of \"null\", \"boolean\", \"integer\", \"number\", \"string\", \"array\", \"object\"",
        );
        return None;
    };
    let nullable = subject.sibling("nullable") == Some(&Json::Bool(true));
    Some(Box::new(Types(types | if nullable { NULL } else { 0 })))
}

/// OpenAPI 3.0: it widens the `type` beside it and does nothing without one.
pub(super) fn compile_nullable(subject: &mut Subject<'_, '_>) -> Option<Box<dyn Keyword>> {
    if !matches!(subject.value, Json::Bool(_)) {
        subject.report("must be true or false");
    }
    None
}

pub(super) fn compile_const(subject: &mut Subject<'_, '_>) -> Option<Box<dyn Keyword>> {
    Some(Box::new(Choice(vec![Value::of(subject.value)])))
}

pub(super) fn compile_enum(subject: &mut Subject<'_, '_>) -> Option<Box<dyn Keyword>> {
    let Json::Array(items) = subject.value else {
        subject.report("must be an array");
        return None;
    };
    let mut values: Vec<Value<'static>> = items.iter().map(Value::of).collect();
    sort(&mut values, Value::cmp);
    Some(Box::new(Choice(values)))
}

fn kind(name: &str) -> Option<u8> {
    Some(match name {
        "null" => NULL,
        "boolean" => BOOLEAN,
        "integer" => INTEGER,
        "number" => INTEGER | FRACTION,
        "string" => STRING,
        "array" => ARRAY,
        "object" => OBJECT,
        _ => return None,
    })
}
