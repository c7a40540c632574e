//! Numbers as they are written: exact, whatever their size.
//!
//! A double would make `0.1 + 0.2` of a limit, and two different large numbers the same one.
#![deny(clippy::arithmetic_side_effects)]

use std::cmp::Ordering;

/// A decimal number in its one form: no zero at the end of its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: Significand,
    /// The power of ten that the digits are multiplied by; 0 for zero.
    exponent: i32,
}

/// The digits, without zeros at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Significand {
    /// As many as this holds.
    Short(u64),
    /// More than that.
    Long(Box<[u8]>),
}

/// No exponent may be larger: no other reader could make anything of such a number.
const MAX_EXPONENT: i64 = 1_000_000;

impl Decimal {
    /// 0.
    pub const ZERO: Self = Self {
        negative: false,
        digits: Significand::Short(0),
        exponent: 0,
    };

    /// Reads a number as RFC 8259 writes it. `None` if it is none, or out of all proportion.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (negative, rest) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        let well_formed = matches!(whole, [b'0'] | [b'1'..=b'9', ..]);
        let (fraction, rest) = match rest.split_first() {
            Some((b'.', rest)) => match split_digits(rest) {
                ([], _) => return None,
                split => split,
            },
            _ => (&b""[..], rest),
        };
        let power = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', power)) => read_power(power)?,
            Some(_) => return None,
        };
        if !well_formed {
            return None;
        }
        let length = i64::try_from(fraction.len()).ok()?;
        Self::assemble(negative, whole, fraction, power.checked_sub(length)?)
    }

    /// A whole number.
    pub fn whole(value: u64) -> Self {
        let mut value = value;
        let mut exponent = 0_i32;
        while value != 0 && value.checked_rem(10) == Some(0) {
            value = value.checked_div(10).unwrap_or(value);
            exponent = exponent.saturating_add(1);
        }
        Self {
            negative: false,
            digits: Significand::Short(value),
            exponent,
        }
    }

    fn assemble(negative: bool, whole: &[u8], fraction: &[u8], exponent: i64) -> Option<Self> {
        let digits = || whole.iter().chain(fraction);
        let value = match whole.len().saturating_add(fraction.len()) {
            // There is room for as many.
            0..=19 => Some(digits().fold(0_u64, |value, digit| {
                let digit = u64::from(digit.wrapping_sub(b'0'));
                value.wrapping_mul(10).wrapping_add(digit)
            })),
            _ => digits().try_fold(0_u64, |value, digit| {
                let digit = u64::from(digit.wrapping_sub(b'0'));
                value.checked_mul(10)?.checked_add(digit)
            }),
        };
        let (digits, zeros) = match value {
            Some(0) => return Some(Self::whole(0)),
            Some(value) if digits().next_back() != Some(&b'0') => (Significand::Short(value), 0),
            Some(value) => {
                let stripped = Self::whole(value);
                (stripped.digits, i64::from(stripped.exponent))
            }
            None => Significand::collect(whole, fraction)?,
        };
        let exponent = exponent.checked_add(zeros)?;
        if exponent.unsigned_abs() > MAX_EXPONENT.unsigned_abs() {
            return None;
        }
        Some(Self {
            negative,
            digits,
            exponent: i32::try_from(exponent).ok()?,
        })
    }

    /// Whether it has no fraction: `1.0` has none.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// What it costs to compare it, as a multiple of what a number of 64 bits costs.
    pub fn size(&self) -> u64 {
        let long = u64::try_from(self.long_digits() / 16).unwrap_or(u64::MAX);
        long.saturating_add(1)
    }

    /// How many digits it has, if they are more than 64 bits hold.
    fn long_digits(&self) -> usize {
        match &self.digits {
            Significand::Short(_) => 0,
            Significand::Long(digits) => digits.len(),
        }
    }

    /// What [`Self::is_multiple_of`] costs, in steps of an effort.
    pub fn division_steps(&self, divisor: &Decimal) -> u64 {
        let count = |digits: usize| u64::try_from(digits).unwrap_or(u64::MAX);
        let digits = count(self.long_digits());
        if let Significand::Long(modulus) = &divisor.digits {
            let limbs = count(modulus.len() / LIMB_DIGITS).saturating_add(2);
            let rounds = digits.saturating_add(count(most_zeros(modulus)));
            return rounds
                .saturating_add(20)
                .saturating_mul(limbs)
                .saturating_mul(8);
        }
        match self.exponent {
            -18..=18 if digits == 0 => 10,
            _ => digits.saturating_mul(15).saturating_add(700),
        }
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.digits == Significand::Short(0)
    }

    /// Whether it is less than 0.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The same with the other sign.
    pub fn negated(self) -> Self {
        Self {
            negative: !self.negative && !self.is_zero(),
            ..self
        }
    }

    /// Its digits, if 64 bits hold them, and the power of ten that they are multiplied by; without the
    /// sign.
    pub fn short(&self) -> Option<(u64, i32)> {
        match self.digits {
            Significand::Short(digits) => Some((digits, self.exponent)),
            Significand::Long(_) => None,
        }
    }

    /// The number, if it is whole, not negative, and small enough.
    pub fn to_u64(&self) -> Option<u64> {
        let Significand::Short(digits) = self.digits else {
            return None;
        };
        let power = u32::try_from(self.exponent).ok()?;
        if self.negative {
            return None;
        }
        digits.checked_mul(10_u64.checked_pow(power)?)
    }

    /// Whether it is a whole number times `divisor`. Nothing is a multiple of zero.
    pub fn is_multiple_of(&self, divisor: &Decimal) -> bool {
        if divisor.is_zero() || self.is_zero() {
            return !divisor.is_zero();
        }
        // Without zeros at the end of its digits, no number is a multiple of a larger power of ten.
        let power = i64::from(self.exponent).saturating_sub(i64::from(divisor.exponent));
        let Ok(power) = u64::try_from(power) else {
            return false;
        };
        let modulus = match &divisor.digits {
            Significand::Short(modulus) => *modulus,
            Significand::Long(modulus) => return self.digits.is_long_multiple(power, modulus),
        };
        // Most often both are small, and no wider arithmetic is needed.
        let scale = u32::try_from(power).ok();
        let scale = scale.and_then(|power| 10_u64.checked_pow(power));
        if let (Significand::Short(digits), Some(scale)) = (&self.digits, scale)
            && let Some(value) = digits.checked_mul(scale)
        {
            return value.checked_rem(modulus) == Some(0);
        }
        let rest = self.digits.remainder(modulus);
        let scale = power_of_ten(power, modulus);
        multiply(rest, scale, modulus) == 0
    }

    /// Compares sizes where the smaller exponent can be taken for both.
    fn compare_scaled(&self, other: &Self) -> Option<Ordering> {
        let (Significand::Short(one), Significand::Short(two)) = (&self.digits, &other.digits)
        else {
            return None;
        };
        let least = self.exponent.min(other.exponent);
        let scaled = |digits: u64, exponent: i32| {
            let power = u32::try_from(exponent.checked_sub(least)?).ok()?;
            digits.checked_mul(10_u64.checked_pow(power)?)
        };
        Some(scaled(*one, self.exponent)?.cmp(&scaled(*two, other.exponent)?))
    }

    /// The place of the first digit: 1 for `5`, 2 for `50`, 0 for `0.5`.
    fn magnitude(&self) -> i64 {
        let length = match &self.digits {
            Significand::Short(value) => value
                .checked_ilog10()
                .map_or(0, |log| log.saturating_add(1)),
            Significand::Long(digits) => u32::try_from(digits.len()).unwrap_or(u32::MAX),
        };
        i64::from(self.exponent).saturating_add(i64::from(length))
    }
}

impl Significand {
    /// The digits of a number too long for [`Significand::Short`], and how many zeros followed them.
    fn collect(whole: &[u8], fraction: &[u8]) -> Option<(Self, i64)> {
        let mut digits: Vec<u8> = whole.iter().chain(fraction).copied().collect();
        let kept = digits.iter().rposition(|digit| *digit != b'0')?;
        let zeros = digits.len().checked_sub(kept)?.checked_sub(1)?;
        digits.truncate(kept.checked_add(1)?);
        let first = digits.iter().position(|digit| *digit != b'0')?;
        digits.drain(..first);
        let short = std::str::from_utf8(&digits).ok()?.parse::<u64>();
        let collected = match short {
            Ok(value) => Significand::Short(value),
            Err(_) => Significand::Long(digits.into()),
        };
        Some((collected, i64::try_from(zeros).ok()?))
    }

    fn remainder(&self, modulus: u64) -> u64 {
        match self {
            Significand::Short(value) => value.checked_rem(modulus).unwrap_or(0),
            Significand::Long(digits) => digits.iter().fold(0, |rest, digit| {
                let shifted = multiply(rest, 10, modulus);
                let digit = u128::from(digit.wrapping_sub(b'0'));
                let sum = u128::from(shifted).saturating_add(digit);
                narrow(sum.checked_rem(u128::from(modulus)))
            }),
        }
    }

    /// Compares numbers whose first digits have the same place.
    fn compare(&self, other: &Self) -> Ordering {
        if let (Significand::Short(one), Significand::Short(two)) = (self, other) {
            let length = |value: &u64| value.checked_ilog10().unwrap_or(0);
            let (long, short) = (length(one), length(two));
            let scaled = |value: &u64, by: u32| {
                let scale = 10_u128.checked_pow(by).unwrap_or(u128::MAX);
                u128::from(*value).saturating_mul(scale)
            };
            return scaled(one, short.saturating_sub(long))
                .cmp(&scaled(two, long.saturating_sub(short)));
        }
        let mut room = ([0; SHORT_DIGITS], [0; SHORT_DIGITS]);
        self.text(&mut room.0).cmp(other.text(&mut room.1))
    }

    /// The digits as text; `room` is for digits that are none yet.
    fn text<'d>(&'d self, room: &'d mut [u8; SHORT_DIGITS]) -> &'d [u8] {
        let value = match self {
            Significand::Short(value) => *value,
            Significand::Long(digits) => return digits,
        };
        let mut left = value;
        let mut begin = room.len();
        for (at, place) in room.iter_mut().enumerate().rev() {
            let digit = left
                .checked_rem(10)
                .and_then(|digit| u8::try_from(digit).ok());
            *place = b'0'.saturating_add(digit.unwrap_or(0));
            left = left.checked_div(10).unwrap_or(0);
            begin = at;
            if left == 0 {
                break;
            }
        }
        room.get(begin..).unwrap_or_default()
    }

    /// Whether these digits, with so many zeros behind them, are a multiple of a number too long
    /// for arithmetic of the machine: long division, a digit at a time.
    fn is_long_multiple(&self, zeros: u64, modulus: &[u8]) -> bool {
        // What more zeros could bring are factors 2 and 5 that the modulus does not have.
        let zeros = usize::try_from(zeros).unwrap_or(usize::MAX);
        let zeros = zeros.min(most_zeros(modulus));
        let modulus = limbs(modulus);
        let mut rest = vec![0_u64; modulus.len()];
        let mut room = [0; SHORT_DIGITS];
        let digits = self
            .text(&mut room)
            .iter()
            .map(|digit| digit.wrapping_sub(b'0'));
        for digit in digits.chain(std::iter::repeat_n(0, zeros)) {
            let mut carry = u64::from(digit);
            for limb in &mut rest {
                let shifted = limb.saturating_mul(10).saturating_add(carry);
                *limb = shifted.checked_rem(LIMB).unwrap_or(0);
                carry = shifted.checked_div(LIMB).unwrap_or(0);
            }
            while rest.iter().rev().cmp(modulus.iter().rev()) != Ordering::Less {
                let mut borrow = 0;
                for (limb, less) in rest.iter_mut().zip(&modulus) {
                    let less = less.saturating_add(borrow);
                    borrow = u64::from(*limb < less);
                    let lent = if borrow == 1 { LIMB } else { 0 };
                    *limb = limb.saturating_add(lent).saturating_sub(less);
                }
            }
        }
        rest.iter().all(|limb| *limb == 0)
    }
}

/// How many digits a [`Significand::Short`] has, at most.
const SHORT_DIGITS: usize = 20;
/// Long numbers are divided in pieces of so many digits: ten times one fits in 64 bits.
const LIMB_DIGITS: usize = 18;
const LIMB: u64 = 10_u64.pow(18);

/// How many factors 2 or 5 a number of these digits can have, at most.
fn most_zeros(digits: &[u8]) -> usize {
    digits.len().saturating_mul(4)
}

/// A number in pieces, the least one first, and one more.
fn limbs(digits: &[u8]) -> Vec<u64> {
    let pieces = digits.rchunks(LIMB_DIGITS).map(|piece| {
        let text = std::str::from_utf8(piece).unwrap_or_default();
        text.parse().unwrap_or(0)
    });
    pieces.chain([0]).collect()
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let by_size = self.compare_scaled(other).unwrap_or_else(|| {
            self.magnitude()
                .cmp(&other.magnitude())
                .then_with(|| self.digits.compare(&other.digits))
        });
        if self.negative {
            by_size.reverse()
        } else {
            by_size
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, b""))
}

fn read_power(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // What is too long to hold is too large in any case.
    let power: i64 = std::str::from_utf8(digits)
        .ok()?
        .parse()
        .unwrap_or(i64::MAX);
    if negative {
        power.checked_neg()
    } else {
        Some(power)
    }
}

fn multiply(one: u64, two: u64, modulus: u64) -> u64 {
    let product = u128::from(one).checked_mul(u128::from(two));
    narrow(product.and_then(|product| product.checked_rem(u128::from(modulus))))
}

fn narrow(rest: Option<u128>) -> u64 {
    rest.and_then(|rest| u64::try_from(rest).ok()).unwrap_or(0)
}

/// `10 ^ power`, modulo `modulus`.
fn power_of_ten(power: u64, modulus: u64) -> u64 {
    let mut result = 1_u64.checked_rem(modulus).unwrap_or(0);
    let mut base = 10_u64.checked_rem(modulus).unwrap_or(0);
    let mut left = power;
    while left > 0 {
        if left & 1 == 1 {
            result = multiply(result, base, modulus);
        }
        base = multiply(base, base, modulus);
        left >>= 1;
    }
    result
}

#[cfg(test)]
mod tests;
