//! The language of conditions: which part of a request is looked at, and how it is compared.
//!
//! A condition names one *operand* and one *test*: `{"claim": "plan", "exact": "gold"}`. `require`
//! of `jwt`, the tiers of `rate_limits` and the header conditions of routes are written in it. They
//! differ in their operands, and in how claims are read ([`Scalars`]); a [`Language`] says so.
//!
//! # A new test
//!
//! One file in this folder with a [`Test`], and one line in [`TESTS`]. Every language whose operands can
//! hold such values has it then. Messages and corrections of names are made from the list,
//! and a test of the documentation asks for its row in `docs/configuration.md`.
//!
//! # A new operand
//!
//! A variant of [`Operand`], and an [`OperandField`] in each language that is to have it.

mod check;
mod claim_path;
mod operand;
mod test;

mod contains;
mod exact;
mod exists;
mod includes;
mod one_of;
mod prefix;
mod range;
mod regex;
mod suffix;

pub use self::check::Check;
pub use self::claim_path::ClaimPath;
pub use self::operand::{Operand, Scalars, View};
pub use self::test::{Kinds, Test};
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_wire::effort::TooCostly;

/// Every test, in the order in which messages list them.
pub const TESTS: &[Test] = &[
    exact::TEST,
    prefix::TEST,
    suffix::TEST,
    contains::TEST,
    regex::TEST,
    one_of::TEST,
    range::TEST,
    includes::TEST,
    includes::ANY,
    includes::ALL,
    exists::TEST,
    exists::PRESENT,
];

/// How one use of the language differs from another.
#[derive(Debug)]
pub struct Language {
    /// The fields of which one names what is looked at.
    pub operands: &'static [OperandField],
}

/// A field that names an operand.
#[derive(Debug)]
pub struct OperandField {
    /// Its name.
    pub name: &'static str,
    /// What may be found there; nothing for a field whose own boolean is the test.
    pub kinds: Kinds,
    /// Reads it.
    pub read: fn(&Node<'_>, &mut Problems) -> Option<Operand>,
}

impl OperandField {
    /// A field of that name, with what may be found there.
    pub const fn new(
        name: &'static str,
        kinds: Kinds,
        read: fn(&Node<'_>, &mut Problems) -> Option<Operand>,
    ) -> Self {
        Self { name, kinds, read }
    }
}

/// A condition, ready to be asked.
#[derive(Debug)]
pub struct Condition {
    operand: Operand,
    check: Check,
    negation: Negation,
}

/// Whether a condition stands in a `not`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Negation {
    Plain,
    Not,
}

/// Why it cannot be told whether a condition holds. It counts neither as true nor as false: the caller
/// refuses the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecidable {
    /// A header field came more than once: which of them counts is not for the client to choose.
    Repeated,
    /// It would take too much work.
    Effort,
}

impl From<TooCostly> for Undecidable {
    fn from(_: TooCostly) -> Self {
        Undecidable::Effort
    }
}

impl Condition {
    /// Reads `{operand, test}` or `{"not": {operand, test}}`.
    pub fn read(node: &Node<'_>, language: &Language, problems: &mut Problems) -> Option<Self> {
        Self::read_within(node, Negation::Plain, language, problems)
    }

    fn read_within(
        node: &Node<'_>,
        negation: Negation,
        language: &Language,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let condition = match fields.optional("not") {
            Some(inner) if negation == Negation::Not => {
                inner.report(problems, "`not` within `not`; leave out both");
                None
            }
            Some(inner) => Self::read_within(&inner, Negation::Not, language, problems),
            None => language.read_plain(&mut fields, problems),
        };
        fields.deny_unknown(problems);
        let condition = condition?;
        Some(match negation {
            Negation::Plain => condition,
            Negation::Not => condition.negated(),
        })
    }

    fn negated(self) -> Self {
        // One form for what can be said in two, so that equal conditions are found to be equal.
        match self.check.opposite() {
            Some(check) => Self { check, ..self },
            None => Self {
                negation: Negation::Not,
                ..self
            },
        }
    }

    /// What it looks at.
    pub fn operand(&self) -> &Operand {
        &self.operand
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// [`Undecidable`].
    pub fn holds(&self, view: &View<'_>) -> Result<bool, Undecidable> {
        let found = self.operand.find(view)?;
        let holds = self.check.holds(found, view.effort)?;
        Ok(holds == (self.negation == Negation::Plain))
    }

    /// Why it does not hold, for the log: a word and, if the value is of the wrong kind, that kind.
    pub fn fault(&self, view: &View<'_>) -> (&'static str, Option<&'static str>) {
        let Ok(found) = self.operand.find(view) else {
            return ("repeated", None);
        };
        match (found.kind(), self.negation) {
            (None, _) => ("missing", None),
            (Some(_), _) if self.check.is_of_presence() => ("unexpected", None),
            (Some(_), Negation::Not) => ("forbidden", None),
            (Some(kind), _) if !self.check.fits(found) => ("kind", Some(kind)),
            _ => (self.check.fault(), None),
        }
    }

    /// Whether it holds for every request for which `other` holds, as far as that is plain to see.
    pub fn holds_where(&self, other: &Self) -> bool {
        let needs_presence = other.negation == Negation::Plain && !other.check.is_of_presence();
        self.operand == other.operand
            && (self.negation == other.negation && self.check.is_same(&other.check)
                || self.check.is_presence() && needs_presence)
    }
}

impl Language {
    fn read_plain(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Condition> {
        let written = self.operands.iter();
        let written = written.filter_map(|each| Some((each, fields.optional(each.name)?)));
        let written: Vec<(&OperandField, Node<'_>)> = written.collect();
        let first = written.first();
        // Without an operand that is the problem, and any test will do.
        let kinds = first.map_or(Kinds::ALL, |(field, _)| field.kinds);
        let check = match first {
            Some((field, node)) if kinds == Kinds::NONE => {
                Check::read_beside(fields, field.name, node, problems)
            }
            _ => Check::read(fields, kinds, problems),
        };
        let Some((field, node)) = first else {
            let names: Vec<&str> = self.operands.iter().map(|each| each.name).collect();
            fields.lacks(&names, problems, needs_one_of(&names));
            return None;
        };
        if let Some((_, second)) = written.get(1) {
            second.report(
                problems,
                format_args!("cannot stand beside `{}`; keep one of them", field.name),
            );
            return None;
        }
        let operand = (field.read)(node, problems);
        let check = match check.ok()? {
            Some(check) => check,
            None => {
                Check::lacks(fields, kinds, problems);
                return None;
            }
        };
        Some(Condition {
            operand: operand?,
            check,
            negation: Negation::Plain,
        })
    }
}

/// `needs one of "a", "b"`, or `lacks the field "a"`.
pub fn needs_one_of(names: &[&str]) -> String {
    match names {
        [name] => format!("lacks the field {}", Quoted(name)),
        names => format!("needs one of {}", quoted(names)),
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| Quoted(name).to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
