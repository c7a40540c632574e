//! When a rule holds: from one moment to another, and at which hours of the week.

use std::time::Duration;

use portcullis_document::{Fields, Node, Problems};

use crate::authn::moment::{Rounding, read_moment};

/// When a rule holds. Without anything, always.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RuleSchedule {
    /// In seconds since the epoch.
    not_before: Option<u32>,
    /// The first second in which it does not hold any more.
    not_after: Option<u32>,
    /// It holds in one of these; in all weeks if there is none.
    weekly: Vec<Window>,
}

/// Some hours of some days.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    /// A bit for each, from Monday on.
    days: u8,
    /// In minutes of the day. One that ends before it begins ends on the next day.
    from: u32,
    to: u32,
    /// How many minutes its clock is ahead of UTC.
    ahead: i64,
}

const DAYS: [(&str, u8); 7] = [
    ("monday", 1),
    ("tuesday", 2),
    ("wednesday", 4),
    ("thursday", 8),
    ("friday", 16),
    ("saturday", 32),
    ("sunday", 64),
];
const ALL_DAYS: u8 = 127;
const MINUTES_OF_A_DAY: u32 = 24 * 60;
/// The most windows of one rule.
const MOST_WINDOWS: usize = 16;

impl RuleSchedule {
    /// The first second in which it does not hold any more, if it ends.
    pub(super) fn end(&self) -> Option<u32> {
        self.not_after
    }

    /// Reads `not_before`, `not_after` and `weekly`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let not_before = fields.or_default("not_before", None, problems, |node, problems| {
            read_moment(node, Rounding::Up, "", problems).map(Some)
        });
        let end = fields.optional("not_after");
        let not_after = match &end {
            None => Some(None),
            Some(node) => read_moment(node, Rounding::Down, "", problems).map(Some),
        };
        let weekly = fields.or_default("weekly", Vec::new(), problems, |node, problems| {
            let windows = node.list(problems, Window::read)?;
            if windows.len() > MOST_WINDOWS {
                node.report(problems, format_args!("has more than {MOST_WINDOWS} items"));
                return None;
            }
            Some(windows)
        });
        let (not_before, not_after, weekly) = (not_before?, not_after?, weekly?);
        if let (Some(begin), Some(end), Some(node)) = (not_before, not_after, &end)
            && begin >= end
        {
            node.report(
                problems,
                "is not behind `not_before`, so the rule would never hold",
            );
            return None;
        }
        Some(Self {
            not_before,
            not_after,
            weekly,
        })
    }

    /// Whether it asks for nothing.
    pub(super) fn is_always(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it holds at a time since the epoch.
    pub(super) fn holds(&self, now: Duration) -> bool {
        let seconds = now.as_secs();
        let begun = self
            .not_before
            .is_none_or(|begin| seconds >= u64::from(begin));
        let goes_on = self.not_after.is_none_or(|end| seconds < u64::from(end));
        let in_week =
            || self.weekly.is_empty() || self.weekly.iter().any(|window| window.holds(seconds));
        begun && goes_on && in_week()
    }
}

impl Window {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"from\": \"08:00\", \"to\": \"18:00\"}")?;
        let days = fields.or_default("days", ALL_DAYS, problems, |node, problems| {
            let days = node.list(problems, |item, problems| item.choice(problems, &DAYS))?;
            Some(days.into_iter().fold(0, |all, day| all | day))
        });
        let from = fields.or_default("from", 0, problems, read_minute);
        let to = fields.or_default("to", MINUTES_OF_A_DAY, problems, read_minute);
        let ahead = fields.or_default("utc_offset", 0, problems, read_offset);
        fields.deny_unknown(problems);
        let (days, from, to, ahead) = (days?, from?, to?, ahead?);
        if from == to || from >= MINUTES_OF_A_DAY {
            node.report(
                problems,
                "has no time in it; a whole day is from \"00:00\" to \"24:00\"",
            );
            return None;
        }
        Some(Self {
            days,
            from,
            to,
            ahead,
        })
    }

    fn holds(&self, seconds: u64) -> bool {
        const DAY: i64 = 86_400;
        // Of the first of January 1970, from Monday on.
        const THURSDAY: i64 = 3;
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let local = seconds.saturating_add(self.ahead.saturating_mul(60));
        let day = local.div_euclid(DAY).saturating_add(THURSDAY);
        let minute = local.rem_euclid(DAY) / 60;
        let is_day = |day: i64| {
            let place = u32::try_from(day.rem_euclid(7)).unwrap_or_default();
            self.days & 1_u8.checked_shl(place).unwrap_or_default() != 0
        };
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        match from < to {
            true => is_day(day) && (from..to).contains(&minute),
            false => is_day(day) && minute >= from || is_day(day.saturating_sub(1)) && minute < to,
        }
    }
}

/// `08:30`, up to `24:00`.
fn read_minute(node: &Node<'_>, problems: &mut Problems) -> Option<u32> {
    let minute = clock(node.text(problems)?).filter(|minute| *minute <= MINUTES_OF_A_DAY);
    if minute.is_none() {
        node.report(
            problems,
            "must be a time of the day from \"00:00\" to \"24:00\"",
        );
    }
    minute
}

/// `+01:00`, `-05:30`, `Z`.
fn read_offset(node: &Node<'_>, problems: &mut Problems) -> Option<i64> {
    const MOST: u32 = 14 * 60;
    let text = node.text(problems)?;
    let ahead = |digits: &str| {
        clock(digits)
            .filter(|minutes| *minutes <= MOST)
            .map(i64::from)
    };
    let offset = match (text, text.split_at_checked(1)) {
        ("Z", _) => Some(0),
        (_, Some(("+", digits))) => ahead(digits),
        (_, Some(("-", digits))) => ahead(digits).map(i64::saturating_neg),
        _ => None,
    };
    if offset.is_none() {
        node.report(
            problems,
            "must be an offset from UTC such as \"+01:00\", at most 14 hours; names of time zones and summer time are not known here",
        );
    }
    offset
}

/// Minutes of `hh:mm`.
fn clock(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minutes = Some(minutes).filter(|minutes| *minutes < 60)?;
    hours.checked_mul(60)?.checked_add(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    fn read(text: &str) -> Result<RuleSchedule, String> {
        let json = Json::parse(text.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let mut fields = Node::root(&json).fields(&mut problems).unwrap();
        let schedule = RuleSchedule::read(&mut fields, &mut problems);
        fields.deny_unknown(&mut problems);
        problems
            .into_result(schedule)
            .map_err(|error| error.to_string())
    }

    fn holds(text: &str, at: u64) -> bool {
        read(text).unwrap().holds(Duration::from_secs(at))
    }

    /// Monday, the first of January 2024, at noon.
    const MONDAY: u64 = 1_704_110_400;
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn begins_and_ends_at_a_moment() {
        let text = r#"{"not_before": "2024-01-01T12:00:00Z", "not_after": "2024-01-02T12:00:00Z"}"#;
        assert!(!holds(text, MONDAY - 1));
        assert!(holds(text, MONDAY) && holds(text, MONDAY + DAY - 1));
        assert!(!holds(text, MONDAY + DAY));
        assert!(read("{}").unwrap().is_always() && holds("{}", 0));
    }

    #[test]
    fn hours_of_the_week_go_by_their_own_clock() {
        let office = r#"{"weekly": [{"days": ["monday", "tuesday"], "from": "08:00", "to": "18:00", "utc_offset": "+02:00"}]}"#;
        assert!(holds(office, MONDAY) && holds(office, MONDAY + DAY));
        assert!(!holds(office, MONDAY + 2 * DAY) && !holds(office, MONDAY - DAY));
        // 06:00 and 16:00 in UTC.
        assert!(holds(office, MONDAY - 6 * HOUR) && !holds(office, MONDAY - 6 * HOUR - 1));
        assert!(holds(office, MONDAY + 4 * HOUR - 1) && !holds(office, MONDAY + 4 * HOUR));
        let west = r#"{"weekly": [{"days": ["sunday"], "utc_offset": "-13:00"}]}"#;
        assert!(holds(west, MONDAY) && !holds(west, MONDAY + HOUR));
    }

    #[test]
    fn a_window_may_run_over_midnight() {
        let night = r#"{"weekly": [{"days": ["sunday"], "from": "22:00", "to": "06:00"}]}"#;
        let midnight = MONDAY - 12 * HOUR;
        assert!(holds(night, midnight - 1) && holds(night, midnight - 2 * HOUR));
        assert!(holds(night, midnight + 6 * HOUR - 1) && !holds(night, midnight + 6 * HOUR));
        assert!(!holds(night, midnight + 23 * HOUR) && !holds(night, midnight - 2 * HOUR - 1));
        assert!(!holds(night, midnight - DAY));
    }

    #[test]
    fn what_never_holds_is_a_problem() {
        for (text, told) in [
            (r#"{"not_before": 7, "not_after": 7}"#, "never hold"),
            (
                r#"{"weekly": [{"from": "08:00", "to": "08:00"}]}"#,
                "no time in it",
            ),
            (
                r#"{"weekly": [{"from": "24:00", "to": "08:00"}]}"#,
                "no time in it",
            ),
            (r#"{"weekly": [{"from": "8:00"}]}"#, "a time of the day"),
            (r#"{"weekly": [{"from": "24:01"}]}"#, "a time of the day"),
            (
                r#"{"weekly": [{"utc_offset": "Europe/Berlin"}]}"#,
                "offset from UTC",
            ),
            (
                r#"{"weekly": [{"utc_offset": "+15:00"}]}"#,
                "offset from UTC",
            ),
            (r#"{"weekly": [{"days": ["mon"]}]}"#, "must be one of"),
            (r#"{"weekly": []}"#, "must not be empty"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
