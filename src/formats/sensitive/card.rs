//! Numbers of payment cards: ISO/IEC 7812, by ranges and lengths that are issued, and the check digit.

use super::{byte, is_apart, starts_apart};

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

/// As many groups as there are at most, and digits in one.
const MOST_GROUPS: usize = 5;
const LONGEST_GROUP: usize = 6;

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
        4 => grouped(text, start),
        _ => None,
    }
}

/// Where a number in groups ends that begins there. The groups are gone over once, whatever they may be.
fn grouped(text: &[u8], start: usize) -> Option<usize> {
    let separator = byte(text, start.saturating_add(4));
    if !matches!(separator, b' ' | b'-') || !starts_apart(text, start) {
        return None;
    }
    let mut digits = [0; MOST];
    let mut count: usize = 0;
    // How long each group is, and where it ends.
    let mut groups = [(0, start); MOST_GROUPS];
    let mut at = start;
    for group in &mut groups {
        let rest = text.get(at..).unwrap_or_default();
        let run = rest.iter().take(LONGEST_GROUP.saturating_add(1));
        let length = run.take_while(|byte| byte.is_ascii_digit()).count();
        // What is longer is of no number, and nothing behind it is.
        let to = digits.get_mut(count..count.saturating_add(length));
        let (Some(to), Some(run)) = (to, rest.get(..length)) else {
            break;
        };
        to.copy_from_slice(run);
        count = count.saturating_add(length);
        at = at.saturating_add(length);
        *group = (length, at);
        if byte(text, at) != separator {
            break;
        }
        at = at.saturating_add(1);
    }
    GROUPED.iter().find_map(|layout| {
        let mut lengths = layout.iter().zip(&groups);
        if !lengths.all(|(length, (found, _))| usize::from(*length) == *found) {
            return None;
        }
        let (_, end) = *groups.get(layout.len().checked_sub(1)?)?;
        let length = layout.iter().map(|length| usize::from(*length)).sum();
        let digits = digits.get(..length)?;
        (is_apart(text, start, end) && is_number(digits, true)).then_some(end)
    })
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
