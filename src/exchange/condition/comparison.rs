//! Comparing two parts of a request with one another, or with what is known of its sender.
//!
//! Both are compared as they are once they have been decoded, byte by byte. What cannot be read as something
//! to be compared is neither equal nor different: the request is refused.

use super::found::{Found, Letters};
use super::{Kinds, Undecidable};
use crate::target::fold_case;
use portcullis_document::Case;
use portcullis_wire::effort::Effort;
use portcullis_wire::json::Number;
use portcullis_wire::json::compact::Value;

/// How a test compares with another part of a request in place of what the document says.
#[derive(Debug)]
pub(super) struct Compare {
    /// What may be found in the other part; it must have one of these.
    pub(super) with: Kinds,
    /// The test for a part that has none of them.
    pub(super) instead: &'static str,
    /// Whether the first part passes beside the other.
    pub(super) holds: fn(&Pair<'_>) -> Result<bool, Undecidable>,
}

/// The two parts, and how they are compared.
pub(super) struct Pair<'p> {
    pub(super) found: Found<'p>,
    pub(super) other: Found<'p>,
    pub(super) case: Case,
    pub(super) effort: &'p Effort,
}

/// A value that can be compared.
#[derive(Clone, Copy)]
enum Scalar<'p> {
    Text(&'p str, Letters),
    Number(&'p str),
    Bool(bool),
}

/// A step of the effort is enough to compare so many bytes.
const BYTES_COMPARED_BY_A_STEP: u64 = 4;

impl Pair<'_> {
    /// Whether both are equal.
    pub(super) fn are_equal(&self) -> Result<bool, Undecidable> {
        match (scalar(self.found, self)?, scalar(self.other, self)?) {
            (Some(one), Some(other)) => self.is(one, other),
            // What is not there is equal to nothing.
            _ => Ok(false),
        }
    }

    /// Whether the first is one of the items of the other, or the other itself.
    pub(super) fn is_in(&self) -> Result<bool, Undecidable> {
        any(self.other, |item| self.with(self.found, item).are_equal())
    }

    /// Whether the other is one of the items of the first, or the first itself.
    pub(super) fn includes(&self) -> Result<bool, Undecidable> {
        self.with(self.other, self.found).is_in()
    }

    /// Whether one of the items of the other is one of the first.
    pub(super) fn includes_any(&self) -> Result<bool, Undecidable> {
        any(self.other, |item| self.with(item, self.found).is_in())
    }

    /// Whether each item of the other is one of the first.
    pub(super) fn includes_all(&self) -> Result<bool, Undecidable> {
        if self.other.kind().is_none() {
            return Ok(false);
        }
        // Services take an empty list for no wish at all, and answer for everything.
        if let Some((items, _)) = self.other.items()
            && items.iter().next().is_none()
        {
            return Err(Undecidable::Empty);
        }
        // Not all are in it where one is not.
        let lacks = any(self.other, |item| {
            self.with(item, self.found).is_in().map(|is_in| !is_in)
        });
        lacks.map(|lacks| !lacks)
    }

    /// Whether the first begins with the other, or with one of its items, in whole segments: `a/b` begins
    /// with `a`, and `ab` does not.
    pub(super) fn begins(&self) -> Result<bool, Undecidable> {
        any(self.other, |item| {
            let pair = self.with(self.found, item);
            match (scalar(pair.found, self)?, scalar(pair.other, self)?) {
                (Some(Scalar::Text(text, one)), Some(Scalar::Text(prefix, other))) => {
                    let is_folded = one == Letters::AnyCase || other == Letters::AnyCase;
                    match (is_folded, self.case) {
                        (true, _) => is_below(&fold_case(text), &fold_case(prefix)),
                        (false, Case::Ignored) => {
                            is_below(&text.to_ascii_lowercase(), &prefix.to_ascii_lowercase())
                        }
                        (false, Case::Significant) => is_below(text, prefix),
                    }
                }
                (Some(_), Some(_)) => Err(Undecidable::Kind),
                _ => Ok(false),
            }
        })
    }

    fn with<'q>(&'q self, found: Found<'q>, other: Found<'q>) -> Pair<'q> {
        Pair {
            found,
            other,
            case: self.case,
            effort: self.effort,
        }
    }

    fn is(&self, one: Scalar<'_>, other: Scalar<'_>) -> Result<bool, Undecidable> {
        match (one, other) {
            (Scalar::Text(one, letters), Scalar::Text(other, others)) => {
                // Nothing has been said on either side.
                if one.is_empty() && other.is_empty() {
                    return Err(Undecidable::Empty);
                }
                let is_folded = letters == Letters::AnyCase || others == Letters::AnyCase;
                Ok(match (is_folded, self.case) {
                    (true, _) => fold_case(one) == fold_case(other),
                    (false, Case::Ignored) => one.eq_ignore_ascii_case(other),
                    (false, Case::Significant) => one == other,
                })
            }
            (Scalar::Number(one), Scalar::Number(other)) => {
                Ok(number(one)?.is_same_value(&number(other)?))
            }
            (Scalar::Bool(one), Scalar::Bool(other)) => Ok(one == other),
            (Scalar::Text(text, _), Scalar::Number(written))
            | (Scalar::Number(written), Scalar::Text(text, _)) => is_number(text, written),
            (Scalar::Text(text, _), Scalar::Bool(value))
            | (Scalar::Bool(value), Scalar::Text(text, _)) => {
                let written = if value { "true" } else { "false" };
                match text == written {
                    false if text.trim().eq_ignore_ascii_case(written) => {
                        Err(Undecidable::Spelling)
                    }
                    is_same => Ok(is_same),
                }
            }
            (Scalar::Number(_), Scalar::Bool(_)) | (Scalar::Bool(_), Scalar::Number(_)) => {
                Err(Undecidable::Kind)
            }
        }
    }
}

/// Whether something holds of an item of a list, or of what is no list. Where it holds of none, and
/// of one that cannot be told, neither can this.
fn any(
    list: Found<'_>,
    holds: impl Fn(Found<'_>) -> Result<bool, Undecidable>,
) -> Result<bool, Undecidable> {
    let Some((items, scalars)) = list.items() else {
        return holds(list);
    };
    let mut doubt = None;
    for item in items.iter() {
        match holds(Found::Json(item, scalars)) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(Undecidable::Effort) => return Err(Undecidable::Effort),
            Err(why) => doubt = Some(why),
        }
    }
    doubt.map_or(Ok(false), Err)
}

/// What there is to be compared; none if nothing is there. `null` is nothing.
fn scalar<'p>(found: Found<'p>, pair: &Pair<'_>) -> Result<Option<Scalar<'p>>, Undecidable> {
    let scalar = match found {
        Found::Nothing | Found::Json(Value::Null, _) => return Ok(None),
        Found::Json(Value::String(text), _) => Scalar::Text(text, Letters::AsWritten),
        Found::Json(Value::Number(text), _) => Scalar::Number(text),
        Found::Json(Value::Bool(value), _) => Scalar::Bool(value),
        Found::Json(Value::Array(_) | Value::Object(_), _) => return Err(Undecidable::Kind),
        Found::Text(text, letters) => Scalar::Text(text, letters),
        Found::Field(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Undecidable::Unreadable)?;
            Scalar::Text(text, Letters::AsWritten)
        }
    };
    let bytes = match scalar {
        Scalar::Text(text, _) | Scalar::Number(text) => text.len(),
        Scalar::Bool(_) => 0,
    };
    let steps = (bytes as u64 / BYTES_COMPARED_BY_A_STEP).saturating_add(1);
    pair.effort.spend(steps)?;
    Ok(Some(scalar))
}

fn number(written: &str) -> Result<Number, Undecidable> {
    Number::parse(written).ok_or(Undecidable::Unreadable)
}

/// Whether a text is a number as JSON writes it. One that says the same in another spelling is the same to
/// some services, and another to others.
fn is_number(text: &str, written: &str) -> Result<bool, Undecidable> {
    if text == written {
        return Ok(true);
    }
    let bare = text.trim();
    let (minus, digits) = match bare.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", bare.strip_prefix('+').unwrap_or(bare)),
    };
    let significant = digits.trim_start_matches('0');
    let zero = match significant.starts_with(|first: char| first.is_ascii_digit()) {
        true => "",
        false => "0",
    };
    let said = Number::parse(&[minus, zero, significant].concat());
    let number = number(written)?;
    match said.is_some_and(|said| said.is_same_value(&number)) {
        true => Err(Undecidable::Spelling),
        false => Ok(false),
    }
}

/// Whether the segments of a text begin with those of another.
///
/// # Errors
/// One of them is empty, or has what servers read in several ways.
fn is_below(text: &str, prefix: &str) -> Result<bool, Undecidable> {
    if prefix.is_empty() {
        return Err(Undecidable::Empty);
    }
    if !is_plain(text) || !is_plain(prefix) {
        return Err(Undecidable::Unreadable);
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = text.strip_prefix(prefix);
    Ok(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether a text has segments that everybody reads alike: none leads up, or nowhere, to anybody, and nothing in it
/// would be decoded once more.
fn is_plain(text: &str) -> bool {
    let has_odd = text.contains(['%', '\\']) || text.chars().any(char::is_control);
    let text = text.strip_prefix('/').unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let mut segments = text.split('/');
    // Servers cut parameters off a segment, and some pass over blanks and fold wide letters.
    let is_dot =
        |letter: char| letter.is_whitespace() || matches!(letter, '.' | '\u{ff0e}' | '\u{2024}');
    let is_odd = |segment: &str| {
        let name = segment.split(';').next().unwrap_or_default();
        name.chars().all(is_dot)
    };
    !has_odd && (text.is_empty() || !segments.any(|segment| segment.is_empty() || is_odd(segment)))
}

#[cfg(test)]
mod tests;
