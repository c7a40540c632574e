//! Numbers with units, as a document writes them.

use std::time::Duration;

/// A JSON number that passed through a double on its way, as all do under Istio.
pub fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is_whole = (0.0..=EXACT).contains(&number) && number.fract() == 0.0;
    is_whole.then_some(number as u64)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit))
}

pub fn duration(text: &str) -> Option<Duration> {
    let (count, unit) = split_unit(text)?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        _ => return None,
    };
    count
        .checked_mul(millis_per_unit)
        .map(Duration::from_millis)
}

pub fn size(text: &str) -> Option<u64> {
    let (count, unit) = split_unit(text)?;
    let bytes_per_unit = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    count.checked_mul(bytes_per_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Some(Duration::from_secs(7200)));
        for wrong in [
            "",
            "s",
            "10",
            "1.5s",
            "-1s",
            "10 s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(size("64KiB"), Some(65536));
        assert_eq!(size("3B"), Some(3));
        assert_eq!(size("64KB"), None);
        assert_eq!(size("99999999999999999MiB"), None);
    }
}
