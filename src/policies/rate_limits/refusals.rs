//! What is said of a request that a limit refuses.

use std::rc::Rc;

use super::key::{Key, KeyError};
use super::limit::Limit;
use portcullis_exchange::limits;
use portcullis_exchange::refusal::{Blame, Code, Detail, Fact, Reason, Refusal, grpc};
use portcullis_wire::headers::HeaderName;

/// Every code with which limits refuse.
pub(super) const CODES: &[&Code] = &[&LIMITED, &UNKEYED, &UNAVAILABLE];

pub static LIMITED: Code = Code {
    name: "rate_limited",
    status: 429,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "Too many requests.",
    reasons: &[&LIMIT, &LOCKED_OUT, &QUEUE, &QUERY_COST],
};

pub static LIMIT: Reason = Reason::new("limit", &LIMITED, Blame::Limit);
pub static LOCKED_OUT: Reason = Reason::new("locked_out", &LIMITED, Blame::Limit);
/// It costs more than the limit ever allows at once: waiting does not help.
pub static QUERY_COST: Reason = Reason::new("query_cost", &LIMITED, Blame::Limit);
pub static QUEUE: Reason = Reason::new("queue", &LIMITED, Blame::Limit);

pub static UNKEYED: Code = Code {
    name: "rate_limit_key",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request lacks what requests are counted by, or has it twice.",
    reasons: &[&KEY_MISSING, &KEY_REPEATED, &EFFORT, &COST_UNKNOWN],
};

pub static KEY_MISSING: Reason = Reason::new("key_missing", &UNKEYED, Blame::Request);
pub static KEY_REPEATED: Reason = Reason::new("key_repeated", &UNKEYED, Blame::Request);
pub static COST_UNKNOWN: Reason = Reason::new("cost_unknown", &UNKEYED, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &UNKEYED, Blame::Request);

pub static UNAVAILABLE: Code = Code {
    name: "rate_limit_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Requests cannot be counted right now.",
    reasons: &[&CELLS, &NETWORKS],
};

pub static CELLS: Reason = Reason::new("cells", &UNAVAILABLE, Blame::Ourselves);
pub static NETWORKS: Reason = Reason::new("networks", &UNAVAILABLE, Blame::Dependency);

/// There is no room for it. Whoever waits for as long as the response says finds room, unless
/// somebody else with the same key was there before.
pub(super) fn limited(reason: &'static Reason, wait: u64) -> Refusal {
    retry_after(Refusal::new(reason), seconds(wait).max(1))
}

pub(super) fn reason(limit: &Limit) -> &'static Reason {
    match limit.delay {
        Some(_) => &QUEUE,
        None if limit.charged.is_lockout() => &LOCKED_OUT,
        None => &LIMIT,
    }
}

pub(super) fn unkeyed(unkeyed: KeyError) -> Refusal {
    let reason = match unkeyed {
        KeyError::Missing => &KEY_MISSING,
        KeyError::Repeated => &KEY_REPEATED,
        KeyError::Effort => &EFFORT,
        KeyError::Unknown => return retry_after(Refusal::new(&NETWORKS), 1),
    };
    Refusal::new(reason)
}

pub(super) fn failed() -> Refusal {
    retry_after(Refusal::new(&CELLS), 1)
}

/// Which limit refuses, and what it counts by. Not the value: that is the client's.
pub(crate) fn detail(pointer: Rc<str>, name: &str, key: &Key) -> Detail {
    let detail = Detail::at(pointer).and("limit", Fact::trusted(name));
    detail.and("key", Fact::Words(key.kinds()))
}

/// Whole seconds, rounded up: a client that waits for so long has waited long enough.
pub(super) fn seconds(nanoseconds: u64) -> u64 {
    limits::seconds(nanoseconds)
}

/// The refusal with the time after which another try is worth it.
pub(crate) fn retry_after(refusal: Refusal, seconds: u64) -> Refusal {
    let name = HeaderName::parse("retry-after").ok();
    match name {
        Some(name) => refusal.with_header(name, seconds.into()),
        None => refusal,
    }
}
