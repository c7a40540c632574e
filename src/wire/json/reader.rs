//! What both readers of JSON ask of `serde_json`, and what they add: numbers as they are written, a
//! limit of nesting, and the causes of errors.
//!
//! `serde_json` hands out a number as one of 64 bits or as a double. Its text is looked for beside
//! that. The feature that would hand the text out takes an object of a certain name for a number.

use std::cell::Cell;

use serde::de::DeserializeSeed;

use super::JsonError;
use super::decimal::Decimal;

/// A text, and what of it has numbers that are still to be read.
pub(super) struct Reader<'t> {
    text: &'t [u8],
    rest: Cell<&'t [u8]>,
    cause: Cell<Cause>,
    /// How many arrays and objects may contain one another.
    depth: usize,
}

/// A number as `serde_json` has read it.
#[derive(Clone, Copy)]
pub(super) enum Numeral {
    Unsigned(u64),
    Negative(i64),
    Double(f64),
}

/// What is wrong, if a text is not read.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    Syntax,
    Duplicate,
    Depth,
    NumberRange,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t [u8], depth: usize) -> Self {
        Self {
            text,
            rest: Cell::new(text),
            cause: Cell::new(Cause::Syntax),
            depth,
        }
    }

    /// Reads all of the text.
    pub(super) fn read<S>(&self, seed: S) -> Result<S::Value, JsonError>
    where
        S: DeserializeSeed<'t>,
    {
        let mut json = serde_json::Deserializer::from_slice(self.text);
        let value = seed
            .deserialize(&mut json)
            .and_then(|value| json.end().map(|()| value));
        value.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            match self.cause.get() {
                Cause::Duplicate => JsonError::DuplicateMember { line, column },
                Cause::Depth => JsonError::TooDeep { limit: self.depth },
                Cause::NumberRange => JsonError::NumberRange { line, column },
                Cause::Syntax if is_out_of_range(&error) => JsonError::NumberRange { line, column },
                Cause::Syntax => JsonError::Syntax { line, column },
            }
        })
    }

    /// An error of this cause.
    pub(super) fn refuse<E: serde::de::Error>(&self, cause: Cause) -> E {
        self.cause.set(cause);
        E::custom(match cause {
            Cause::Syntax => "not as it is written",
            Cause::Duplicate => "duplicate member",
            Cause::Depth => "too deep",
            Cause::NumberRange => "out of range",
        })
    }

    /// How deep the inside of what has begun may be.
    pub(super) fn descend<E: serde::de::Error>(&self, depth: usize) -> Result<usize, E> {
        depth
            .checked_sub(1)
            .ok_or_else(|| self.refuse(Cause::Depth))
    }

    /// The number that has just been read, as it is written.
    ///
    /// It is an error if the next one that is written has another value: no number is ever taken
    /// for another.
    pub(super) fn number<E: serde::de::Error>(&self, read: Numeral) -> Result<&'t str, E> {
        let written = self.next_number().filter(|written| match read {
            Numeral::Unsigned(value) => written.parse() == Ok(value),
            Numeral::Negative(value) => written.parse() == Ok(value),
            Numeral::Double(value) => written.parse() == Ok(value),
        });
        let written = written.ok_or_else(|| self.refuse(Cause::Syntax))?;
        // Of those of 64 bits there is none that is too large.
        let in_range = match read {
            Numeral::Unsigned(_) | Numeral::Negative(_) => true,
            Numeral::Double(_) => Decimal::parse(written.as_bytes()).is_some(),
        };
        if !in_range {
            return Err(self.refuse(Cause::NumberRange));
        }
        Ok(written)
    }

    /// The next number of the text. Outside of strings nothing else has digits.
    fn next_number(&self) -> Option<&'t str> {
        let mut rest = self.rest.get();
        loop {
            match rest {
                [] => return None,
                [b'"', after @ ..] => rest = behind_string(after),
                [b'-' | b'0'..=b'9', ..] => {
                    let part =
                        |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                    let end = rest.iter().position(|byte| !part(byte));
                    let (number, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
                    self.rest.set(after);
                    return std::str::from_utf8(number).ok();
                }
                [_, after @ ..] => rest = after,
            }
        }
    }
}

/// What follows a string, from behind its opening quote.
fn behind_string(after_quote: &[u8]) -> &[u8] {
    let mut rest = after_quote;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        rest = match rest.get(at..) {
            Some([b'"', after @ ..]) => return after,
            Some([b'\\', _, after @ ..]) => after,
            _ => &[],
        };
    }
    &[]
}

/// Whether `serde_json` met a number that no double holds: it tells that by its words alone.
fn is_out_of_range(error: &serde_json::Error) -> bool {
    error.is_syntax() && error.to_string().starts_with("number out of range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::compact::Compact;
    use crate::json::{Json, Number};

    #[test]
    fn numbers_are_those_outside_of_strings() {
        let text = r#"{"1": [-0, "2\"3", 1.50], "\\": 1E+2, "4\\\"": {"5":"-6"},
            "n": [18446744073709551616, -9223372036854775809, 0.1, 12]}"#;
        let numbers = r#"[-0,1.50,1E+2,18446744073709551616,-9223372036854775809,0.1,12]"#;
        let reader = Reader::new(text.as_bytes(), 4);
        let found: Vec<&str> = std::iter::from_fn(|| reader.next_number()).collect();
        assert_eq!(format!("[{}]", found.join(",")), numbers);
        let shown = Json::parse(text.as_bytes(), 4).unwrap().to_string();
        let compact = Compact::parse(text.as_bytes(), 4).unwrap();
        assert_eq!(compact.value().to_string(), shown);
        for number in found {
            assert!(shown.contains(number), "{number} in {shown}");
        }
    }

    #[test]
    fn no_number_is_taken_for_another() {
        let next = |text: &'static str, read| {
            let number = Reader::new(text.as_bytes(), 4).number::<serde_json::Error>(read);
            number.ok()
        };
        assert_eq!(next("[17]", Numeral::Unsigned(17)), Some("17"));
        assert_eq!(next("[-17]", Numeral::Negative(-17)), Some("-17"));
        assert_eq!(next("[1.70]", Numeral::Double(1.7)), Some("1.70"));
        assert_eq!(next("[17]", Numeral::Unsigned(18)), None);
        assert_eq!(next("[17.0]", Numeral::Unsigned(17)), None);
        assert_eq!(
            next("[1.7]", Numeral::Double(1.700_000_000_000_000_2)),
            None
        );
        assert_eq!(next("[\"17\"]", Numeral::Unsigned(17)), None);
    }

    /// Those between which the nearest double changes, and those of many digits.
    #[test]
    fn every_fraction_has_the_value_that_was_read() {
        let mut texts = Vec::new();
        for bits in (0..1000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let double = f64::from_bits(bits);
            if double.is_finite() {
                texts.extend([
                    format!("{double:e}"),
                    format!("{double}"),
                    format!("{double}.5"),
                ]);
                texts.push(format!("{double:.340}"));
            }
        }
        let [largest, smallest] = [f64::MAX, f64::from_bits(1)];
        texts.extend([
            format!("{largest}"),
            format!("{smallest}"),
            format!("{smallest:e}"),
        ]);
        texts.push("1.7976931348623158079e308".to_owned());
        texts.retain(|text| text.matches('.').count() < 2);
        assert!(texts.len() > 2000);
        for text in texts {
            let read = Json::parse(text.as_bytes(), 1);
            assert_eq!(read.ok(), Number::parse(&text).map(Json::Number), "{text}");
        }
    }

    #[test]
    fn tells_a_number_that_no_double_holds() {
        let long = format!("[1, {}]", "9".repeat(400));
        for text in [
            "1e309",
            "[-1e309]",
            "{\"a\": 1e99999999999}",
            "1e-99999999999",
            "1.7976931348623159e308",
            &long,
        ] {
            let error = Json::parse(text.as_bytes(), 4);
            let range = matches!(error, Err(JsonError::NumberRange { line: 1, .. }));
            assert!(range, "{text}: {error:?}");
            assert!(Compact::parse(text.as_bytes(), 4).is_none(), "{text}");
        }
        for text in [
            "01", "1.", "1.5.5", "1-2", "-", "+1", "1e", "[1e309x", "1e+-2",
        ] {
            let error = Json::parse(text.as_bytes(), 4);
            let syntax = matches!(error, Err(JsonError::Syntax { line: 1, .. }));
            assert!(syntax || text == "[1e309x", "{text}: {error:?}");
        }
    }

    #[test]
    fn an_object_is_never_a_number() {
        for text in [
            r#"{"$serde_json::private::Number":"1"}"#,
            r#"{"$serde_json::private::RawValue":"1"}"#,
        ] {
            assert_eq!(Json::parse(text.as_bytes(), 2).unwrap().to_string(), text);
            let compact = Compact::parse(text.as_bytes(), 2).unwrap();
            assert_eq!(compact.value().to_string(), text);
        }
    }
}
