//! What is said of a request that a limit refuses.

use std::rc::Rc;

use super::charge::ChargedOn;
use super::key::{Key, Unkeyed};
use crate::headers::HeaderName;
use crate::refusal::{Code, Detail, Fact, Refusal, grpc};

/// Every code with which limits refuse.
pub(super) const CODES: &[&Code] = &[&LIMITED, &UNKEYED, &UNAVAILABLE];

const LIMITED: Code = Code {
    name: "rate_limited",
    status: 429,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "Too many requests.",
    reasons: &["limit", "locked_out"],
};

const UNKEYED: Code = Code {
    name: "rate_limit_key",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request lacks what requests are counted by, or has it twice.",
    reasons: &["key_missing", "key_repeated", "effort"],
};

const UNAVAILABLE: Code = Code {
    name: "rate_limit_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Requests cannot be counted right now.",
    reasons: &["cells"],
};

const SECOND: u64 = 1_000_000_000;

/// There is no room for it. Whoever waits for as long as the answer says finds room, unless
/// somebody else with the same key was there before.
pub(super) fn limited(reason: &'static str, wait: u64) -> Refusal {
    retry_after(Refusal::new(&LIMITED, reason), seconds(wait).max(1))
}

pub(super) fn reason(charged: ChargedOn) -> &'static str {
    if charged.is_lockout() {
        "locked_out"
    } else {
        "limit"
    }
}

pub(super) fn unkeyed(unkeyed: Unkeyed) -> Refusal {
    let reason = match unkeyed {
        Unkeyed::Missing => "key_missing",
        Unkeyed::Repeated => "key_repeated",
        Unkeyed::Effort => "effort",
    };
    Refusal::new(&UNKEYED, reason)
}

pub(super) fn failed() -> Refusal {
    retry_after(Refusal::new(&UNAVAILABLE, "cells"), 1)
}

/// Which limit refuses, and what it counts by. Not the value: that is the client's.
pub(super) fn detail(pointer: Rc<str>, name: &str, key: &Key) -> Detail {
    let detail = Detail::at(pointer).and("limit", Fact::own(name));
    detail.and("key", Fact::Words(key.kinds()))
}

/// Whole seconds, rounded up: a client that waits for so long has waited long enough.
pub(super) fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(SECOND)
}

fn retry_after(refusal: Refusal, seconds: u64) -> Refusal {
    let name = HeaderName::parse("retry-after").ok();
    match name {
        Some(name) => refusal.with_header(name, seconds.into()),
        None => refusal,
    }
}
