//! Metrics: counters and histograms, a closed list that is fixed when the module is built; and
//! [`Gauges`], which each document brings.

mod by_route;
mod gauges;
mod verdicts;

use std::time::Duration;

use crate::access_log::security::{KINDS, Kind};
use crate::host::{Counter, Histogram};
use crate::refusal::Code;
use crate::{policy, stream};

pub use self::by_route::Measured;
pub use self::gauges::{Gauge, Gauges, Spread, segment};
pub use self::verdicts::{Of, Tallied};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was passed on.
    Allowed,
    /// It was refused.
    Denied,
    /// The filter answered it, and that was no refusal.
    Answered,
    /// It was passed on, though a policy in shadow mode would have refused it.
    ShadowDenied,
}

const OUTCOMES: [Outcome; 4] = [
    Outcome::Allowed,
    Outcome::Denied,
    Outcome::Answered,
    Outcome::ShadowDenied,
];

impl Outcome {
    /// The leaf of the metric's name and the word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Answered => "answered",
            Outcome::ShadowDenied => "shadow_denied",
        }
    }

    /// Counts requests by what became of them.
    pub fn counter(self) -> Counter {
        Counter(self as usize)
    }
}

/// Declares what is counted besides verdicts, each with the leaf of its metric's name: Envoy's
/// where one of Envoy's filters has one.
macro_rules! events {
    ($($(#[$about:meta])+ $event:ident = $name:literal),+ $(,)?) => {
        /// Something that is counted besides verdicts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$about])+ $event,)+
        }

        const EVENTS: &[Event] = &[$(Event::$event),+];

        impl Event {
            fn name(self) -> &'static str {
                match self {
                    $(Event::$event => $name,)+
                }
            }
        }
    };
}

events! {
    /// A token was remembered.
    TokenCacheHit = "jwt_cache_hit",
    /// A token had to be verified.
    TokenCacheMiss = "jwt_cache_miss",
    /// The proxy checked a signature.
    SignatureByProxy = "jwt_signature_proxy",
    /// The filter checked one itself.
    SignatureByFilter = "jwt_signature_filter",
    /// A provider's keys arrived.
    KeysFetched = "jwks_fetch_success",
    /// They did not, or were of no use.
    KeysFetchFailed = "jwks_fetch_failed",
    /// A provider said where its keys are.
    DocumentFetched = "discovery_fetch_success",
    /// It did not, or not so that it can be used.
    DocumentFetchFailed = "discovery_fetch_failed",
    /// A request named an origin that may use its route.
    OriginValid = "origin_valid",
    /// It named another.
    OriginInvalid = "origin_invalid",
    /// All limits of a request agreed.
    RateLimitOk = "rate_limits.ok",
    /// One did not.
    RateLimited = "rate_limits.rate_limited",
    /// A caller made room for another in a full cell.
    RateLimitEvicted = "rate_limits.evicted",
    /// Other workers were quicker each time.
    RateLimitContended = "rate_limits.contended",
    /// A limit could not be asked.
    RateLimitFailed = "rate_limits.failed",
    /// A cell held somebody else's bytes.
    RateLimitForeign = "rate_limits.foreign",
    /// A record has reached the collector.
    RecordSent = "otlp.sent",
    /// A record has not, and never will.
    RecordDropped = "otlp.dropped",
    /// The collector did not take what was sent.
    CollectorFailed = "otlp.failed",
    /// An error of the service went out in the filter's words.
    ErrorSanitized = "errors_sanitized",
}

impl Event {
    /// Counts it.
    pub fn counter(self) -> Counter {
        Counter(OUTCOMES.len().saturating_add(self as usize))
    }
}

/// Something of which each single value is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// From a question to a provider to the answer, in milliseconds.
    KeysFetch,
    /// What judging the head of a request took, in microseconds.
    Filter,
    /// What judging its body took.
    BodyCheck,
    /// What judging the body of the answer took.
    ResponseCheck,
    /// What verifying a token took that was not remembered.
    TokenVerification,
}

const TIMINGS: [Timing; 5] = [
    Timing::KeysFetch,
    Timing::Filter,
    Timing::BodyCheck,
    Timing::ResponseCheck,
    Timing::TokenVerification,
];

impl Timing {
    /// The leaf of the metric's name. Histograms have no unit in the proxy, so the name has it.
    fn name(self) -> &'static str {
        match self {
            Timing::KeysFetch => "jwks_fetch_ms",
            Timing::Filter => "filter_us",
            Timing::BodyCheck => "body_check_us",
            Timing::ResponseCheck => "response_check_us",
            Timing::TokenVerification => "jwt_verify_us",
        }
    }

    /// Records it.
    pub fn histogram(self) -> Histogram {
        Histogram(self as usize)
    }
}

/// How many workers refuse everything, because they have no document.
pub const DENY_ALL: &str = "deny_all";

/// The gauges of a VM's memory: what is in use, and what may be.
pub const MEMORY_GAUGES: [&str; 2] = [
    "portcullis.memory.live_bytes",
    "portcullis.memory.ceiling_bytes",
];

/// The gauge of what is reserved of a share.
pub fn share_gauge(share: &str) -> String {
    format!("portcullis.memory.{share}_bytes")
}

/// The counter of how often a share was asked for more than it had.
pub fn share_counter(share: &str) -> String {
    format!("portcullis.memory.{share}_refused")
}

/// Adds the gauges that every document has.
pub(crate) fn show(digest: &[u8; 32], gauges: &mut Gauges) {
    let [a, b, c, d, ..] = *digest;
    let hash = u64::from(u32::from_be_bytes([a, b, c, d]));
    gauges.add("config_hash", Spread::Shared, move |_| hash);
    gauges.add(DENY_ALL, Spread::Summed, |_| 0);
}

/// Whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The names of all histograms, by the number in their [`Histogram`].
pub fn histogram_names() -> Vec<String> {
    let name = |timing: &Timing| format!("portcullis.{}", timing.name());
    TIMINGS.iter().map(name).collect()
}

/// Every code there is: the core's own and the policies'.
pub fn codes() -> impl Iterator<Item = &'static Code> {
    stream::CODES
        .iter()
        .chain(policy::LIST.iter().flat_map(|kind| kind.codes))
        .copied()
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
pub fn by_security_event(kind: &Kind) -> Option<Counter> {
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
