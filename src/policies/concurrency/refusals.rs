//! What is said of a request for which there is no place.

use crate::rate_limits::key::KeyError;
use crate::rate_limits::refusals::retry_after;
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, grpc};

/// Every code with which it refuses.
pub(super) const CODES: &[&Code] = &[&LIMITED, &UNKEYED, &UNAVAILABLE];

pub static LIMITED: Code = Code {
    name: "concurrency_limited",
    status: 429,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "Too many requests at the same time.",
    reasons: &[&IN_FLIGHT, &QUEUE, &TIMEOUT],
};

pub static IN_FLIGHT: Reason = Reason::new("in_flight", &LIMITED, Blame::Limit);
pub static QUEUE: Reason = Reason::new("queue", &LIMITED, Blame::Limit);
pub static TIMEOUT: Reason = Reason::new("timeout", &LIMITED, Blame::Limit);

pub static UNKEYED: Code = Code {
    name: "concurrency_key",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request lacks what requests are counted by, or has it twice.",
    reasons: &[&KEY_MISSING, &KEY_REPEATED, &EFFORT],
};

pub static KEY_MISSING: Reason = Reason::new("key_missing", &UNKEYED, Blame::Request);
pub static KEY_REPEATED: Reason = Reason::new("key_repeated", &UNKEYED, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &UNKEYED, Blame::Request);

pub static UNAVAILABLE: Code = Code {
    name: "concurrency_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Requests under way cannot be counted right now.",
    reasons: &[&CELLS, &CROWDED, &NETWORKS],
};

pub static CELLS: Reason = Reason::new("cells", &UNAVAILABLE, Blame::Ourselves);
pub static CROWDED: Reason = Reason::new("crowded", &UNAVAILABLE, Blame::Ourselves);
pub static NETWORKS: Reason = Reason::new("networks", &UNAVAILABLE, Blame::Dependency);

/// When a place is free again nobody knows: a second is the least that can be said.
pub(super) fn after_a_second(reason: &'static Reason) -> Refusal {
    retry_after(Refusal::new(reason), 1)
}

pub(super) fn unkeyed(unkeyed: KeyError) -> Refusal {
    match unkeyed {
        KeyError::Missing => Refusal::new(&KEY_MISSING),
        KeyError::Repeated => Refusal::new(&KEY_REPEATED),
        KeyError::Effort => Refusal::new(&EFFORT),
        KeyError::Unknown => after_a_second(&NETWORKS),
    }
}
