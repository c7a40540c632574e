//! What is counted, and what is timed: a closed list that is fixed when the module is built. The list of
//! all counters, those of codes and of security events among them, is `metrics` in the engine.

use std::time::Duration;

use crate::host::{Counter, Histogram};

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

/// All of them, by the number of their counter.
pub const OUTCOMES: [Outcome; 4] = [
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

        /// All of them, in the order of their counters.
        pub const EVENTS: &[Event] = &[$(Event::$event),+];

        impl Event {
            /// The leaf of the metric's name.
            pub fn name(self) -> &'static str {
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
    /// A proof of possession had no place to be remembered in.
    ProofsFull = "dpop_proofs_full",
    /// Other workers were quicker each time that one was to be noted.
    ProofsContended = "dpop_proofs_contended",
    /// The API keys of a store arrived.
    ApiKeysFetched = "api_keys_fetch_success",
    /// They did not, or were of no use.
    ApiKeysFetchFailed = "api_keys_fetch_failed",
    /// A list of what is revoked arrived.
    RevocationsFetched = "revocations_fetch_success",
    /// It did not, or was of no use.
    RevocationsFetchFailed = "revocations_fetch_failed",
    /// A list was not there, or too old, and the credential passed that it was to be asked for.
    RevocationsUnchecked = "revocations_unchecked",
    /// A list of networks arrived.
    NetworksFetched = "networks_fetch_success",
    /// It did not, or was of no use.
    NetworksFetchFailed = "networks_fetch_failed",
    /// What a server has said of a token was remembered.
    IntrospectionCacheHit = "introspection_cache_hit",
    /// It was not, and the request waited for it.
    IntrospectionCacheMiss = "introspection_cache_miss",
    /// A request could not be judged by what came, or came not.
    IntrospectionFailed = "introspection_failed",
    /// A request named an origin that may use its route.
    OriginValid = "origin_valid",
    /// It named another.
    OriginInvalid = "origin_invalid",
    /// All limits of a request agreed.
    RateLimitOk = "rate_limits.ok",
    /// One did not.
    RateLimited = "rate_limits.rate_limited",
    /// It waited for its turn.
    RateLimitDelayed = "rate_limits.delayed",
    /// A caller made room for another in a full cell.
    RateLimitEvicted = "rate_limits.evicted",
    /// Other workers were quicker each time.
    RateLimitContended = "rate_limits.contended",
    /// A limit could not be asked.
    RateLimitFailed = "rate_limits.failed",
    /// A cell held bytes of another meaning.
    RateLimitForeign = "rate_limits.foreign",
    /// Too many requests of one key were under way.
    ConcurrencyLimited = "concurrency.limited",
    /// A request waited for a place.
    ConcurrencyDelayed = "concurrency.delayed",
    /// Other workers were quicker each time.
    ConcurrencyContended = "concurrency.contended",
    /// Places could not be counted.
    ConcurrencyFailed = "concurrency.failed",
    /// A place of a worker that is gone counts no more.
    ConcurrencyLapsed = "concurrency.lapsed",
    /// A record has reached the collector.
    RecordSent = "otlp.sent",
    /// A record has not, and never will.
    RecordDropped = "otlp.dropped",
    /// The collector did not take what was sent.
    CollectorFailed = "otlp.failed",
    /// SQL injection was found.
    FoundSql = "evidence.sql",
    /// A script was.
    FoundScript = "evidence.script",
    /// Access to files was.
    FoundFiles = "evidence.files",
    /// Commands of a shell were.
    FoundShell = "evidence.shell",
    /// Code of PHP was.
    FoundPhp = "evidence.php",
    /// Code of Java was.
    FoundJava = "evidence.java",
    /// Code of Node.js was.
    FoundNode = "evidence.node",
    /// An expression of a template was.
    FoundTemplate = "evidence.template",
    /// NUL was.
    FoundNullBytes = "evidence.null_bytes",
    /// An error of the service went out in the filter's words.
    ErrorSanitized = "errors_sanitized",
    /// A member that a rule names was in a response.
    SensitiveMember = "sensitive.member",
    /// The number of a card was in a response.
    SensitiveCard = "sensitive.card",
    /// The number of an account was.
    SensitiveIban = "sensitive.iban",
    /// A social security number was.
    SensitiveSsn = "sensitive.ssn",
    /// A private key was.
    SensitivePrivateKey = "sensitive.private_key",
    /// A token was.
    SensitiveToken = "sensitive.token",
    /// An e-mail address was.
    SensitiveEmail = "sensitive.email",
    /// A response was to be searched for these and could not be.
    ResponseUnjudged = "responses_unjudged",
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
    /// From a question to a provider to the response, in milliseconds.
    KeysFetch,
    /// What judging the head of a request took, in microseconds.
    Filter,
    /// What judging its body took.
    BodyCheck,
    /// What judging the body of the response took.
    ResponseCheck,
    /// What verifying a token took that was not remembered.
    TokenVerification,
    /// What judging a proof of possession took.
    ProofVerification,
    /// How long a request has waited for what a server says of its token, in milliseconds.
    Introspection,
    /// How long a request has waited for its turn, in milliseconds.
    Turn,
}

/// All of them, by the number of their histogram.
pub const TIMINGS: [Timing; 8] = [
    Timing::KeysFetch,
    Timing::Filter,
    Timing::BodyCheck,
    Timing::ResponseCheck,
    Timing::TokenVerification,
    Timing::ProofVerification,
    Timing::Introspection,
    Timing::Turn,
];

impl Timing {
    /// The leaf of the metric's name. Histograms have no unit in the proxy, so the name has it.
    pub fn name(self) -> &'static str {
        match self {
            Timing::KeysFetch => "jwks_fetch_ms",
            Timing::Filter => "filter_us",
            Timing::BodyCheck => "body_check_us",
            Timing::ResponseCheck => "response_check_us",
            Timing::TokenVerification => "jwt_verify_us",
            Timing::ProofVerification => "dpop_verify_us",
            Timing::Introspection => "introspection_ms",
            Timing::Turn => "turn_ms",
        }
    }

    /// Records it.
    pub fn histogram(self) -> Histogram {
        Histogram(self as usize)
    }
}

/// Whole microseconds.
#[inline]
pub fn micros(time: Duration) -> u64 {
    const SECOND: u64 = 1_000_000;
    const WHOLE: u64 = u64::MAX / SECOND;
    // Without numbers of 128 bits, which every record would take the code of.
    match time.as_secs() {
        seconds @ 0..=WHOLE => (seconds * SECOND).saturating_add(time.subsec_micros().into()),
        _ => u64::MAX,
    }
}
