//! Numbers of a text, compared without being taken apart where they are short.

use std::borrow::Cow;
use std::cmp::Ordering;

use portcullis_wire::budget::{self, Reservation, Share};
use portcullis_wire::json::decimal::Decimal;
use portcullis_wire::json_gate::Written;

/// A number of a text.
pub(super) struct Numeral<'t> {
    written: &'t [u8],
    short: Option<Short>,
    /// It, exact, where it is not short: many schemas may ask for it, and it is read once.
    long: Option<Long>,
}

struct Long {
    exact: Decimal,
    _memory: Reservation,
}

/// So many digits, of which so many stand behind the point.
#[derive(Clone, Copy)]
struct Short {
    negative: bool,
    digits: u64,
    decimals: u32,
}

/// A number with which others are compared.
pub(super) struct NumberBound {
    bound: Decimal,
    short: Option<Short>,
    wrong: Ordering,
    /// Whether the bound itself is wrong as well.
    excluded: bool,
}

/// A number of which others are multiples.
pub(super) struct Divisor {
    divisor: Decimal,
    short: Option<Short>,
}

/// With one more, there may be no room for them.
const MOST_DIGITS: u32 = 18;
/// Numbers of no more bytes have no more digits.
const MOST_BYTES: usize = 18;

impl<'t> Numeral<'t> {
    /// Reads a number that the gate has seen. None if it is out of all proportion, or there is no memory for it.
    #[inline]
    pub(super) fn read(number: Written<'t>) -> Option<Self> {
        let Written { written, .. } = number;
        let short = match Self::is_doubtful(number) {
            true => None,
            false => Short::read(written),
        };
        let long = match short {
            Some(_) => None,
            None => Some(Long::read(written)?),
        };
        Some(Self {
            written,
            short,
            long,
        })
    }

    /// Whether a number that the gate has seen may be out of all proportion.
    #[inline]
    pub(super) fn is_doubtful(number: Written<'_>) -> bool {
        !number.is_plain || number.written.len() > MOST_BYTES
    }

    /// It, exact.
    pub(super) fn decimal(&self) -> Cow<'_, Decimal> {
        match &self.long {
            Some(long) => Cow::Borrowed(&long.exact),
            // What is short is a number.
            None => Cow::Owned(Decimal::parse(self.written).unwrap_or(Decimal::ZERO)),
        }
    }

    /// Whether it has no fraction.
    pub(super) fn is_integer(&self) -> bool {
        match self.short {
            Some(Short { decimals: 0, .. }) => true,
            Some(short) => short.digits.checked_rem(power_of_ten(short.decimals)) == Some(0),
            None => self.decimal().is_integer(),
        }
    }

    /// What it costs to compare it, at most.
    pub(super) fn steps(&self) -> u64 {
        let long = u64::try_from(self.written.len() / 16).unwrap_or(u64::MAX);
        long.saturating_add(1)
    }
}

impl Long {
    #[inline(never)]
    fn read(written: &[u8]) -> Option<Self> {
        // Its digits are gathered, and then put where they are kept.
        let memory = budget::reserve(Share::Bodies, written.len().saturating_mul(2))?;
        Some(Self {
            exact: Decimal::parse(written)?,
            _memory: memory,
        })
    }
}

impl Short {
    #[inline]
    fn read(written: &[u8]) -> Option<Self> {
        let (negative, mut rest) = match written {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, written),
        };
        let mut digits = 0_u64;
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit & 0xf));
            rest = after;
        }
        let mut decimals = 0_u32;
        if let [b'.', after @ ..] = rest {
            rest = after;
            while let [digit @ b'0'..=b'9', after @ ..] = rest {
                digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit & 0xf));
                decimals = decimals.wrapping_add(1);
                rest = after;
            }
        }
        rest.is_empty().then_some(Self {
            negative,
            digits,
            decimals,
        })
    }

    fn of(number: &Decimal) -> Option<Self> {
        let (digits, exponent) = number.short()?;
        let (digits, decimals) = match u32::try_from(exponent) {
            Ok(zeros) => (digits.checked_mul(10_u64.checked_pow(zeros)?)?, 0),
            Err(_) => (digits, exponent.unsigned_abs()),
        };
        (decimals <= MOST_DIGITS).then_some(Self {
            negative: number.is_negative(),
            digits,
            decimals,
        })
    }

    /// Compares, if that can be done in 64 bits.
    #[inline]
    fn compare(self, other: Self) -> Option<Ordering> {
        let decimals = self.decimals.max(other.decimals);
        let scaled = |short: Self| {
            let more = decimals.wrapping_sub(short.decimals);
            let size = match more {
                0 => short.digits,
                more => product(short.digits, power_of_ten(more))?,
            };
            let size = i64::try_from(size).ok()?;
            Some(if short.negative {
                size.wrapping_neg()
            } else {
                size
            })
        };
        Some(scaled(self)?.cmp(&scaled(other)?))
    }

    /// Whether it is a multiple of another, which is not 0, if that can be told in 64 bits.
    #[inline]
    fn is_multiple_of(self, other: Self) -> Option<bool> {
        let (more, fewer) = (
            other.decimals.saturating_sub(self.decimals),
            self.decimals.saturating_sub(other.decimals),
        );
        let digits = match more {
            0 => self.digits,
            more => product(self.digits, power_of_ten(more))?,
        };
        let divisor = match fewer {
            0 => other.digits,
            fewer => product(other.digits, power_of_ten(fewer))?,
        };
        match divisor {
            1 => Some(true),
            divisor => Some(digits.checked_rem(divisor)? == 0),
        }
    }
}

impl NumberBound {
    pub(super) fn new(bound: &Decimal, wrong: Ordering, excluded: bool) -> Self {
        Self {
            bound: bound.clone(),
            short: Short::of(bound),
            wrong,
            excluded,
        }
    }

    pub(super) fn holds(&self, number: &Numeral<'_>) -> bool {
        let short = match (number.short, self.short) {
            (Some(number), Some(bound)) => number.compare(bound),
            _ => None,
        };
        let order = short.unwrap_or_else(|| number.decimal().as_ref().cmp(&self.bound));
        !(order == self.wrong || (self.excluded && order == Ordering::Equal))
    }
}

impl Divisor {
    pub(super) fn new(divisor: &Decimal) -> Self {
        Self {
            divisor: divisor.clone(),
            short: Short::of(divisor),
        }
    }

    /// Whether a number is a multiple of it, and what it costs to tell, at most; none if it costs more than is
    /// worth while.
    pub(super) fn divides(&self, number: &Numeral<'_>) -> Option<(bool, u64)> {
        /// What numbers of few digits cost.
        const SHORT_STEPS: u64 = 10;
        if let (Some(number), Some(divisor)) = (number.short, self.short)
            && let Some(divides) = number.is_multiple_of(divisor)
        {
            return Some((divides, SHORT_STEPS));
        }
        let number = number.decimal();
        let steps = number.division_steps(&self.divisor);
        (steps <= MOST_DIVISION_STEPS).then(|| (number.is_multiple_of(&self.divisor), steps))
    }
}

/// Numbers that take longer are left to who reads the whole text as a value, and does not do it twice.
const MOST_DIVISION_STEPS: u64 = 1000;

/// The product, if 64 bits hold it. To tell that takes 128 bits, where both do not have 32.
#[inline]
fn product(one: u64, other: u64) -> Option<u64> {
    match (one | other) >> 32 {
        0 => Some(one.wrapping_mul(other)),
        _ => one.checked_mul(other),
    }
}

/// Up to the largest power that 64 bits hold; 0 beyond.
#[inline]
fn power_of_ten(power: u32) -> u64 {
    const POWERS: [u64; 20] = [
        1,
        10,
        100,
        1_000,
        10_000,
        100_000,
        1_000_000,
        10_000_000,
        100_000_000,
        1_000_000_000,
        10_000_000_000,
        100_000_000_000,
        1_000_000_000_000,
        10_000_000_000_000,
        100_000_000_000_000,
        1_000_000_000_000_000,
        10_000_000_000_000_000,
        100_000_000_000_000_000,
        1_000_000_000_000_000_000,
        10_000_000_000_000_000_000,
    ];
    let at = usize::try_from(power).unwrap_or(usize::MAX);
    POWERS.get(at).copied().unwrap_or(0)
}
