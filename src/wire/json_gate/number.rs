//! Numbers: RFC 8259 §6.

use super::text::eight_at;
use super::{Fault, Limits};

/// Which numbers may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// All that the grammar allows.
    Any,
    /// Numbers that a double holds, rounded or not: `1e400` is beyond it.
    Double,
    /// Of those, integers only between -(2^53-1) and 2^53-1, where a double holds every one:
    /// RFC 7493 §2.2.
    Exact,
}

/// A number that follows the grammar.
#[derive(Default)]
struct Parts<'t> {
    integer: &'t [u8],
    fraction: &'t [u8],
    exponent: Option<i64>,
}

/// Reads a number that begins there; where it ends, and whether it is of the kind that most are of, without
/// an exponent.
#[inline(always)]
pub(super) fn read(text: &[u8], at: usize, limits: &Limits) -> Result<(usize, bool), Fault> {
    let Some(end) = short(text, at) else {
        return read_long(text.get(at..).unwrap_or_default(), limits)
            .map(|length| (at.wrapping_add(length), false));
    };
    if end.wrapping_sub(at) > limits.number_bytes {
        return Err(Fault::NumberBytes);
    }
    Ok((end, true))
}

/// Whether more bytes behind the text could make what begins there another number, whatever has been read.
#[inline(always)]
pub(super) fn may_go_on(text: &[u8], at: usize, read: Result<(usize, bool), Fault>) -> bool {
    match read {
        Ok((end, _)) => end >= text.len(),
        Err(_) => reaches_end(text.get(at..).unwrap_or_default()),
    }
}

/// Whether nothing comes that cannot stand in a number.
#[cold]
#[inline(never)]
fn reaches_end(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    bytes.all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
}

/// Reads a number of another kind than most; its length.
#[inline(never)]
fn read_long(start: &[u8], limits: &Limits) -> Result<usize, Fault> {
    let (parts, rest) = split(start).ok_or(Fault::Syntax)?;
    let length = start.len().saturating_sub(rest.len());
    if length > limits.number_bytes {
        return Err(Fault::NumberBytes);
    }
    let literal = start.get(..length).unwrap_or_default();
    let fits = match limits.numbers {
        Numbers::Any => true,
        Numbers::Double => parts.is_finite(literal),
        Numbers::Exact => parts.is_exact() && parts.is_finite(literal),
    };
    if fits {
        Ok(length)
    } else {
        Err(Fault::NumberRange)
    }
}

/// Most numbers: no exponent, and so few digits before the point that any range has room for
/// them. Where it ends; none if it is another kind, or none.
#[inline(always)]
fn short(text: &[u8], at: usize) -> Option<usize> {
    const FEWER_THAN: usize = 16;
    let unsigned = match text.get(at) {
        Some(b'-') => at.wrapping_add(1),
        _ => at,
    };
    let mut end = skip_digits(text, unsigned);
    let length = end.saturating_sub(unsigned);
    let leading_zero = length > 1 && text.get(unsigned) == Some(&b'0');
    if leading_zero || !(1..FEWER_THAN).contains(&length) {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        let fraction = end.wrapping_add(1);
        end = skip_digits(text, fraction);
        if end == fraction {
            return None;
        }
    }
    match text.get(end) {
        Some(b'.' | b'e' | b'E') => None,
        _ => Some(end),
    }
}

/// Skips digits, eight at a time while there are as many bytes.
#[inline(always)]
fn skip_digits(text: &[u8], at: usize) -> usize {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let mut at = at;
    while let Some(eight) = eight_at(text, at) {
        // 0 to 9 for digits. More than that, or a high bit, reaches the high bit of its own byte; what is
        // carried out of a byte, into those behind it, means nothing.
        let value = eight ^ each(b'0');
        let found = (value.wrapping_add(each(0x76)) | value) & each(0x80);
        if found != 0 {
            let digits = found.trailing_zeros() / 8;
            return at.wrapping_add(digits as usize);
        }
        at = at.wrapping_add(8);
    }
    while let Some(b'0'..=b'9') = text.get(at) {
        at = at.wrapping_add(1);
    }
    at
}

fn split(start: &[u8]) -> Option<(Parts<'_>, &[u8])> {
    let unsigned = start.strip_prefix(b"-").unwrap_or(start);
    let (integer, mut rest) = digits(unsigned)?;
    if integer.len() > 1 && integer.first() == Some(&b'0') {
        return None;
    }
    let mut parts = Parts {
        integer,
        ..Parts::default()
    };
    if let Some(after) = rest.strip_prefix(b".") {
        (parts.fraction, rest) = digits(after)?;
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let (negative, after) = match after {
            [b'-', after @ ..] => (true, after),
            [b'+', after @ ..] => (false, after),
            _ => (false, after),
        };
        let (exponent, after) = digits(after)?;
        let value = exponent.iter().fold(0i64, |value, digit| {
            let digit = i64::from(digit.wrapping_sub(b'0'));
            value.saturating_mul(10).saturating_add(digit)
        });
        parts.exponent = Some(if negative {
            value.saturating_neg()
        } else {
            value
        });
        rest = after;
    }
    Some((parts, rest))
}

/// One digit or more.
fn digits(start: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = start.iter().position(|b| !b.is_ascii_digit());
    let (digits, rest) = start.split_at_checked(end.unwrap_or(start.len()))?;
    (!digits.is_empty()).then_some((digits, rest))
}

impl Parts<'_> {
    /// Whether reading it as a double gives a number rather than infinity.
    fn is_finite(&self, literal: &[u8]) -> bool {
        // The largest double is 1.797…e308, which has 309 digits.
        const MOST_DIGITS: i64 = 309;
        let exponent = self.exponent.unwrap_or(0);
        if exponent == 0 && self.integer.len() < 309 {
            return true;
        }
        let leading = |digits: &[u8]| digits.iter().position(|digit| *digit != b'0');
        let size = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        // Where the first digit that counts stands, to the left of the point.
        let place = match (leading(self.integer), leading(self.fraction)) {
            (Some(_), _) => size(self.integer.len()),
            (None, Some(zeros)) => size(zeros).saturating_neg(),
            (None, None) => return true,
        };
        match place.saturating_add(exponent).cmp(&MOST_DIGITS) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => {
                let text = std::str::from_utf8(literal).unwrap_or_default();
                text.parse::<f64>().is_ok_and(f64::is_finite)
            }
        }
    }

    /// Whether it is no integer, or one that a double and all its neighbours hold.
    fn is_exact(&self) -> bool {
        const LARGEST: &[u8] = b"9007199254740991";
        let is_integer = self.fraction.is_empty() && self.exponent.is_none();
        !is_integer
            || self.integer.len() < LARGEST.len()
            || (self.integer.len() == LARGEST.len() && self.integer <= LARGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, numbers: Numbers) -> Result<usize, Fault> {
        let limits = Limits {
            numbers,
            ..Limits::GENEROUS
        };
        let (end, _) = read(text.as_bytes(), 0, &limits)?;
        Ok(text.len() - end)
    }

    #[test]
    fn follows_the_grammar() {
        for good in [
            "0", "-0", "-1", "10", "1.0", "0.01", "1e5", "1E+05", "-1.5e-07",
        ] {
            assert_eq!(found(good, Numbers::Any), Ok(0), "{good}");
        }
        for (text, left) in [("1,", 1), ("1e5]", 1), ("0 ", 1), ("1-2", 2)] {
            assert_eq!(found(text, Numbers::Any), Ok(left), "{text}");
        }
        for bad in [
            "-", "01", "-01", "1.", ".1", "1.e1", "1e", "1e+", "+1", "-a", "00",
        ] {
            assert_eq!(found(bad, Numbers::Any), Err(Fault::Syntax), "{bad}");
        }
    }

    #[test]
    fn doubles_end_where_they_end() {
        let nines = "9".repeat(400);
        let zeros = "0".repeat(400);
        let texts = [
            "1e308".to_owned(),
            "1e309".to_owned(),
            "1.7976931348623157e308".to_owned(),
            "1.7976931348623159e308".to_owned(),
            "-1.7976931348623159e308".to_owned(),
            "17976931348623157e292".to_owned(),
            "0.00017976931348623159e312".to_owned(),
            format!("1{}", "0".repeat(308)),
            format!("2{}", "0".repeat(308)),
            format!("1{}", "0".repeat(309)),
            nines.clone(),
            format!("0.{zeros}1e500"),
            format!("0.{zeros}1e9223372036854775807999"),
            "0e99999999999999999999".to_owned(),
            "0.000e999".to_owned(),
            "1e-99999999999999999999".to_owned(),
            format!("{nines}e-200"),
        ];
        for text in texts {
            let finite = text.parse::<f64>().unwrap().is_finite();
            assert_eq!(found(&text, Numbers::Double).is_ok(), finite, "{text}");
        }
    }

    #[test]
    fn exact_integers_are_those_of_i_json() {
        for good in ["9007199254740991", "-9007199254740991", "0", "1e300", "0.1"] {
            assert_eq!(found(good, Numbers::Exact), Ok(0), "{good}");
        }
        for bad in [
            "9007199254740992",
            "-9007199254740992",
            "12345678901234567",
            "1e309",
        ] {
            assert_eq!(found(bad, Numbers::Exact), Err(Fault::NumberRange), "{bad}");
        }
    }
}
