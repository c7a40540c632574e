//! What was found of an operand, and what it is to those who compare.

use std::borrow::Cow;

use super::operand::Scalars;
use super::test::{Kinds, kinds_of};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::compact::{Items, Value};
use portcullis_wire::json::{Json, Number};

/// What an operand has in a request.
#[derive(Clone, Copy)]
pub(super) enum Found<'v> {
    /// It is not there.
    Nothing,
    /// A value of JSON.
    Json(Value<'v>, Scalars),
    /// The value of a header field.
    Field(&'v [u8]),
    /// A text that has been decoded: of the query, or of the path.
    Text(&'v str, Letters),
}

/// The same, with its text where that has no other place.
pub(super) enum Held<'v> {
    Found(Found<'v>),
    Text(Cow<'v, str>, Letters),
}

/// Whether upper and lower case are the same to those who read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    AsWritten,
    /// They are. The text is folded.
    AnyCase,
}

/// A step of the effort is enough to see whether so many bytes are text.
const BYTES_READ_BY_A_STEP: u64 = 8;
/// A step of the effort is enough to read so many bytes of a number.
const DIGITS_READ_BY_A_STEP: u64 = 2;

impl Letters {
    pub(super) fn of(any_case: bool) -> Self {
        match any_case {
            true => Letters::AnyCase,
            false => Letters::AsWritten,
        }
    }
}

impl Held<'_> {
    pub(super) fn found(&self) -> Found<'_> {
        match self {
            Held::Found(found) => *found,
            Held::Text(text, letters) => Found::Text(text, *letters),
        }
    }
}

impl<'v> Found<'v> {
    pub(super) fn json(value: Option<Value<'v>>, scalars: Scalars) -> Self {
        value.map_or(Found::Nothing, |value| Found::Json(value, scalars))
    }

    /// A decoded text in which upper and lower case differ.
    pub(super) fn decoded(text: &'v str) -> Self {
        Found::Text(text, Letters::AsWritten)
    }

    /// What it is, in JSON's words; none if it is not there.
    pub(super) fn kind(self) -> Option<&'static str> {
        match self {
            Found::Nothing => None,
            Found::Json(value, _) => Some(value.kind()),
            Found::Field(_) | Found::Text(..) => Some("string"),
        }
    }

    /// The kinds that it is.
    pub(super) fn kinds(self) -> Kinds {
        match self {
            Found::Nothing => Kinds::NONE,
            Found::Json(value, _) => kinds_of(value),
            Found::Field(_) | Found::Text(..) => Kinds::TEXT.or(Kinds::NUMERAL),
        }
    }

    /// Whether upper and lower case are the same in it.
    pub(super) fn letters(self) -> Letters {
        match self {
            Found::Text(_, letters) => letters,
            _ => Letters::AsWritten,
        }
    }

    /// It as a text, if it is one.
    pub(super) fn text(self, effort: &Effort) -> Result<Option<&'v str>, TooCostly> {
        Ok(match self {
            Found::Nothing => None,
            Found::Json(Value::String(text), _)
            | Found::Json(Value::Number(text), Scalars::Spelled) => Some(text),
            Found::Json(Value::Bool(true), Scalars::Spelled) => Some("true"),
            Found::Json(Value::Bool(false), Scalars::Spelled) => Some("false"),
            Found::Json(..) => None,
            Found::Text(text, _) => Some(text),
            Found::Field(bytes) => {
                effort.spend(bytes.len() as u64 / BYTES_READ_BY_A_STEP)?;
                std::str::from_utf8(bytes).ok()
            }
        })
    }

    /// It as a number, if it is one: of JSON, or a text with one and nothing else that has no type.
    pub(super) fn number(self, effort: &Effort) -> Result<Option<Number>, TooCostly> {
        let text = match self {
            Found::Json(Value::Number(text), _) => Some(text),
            Found::Json(..) | Found::Nothing => None,
            Found::Field(_) | Found::Text(..) => self.text(effort)?,
        };
        let Some(text) = text else { return Ok(None) };
        effort.spend(text.len() as u64 / DIGITS_READ_BY_A_STEP)?;
        Ok(Number::parse(text))
    }

    /// Its items, if it is a list.
    pub(super) fn items(self) -> Option<(Items<'v>, Scalars)> {
        match self {
            Found::Json(Value::Array(items), scalars) => Some((items, scalars)),
            _ => None,
        }
    }

    /// Whether it is that number or boolean. Numbers are compared by value: `1` is `1.0`.
    /// Reading a number has the price of its digits, each time.
    pub(super) fn is(self, expected: &Json, effort: &Effort) -> Result<bool, TooCostly> {
        let Found::Json(value, _) = self else {
            return Ok(false);
        };
        Ok(match (expected, value) {
            (Json::Number(one), Value::Number(text)) => {
                effort.spend(1 + text.len() as u64 / DIGITS_READ_BY_A_STEP)?;
                let other = value.as_number();
                other.is_some_and(|other| one.is_same_value(&other))
            }
            (Json::Bool(one), Value::Bool(other)) => *one == other,
            _ => false,
        })
    }
}
