//! Social security numbers: `AAA-GG-SSSS`, with its hyphens. Nine digits alone are anything.

use super::is_apart;

/// Where a number ends that begins there, if the administration gives such numbers out.
pub(super) fn at(text: &[u8], start: usize) -> Option<usize> {
    let end = start.saturating_add(11);
    let number = text.get(start..end)?;
    let [a, b, c, b'-', d, e, b'-', f, g, h, i] = number else {
        return None;
    };
    let digits = [a, b, c, d, e, f, g, h, i];
    let is_number = digits.iter().all(|digit| digit.is_ascii_digit());
    let (area, group, serial) = ([*a, *b, *c], [*d, *e], [*f, *g, *h, *i]);
    let is_given =
        *a != b'9' && !matches!(&area, b"000" | b"666") && group != *b"00" && serial != *b"0000";
    (is_number && is_given && is_apart(text, start, end)).then_some(end)
}
