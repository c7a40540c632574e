//! What is said of an API key that is not accepted.
//!
//! A client learns that its key is not accepted, and never why: whoever tries keys is not told which of
//! them exist. The log has the reason.

use crate::authn::requirement::Insufficient;
use portcullis_exchange::refusal::{Blame, Code, Detail, Fact, Reason, Refusal, grpc};

/// Every code with which keys are refused.
pub(super) const CODES: &[&Code] = &[
    &MISSING,
    &REPEATED,
    &INVALID,
    &UNAVAILABLE,
    &INSUFFICIENT_SCOPE,
    &NOT_ALLOWED,
];

pub static MISSING: Code = Code {
    name: "api_key_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "An API key is needed.",
    reasons: &[&NO_KEY],
};

pub static NO_KEY: Reason = Reason::new("missing", &MISSING, Blame::NoCredential);

pub static REPEATED: Code = Code {
    name: "api_key_repeated",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "More than one API key was sent.",
    reasons: &[&SEVERAL_KEYS],
};

pub static SEVERAL_KEYS: Reason = Reason::new("repeated", &REPEATED, Blame::Credential);

pub static INVALID: Code = Code {
    name: "api_key_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The API key is not valid.",
    reasons: &[&MALFORMED, &UNKNOWN, &REVOKED, &EXPIRED, &NOT_YET_VALID],
};

pub static MALFORMED: Reason = Reason::new("malformed", &INVALID, Blame::Credential);
pub static UNKNOWN: Reason = Reason::new("unknown", &INVALID, Blame::Credential);
pub static REVOKED: Reason = Reason::new("revoked", &INVALID, Blame::Credential);
pub static EXPIRED: Reason = Reason::new("expired", &INVALID, Blame::ExpiredCredential);
pub static NOT_YET_VALID: Reason = Reason::new("not_yet_valid", &INVALID, Blame::Credential);

pub static UNAVAILABLE: Code = Code {
    name: "api_keys_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "API keys cannot be verified right now.",
    reasons: &[&NO_SECRET, &NO_KEYS, &NO_REVOCATIONS, &CLAIM_VALUE, &ROLES],
};

pub static NO_SECRET: Reason = Reason::new("no_secret", &UNAVAILABLE, Blame::Ourselves);
pub static NO_KEYS: Reason = Reason::new("keys", &UNAVAILABLE, Blame::Dependency);
pub static NO_REVOCATIONS: Reason = Reason::new("revocations", &UNAVAILABLE, Blame::Dependency);
/// The document or the service wrote it, and not the client.
pub static CLAIM_VALUE: Reason = Reason::new("claim_value", &UNAVAILABLE, Blame::Ourselves);

/// So is this.
pub static ROLES: Reason = Reason::new("roles", &UNAVAILABLE, Blame::Ourselves);

pub static INSUFFICIENT_SCOPE: Code = Code {
    name: "api_key_insufficient_scope",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The API key does not grant what is needed here.",
    reasons: &[&SCOPE],
};

pub static SCOPE: Reason = Reason::new("scope", &INSUFFICIENT_SCOPE, Blame::Caller);

pub static NOT_ALLOWED: Code = Code {
    name: "api_key_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The API key does not grant what is needed here.",
    reasons: &[&CLAIM, &ROLE, &CLAIM_EFFORT],
};

pub static CLAIM: Reason = Reason::new("claim", &NOT_ALLOWED, Blame::Caller);
pub static ROLE: Reason = Reason::new("role", &NOT_ALLOWED, Blame::Caller);
pub static CLAIM_EFFORT: Reason = Reason::new("effort", &NOT_ALLOWED, Blame::Caller);

/// Said of what is no key of the form that is asked for.
pub(super) fn malformed(fault: &'static str) -> Refusal {
    Refusal::new(&MALFORMED).because(Detail::default().and("fault", Fact::Word(fault)))
}

/// Said of what stands at a place and is no key, and might be one to a service.
pub(super) fn resembling(place: &str) -> Refusal {
    let detail = Detail::default().and("place", Fact::trusted(place));
    Refusal::new(&MALFORMED).because(detail.and("fault", Fact::Word("resembles_key")))
}

/// How much a refusal by one of several stores says of a key: that it is accepted and does not suffice, that
/// it may be good and this cannot be told now, that it is known, that it is a key.
pub(super) fn weight(refusal: &Refusal) -> u8 {
    match refusal.reason {
        reason if *reason == MALFORMED => 0,
        reason if [&REVOKED, &EXPIRED, &NOT_YET_VALID].contains(&reason) => 2,
        _ if refusal.code().status == 401 => 1,
        _ if refusal.code().status == 403 => 4,
        _ => 3,
    }
}

/// The field of a store's block that decides.
pub(super) fn field_of_store(refusal: &Refusal) -> Option<&'static str> {
    const DECIDING: &[(&Reason, &str)] = &[
        (&MALFORMED, "prefix"),
        (&UNKNOWN, "keys"),
        (&REVOKED, "keys"),
        (&EXPIRED, "keys"),
        (&NOT_YET_VALID, "keys"),
        (&NO_SECRET, "hash"),
        (&NO_KEYS, "remote"),
        (&CLAIM_VALUE, "claim_to_headers"),
    ];
    let found = DECIDING
        .iter()
        .find(|(reason, _)| *reason == refusal.reason)?;
    Some(found.1)
}

/// Said of a key of which something was to go into a header field that cannot hold it.
pub(super) fn unusable() -> Refusal {
    Refusal::new(&CLAIM_VALUE)
}

/// Said of a key that is accepted and does not grant what is needed.
pub(super) const INSUFFICIENT: Insufficient = Insufficient {
    scope: &SCOPE,
    role: &ROLE,
    claim: &CLAIM,
    effort: &CLAIM_EFFORT,
};
