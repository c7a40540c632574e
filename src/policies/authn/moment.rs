//! Points in time in a document: a day, RFC 3339, or seconds since the epoch as tokens have them.

use std::fmt;
use std::ops::RangeInclusive;

use portcullis_document::units::whole;
use portcullis_document::{Node, Problems};
use portcullis_wire::json::{Json, Number};

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
    let mistaken = match node.json() {
        Json::Number(number) => mistaken_number(number),
        Json::String(text) => mistaken_text(text),
        _ => None,
    };
    if let Some(mistaken) = mistaken {
        node.report(problems, mistaken);
        return None;
    }
    let moment = match node.json() {
        Json::String(text) => day_or_time(text, rounding),
        Json::Number(number) if !is_number_of_seconds(number) => None,
        _ => i64::try_from(node.integer(problems, SECONDS)?).ok(),
    };
    let moment = moment.and_then(|seconds| u32::try_from(seconds).ok());
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

/// What a document can write in seconds.
const SECONDS: RangeInclusive<u64> = 0..=u32::MAX as u64;

/// Before that, a number in other units is not taken for a time: the first of January 1990.
const PLAUSIBLE: u32 = 631_152_000;

fn value(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| whole(number.as_f64()?))
}

fn is_number_of_seconds(number: &Number) -> bool {
    value(number).is_some_and(|value| SECONDS.contains(&value))
}

/// What a number was meant as that is no number of seconds, or a time that nobody means; and how to write that.
fn mistaken_number(number: &Number) -> Option<String> {
    let value = value(number)?;
    // 20270131 is a second of August 1970.
    if let Some(day) = day_of(value) {
        return Some(format!(
            "is in seconds since 1970, and as such {}; write the day as \"{day}\"",
            u32::try_from(value).map(Moment).ok()?
        ));
    }
    const UNITS: [(&str, u64); 3] = [
        ("milliseconds", 1_000),
        ("microseconds", 1_000_000),
        ("nanoseconds", 1_000_000_000),
    ];
    UNITS.iter().find_map(|(unit, each)| {
        let seconds = u32::try_from(value.checked_div(*each)?).ok()?;
        let is_plausible = seconds >= PLAUSIBLE && !SECONDS.contains(&value);
        is_plausible.then(|| {
            let time = Moment(seconds);
            format!(
                "is in {unit}, and times are in seconds since 1970: write {seconds}, or \"{time}\""
            )
        })
    })
}

/// The same of a text: a number in quotation marks.
fn mistaken_text(text: &str) -> Option<String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| is_number)?;
    (seconds >= PLAUSIBLE).then(|| {
        let time = Moment(seconds);
        format!("seconds since 1970 are a number, without quotation marks: write {seconds}, or \"{time}\"")
    })
}

/// The beginning of the day that a number such as 20270131 spells.
fn day_of(value: u64) -> Option<String> {
    let (year, month, day) = (value / 10_000, value / 100 % 100, value % 100);
    let written = format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
    let is_there = (1970..=2106).contains(&year);
    (is_there && rfc3339(written.as_bytes(), Rounding::Down).is_some()).then_some(written)
}

/// A time in seconds since the epoch, as RFC 3339 writes it.
pub(crate) struct Moment(pub(crate) u32);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let second = second % 60;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Year, month and day, of so many days since the first of January 1970.
pub(crate) fn civil(days: u32) -> (u32, u32, u32) {
    // Years begin in March here, so that a leap day is the last of one; four hundred of them are an era.
    const ERA: u32 = 146_097;
    let days = days.saturating_add(719_468);
    let (era, in_era) = (days / ERA, days % ERA);
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u32::from(month <= 2);
    (year, month, day)
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

    #[test]
    fn what_was_meant_as_a_time_is_told() {
        let told = |text: &str| {
            let json = Json::parse(text.as_bytes(), 2).unwrap();
            let mut problems = Problems::default();
            let read = read_moment(&Node::root(&json), Rounding::Down, "", &mut problems);
            match problems.into_result(read) {
                Ok(seconds) => panic!("{text}: {seconds}"),
                Err(error) => error.to_string(),
            }
        };
        for (written, cure) in [
            (
                "1795957200000",
                "is in milliseconds, and times are in seconds since 1970: write 1795957200, or \"2026-11-29T13:00:00Z\"",
            ),
            ("1795957200000000", "is in microseconds"),
            ("1795957200000000000", "is in nanoseconds"),
            (
                "20270131",
                "as such 1970-08-23T14:35:31Z; write the day as \"2027-01-31T00:00:00Z\"",
            ),
            (
                "\"1795957200\"",
                "without quotation marks: write 1795957200, or \"2026-11-29T13:00:00Z\"",
            ),
            ("5000000000", "must be a time from 1970 to 2106"),
            ("-1", "must be a time from 1970 to 2106"),
            ("1.5", "must be a time from 1970 to 2106"),
            ("\"\"", "must be a time from 1970 to 2106"),
        ] {
            let found = told(written);
            assert!(found.contains(cure), "{written}: {found}");
        }
    }
}
