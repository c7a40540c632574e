//! What a test is, and what it may expect.

use super::comparison::Compare;
use super::found::{Found, Letters};
use super::operand::Operand;
use crate::target::{fold_case, folded};
use portcullis_document::{Case, Node, Problems};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::compact::Value;
use portcullis_wire::json::decimal::Decimal;
use portcullis_wire::json::{Json, Number};
use portcullis_wire::regex::Regex;
use portcullis_wire::sort;
use std::borrow::Cow;

/// One way to compare a value: data and three functions, so that a new one is a file of its own.
/// They are called through pointers, which costs a condition some nanoseconds.
#[derive(Debug)]
pub struct Test {
    /// The field of a condition that asks for it.
    pub name: &'static str,
    /// What it can be asked of.
    pub kinds: Kinds,
    /// What the log says when it fails, unless texts are compared: that is `no_match`.
    pub fault: &'static str,
    /// Reads what stands in the field.
    pub(super) read: fn(&Node<'_>, TestInput, &mut Problems) -> Option<Expected>,
    /// Whether what was found passes. Its price is taken from the effort before it is done.
    pub(super) holds: fn(&Expected, Found<'_>, &Effort) -> Result<bool, TooCostly>,
    /// How it compares with another part of the request, if it does.
    pub(super) compare: Option<Compare>,
}

/// Kinds of what an operand may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

/// Of what a test is asked, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct TestInput {
    pub(super) kinds: Kinds,
    pub(super) case: Case,
}

/// What a test compares with.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// In lower case where case is ignored.
    Text(String, Case),
    Regex(Regex, Case),
    /// A number or a boolean.
    Value(Json),
    /// Several values.
    Choice(Choice),
    Range(Box<Range>),
    Flag(bool),
    /// What another part of the request has.
    Part(Box<Operand>, Case),
}

/// Several values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    /// Sorted; in lower case where case is ignored.
    pub(super) texts: Box<[Box<str>]>,
    case: Case,
    /// Numbers and booleans.
    pub(super) others: Box<[Json]>,
}

/// Between which numbers; each with whether it is itself outside.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: Option<(Decimal, bool)>,
    pub(super) high: Option<(Decimal, bool)>,
}

/// A text that was found beside the one that is expected.
pub(super) struct Texts<'t> {
    pub(super) found: Cow<'t, str>,
    pub(super) expected: Cow<'t, str>,
    pub(super) case: Case,
}

/// How many bytes of a text a step of the effort is enough for, to fold their case.
const BYTES_FOLDED_BY_A_STEP: u64 = 4;

impl Kinds {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Text.
    pub const TEXT: Self = Self(1);
    /// A number of JSON.
    pub const NUMBER: Self = Self(2);
    /// A boolean of JSON.
    pub const BOOLEAN: Self = Self(4);
    /// An array of JSON.
    pub const LIST: Self = Self(8);
    /// Text that may be a number.
    pub const NUMERAL: Self = Self(16);
    /// That it is not there.
    pub const ABSENCE: Self = Self(32);
    /// Anything.
    pub const ALL: Self = Self(63);

    /// All of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether they have one in common.
    pub const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Expected {
    /// The kinds of scalars that it is, or has.
    pub(super) fn kinds(&self) -> Kinds {
        match self {
            Expected::Text(..) | Expected::Regex(..) => Kinds::TEXT,
            Expected::Value(json) => kind(json),
            Expected::Choice(choice) => choice.kinds(),
            Expected::Range(_) => Kinds::NUMBER.or(Kinds::NUMERAL),
            Expected::Flag(_) => Kinds::NONE,
            Expected::Part(..) => Kinds::ALL,
        }
    }

    /// Whether upper and lower case make a difference to it.
    pub(super) fn is_textual(&self) -> bool {
        self.kinds().meet(Kinds::TEXT)
    }

    /// Whether it is plain that it expects the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Expected::Text(own, case), Expected::Text(other, others)) => {
                own == other && case == others
            }
            (Expected::Regex(own, _), Expected::Regex(other, _)) => {
                own.address() == other.address()
            }
            (Expected::Value(own), Expected::Value(other)) => own == other,
            (Expected::Choice(own), Expected::Choice(other)) => own == other,
            (Expected::Range(own), Expected::Range(other)) => own == other,
            (Expected::Flag(own), Expected::Flag(other)) => own == other,
            (Expected::Part(own, case), Expected::Part(other, others)) => {
                own == other && case == others
            }
            _ => false,
        }
    }

    /// The text that was found, and the one that is expected; none if either is no text.
    pub(super) fn texts<'t>(
        &'t self,
        found: Found<'t>,
        effort: &Effort,
    ) -> Result<Option<Texts<'t>>, TooCostly> {
        let (Expected::Text(expected, case), Some(text)) = (self, found.text(effort)?) else {
            return Ok(None);
        };
        pay_for_case(text, *case, effort)?;
        let expected = match found.letters() {
            Letters::AsWritten => Cow::Borrowed(expected.as_str()),
            Letters::AnyCase => {
                pay_for_case(expected, Case::Ignored, effort)?;
                Cow::Owned(fold_case(expected))
            }
        };
        Ok(Some(Texts {
            found: Cow::Borrowed(text),
            expected,
            case: *case,
        }))
    }
}

impl Texts<'_> {
    /// Whether a part of what was found is what is expected. Only letters of ASCII are folded, so
    /// that it means the same everywhere.
    pub(super) fn is_expected(&self, part: Option<&str>) -> bool {
        part.is_some_and(|part| match self.case {
            Case::Significant => part == self.expected,
            Case::Ignored => part.eq_ignore_ascii_case(&self.expected),
        })
    }
}

fn pay_for_case(text: &str, case: Case, effort: &Effort) -> Result<(), TooCostly> {
    match case {
        Case::Significant => Ok(()),
        Case::Ignored => effort.spend(text.len() as u64 / BYTES_FOLDED_BY_A_STEP),
    }
}

impl Test {
    /// Whether something of these kinds can pass it, with what it expects.
    pub(super) fn fits(&self, expected: &Expected, found: Kinds) -> bool {
        let expected = expected.kinds();
        // A test of lists expects scalars, and is asked of lists.
        if self.kinds.meet(expected) {
            expected.meet(found)
        } else {
            self.kinds.meet(found)
        }
    }
}

fn kind(json: &Json) -> Kinds {
    match json {
        Json::String(_) => Kinds::TEXT,
        Json::Number(_) => Kinds::NUMBER,
        Json::Bool(_) => Kinds::BOOLEAN,
        Json::Null | Json::Array(_) | Json::Object(_) => Kinds::NONE,
    }
}

/// A text that is not empty.
pub(super) fn read_name(
    node: &Node<'_>,
    asked: TestInput,
    problems: &mut Problems,
) -> Option<Expected> {
    Some(asked.text(node.non_empty(problems)?))
}

/// Texts; numbers and booleans as well where they can be found.
pub(super) fn read_choice(
    node: &Node<'_>,
    asked: TestInput,
    problems: &mut Problems,
) -> Option<Expected> {
    let items = node.list(problems, |item, problems| {
        read_scalar(item, asked.kinds, problems)
    });
    Some(Expected::Choice(Choice::of(items?, asked.case)))
}

/// A string; a number or a boolean as well where it can be found.
pub(super) fn read_scalar<'d>(
    node: &Node<'d>,
    kinds: Kinds,
    problems: &mut Problems,
) -> Option<&'d Json> {
    let json = node.json();
    if kind(json).meet(kinds) {
        return Some(json);
    }
    let what = match kinds.meet(Kinds::NUMBER) {
        true => "a string, a number or a boolean",
        false => "a string",
    };
    let reason = format_args!("must be {what}, not {}", json.kind());
    node.report(problems, reason);
    None
}

impl TestInput {
    /// A text, brought to lower case where case is ignored.
    pub(super) fn text(self, text: &str) -> Expected {
        Expected::Text(cased(text, self.case), self.case)
    }
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Significant => text.to_owned(),
        Case::Ignored => text.to_ascii_lowercase(),
    }
}

impl Choice {
    /// These scalars.
    pub(super) fn of(items: Vec<&Json>, case: Case) -> Self {
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Json::String(text) => texts.push(cased(text, case).into_boxed_str()),
                other => others.push(other.clone()),
            }
        }
        sort::sort(&mut texts, Ord::cmp);
        texts.dedup();
        Self {
            texts: texts.into_boxed_slice(),
            case,
            others: others.into_boxed_slice(),
        }
    }

    fn kinds(&self) -> Kinds {
        let others = self.others.iter().map(kind).fold(Kinds::NONE, Kinds::or);
        match self.texts.is_empty() {
            true => others,
            false => others.or(Kinds::TEXT),
        }
    }

    /// Whether what was found is one of them.
    pub(super) fn has(&self, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
        if !self.texts.is_empty()
            && let Some(text) = found.text(effort)?
        {
            if found.letters() == Letters::AnyCase {
                return self.has_folded(text, effort);
            }
            pay_for_case(text, self.case, effort)?;
            let place = match self.case {
                Case::Significant => self.texts.binary_search_by(|each| (**each).cmp(text)),
                Case::Ignored => {
                    let lower = || text.bytes().map(|byte| byte.to_ascii_lowercase());
                    self.texts
                        .binary_search_by(|each| each.bytes().cmp(lower()))
                }
            };
            if place.is_ok() {
                return Ok(true);
            }
        }
        effort.spend(self.others.len() as u64)?;
        for other in &self.others {
            if found.is(other, effort)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Choice {
    /// Whether one of its texts is a folded one, where upper and lower case are the same.
    fn has_folded(&self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        for each in &self.texts {
            pay_for_case(each, Case::Ignored, effort)?;
            effort.spend(1)?;
            if folded(each).eq(text.chars()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether what was found is that one of its texts.
    pub(super) fn is(
        &self,
        expected: &str,
        found: Found<'_>,
        effort: &Effort,
    ) -> Result<bool, TooCostly> {
        let Some(found) = found.text(effort)? else {
            return Ok(false);
        };
        pay_for_case(found, self.case, effort)?;
        let case = self.case;
        let texts = Texts {
            found: Cow::Borrowed(found),
            expected: Cow::Borrowed(expected),
            case,
        };
        Ok(texts.is_expected(Some(found)))
    }
}

impl Range {
    /// Whether a number lies in it.
    pub(super) fn has(&self, number: &Number) -> bool {
        let number = number.decimal();
        let low = self
            .low
            .as_ref()
            .is_none_or(|(low, is_outside)| number > *low || !is_outside && number == *low);
        let high = self
            .high
            .as_ref()
            .is_none_or(|(high, is_outside)| number < *high || !is_outside && number == *high);
        low && high
    }
}

/// The kinds of a value of JSON.
pub(super) fn kinds_of(value: Value<'_>) -> Kinds {
    match value {
        Value::String(_) => Kinds::TEXT,
        Value::Number(_) => Kinds::NUMBER,
        Value::Bool(_) => Kinds::BOOLEAN,
        Value::Array(_) => Kinds::LIST,
        Value::Null | Value::Object(_) => Kinds::NONE,
    }
}
