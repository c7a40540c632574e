//! What one schema asks of a value, as far as that can be told while the value is walked over.

use std::cmp::Ordering;

use portcullis_wire::json::decimal::Decimal;
use portcullis_wire::regex::Regex;

use crate::check::SchemaId;
use crate::type_set::TypeSet;
use crate::value::Value;
use crate::walk_number::{Divisor, NumberBound};
use crate::walk_object::ObjectDemand;

/// What one schema asks. Each of its keywords adds to it.
pub(crate) struct Demand {
    pub(super) kinds: TypeSet,
    /// What it costs, at most, apart from what depends on the value and from the schemas under it.
    pub(super) steps: u64,
    pub(super) choices: Vec<Alternatives>,
    /// How many characters a string may have.
    pub(super) characters: Range,
    /// By how many keywords.
    pub(super) lengths: u64,
    pub(super) patterns: Vec<Regex>,
    pub(super) bounds: Vec<NumberBound>,
    pub(super) divisors: Vec<Divisor>,
    /// How many items an array may have.
    pub(super) item_count: Range,
    pub(super) items: Option<SchemaId>,
    pub(super) object: ObjectDemand,
    pub(super) together: Vec<Together>,
    /// Whether it asks for a format where formats are asserted.
    pub(super) has_format: bool,
}

/// From the first to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range(usize, usize);

/// Schemas that judge the same value.
pub(crate) enum Together {
    /// All of them hold.
    All(Vec<SchemaId>),
    /// One of them does, or more.
    Any(Vec<SchemaId>),
    /// Exactly one.
    One(Vec<SchemaId>),
    /// It does not.
    Not(SchemaId),
    /// The second where the first holds, the third where it does not.
    If(SchemaId, Option<SchemaId>, Option<SchemaId>),
}

/// One of some values, none of which holds others.
pub(super) struct Alternatives {
    pub(super) null: bool,
    pub(super) truth: bool,
    pub(super) falsehood: bool,
    /// In their order.
    pub(super) texts: Vec<String>,
    /// In their order.
    pub(super) numbers: Vec<Decimal>,
}

impl Range {
    pub(super) const ALL: Self = Self(0, usize::MAX);

    pub(super) fn has(self, count: usize) -> bool {
        (self.0..=self.1).contains(&count)
    }

    /// Whether a string of so many bytes has as many characters; none if they have to be counted.
    pub(super) fn of_bytes(self, bytes: usize) -> Option<bool> {
        // A character has one to four bytes.
        let (fewest, most) = (bytes.div_ceil(4), bytes);
        if most < self.0 || fewest > self.1 {
            return Some(false);
        }
        (fewest >= self.0 && most <= self.1).then_some(true)
    }

    fn narrow(&mut self, least: usize, most: usize) {
        *self = Self(self.0.max(least), self.1.min(most));
    }
}

impl Demand {
    /// Nothing, by a schema of which so much is known to cost.
    pub(super) fn none(steps: u64) -> Self {
        Self {
            kinds: TypeSet::EVERY,
            steps,
            choices: Vec::new(),
            characters: Range::ALL,
            lengths: 0,
            patterns: Vec::new(),
            bounds: Vec::new(),
            divisors: Vec::new(),
            item_count: Range::ALL,
            items: None,
            object: ObjectDemand::default(),
            together: Vec::new(),
            has_format: false,
        }
    }

    /// A value of these kinds.
    pub(crate) fn kinds(&mut self, kinds: TypeSet) -> bool {
        self.kinds = self.kinds.and(kinds);
        true
    }

    /// One of these values, in their order, which costs so much at most. False if there is one among them that holds others.
    pub(crate) fn choice(&mut self, values: &[Value<'_>], steps: u64) -> bool {
        let mut choice = Alternatives {
            null: false,
            truth: false,
            falsehood: false,
            texts: Vec::new(),
            numbers: Vec::new(),
        };
        let mut kinds = TypeSet::NONE;
        for value in values {
            kinds = kinds.or(TypeSet::of(value));
            match value {
                Value::Null => choice.null = true,
                Value::Bool(true) => choice.truth = true,
                Value::Bool(false) => choice.falsehood = true,
                Value::Number(number) => choice.numbers.push(number.clone()),
                Value::String(text) => choice.texts.push(text.as_ref().to_owned()),
                Value::Array(_) | Value::Object(_) => return false,
            }
        }
        choice.texts.shrink_to_fit();
        self.choices.push(choice);
        self.steps = self.steps.saturating_add(steps);
        self.kinds(kinds)
    }

    /// A number that does not compare so with that one.
    pub(crate) fn bound(&mut self, bound: &Decimal, wrong: Ordering, excluded: bool) -> bool {
        self.bounds.push(NumberBound::new(bound, wrong, excluded));
        true
    }

    /// A multiple of that number.
    pub(crate) fn divisor(&mut self, divisor: &Decimal) -> bool {
        self.divisors.push(Divisor::new(divisor));
        true
    }

    /// A string of so many characters. False if no string has so many: whoever looks at one bound after the other
    /// may count the characters before that is told, which costs more than to look at both at once.
    pub(crate) fn characters(&mut self, least: usize, most: usize) -> bool {
        self.characters.narrow(least, most);
        self.lengths = self.lengths.saturating_add(1);
        self.characters.0 <= self.characters.1
    }

    /// A string in which that is found.
    pub(crate) fn pattern(&mut self, pattern: &Regex) -> bool {
        self.patterns.push(pattern.clone());
        true
    }

    /// A format.
    pub(crate) fn format(&mut self) -> bool {
        self.has_format = true;
        true
    }

    /// An array of so many items.
    pub(crate) fn item_count(&mut self, least: usize, most: usize) -> bool {
        self.item_count.narrow(least, most);
        true
    }

    /// An array of such items.
    pub(crate) fn items(&mut self, items: Option<SchemaId>) -> bool {
        self.items = items;
        true
    }

    /// An object of so many members.
    pub(crate) fn member_count(&mut self, least: usize, most: usize) -> bool {
        self.object.count.narrow(least, most);
        true
    }

    /// An object that has these members.
    pub(crate) fn required(&mut self, names: &[String]) -> bool {
        self.object.require(names)
    }

    /// An object with such members, those of other names being as the last one asks.
    pub(crate) fn properties(
        &mut self,
        named: &[(String, SchemaId)],
        others: Option<SchemaId>,
    ) -> bool {
        self.object.name(named, others);
        true
    }

    /// What other schemas ask of the same value.
    pub(crate) fn together(&mut self, together: Together) -> bool {
        self.together.push(together);
        true
    }

    /// Whether it asks anything of arrays by itself, but for there being one.
    pub(super) fn asks_arrays(&self) -> bool {
        self.items.is_some() || self.item_count != Range::ALL
    }

    /// The schemas that judge values in this one.
    pub(super) fn inner(&self) -> impl Iterator<Item = SchemaId> {
        self.items.into_iter().chain(self.object.schemas())
    }
}

impl Together {
    /// All of them.
    pub(super) fn schemas(&self) -> impl Iterator<Item = SchemaId> {
        let (list, three) = match self {
            Together::All(ids) | Together::Any(ids) | Together::One(ids) => {
                (ids.as_slice(), [None; 3])
            }
            Together::Not(id) => (&[][..], [Some(*id), None, None]),
            Together::If(condition, then, otherwise) => {
                (&[][..], [Some(*condition), *then, *otherwise])
            }
        };
        list.iter().copied().chain(three.into_iter().flatten())
    }

    /// Whether what holds under it need not hold for the value.
    pub(super) fn is_tried(&self) -> bool {
        !matches!(self, Together::All(_))
    }
}
