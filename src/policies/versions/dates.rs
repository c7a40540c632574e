//! Dates of a lifecycle, as clients are told of them.

use crate::authn::moment::civil;

/// RFC 9110 §5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(seconds: u32) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let name = |list: &[&'static str], at: u32| {
        let at = usize::try_from(at).unwrap_or_default();
        list.get(at).copied().unwrap_or_default()
    };
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days % 7),
        name(&MONTHS, month.saturating_sub(1)),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_others_write_them() {
        // As `date -u -d @SECONDS` has them; the first is the example of RFC 9110.
        for (seconds, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (1_688_169_599, "Fri, 30 Jun 2023 23:59:59 GMT"),
            (1_795_957_200, "Sun, 29 Nov 2026 13:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (4_294_967_295, "Sun, 07 Feb 2106 06:28:15 GMT"),
        ] {
            assert_eq!(http_date(seconds), text);
        }
    }
}
