//! After the verdict: what is charged then, and what the client is told.

use std::fmt::Write as _;

use super::algorithm::nanoseconds;
use super::charge::{ChargedOn, Learned, number};
use super::ledger::{LimitResult, LimitResults, tightest};
use super::refusals::seconds;
use portcullis_exchange::exchange::{Edit, Facts, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::limits::{LimitRecord as _, LimitStatus};
use portcullis_exchange::policy::{Declaration, Policy};
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

/// Charges what becomes known afterwards, and writes header fields.
pub(super) struct ResponsePart {
    /// Whether what is charged depends on the service's response.
    reads_response: bool,
    names: HeaderNames,
}

/// What the fields are called that tell of limits.
struct HeaderNames {
    x_ratelimit: [HeaderName; 3],
    policy: HeaderName,
    limit: HeaderName,
}

impl ResponsePart {
    /// Nothing in it can fail; the constants are names.
    pub(super) fn new(reads_response: bool) -> Option<Self> {
        let name = |text| HeaderName::parse(text).ok();
        Some(Self {
            reads_response,
            names: HeaderNames {
                x_ratelimit: [
                    name("x-ratelimit-limit")?,
                    name("x-ratelimit-remaining")?,
                    name("x-ratelimit-reset")?,
                ],
                policy: name("ratelimit-policy")?,
                limit: name("ratelimit")?,
            },
        })
    }
}

impl Policy for ResponsePart {
    fn refused(
        &self,
        refusal: &Refusal,
        by: Option<&'static str>,
        facts: &mut Facts,
        host: &dyn Host,
    ) {
        let Some(ledger) = facts.limits.kept_mut::<LimitResults>() else {
            return;
        };
        let now = nanoseconds(host.monotonic());
        let is_under_way = ledger.is_under_way();
        for entry in &mut ledger.entries {
            let counts = entry.limit.charged.counts_refusal(refusal, by);
            match entry.limit.charged {
                ChargedOn::Refusal if counts => entry.charge_more(entry.cost, now, host),
                ChargedOn::Refusal => {}
                ChargedOn::Response(_) => entry.settle_failure(counts, now, host),
                // Its body is what was refused: what the service has done meanwhile, nobody will say.
                ChargedOn::Request if is_under_way => {}
                // The service has done nothing for it.
                ChargedOn::Request => entry.settle_cost(None, now, host),
            }
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            reads_response: self.reads_response,
            ..Declaration::default()
        }
    }

    fn upstream_responded(&self, headers: &Headers, facts: &mut Facts, host: &dyn Host) {
        let ledger = facts.limits.kept_mut::<LimitResults>();
        let Some(ledger) = ledger.filter(|_| self.reads_response) else {
            return;
        };
        let now = nanoseconds(host.monotonic());
        let learned = Learned::of_head(headers);
        for entry in &mut ledger.entries {
            entry.settle_status(learned, now, host);
            if let Some(afterwards) = &entry.afterwards {
                let said = headers.one(afterwards.header.as_str()).ok().flatten();
                entry.settle_cost(said.and_then(number), now, host);
            }
        }
    }

    fn upstream_ended(&self, trailers: &Headers, facts: &mut Facts, host: &dyn Host) {
        let ledger = facts.limits.kept_mut::<LimitResults>();
        if let Some(ledger) = ledger.filter(|ledger| ledger.awaits_trailers()) {
            let now = nanoseconds(host.monotonic());
            let learned = Learned::of_trailers(trailers);
            for entry in &mut ledger.entries {
                entry.settle_status(learned, now, host);
            }
        }
    }

    fn edit_response(&self, response: &mut Response<'_>, _: &dyn Host) {
        if let Some(LimitResults { entries, .. }) = response.facts.limits.kept() {
            self.names.x_ratelimit(entries, &mut response.edits);
            self.names.ietf(entries, &mut response.edits);
        }
    }
}

impl LimitResult {
    /// Whether clients are told. Of a limit that only failed attempts are charged to they learn
    /// when it refuses them.
    fn is_disclosed(&self) -> bool {
        let is_silent = self.limit.charged.is_lockout() && self.standing().remaining >= self.cost;
        self.enforced && !is_silent
    }
}

impl HeaderNames {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, as Envoy's filters write them: numbers, and
    /// seconds from now.
    fn x_ratelimit(&self, entries: &[LimitResult], edits: &mut Vec<Edit>) {
        let told = entries
            .iter()
            .filter(|entry| entry.is_disclosed() && entry.limit.headers.x_ratelimit);
        let Some((_, standing)) = tightest(told) else {
            return;
        };
        let LimitStatus {
            quota,
            period: _,
            remaining,
            reset,
        } = standing;
        let numbers = [quota, remaining, seconds(reset)];
        let fields = self.x_ratelimit.iter().cloned().zip(numbers);
        edits.extend(fields.map(|(name, number)| Edit::Set(name, number.into())));
    }

    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10: lists of
    /// strings with parameters, RFC 9651.
    fn ietf(&self, entries: &[LimitResult], edits: &mut Vec<Edit>) {
        let (mut policies, mut limits) = (String::new(), String::new());
        for entry in entries {
            if !entry.is_disclosed() || !entry.limit.headers.ietf {
                continue;
            }
            let LimitStatus {
                quota,
                period,
                remaining,
                reset,
            } = entry.standing();
            let separator = if policies.is_empty() { "" } else { ", " };
            let (name, period, reset) = (&entry.limit.name, seconds(period).max(1), seconds(reset));
            // Writing to a `String` cannot fail.
            let _ = write!(policies, "{separator}\"{name}\";q={quota};w={period}");
            let _ = write!(limits, "{separator}\"{name}\";r={remaining};t={reset}");
        }
        if !policies.is_empty() {
            for (name, list) in [(&self.policy, policies), (&self.limit, limits)] {
                let value = HeaderValue::parse(list.as_bytes()).ok();
                edits.extend(value.map(|value| Edit::Set(name.clone(), value)));
            }
        }
    }
}
