//! Which kinds of value a schema can take, as far as its `type`, `enum` and `const` say so.
//!
//! What comes as text, a parameter for one, is read by it.

use super::check::{Body, SchemaId, Set};
use super::value::Value;

/// TypeSet of value, a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeSet(u8);

/// How many references are followed.
const MAX_DEPTH: usize = 16;

impl TypeSet {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(1 << 1);
    pub(super) const INTEGER: Self = Self(1 << 2);
    /// A number with a fraction.
    pub(super) const FRACTION: Self = Self(1 << 3);
    pub(super) const STRING: Self = Self(1 << 4);
    pub(super) const ARRAY: Self = Self(1 << 5);
    pub(super) const OBJECT: Self = Self(1 << 6);
    pub(super) const EVERY: Self = Self(0x7f);

    /// The kind of a value.
    pub(super) fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.is_integer() => Self::INTEGER,
            Value::Number(_) => Self::FRACTION,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    /// The kinds of both.
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The kinds that both have.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether one of `others` is among them.
    pub(super) fn has(self, others: Self) -> bool {
        self.and(others) != Self::NONE
    }

    /// Whether it tells whole numbers from others.
    pub(super) fn tells_numbers(self) -> bool {
        self.has(Self::INTEGER) != self.has(Self::FRACTION)
    }

    /// Whether nothing is said: every kind is among them.
    pub fn is_every(self) -> bool {
        self == Self::EVERY
    }

    /// Whether strings are among them.
    pub fn text(self) -> bool {
        self.has(Self::STRING)
    }

    /// Whether `true` and `false` are among them.
    pub fn boolean(self) -> bool {
        self.has(Self::BOOLEAN)
    }

    /// Whether whole numbers are among them.
    pub fn number(self) -> bool {
        self.has(Self::INTEGER)
    }

    /// Whether numbers with a fraction are among them.
    pub fn fraction(self) -> bool {
        self.has(Self::FRACTION)
    }

    /// Whether arrays are among them.
    pub fn array(self) -> bool {
        self.has(Self::ARRAY)
    }

    /// Whether objects are among them.
    pub fn object(self) -> bool {
        self.has(Self::OBJECT)
    }
}

impl Set {
    /// The kinds that a schema can take.
    pub(super) fn kinds(&self, id: SchemaId, depth: usize) -> TypeSet {
        let node = self.nodes.get(id.0).filter(|_| depth < MAX_DEPTH);
        match node.map(|node| &node.body) {
            None | Some(Body::Anything) => TypeSet::EVERY,
            Some(Body::Nothing(_)) => TypeSet::NONE,
            Some(Body::Rules { rules, .. }) => rules.iter().fold(TypeSet::EVERY, |kinds, rule| {
                let of_rule = rule.keyword.kinds(self, depth.saturating_add(1));
                kinds.and(of_rule.unwrap_or(TypeSet::EVERY))
            }),
        }
    }

    /// The kinds that one of these schemas can take.
    pub(super) fn any_kinds(&self, ids: &[SchemaId], depth: usize) -> Option<TypeSet> {
        let kinds = ids.iter().map(|id| self.kinds(*id, depth));
        kinds.reduce(TypeSet::or)
    }

    /// The schema that judges the items of an array, if there is one for all of them.
    pub(super) fn items(&self, id: SchemaId, depth: usize) -> Option<SchemaId> {
        let node = self.nodes.get(id.0).filter(|_| depth < MAX_DEPTH)?;
        let Body::Rules { rules, .. } = &node.body else {
            return None;
        };
        let mut items = rules.iter();
        items.find_map(|rule| rule.keyword.items(self, depth.saturating_add(1)))
    }
}
