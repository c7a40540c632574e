//! After the verdict: what is charged then, and what the client is told.

use std::fmt::Write as _;

use super::ledger::{Entry, Standing, tightest};
use super::limit::ChargedOn;
use super::refusals::seconds;
use super::table::Charged;
use super::tier::nanoseconds;
use crate::exchange::{Edit, Facts, Response};
use crate::headers::{HeaderName, HeaderValue, Headers};
use crate::host::Host;
use crate::policy::{self, Policy, Role};
use crate::refusal::Refusal;

/// Charges what becomes known afterwards, and writes header fields.
pub(super) struct Answer {
    /// Whether a cost stands in the service's answer.
    reads_response: bool,
    names: Names,
}

/// What the fields are called that tell of limits.
struct Names {
    x_ratelimit: [HeaderName; 3],
    policy: HeaderName,
    limit: HeaderName,
}

impl Answer {
    /// Nothing in it can fail; the constants are names.
    pub(super) fn new(reads_response: bool) -> Option<Self> {
        let name = |text| HeaderName::parse(text).ok();
        Some(Self {
            reads_response,
            names: Names {
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

impl Policy for Answer {
    fn refused(
        &self,
        refusal: &Refusal,
        by: Option<&'static str>,
        facts: &mut Facts,
        host: &dyn Host,
    ) {
        if !is_failed_attempt(refusal, by) {
            return;
        }
        let now = nanoseconds(host.monotonic());
        for entry in &mut facts.limits.entries {
            if entry.limit.charged == ChargedOn::Refusal {
                entry.charge_more(entry.cost, now, host);
            }
        }
    }

    fn reads_response(&self) -> bool {
        self.reads_response
    }

    fn answered(&self, headers: &Headers, facts: &mut Facts, host: &dyn Host) {
        let mut entries = facts.limits.entries.iter();
        if entries.any(|entry| entry.afterwards.is_some()) {
            let now = nanoseconds(host.monotonic());
            for entry in &mut facts.limits.entries {
                entry.settle_cost(headers, now, host);
            }
        }
    }

    fn response_headers(&self, response: &mut Response<'_>, _: &dyn Host) {
        let entries = &response.facts.limits.entries;
        self.names.x_ratelimit(entries, &mut response.edits);
        self.names.ietf(entries, &mut response.edits);
    }
}

/// Whether somebody tried credentials that are not good. A request without any tries nothing.
fn is_failed_attempt(refusal: &Refusal, by: Option<&'static str>) -> bool {
    let mut authenticating = policy::LIST
        .iter()
        .filter(|kind| kind.role == Role::Authenticates);
    let by_credentials = authenticating.any(|kind| Some(kind.name) == by);
    by_credentials && refusal.code.status == 401 && refusal.reason != "missing"
}

impl Entry {
    fn charge_more(&mut self, cost: u64, now: u64, host: &dyn Host) {
        let Some(table) = self.limit.table(self.tier) else {
            return;
        };
        if let Charged::Made(state, _) = table.charge_anyway(self.caller, cost, now, host) {
            (self.state, self.at) = (state, now);
        }
    }

    /// Charges what the answer says beyond what has been charged, or takes the rest back.
    fn settle_cost(&mut self, headers: &Headers, now: u64, host: &dyn Host) {
        let Some(name) = self.afterwards.take() else {
            return;
        };
        let Some(receipt) = self.receipt else {
            return;
        };
        let said = headers.one(name.as_str()).ok().flatten();
        let Some(cost) = said.and_then(whole) else {
            return;
        };
        let (more, less) = (
            cost.saturating_sub(self.cost),
            self.cost.saturating_sub(cost),
        );
        if more > 0 {
            self.charge_more(more, now, host);
        }
        if let Some(table) = self.table().filter(|_| less > 0) {
            table.refund(self.caller, receipt, less, now, host);
        }
    }

    /// Whether clients are told. Of a limit that only failed attempts are charged to they learn
    /// when it refuses them.
    fn is_told(&self) -> bool {
        let is_silent =
            self.limit.charged == ChargedOn::Refusal && self.standing().remaining >= self.cost;
        self.enforced && !is_silent
    }
}

/// A number of requests: digits, and nothing else.
fn whole(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    let is_number = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let digits = is_number
        .then(|| std::str::from_utf8(value).ok())
        .flatten()?;
    digits.parse().ok()
}

impl Names {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, as Envoy's filters write them: numbers, and
    /// seconds from now.
    fn x_ratelimit(&self, entries: &[Entry], edits: &mut Vec<Edit>) {
        let told = entries
            .iter()
            .filter(|entry| entry.is_told() && entry.limit.headers.x_ratelimit);
        let Some((_, standing)) = tightest(told) else {
            return;
        };
        let Standing {
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
    fn ietf(&self, entries: &[Entry], edits: &mut Vec<Edit>) {
        let (mut policies, mut limits) = (String::new(), String::new());
        for entry in entries {
            if !entry.is_told() || !entry.limit.headers.ietf {
                continue;
            }
            let Standing {
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
