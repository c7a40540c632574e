//! `minLength`, `maxLength`, `pattern`, `format`.

use portcullis_wire::regex::Regex;

use crate::check::{At, Check, Seen};
use crate::cursor::SchemaCursor;
use crate::format::{self, Format};
use crate::rule::{Keyword, Outcome};
use crate::value::Value;
use crate::walk::Demand;

/// Length in characters, not in bytes.
struct Length {
    least: usize,
    most: usize,
}

struct Pattern(Regex);

/// Asks only where formats are asserted.
struct Formatted(Format);

impl Keyword for Length {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::String(text) = value else {
            return Outcome::Holds;
        };
        // A character has one to four bytes.
        let (fewest, most) = (text.len().div_ceil(4), text.len());
        if most < self.least || fewest > self.most {
            return Outcome::Fails;
        }
        if fewest >= self.least && most <= self.most {
            return Outcome::Holds;
        }
        check.spend_on(text.len() / 8, 1);
        let length = text.chars().count();
        Outcome::of((self.least..=self.most).contains(&length))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.characters(self.least, self.most)
    }
}

impl Keyword for Pattern {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::String(text) = value else {
            return Outcome::Holds;
        };
        Outcome::of(check.finds(&self.0, text))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.pattern(&self.0)
    }
}

impl Keyword for Formatted {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        if !check.formats {
            return Outcome::Holds;
        }
        check.spend(self.0.steps(value));
        Outcome::of(!check.is_exhausted() && self.0.fits(value))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.format()
    }
}

pub(super) fn compile_min_length(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let least = subject.count("minLength")?;
    Some(Box::new(Length {
        least,
        most: usize::MAX,
    }))
}

pub(super) fn compile_max_length(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let most = subject.count("maxLength")?;
    Some(Box::new(Length { least: 0, most }))
}

pub(super) fn compile_pattern(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let pattern = subject.text()?;
    let place = subject.place("pattern");
    Some(Box::new(Pattern(subject.regex(pattern, place)?)))
}

pub(super) fn compile_format(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let name = subject.text()?;
    match format::named(name) {
        Some(format) => Some(Box::new(Formatted(format))),
        None => {
            subject.note_unknown_format(name);
            None
        }
    }
}
