//! International bank account numbers: ISO 13616, by the lengths of the registry and the check digits.

use super::{byte, is_apart};

/// Countries of the registry, each with how long its numbers are.
const LENGTHS: &[u8] = b"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// Where a number ends that begins there, in one piece or in groups of four with a blank between.
pub(super) fn at(text: &[u8], start: usize) -> Option<usize> {
    let [first, second, third, fourth, ..] = text.get(start..)? else {
        return None;
    };
    (third.is_ascii_digit() && fourth.is_ascii_digit()).then_some(())?;
    let country = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    let length = length(country)?;
    let is_grouped = byte(text, start.saturating_add(4)) == b' ';
    // The country and the check digits count last.
    let mut head = 0;
    let mut rest: u32 = 0;
    let mut at = start;
    for place in 0..length {
        if is_grouped && place > 0 && place % 4 == 0 {
            (byte(text, at) == b' ').then_some(())?;
            at = at.saturating_add(1);
        }
        let sign = char::from(byte(text, at)).to_digit(36)?;
        rest = with(rest, sign);
        if place == 3 {
            head = std::mem::take(&mut rest);
        }
        at = at.saturating_add(1);
    }
    // The four of the head take six digits: two letters and two digits.
    let sum = (rest * 1_000_000 % 97 + head) % 97;
    (sum == 1 && is_apart(text, start, at)).then_some(at)
}

fn length(country: [u8; 2]) -> Option<usize> {
    let (rows, _) = LENGTHS.as_chunks::<4>();
    let row = rows.iter().find(|[a, b, ..]| [*a, *b] == country)?;
    let [_, _, tens, ones] = row;
    let length = usize::from(tens & 0x0f) * 10 + usize::from(ones & 0x0f);
    Some(length)
}

/// A remainder of a number with another sign behind it; letters count as numbers of two digits.
fn with(rest: u32, sign: u32) -> u32 {
    let shift = if sign < 10 { 10 } else { 100 };
    (rest * shift + sign) % 97
}
