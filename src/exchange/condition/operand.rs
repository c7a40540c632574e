//! What conditions look at.

use super::test::{Kinds, kinds_of};
use super::{ClaimPath, Undecidable};
use crate::exchange::Request;
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::compact::{Compact, Items, Value};
use portcullis_wire::json::{Json, Number};

/// A part of a request, or what is known of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A claim of the accepted token.
    Claim(ClaimPath, Scalars),
    /// A header field of the request.
    Header(HeaderName),
    /// Whether there is an accepted token.
    Identity,
}

/// How tests of text read the numbers and booleans of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalars {
    /// They are no texts: `"1"` is not `1`.
    Typed,
    /// They are texts as well, as JSON writes them: `"1"` is `1`.
    Spelled,
}

/// What can be looked at.
#[derive(Clone, Copy, Debug)]
pub struct View<'v> {
    /// The request.
    pub request: Request<'v>,
    /// The claims of the accepted token, once there is one.
    pub claims: Option<&'v Compact>,
    /// What comparing may still cost.
    pub effort: &'v Effort,
}

/// What an operand has in a request.
#[derive(Clone, Copy)]
pub(super) enum Found<'v> {
    /// It is not there.
    Nothing,
    /// A value of JSON.
    Json(Value<'v>, Scalars),
    /// The value of a header field.
    Field(&'v [u8]),
}

/// A step of the effort is enough to see whether so many bytes are text.
const BYTES_READ_BY_A_STEP: u64 = 8;
/// A step of the effort is enough to read so many bytes of a number.
const DIGITS_READ_BY_A_STEP: u64 = 2;

impl Operand {
    /// What may be found in a claim.
    pub const CLAIM: Kinds = Kinds::TEXT
        .or(Kinds::NUMBER)
        .or(Kinds::BOOLEAN)
        .or(Kinds::LIST)
        .or(Kinds::ABSENCE);
    /// What may be found in a header field.
    pub const HEADER: Kinds = Kinds::TEXT.or(Kinds::NUMERAL).or(Kinds::ABSENCE);

    /// Whether it is known only once a token has been accepted, and not from the request alone.
    pub fn needs_identity(&self) -> bool {
        match self {
            Operand::Claim(..) | Operand::Identity => true,
            Operand::Header(_) => false,
        }
    }

    /// The header field that it is, if it is one.
    pub fn header(&self) -> Option<&HeaderName> {
        match self {
            Operand::Header(name) => Some(name),
            Operand::Claim(..) | Operand::Identity => None,
        }
    }

    /// What it has in claims; none if it looks at something else.
    pub(super) fn find_claim<'v>(&self, claims: &'v Compact) -> Option<Found<'v>> {
        match self {
            Operand::Claim(path, scalars) => Some(Found::json(path.value(claims), *scalars)),
            Operand::Header(_) | Operand::Identity => None,
        }
    }

    /// What it has.
    ///
    /// # Errors
    /// [`Undecidable::Repeated`].
    pub(super) fn find<'v>(&self, view: &View<'v>) -> Result<Found<'v>, Undecidable> {
        Ok(match self {
            Operand::Claim(path, scalars) => {
                let value = view.claims.and_then(|claims| path.value(claims));
                Found::json(value, *scalars)
            }
            Operand::Header(name) => {
                let value = view.request.headers.one(name.as_str());
                let value = value.map_err(|_| Undecidable::Repeated)?;
                value.map_or(Found::Nothing, Found::Field)
            }
            Operand::Identity => match view.claims {
                Some(_) => Found::Json(Value::Null, Scalars::Typed),
                None => Found::Nothing,
            },
        })
    }
}

impl<'v> Found<'v> {
    fn json(value: Option<Value<'v>>, scalars: Scalars) -> Self {
        value.map_or(Found::Nothing, |value| Found::Json(value, scalars))
    }

    /// What it is, in JSON's words; none if it is not there.
    pub(super) fn kind(self) -> Option<&'static str> {
        match self {
            Found::Nothing => None,
            Found::Json(value, _) => Some(value.kind()),
            Found::Field(_) => Some("string"),
        }
    }

    /// The kinds that it is.
    pub(super) fn kinds(self) -> Kinds {
        match self {
            Found::Nothing => Kinds::NONE,
            Found::Json(value, _) => kinds_of(value),
            Found::Field(_) => Kinds::TEXT.or(Kinds::NUMERAL),
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
            Found::Field(bytes) => {
                effort.spend(bytes.len() as u64 / BYTES_READ_BY_A_STEP)?;
                std::str::from_utf8(bytes).ok()
            }
        })
    }

    /// It as a number, if it is one: of JSON, or a header field with one and nothing else.
    pub(super) fn number(self, effort: &Effort) -> Result<Option<Number>, TooCostly> {
        let text = match self {
            Found::Json(Value::Number(text), _) => Some(text),
            Found::Json(..) | Found::Nothing => None,
            Found::Field(_) => self.text(effort)?,
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
