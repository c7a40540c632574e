//! RFC 3339 dates and times; durations as in its appendix A.

/// `date-time`.
pub(super) fn is_date_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else {
        return false;
    };
    let time = rest.strip_prefix(['T', 't']);
    is_date(date) && time.is_some_and(is_time)
}

/// `date`: a day that exists.
pub(super) fn is_date(text: &str) -> bool {
    let [year, month, day] = match parts(text, '-') {
        Some(parts) => parts,
        None => return false,
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// `time`, with its offset. A leap second is one only at the end of a day in UTC.
pub(super) fn is_time(text: &str) -> bool {
    let Some((clock, rest)) = text.split_at_checked(8) else {
        return false;
    };
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
    };
    let Some([hour, minute, second]) = parts(clock, ':') else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) =
        (number(hour, 2), number(minute, 2), number(second, 2))
    else {
        return false;
    };
    let Some(offset) = offset_minutes(rest) else {
        return false;
    };
    let of_day = (i64::from(hour) * 60 + i64::from(minute) - offset).rem_euclid(24 * 60);
    let leap = second == 60 && of_day == 23 * 60 + 59;
    hour < 24 && minute < 60 && (second < 60 || leap)
}

fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hour, minute) = text.get(1..)?.split_once(':')?;
    let (hour, minute) = (number(hour, 2)?, number(minute, 2)?);
    let sound = hour < 24 && minute < 60;
    sound.then_some(sign * (i64::from(hour) * 60 + i64::from(minute)))
}

/// `duration`: RFC 3339 appendix A, which wants units in order and none left out between two.
pub(super) fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else {
        return false;
    };
    let (date, time) = match rest.split_once('T') {
        None => (rest, None),
        Some((date, time)) => (date, Some(time)),
    };
    let Some(date_units) = units(date) else {
        return false;
    };
    let time_units = match time.map(units) {
        None => String::new(),
        Some(Some(units)) if !units.is_empty() => units,
        Some(_) => return false,
    };
    let in_order = |units: &str, all: &str| units.is_empty() || all.contains(units);
    if date_units == "W" {
        return time.is_none();
    }
    let some = !date_units.is_empty() || !time_units.is_empty();
    some && in_order(&date_units, "YMD") && in_order(&time_units, "HMS")
}

/// The units of `1Y2M`, each after digits.
fn units(text: &str) -> Option<String> {
    let mut units = String::new();
    let mut digits = false;
    for c in text.chars() {
        match c {
            '0'..='9' => digits = true,
            'A'..='Z' if digits => {
                units.push(c);
                digits = false;
            }
            _ => return None,
        }
    }
    (!digits).then_some(units)
}

fn parts(text: &str, separator: char) -> Option<[&str; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.try_into().ok()
}

/// As many digits, and nothing else.
fn number(text: &str, digits: usize) -> Option<u32> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { text.parse().ok() } else { None }
}
