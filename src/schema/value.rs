//! A JSON value as a peer sent it, or as a schema compares with.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::cost::search_steps;
use portcullis_wire::json::Json;
use portcullis_wire::json::decimal::Decimal;
use portcullis_wire::json_gate::Shape;
use portcullis_wire::sort::sort;

/// A JSON value. Numbers are exact; strings borrow from the text where nothing in them is escaped.
///
/// The order between values means nothing; equal values are equal in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Decimal),
    /// A string.
    String(Cow<'t, str>),
    /// An array.
    Array(Vec<Value<'t>>),
    /// An object.
    Object(Members<'t>),
}

/// The members of an object in the order of their names that `by_length` has, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Members<'t> {
    sorted: Vec<(Cow<'t, str>, Value<'t>)>,
}

/// A name that an object has twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twice;

impl<'t> Members<'t> {
    /// Sorts members.
    ///
    /// # Errors
    /// [`Twice`] when a name is there twice.
    pub fn new(mut members: Vec<(Cow<'t, str>, Value<'t>)>) -> Result<Self, Twice> {
        sort(&mut members, |one, other| by_length(&one.0, &other.0));
        let twice = members
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one.0 == other.0));
        if twice {
            return Err(Twice);
        }
        Ok(Self { sorted: members })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Whether there is one of that name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of that name.
    pub fn member(&self, name: &str) -> Option<&Value<'t>> {
        let (_, value) = self.sorted.get(self.find(name)?)?;
        Some(value)
    }

    /// What it costs to look one up, in steps of an effort.
    pub(super) fn search_steps(&self) -> u64 {
        search_steps(self.len())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'t>)> {
        self.sorted
            .iter()
            .map(|(name, value)| (name.as_ref(), value))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.sorted
            .binary_search_by(|(each, _)| by_length(each, name))
            .ok()
    }
}

/// The order of names: shorter ones first, as lengths are quicker to compare than bytes.
pub(super) fn by_length(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

impl Value<'_> {
    /// How many bytes of memory a value of that shape takes, at most.
    pub(super) fn memory(shape: &Shape) -> usize {
        /// What the allocator needs for each piece, at most.
        const BESIDE: usize = 16;
        let alone = shape.values.saturating_sub(shape.members);
        let members = size_of::<(Cow<'_, str>, Value<'_>)>();
        let pieces = shape.lengths().len().saturating_add(shape.apart);
        [
            alone.saturating_mul(size_of::<Value<'_>>()),
            shape.members.saturating_mul(members),
            pieces.saturating_mul(BESIDE),
            shape.apart_bytes,
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// What it costs to compare it, as a multiple of what a small value costs.
    pub(super) fn size(&self) -> u64 {
        let long = |bytes: usize| u64::try_from(bytes / 64).unwrap_or(u64::MAX);
        match self {
            Value::Null | Value::Bool(_) => 1,
            Value::Number(number) => number.size(),
            Value::String(text) => long(text.len()).saturating_add(1),
            Value::Array(items) => items.iter().map(Value::size).fold(1, u64::saturating_add),
            Value::Object(members) => {
                let sizes = members.iter().map(|(name, value)| {
                    let size = value.size().saturating_add(1);
                    size.saturating_add(long(name.len()))
                });
                sizes.fold(1, u64::saturating_add)
            }
        }
    }
}

impl Value<'static> {
    /// The value of a document.
    pub fn of(json: &Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Number(number.decimal()),
            Json::String(text) => Value::String(Cow::Owned(text.clone())),
            Json::Array(items) => Value::Array(items.iter().map(Value::of).collect()),
            Json::Object(object) => {
                let member =
                    |(name, value): (&str, &Json)| (Cow::Owned(name.to_owned()), Value::of(value));
                let members = Members::new(object.iter().map(member).collect());
                // The document has been read, so no name is there twice.
                Value::Object(members.unwrap_or_default())
            }
        }
    }
}
