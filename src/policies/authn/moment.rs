//! Points in time in a document: a day, RFC 3339, or seconds since the epoch as tokens have them.

use portcullis_document::{Node, Problems};
use portcullis_wire::json::Json;

/// What becomes of a fraction of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// It is cut off.
    Down,
    /// It makes a second.
    Up,
}

/// Reads one, as seconds since the epoch; `advice` is what else to say of one that is wrong.
pub(crate) fn read_moment(
    node: &Node<'_>,
    rounding: Rounding,
    advice: &str,
    problems: &mut Problems,
) -> Option<u32> {
    let text = match node.json() {
        Json::String(text) => text,
        _ => {
            let seconds = node.integer(problems, 0..=u64::from(u32::MAX))?;
            return u32::try_from(seconds).ok();
        }
    };
    let moment = day_or_time(text, rounding).and_then(|seconds| u32::try_from(seconds).ok());
    if moment.is_none() {
        node.report(
            problems,
            format_args!(
                "must be a time from 1970 to 2106: as \"2027-01-31T00:00:00Z\", as a day, \"2027-01-31\", or in seconds since 1970{advice}"
            ),
        );
    }
    moment
}

/// `2027-01-31`, which begins at midnight in UTC, or RFC 3339, in whole seconds.
pub fn day_or_time(text: &str, rounding: Rounding) -> Option<i64> {
    match text.len() {
        10 => rfc3339([text, "T00:00:00Z"].concat().as_bytes(), rounding),
        _ => rfc3339(text.as_bytes(), rounding),
    }
}

/// RFC 3339 §5.6, in whole seconds; a leap second is none.
pub fn rfc3339(text: &[u8], rounding: Rounding) -> Option<i64> {
    let (date, rest) = text.split_first_chunk::<19>()?;
    let part = |from: usize, to: usize| number(date.get(from..to)?);
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let has = |(at, separator): &(usize, u8)| date.get(*at) == Some(separator);
    separators.iter().all(has).then_some(())?;
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let in_day = hour < 24 && minute < 60 && second < 60;
    let in_month = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    (in_day && in_month).then_some(())?;
    let (rest, has_fraction) = match rest.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            let (digits, rest) = fraction.split_at_checked(digits)?;
            (!digits.is_empty()).then_some((rest, digits.iter().any(|digit| *digit != b'0')))?
        }
        _ => (rest, false),
    };
    let more = i64::from(has_fraction && rounding == Rounding::Up);
    let ahead = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let (hours, minutes) = (number(offset.get(..2)?)?, number(offset.get(3..)?)?);
            let fits = offset.len() == 5 && offset.get(2) == Some(&b':');
            (fits && hours < 24 && minutes < 60).then_some(())?;
            let ahead = hours * 3600 + minutes * 60;
            if *sign == b'+' { ahead } else { -ahead }
        }
        _ => return None,
    };
    let days = days_before(year, month) + day - 1;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second + more - ahead)
}

/// A number of decimal digits alone, of which there are at most four.
fn number(digits: &[u8]) -> Option<i64> {
    let digit = |so_far: i64, b: &u8| {
        let digit = char::from(*b).to_digit(10)?;
        Some(so_far * 10 + i64::from(digit))
    };
    (1..=4).contains(&digits.len()).then_some(())?;
    digits.iter().try_fold(0, digit)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days from the epoch to the first of a month of a year with at most four digits.
fn days_before(year: i64, month: i64) -> i64 {
    let before = year - 1;
    let leaps = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let years = (year - 1970) * 365 + leaps(before) - leaps(1969);
    (1..month).fold(years, |days, month| days + days_of(year, month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_others_read_them() {
        // As `date -u -d TIME +%s` has them.
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2026-11-29T13:00:00Z", 1_795_957_200),
            ("2026-11-29T13:00:00.999Z", 1_795_957_200),
            ("2026-11-29T13:00:00+01:30", 1_795_951_800),
            ("2026-11-29T13:00:00-01:30", 1_795_962_600),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("2106-02-07T06:28:15Z", 4_294_967_295),
            ("1969-12-31T23:59:59Z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
        ] {
            assert_eq!(
                rfc3339(text.as_bytes(), Rounding::Down),
                Some(seconds),
                "{text}"
            );
        }
        for (text, seconds) in [
            ("2026-11-29T13:00:00.000Z", 1_795_957_200),
            ("2026-11-29T13:00:00.001Z", 1_795_957_201),
            ("2026-11-29T13:00:59.9+01:30", 1_795_951_860),
        ] {
            assert_eq!(
                rfc3339(text.as_bytes(), Rounding::Up),
                Some(seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn a_day_begins_at_midnight() {
        for rounding in [Rounding::Down, Rounding::Up] {
            let day = day_or_time("2026-11-29", rounding);
            assert_eq!(day, rfc3339(b"2026-11-29T00:00:00Z", rounding));
            let time = day_or_time("2026-11-29T00:00:00+01:00", rounding);
            assert_eq!(time, day.map(|day| day - 3600));
            for text in ["2026-02-29", "2026-1-019", "20261129Z", "2026-11-29T", ""] {
                assert_eq!(day_or_time(text, rounding), None, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-11-29",
            "2026-11-29T13:00:00",
            "2026-11-29 13:00:00Z",
            "2026-11-29T13:00:00z",
            "2026-11-29T13:00:00ZZ",
            "2026-11-29T13:00:00.Z",
            "2026-11-29T13:00:00+0130",
            "2026-11-29T13:00:00+01:3",
            "2026-11-29T13:00:00+24:00",
            "2026-11-29T24:00:00Z",
            "2026-11-29T13:60:00Z",
            "2026-11-29T13:00:60Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-04-00T00:00:00Z",
            "+026-04-01T00:00:00Z",
            "2026-0\u{e9}-1T00:00:00Z",
        ] {
            assert_eq!(rfc3339(text.as_bytes(), Rounding::Up), None, "{text}");
        }
    }
}
