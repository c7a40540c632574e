//! The language of conditions: which part of a request is looked at, and how it is compared.
//!
//! A condition names one *operand* and one *test*: `{"claim": "plan", "exact": "gold"}`. Rules of
//! `access`, `require` of credentials, the tiers of `rate_limits` and the header conditions of routes are
//! written in it. They differ in their operands, and in how claims are read ([`Scalars`]); a
//! [`Language`] says so.
//!
//! A test compares with what the document says, or with another operand:
//! `{"path_variable": "tenant", "in": {"claim": "tenants"}}`. What it comes to is yes, no, or
//! [`Undecidable`], which refuses the request.
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
mod comparison;
mod found;
mod kept;
mod language;
mod misread;
mod operand;
mod test;
mod undecidable;
mod version;
mod view;

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
use self::found::Found;
pub use self::kept::Kept;
pub use self::language::{ACCESS, REQUIRE, VERSION, read_header_name};
pub use self::operand::{Operand, Scalars, VersionFact};
pub use self::test::{Kinds, Test};
pub use self::undecidable::Undecidable;
pub use self::version::VersionTest;
pub use self::view::{PathVariables, View};
pub use crate::body_members::{BodyAhead, BodyFault, BodyMembers, BodyPlan};
pub use crate::claim_path::ClaimPath;
use portcullis_document::{DidYouMean, Fields, Node, Pointer, Problems, Quoted};
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::compact::Compact;

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
    /// Those of which one may stand in a test, to be compared with. Where there are some, what cannot be
    /// read as what is asked for refuses; elsewhere it does not pass.
    pub parts: &'static [OperandField],
    /// Fields that name operands of other languages, each with why it is none here.
    pub elsewhere: &'static [(&'static str, &'static str)],
    /// What becomes of a claim of another kind than a test is for: a list where a text is asked for.
    pub other_kinds: OtherKinds,
}

/// What becomes of a value of another kind than a test is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherKinds {
    /// It does not pass.
    Fail,
    /// It is neither: services may find in it what is asked for.
    Undecidable,
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
    doubt: Doubt,
    other_kinds: OtherKinds,
    /// Where it stands, if it looks at header fields or the version of the request.
    place: Option<Pointer>,
}

/// What becomes of what cannot be read as what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It does not pass.
    Fails,
    /// It is neither.
    Refuses,
}

/// Whether a condition stands in a `not`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Negation {
    Plain,
    Not,
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
        let mut condition = condition?;
        let is_of_version = matches!(condition.operand, Operand::Version(_));
        if is_of_version || condition.header_names().next().is_some() {
            condition.place = Some(node.pointer().clone());
        }
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

    /// What it looks at, and what it compares that with, if that is part of the request too.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        std::iter::once(&self.operand).chain(self.check.part())
    }

    /// Whether it is known only once a token has been accepted.
    pub fn needs_identity(&self) -> bool {
        self.operands().any(Operand::needs_identity)
    }

    /// Whether it is known only once the body has come.
    pub fn needs_body(&self) -> bool {
        self.operands().any(Operand::needs_body)
    }

    /// Whether it looks at claims alone: then it says the same of every request with a token.
    pub fn is_of_claims(&self) -> bool {
        let mut operands = self.operands();
        operands.all(|operand| matches!(operand, Operand::Claim(..)))
    }

    /// Where it stands in the document; none if it looks neither at a header field nor at the version.
    pub fn place(&self) -> Option<&Pointer> {
        self.place.as_ref()
    }

    /// The header fields that it looks at.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.operands().filter_map(Operand::header)
    }

    /// The first path variable that it looks at and that a template does not have; no template has none.
    pub fn lacking<'c>(&'c self, template: Option<&dyn PathVariables>) -> Option<&'c str> {
        let mut names = self.operands().filter_map(Operand::path_variable);
        names.find(|name| !template.is_some_and(|template| template.has(name)))
    }

    /// Reports a path variable that a template does not have, of the condition that stands there; whether it
    /// has all.
    pub fn check_template(
        &self,
        node: &Node<'_>,
        template: Option<&dyn PathVariables>,
        problems: &mut Problems,
    ) -> bool {
        let Some(name) = self.lacking(template) else {
            return true;
        };
        match template {
            None => node.report(
                problems,
                "looks at a path variable, and needs a route whose `match.path` is a `template`",
            ),
            Some(template) => {
                let names = template.names();
                let near = DidYouMean(name, names.iter().copied());
                let name = Quoted(name);
                let reason = format_args!("the route's template has no {name}{near}");
                node.report(problems, reason);
            }
        }
        false
    }

    /// Whether it holds. What can be read in several ways has to come to the same in each of them.
    ///
    /// # Errors
    /// [`Undecidable`].
    pub fn holds(&self, view: &View<'_>) -> Result<bool, Undecidable> {
        let holds = self.passes(view, 0)?;
        if self.operands().any(|each| each.path_variable().is_some()) {
            for reading in 1..view.readings() {
                if self.passes(view, reading)? != holds {
                    return Err(Undecidable::Path);
                }
            }
        }
        Ok(holds == (self.negation == Negation::Plain))
    }

    /// Whether its test passes, whatever `not` makes of that.
    fn passes(&self, view: &View<'_>, reading: usize) -> Result<bool, Undecidable> {
        let held = self.operand.find(view, reading)?;
        match self.check.part() {
            None => self.passes_alone(held.found(), view.effort()),
            Some(part) => {
                let other = part.find(view, reading)?;
                let check = &self.check;
                check.holds_beside(held.found(), other.found(), view.effort())
            }
        }
    }

    fn passes_alone(&self, found: Found<'_>, effort: &Effort) -> Result<bool, Undecidable> {
        if !self.check.takes(found.letters()) {
            return Err(Undecidable::Path);
        }
        if self.doubt == Doubt::Refuses {
            let other_kinds = match self.operand.needs_body() {
                // A client may write a number as a text, and a service read it as a number.
                true => OtherKinds::Undecidable,
                false => self.other_kinds,
            };
            self.check.read_of(found, other_kinds, effort)?;
        }
        let holds = self.check.holds(found, effort)?;
        if !holds && self.doubt == Doubt::Refuses && self.operand.needs_body() {
            self.check.read_items(found, effort)?;
        }
        Ok(holds)
    }

    /// The same of claims alone; none if it looks at something else.
    pub fn holds_of_claims(
        &self,
        claims: &Compact,
        effort: &Effort,
    ) -> Option<Result<bool, Undecidable>> {
        let found = self.operand.find_claim(claims)?;
        let holds = match self.check.part() {
            None => self.passes_alone(found, effort),
            Some(part) => {
                let other = part.find_claim(claims)?;
                self.check.holds_beside(found, other, effort)
            }
        };
        Some(holds.map(|holds| holds == (self.negation == Negation::Plain)))
    }

    /// Why it does not hold, for the log: a word and, if the value is of the wrong kind, that kind.
    pub fn fault(&self, view: &View<'_>) -> (&'static str, Option<&'static str>) {
        let held = match self.operand.find(view, 0) {
            Ok(held) => held,
            Err(why) => return (why.word(), None),
        };
        if let Err(why) = self.holds(view) {
            return (why.word(), None);
        }
        let found = held.found();
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
    /// Whether a field is there that names an operand of another language; that is reported.
    fn is_elsewhere(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> bool {
        let written = self.elsewhere.iter();
        let written = written.filter_map(|(name, why)| Some((fields.optional(name)?, why)));
        let written: Vec<(Node<'_>, &&str)> = written.collect();
        for (node, why) in &written {
            node.report(problems, why);
        }
        !written.is_empty()
    }

    fn read_plain(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Condition> {
        let written = self.operands.iter();
        let written = written.filter_map(|each| Some((each, fields.optional(each.name)?)));
        let written: Vec<(&OperandField, Node<'_>)> = written.collect();
        if written.is_empty() && self.is_elsewhere(fields, problems) {
            let _ = Check::read(fields, Kinds::ALL, self, problems);
            return None;
        }
        let first = written.first();
        // Without an operand that is the problem, and any test will do.
        let kinds = first.map_or(Kinds::ALL, |(field, _)| field.kinds);
        let check = match first {
            Some((field, node)) if kinds == Kinds::NONE => {
                Check::read_beside(fields, field.name, node, problems)
            }
            _ => Check::read(fields, kinds, self, problems),
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
        let operand = operand?;
        if check.part() == Some(&operand) {
            node.report(problems, "is compared with itself");
            return None;
        }
        if operand == Operand::Version(VersionFact::State)
            && let Some(reason) = version::impossible_state(&check)
        {
            problems.report(&fields.pointer().member(check.name()), reason);
            return None;
        }
        Some(Condition {
            operand,
            check,
            negation: Negation::Plain,
            doubt: match self.parts {
                [] => Doubt::Fails,
                _ => Doubt::Refuses,
            },
            other_kinds: self.other_kinds,
            place: None,
        })
    }
}

impl BodyPlan {
    /// What these conditions ask of bodies, of which so many bytes are read. None if they ask nothing.
    pub fn of<'c>(conditions: impl Iterator<Item = &'c Condition>, most: u64) -> Option<Self> {
        let operands = conditions.flat_map(Condition::operands);
        let pointers: Vec<ClaimPath> = operands.filter_map(Operand::body).cloned().collect();
        (!pointers.is_empty()).then(|| Self::new(pointers, most))
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
