//! What is said of a signed request that is not accepted.

use crate::authn::requirement::Insufficient;
use portcullis_exchange::refusal::{Blame, Code, Reason, grpc};

/// Every code with which signed requests are refused.
pub(super) const CODES: &[&Code] = &[
    &MISSING,
    &INVALID,
    &EXPIRED,
    &REPLAYED,
    &REVOKED,
    &UNVERIFIABLE,
    &TOO_LARGE,
    &INSUFFICIENT_SCOPE,
    &CLAIM_NOT_ALLOWED,
];

pub static MISSING: Code = Code {
    name: "signature_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A signature of the request is needed.",
    reasons: &[&NO_SIGNATURE],
};

pub static NO_SIGNATURE: Reason = Reason::new("missing", &MISSING, Blame::NoCredential);

pub static INVALID: Code = Code {
    name: "signature_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The signature of the request is not valid.",
    reasons: &[
        &FORMAT,
        &REPEATED,
        &KEY,
        &ALGORITHM,
        &COMPONENTS,
        &NONCE,
        &UNSIGNED_BODY,
        &MISMATCH,
        &DIGEST,
        &UPGRADE,
    ],
};

pub static FORMAT: Reason = Reason::new("format", &INVALID, Blame::Credential);
pub static REPEATED: Reason = Reason::new("repeated", &INVALID, Blame::Credential);
pub static KEY: Reason = Reason::new("key", &INVALID, Blame::Credential);
pub static ALGORITHM: Reason = Reason::new("algorithm", &INVALID, Blame::Credential);
pub static COMPONENTS: Reason = Reason::new("components", &INVALID, Blame::Credential);
pub static NONCE: Reason = Reason::new("nonce", &INVALID, Blame::Credential);
pub static UNSIGNED_BODY: Reason = Reason::new("unsigned_body", &INVALID, Blame::Credential);
pub static DIGEST: Reason = Reason::new("digest", &INVALID, Blame::Credential);
pub static MISMATCH: Reason = Reason::new("mismatch", &INVALID, Blame::Credential);
/// What follows such a head is no body, so nobody can have signed it.
pub static UPGRADE: Reason = Reason::new("upgrade", &INVALID, Blame::Credential);

pub static EXPIRED: Code = Code {
    name: "signature_expired",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The signature of the request is not of this time.",
    reasons: &[&OLD, &EARLY],
};

pub static OLD: Reason = Reason::new("old", &EXPIRED, Blame::ExpiredCredential);
pub static EARLY: Reason = Reason::new("early", &EXPIRED, Blame::Credential);

pub static REPLAYED: Code = Code {
    name: "signature_replayed",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The signed request has been used before.",
    reasons: &[&AGAIN],
};

pub static AGAIN: Reason = Reason::new("again", &REPLAYED, Blame::UsedCredential);

pub static REVOKED: Code = Code {
    name: "signature_revoked",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "Requests of who signed this one are not accepted any more.",
    reasons: &[&LISTED_AS_REVOKED],
};

pub static LISTED_AS_REVOKED: Reason = Reason::new("revoked", &REVOKED, Blame::Credential);

pub static UNVERIFIABLE: Code = Code {
    name: "signature_unverifiable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Signatures cannot be verified right now.",
    reasons: &[
        &SECRET,
        &CHECK,
        &REPLAYS,
        &REPLAYS_FULL,
        &MEMORY,
        &NO_REVOCATIONS,
    ],
};

pub static SECRET: Reason = Reason::new("secret", &UNVERIFIABLE, Blame::Ourselves);
pub static CHECK: Reason = Reason::new("check", &UNVERIFIABLE, Blame::Ourselves);
pub static REPLAYS: Reason = Reason::new("replays", &UNVERIFIABLE, Blame::Ourselves);
pub static REPLAYS_FULL: Reason = Reason::new("replays_full", &UNVERIFIABLE, Blame::Ourselves);
pub static MEMORY: Reason = Reason::new("memory", &UNVERIFIABLE, Blame::Ourselves);

/// A list that has to be asked about who signed is not there.
pub static NO_REVOCATIONS: Reason = Reason::new("revocations", &UNVERIFIABLE, Blame::Dependency);

pub static TOO_LARGE: Code = Code {
    name: "signed_body_too_large",
    status: 413,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The signed body is too large.",
    reasons: &[&BODY_TOO_LARGE],
};

pub static BODY_TOO_LARGE: Reason = Reason::new("body_too_large", &TOO_LARGE, Blame::Request);

pub static INSUFFICIENT_SCOPE: Code = Code {
    name: "signature_insufficient_scope",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "Who signed the request is not granted what is needed here.",
    reasons: &[&SCOPE],
};

pub static SCOPE: Reason = Reason::new("scope", &INSUFFICIENT_SCOPE, Blame::Caller);

pub static CLAIM_NOT_ALLOWED: Code = Code {
    name: "signature_claim_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "Who signed the request is not granted what is needed here.",
    reasons: &[&CLAIM, &ROLE, &CLAIM_EFFORT],
};

pub static CLAIM: Reason = Reason::new("claim", &CLAIM_NOT_ALLOWED, Blame::Caller);
pub static ROLE: Reason = Reason::new("role", &CLAIM_NOT_ALLOWED, Blame::Caller);
pub static CLAIM_EFFORT: Reason = Reason::new("effort", &CLAIM_NOT_ALLOWED, Blame::Caller);

/// Said of a signature that is accepted, and whose client is not granted what is needed.
pub(super) const INSUFFICIENT: Insufficient = Insufficient {
    scope: &SCOPE,
    role: &ROLE,
    claim: &CLAIM,
    effort: &CLAIM_EFFORT,
};
