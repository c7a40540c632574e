//! Times and addresses as logs have them.

use std::time::Duration;

/// Writes a time. Days since the epoch become a date after Howard Hinnant's `civil_from_days`.
pub(crate) fn rfc3339(out: &mut String, since_epoch: Duration) {
    let seconds = since_epoch.as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let millis = u64::from(since_epoch.subsec_millis());
    two_digits(out, year / 100 % 100);
    two_digits(out, year % 100);
    for (before, number) in [
        ('-', month),
        ('-', day),
        ('T', hour),
        (':', minute),
        (':', second),
    ] {
        out.push(before);
        two_digits(out, number);
    }
    out.push('.');
    out.push(digit(millis / 100));
    two_digits(out, millis % 100);
    out.push('Z');
}

fn two_digits(out: &mut String, number: u64) {
    out.push(digit(number / 10));
    out.push(digit(number));
}

/// The last digit of a number.
fn digit(number: u64) -> char {
    char::from(b'0' | (number % 10) as u8)
}

/// An address without its port, and without the brackets of IPv6.
#[inline(never)]
pub(super) fn without_port(address: &[u8]) -> &[u8] {
    let colon = address.iter().rposition(|b| *b == b':');
    let host = match colon {
        Some(at) if !address.ends_with(b"]") => address.get(..at).unwrap_or(address),
        _ => address,
    };
    host.strip_prefix(b"[")
        .and_then(|host| host.strip_suffix(b"]"))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_305_599_999, "2026-11-21T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut out = String::new();
            rfc3339(&mut out, Duration::from_millis(millis));
            assert_eq!(out, text);
        }
    }

    #[test]
    fn addresses_lose_their_port() {
        assert_eq!(without_port(b"127.0.0.1:80"), b"127.0.0.1");
        assert_eq!(without_port(b"[::1]:80"), b"::1");
        assert_eq!(without_port(b"[::1]"), b"::1");
        assert_eq!(without_port(b"x"), b"x");
    }
}
