//! Metrics: counters and histograms, a closed list that is fixed when the module is built; and
//! [`Gauges`], which each document brings.

mod by_route;
mod verdicts;

use crate::record::security::{EventKind, KINDS};
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::refusal::Code;
use portcullis_exchange::refusal::core::UNAVAILABLE;

pub use self::by_route::MetricsConfig;
pub use self::verdicts::{CounterScope, ExchangeCounter};
pub use portcullis_exchange::gauges::{Aggregation, Gauge, Gauges, segment};
pub use portcullis_exchange::meter::{EVENTS, Event, OUTCOMES, Outcome, TIMINGS, Timing, micros};
pub use portcullis_policies::codes;

/// How many workers refuse everything, because they have no document.
pub const DENY_ALL: &str = "deny_all";

/// The gauges of a VM's memory: what is in use, and what may be.
pub const MEMORY_GAUGES: [&str; 2] = [
    "portcullis.memory.live_bytes",
    "portcullis.memory.ceiling_bytes",
];

/// The gauge of the VMs that run a release of the module. The version is one part of its name, so that it can
/// become a label.
pub fn build_gauge(version: &str) -> String {
    format!("portcullis.build.{}.vms", segment(version))
}

/// The gauge of what is reserved of a share.
pub fn share_gauge(share: &str) -> String {
    format!("portcullis.memory.{share}_bytes")
}

/// The counter of how often a share was asked for more than it had.
pub fn share_counter(share: &str) -> String {
    format!("portcullis.memory.{share}_refused")
}

/// Adds the gauges that every document has.
pub fn show(digest: &[u8; 32], gauges: &mut Gauges) {
    let [a, b, c, d, ..] = *digest;
    let hash = u64::from(u32::from_be_bytes([a, b, c, d]));
    gauges.add("config_hash", Aggregation::Same, move |_| hash);
    gauges.add(DENY_ALL, Aggregation::Sum, |_| 0);
}

/// The names of all histograms, by the number in their [`Histogram`](portcullis_exchange::host::Histogram).
pub fn histogram_names() -> Vec<String> {
    let name = |timing: &Timing| format!("portcullis.{}", timing.name());
    TIMINGS.iter().map(name).collect()
}

/// The names of all counters, by the number in their [`Counter`]. Envoy puts `wasmcustom.` in front.
pub fn names() -> Vec<String> {
    let totals = OUTCOMES
        .iter()
        .map(|outcome| format!("portcullis.{}", outcome.name()));
    let by_code = codes().flat_map(|code| {
        [Outcome::Denied, Outcome::ShadowDenied]
            .map(|outcome| format!("portcullis.code.{}.{}", code.name, outcome.name()))
    });
    let events = EVENTS
        .iter()
        .map(|event| format!("portcullis.{}", event.name()));
    let security = KINDS
        .iter()
        .map(|kind| format!("portcullis.security_events.{}", kind.id));
    totals
        .chain(events)
        .chain(by_code)
        .chain(security)
        .collect()
}

/// Counts security events.
pub fn by_security_event(kind: &EventKind) -> Option<Counter> {
    let place = KINDS.iter().position(|each| *each == kind)?;
    let totals = OUTCOMES.len().checked_add(EVENTS.len())?;
    let codes = codes().count().checked_mul(2)?;
    Some(Counter(totals.checked_add(codes)?.checked_add(place)?))
}

/// Counts refusals by code, those in shadow mode apart.
pub fn by_code(code: &Code, outcome: Outcome) -> Option<Counter> {
    let place = codes().position(|each| each == code)?;
    let totals = OUTCOMES.len().checked_add(EVENTS.len())?;
    let first = totals.checked_add(place.checked_mul(2)?)?;
    match outcome {
        Outcome::Allowed | Outcome::Answered => None,
        Outcome::Denied => Some(Counter(first)),
        Outcome::ShadowDenied => Some(Counter(first.checked_add(1)?)),
    }
}

/// Counts a refusal that was made without a stream.
pub fn count_unavailable(host: &dyn Host, many: u64) {
    let code = by_code(&UNAVAILABLE, Outcome::Denied);
    for counter in [Some(Outcome::Denied.counter()), code]
        .into_iter()
        .flatten()
    {
        host.count_many(counter, many);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_the_name_of_its_number() {
        let names = names();
        for code in codes() {
            for outcome in [Outcome::Denied, Outcome::ShadowDenied] {
                let Counter(number) = by_code(code, outcome).unwrap();
                let name = format!("portcullis.code.{}.{}", code.name, outcome.name());
                assert_eq!(names[number], name);
            }
        }
        for kind in KINDS {
            let Counter(number) = by_security_event(kind).unwrap();
            let name = format!("portcullis.security_events.{}", kind.id);
            assert_eq!(names[number], name);
        }
        for event in EVENTS {
            assert_eq!(
                names[event.counter().0],
                format!("portcullis.{}", event.name())
            );
        }
        assert_eq!(
            names[Outcome::ShadowDenied.counter().0],
            "portcullis.shadow_denied"
        );
    }

    #[test]
    fn names_are_distinct_and_plain() {
        let mut names = names();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
        assert!(names.iter().all(|name| name.chars().all(plain)));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
