//! What a keyword is: compiled, it judges; and a table says which there are.
//!
//! INVARIANT: nothing here knows a keyword, so that those who compile and check schemas do not depend
//! on the keywords, which depend on them.

use super::check::{At, Check, SchemaId, Seen, Set};
use super::cursor::SchemaCursor;
use super::dialect::Dialect;
use super::type_set::TypeSet;
use super::value::Value;
use super::walk::Demand;

/// One keyword of a schema, compiled.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) keyword: Box<dyn Keyword>,
}

/// What a keyword asks of a value.
pub(super) trait Keyword {
    /// Judges. `seen` takes which members or items it has looked at.
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome;

    /// Adds what it asks to what is asked of a text that is walked over. False if that cannot be told
    /// there; then texts are judged as values.
    ///
    /// What it holds for, and what it costs at most, must be what [`Self::check`] says.
    fn demand(&self, demand: &mut Demand) -> bool {
        let _ = demand;
        false
    }

    /// The kinds of value for which it can hold; none if it says nothing of them.
    fn kinds(&self, set: &Set, depth: usize) -> Option<TypeSet> {
        let _ = (set, depth);
        None
    }

    /// The schema that it applies to every item of an array.
    fn items(&self, set: &Set, depth: usize) -> Option<SchemaId> {
        let _ = (set, depth);
        None
    }
}

/// What a keyword says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// No objection.
    Holds,
    /// It does not hold.
    Fails,
    /// A schema under it does not, and has said so.
    FailsWithin,
}

impl Outcome {
    pub(super) fn of(holds: bool) -> Self {
        if holds {
            Outcome::Holds
        } else {
            Outcome::Fails
        }
    }

    pub(super) fn within(holds: bool) -> Self {
        if holds {
            Outcome::Holds
        } else {
            Outcome::FailsWithin
        }
    }
}

/// What a name means in a schema.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// It asks something. Those that one rule serves are compiled by the first of them that stands
    /// in the schema.
    Rule(Compile),
    /// It says something to readers.
    Annotation,
    /// It holds or names schemas, or belongs to another keyword.
    Structure,
}

/// Compiles a keyword. `None` if it asks nothing, or is wrong and has been reported.
pub(super) type Compile = fn(&mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>>;

/// A keyword, and who knows it.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) dialects: &'static [Dialect],
    pub(super) meaning: Meaning,
}

impl Entry {
    /// Whether a dialect knows it.
    pub(super) fn known_in(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect)
    }
}

/// The keywords that a compiler knows, in the order in which they judge.
#[derive(Clone, Copy)]
pub(super) struct Keywords(pub(super) &'static [Entry]);

impl Keywords {
    /// The keyword of that name in any dialect.
    pub(super) fn named(self, name: &str) -> Option<&'static Entry> {
        self.0.iter().find(|entry| entry.name == name)
    }
}
