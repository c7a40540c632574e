//! Numbers of payment cards: ISO/IEC 7812, by ranges and lengths that are issued, and the check digit.

use super::{byte, is_apart};

/// As many digits as a number has at most.
const MOST: usize = 19;

/// How digits are grouped on cards; the longer ones first.
const GROUPED: [&[u8]; 5] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 3, 3, 3],
];

/// Where a number ends that begins there: in one piece, or in groups with one blank or hyphen between.
pub(super) fn at(text: &[u8], start: usize) -> Option<usize> {
    let run = text.get(start..)?;
    let run = run.iter().take(MOST + 1).take_while(|b| b.is_ascii_digit());
    match run.count() {
        length @ 13..=MOST => {
            let end = start.saturating_add(length);
            let digits = text.get(start..end)?;
            (is_number(digits, false) && is_apart(text, start, end)).then_some(end)
        }
        4 => {
            let separator = byte(text, start.saturating_add(4));
            let is_one = matches!(separator, b' ' | b'-');
            let mut layouts = GROUPED.iter().filter(|_| is_one);
            layouts.find_map(|groups| grouped(text, start, groups, separator))
        }
        _ => None,
    }
}

fn grouped(text: &[u8], start: usize, groups: &[u8], separator: u8) -> Option<usize> {
    let mut digits = [0; MOST];
    let mut to = digits.iter_mut();
    let mut at = start;
    for (place, length) in groups.iter().enumerate() {
        if place > 0 {
            (byte(text, at) == separator).then_some(())?;
            at = at.saturating_add(1);
        }
        for _ in 0..*length {
            let digit = byte(text, at);
            digit.is_ascii_digit().then_some(())?;
            *to.next()? = digit;
            at = at.saturating_add(1);
        }
    }
    let left = to.len();
    let digits = digits.get(..MOST.saturating_sub(left))?;
    (is_number(digits, true) && is_apart(text, start, at)).then_some(at)
}

/// Whether these digits are the number of a card. Some lengths count only where they are grouped: alone they are
/// more likely an article's number, or any number of as many digits.
pub(super) fn is_number(digits: &[u8], is_grouped: bool) -> bool {
    let Some(first) = digits.get(..4) else {
        return false;
    };
    let value = |sum: u32, digit: &u8| sum.wrapping_mul(10).wrapping_add(u32::from(digit & 0x0f));
    is_issued(first.iter().fold(0, value), digits.len(), is_grouped) && has_check_digit(digits)
}

/// Whether numbers of that length begin with these four digits.
fn is_issued(four: u32, length: usize, is_grouped: bool) -> bool {
    let (three, two) = (four / 10, four / 100);
    let is_visa = four / 1000 == 4;
    let is_union_pay = two == 62;
    let is_maestro = matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763);
    match length {
        13 => is_grouped && is_visa,
        14 => matches!(three, 300..=305 | 309) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            is_visa
                || is_union_pay
                || is_maestro
                || matches!(two, 51..=55 | 60 | 65 | 81 | 82)
                || matches!(three, 508 | 644..=649)
                || matches!(four, 2200..=2204 | 2221..=2720 | 3528..=3589 | 9792)
        }
        17 | 18 => is_union_pay || is_maestro,
        19 => is_union_pay || is_maestro || (is_grouped && is_visa),
        _ => false,
    }
}

/// Luhn's sum, from the last digit on.
fn has_check_digit(digits: &[u8]) -> bool {
    let weighed = digits.iter().rev().enumerate().map(|(place, digit)| {
        let digit = u32::from(digit & 0x0f);
        match place % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        }
    });
    weighed.sum::<u32>() % 10 == 0
}
