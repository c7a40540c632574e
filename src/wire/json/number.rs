//! A number as it is written: exact, whatever its size.

use std::fmt;

use super::decimal::Decimal;

/// A number of a JSON text. It keeps the text, so that nothing of it is rounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// Digits alone, as most have.
    Unsigned(u64),
    /// A minus and digits.
    Negative(i64),
    /// Any other.
    Written(Box<str>),
}

impl Number {
    /// Reads a number as RFC 8259 writes it. None if it is none, or beyond what a double holds: no
    /// other reader could make anything of that.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(short) = short(text) {
            return Some(short);
        }
        Decimal::parse(text.as_bytes())?;
        let double: f64 = text.parse().ok()?;
        double.is_finite().then(|| Self(Form::Written(text.into())))
    }

    /// The number, if it is written with digits alone and is no larger.
    pub fn as_u64(&self) -> Option<u64> {
        match self.0 {
            Form::Unsigned(value) => Some(value),
            Form::Negative(_) | Form::Written(_) => None,
        }
    }

    /// The number, if it is written with digits and a sign alone, and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Form::Unsigned(value) => i64::try_from(value).ok(),
            Form::Negative(value) => Some(value),
            Form::Written(_) => None,
        }
    }

    /// The nearest double.
    pub fn as_f64(&self) -> Option<f64> {
        match &self.0 {
            Form::Written(text) => text.parse().ok(),
            whole => Self(whole.clone()).to_string().parse().ok(),
        }
    }

    /// The exact value.
    pub fn decimal(&self) -> Decimal {
        match &self.0 {
            Form::Unsigned(value) => Decimal::whole(*value),
            Form::Negative(value) => Decimal::whole(value.unsigned_abs()).negated(),
            // It could be read when it was parsed.
            Form::Written(text) => Decimal::parse(text.as_bytes()).unwrap_or(Decimal::ZERO),
        }
    }

    /// Whether both have the same value, however they are written: `1` is `1.0`.
    pub fn is_same_value(&self, other: &Self) -> bool {
        self == other || self.decimal() == other.decimal()
    }

    /// How many bytes its text takes beside it.
    pub fn bytes_beside(&self) -> usize {
        match &self.0 {
            Form::Unsigned(_) | Form::Negative(_) => 0,
            Form::Written(text) => text.len(),
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(Form::Unsigned(value))
    }
}

/// As it is written.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Unsigned(value) => value.fmt(f),
            Form::Negative(value) => value.fmt(f),
            Form::Written(text) => f.write_str(text),
        }
    }
}

/// A whole number of 64 bits in its one form.
fn short(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let form = match text.strip_prefix('-') {
        None => Form::Unsigned(text.parse().ok()?),
        // A zero that has a sign has none as a whole number.
        Some("0") => return None,
        Some(_) => Form::Negative(text.parse().ok()?),
    };
    Some(Number(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_as_it_is_written() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "1",
            "-1",
            "1.0",
            "1e15",
            "1E+2",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "0.9424502837770503",
            "1e-39",
            "1e-400",
            "1.7976931348623157e308",
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!(number.to_string(), text);
            assert_eq!(Some(number.decimal()), Decimal::parse(text.as_bytes()));
            assert_eq!(number.as_f64(), text.parse().ok(), "{text}");
        }
        for wrong in [
            "",
            "-",
            "01",
            "-01",
            "1.",
            ".1",
            "+1",
            "1e",
            "1e309",
            "1e9999999",
            "NaN",
            "0x1",
        ] {
            assert_eq!(Number::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn values_are_compared_and_not_texts() {
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| Number::parse(text).unwrap());
            one.is_same_value(&other)
        };
        assert!(same("1", "1.0") && same("100", "1e2") && same("-0", "0"));
        assert!(!same("9007199254740993", "9007199254740992"));
        assert!(!same("0.1", "0.10000000000000001"));
        assert!(!same("1", "-1"));
    }
}
