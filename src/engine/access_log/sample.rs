//! Which records are kept when not all are.

use crate::record::{Ending, Summary};
use portcullis_document::{Node, Problems};

/// What records are told apart by when not all are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampled {
    /// How the exchange ended.
    Ending(Ending),
    /// It was not refused, but would have been without shadow mode.
    ShadowDenied,
}

/// The fields of `sample`: all of them, by the words of the log.
pub(super) const FIELDS: [(&str, Sampled); 6] = [
    ("allowed", Sampled::Ending(Ending::Allowed)),
    ("denied", Sampled::Ending(Ending::Denied)),
    ("answered", Sampled::Ending(Ending::Answered)),
    ("shadow_denied", Sampled::ShadowDenied),
    ("unfinished", Sampled::Ending(Ending::Unfinished)),
    ("not_judged", Sampled::Ending(Ending::NotJudged)),
];

impl Sampled {
    pub(super) fn of(exchange: &Summary<'_>) -> Self {
        match exchange.ending {
            Ending::Allowed if !exchange.record.shadow.is_empty() => Sampled::ShadowDenied,
            ending => Sampled::Ending(ending),
        }
    }
}

/// A share of all, in steps of 2^-56.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleRate(u64);

const ALL: u64 = 1 << 56;

impl SampleRate {
    pub(super) const ALL: Self = Self(ALL);

    /// Reads a percentage: `"1%"`, `"0.05%"`, with four decimals at most.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let share = node.text(problems).map(Self::parse)?;
        if share.is_none() {
            node.report(
                problems,
                "must be a percentage from \"0%\" to \"100%\" with at most four decimals, such as \"2.5%\"",
            );
        }
        share
    }

    fn parse(text: &str) -> Option<Self> {
        const UNITS_PER_PERCENT: u64 = 10_000;
        let number = text.strip_suffix('%')?;
        let (whole, decimals) = match number.split_once('.') {
            Some((_, "")) => return None,
            Some(halves) => halves,
            None => (number, ""),
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 4 {
            return None;
        }
        let decimals: u64 = format!("{decimals:0<4}").parse().ok()?;
        let units = whole
            .parse::<u64>()
            .ok()?
            .checked_mul(UNITS_PER_PERCENT)?
            .checked_add(decimals)?;
        let all = 100_u64.checked_mul(UNITS_PER_PERCENT)?;
        if units > all {
            return None;
        }
        // 2^56 · 10^6 does not fit into 64 bits.
        let share = u128::from(ALL).checked_mul(u128::from(units))?;
        let share = share.checked_div(u128::from(all))?;
        Some(Self(u64::try_from(share).ok()?))
    }

    /// Whether a request is kept. Who knows the same trace, or else the same request id, and the
    /// same share decides the same.
    pub(super) fn keeps(self, trace_id: Option<&str>, request_id: &[u8]) -> bool {
        // The random part of a trace id is its last 56 bits (W3C Trace Context level 2, §3.2.2.3.1).
        let random = trace_id
            .and_then(|id| id.get(18..))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .unwrap_or_else(|| mixed(request_id));
        // Kept are the largest, as OpenTelemetry's consistent sampling has it.
        random % ALL >= ALL.saturating_sub(self.0)
    }
}

/// FNV-1a, its bits mixed once more: neighbours must not fall together.
fn mixed(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let folded = (folded ^ (folded >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    folded ^ (folded >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        assert_eq!(SampleRate::parse("100%"), Some(SampleRate::ALL));
        assert_eq!(SampleRate::parse("0%"), Some(SampleRate(0)));
        assert_eq!(SampleRate::parse("50%"), Some(SampleRate(ALL / 2)));
        assert_eq!(SampleRate::parse("12.5%"), Some(SampleRate(ALL / 8)));
        for wrong in [
            "",
            "%",
            "1",
            "101%",
            "100.0001%",
            "-1%",
            "1.%",
            ".5%",
            "1.00001%",
            "1e1%",
        ] {
            assert_eq!(SampleRate::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shares_are_kept() {
        let ids: Vec<String> = (0..20_000)
            .map(|number| format!("request-{number}"))
            .collect();
        for (text, least, most) in [
            ("0%", 0, 0),
            ("1%", 140, 260),
            ("25%", 4_800, 5_200),
            ("100%", 20_000, 20_000),
        ] {
            let share = SampleRate::parse(text).unwrap();
            let kept = ids
                .iter()
                .filter(|id| share.keeps(None, id.as_bytes()))
                .count();
            assert!((least..=most).contains(&kept), "{text}: {kept}");
        }
    }

    #[test]
    fn a_trace_is_kept_whole_and_by_its_random_part() {
        let half = SampleRate::parse("50%").unwrap();
        let kept = "0af7651916cd43dd84ffffffffffffff";
        let dropped = "0af7651916cd43dd8400000000000000";
        for request_id in [&b"a"[..], b"b", b""] {
            assert!(half.keeps(Some(kept), request_id));
            assert!(!half.keeps(Some(dropped), request_id));
        }
    }
}
