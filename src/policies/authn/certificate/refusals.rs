//! What is said of a client certificate that is not accepted.

use crate::authn::requirement::Insufficient;
use portcullis_exchange::refusal::{Blame, Code, Reason, grpc};

/// Every code with which certificates are refused.
pub(super) const CODES: &[&Code] = &[
    &MISSING,
    &REPEATED,
    &INVALID,
    &UNVERIFIABLE,
    &REVOKED,
    &UNKNOWN,
    &INSUFFICIENT_SCOPE,
    &CLAIM_NOT_ALLOWED,
];

pub static MISSING: Code = Code {
    name: "certificate_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A client certificate is needed.",
    reasons: &[&NO_CERTIFICATE],
};

pub static NO_CERTIFICATE: Reason = Reason::new("missing", &MISSING, Blame::NoCredential);

pub static REPEATED: Code = Code {
    name: "certificate_repeated",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "More than one client certificate was presented.",
    reasons: &[&SEVERAL_CERTIFICATES],
};

pub static SEVERAL_CERTIFICATES: Reason = Reason::new("repeated", &REPEATED, Blame::Credential);

pub static INVALID: Code = Code {
    name: "certificate_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The client certificate is not valid.",
    reasons: &[&UNVERIFIED, &FORMAT, &ELEMENTS, &PROXY],
};

pub static UNVERIFIED: Reason = Reason::new("unverified", &INVALID, Blame::Credential);
pub static FORMAT: Reason = Reason::new("format", &INVALID, Blame::Credential);
pub static ELEMENTS: Reason = Reason::new("elements", &INVALID, Blame::Credential);
pub static PROXY: Reason = Reason::new("proxy", &INVALID, Blame::Credential);

pub static UNVERIFIABLE: Code = Code {
    name: "certificate_unverifiable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Client certificates cannot be verified right now.",
    reasons: &[&NOT_REPORTED, &NO_REVOCATIONS, &CLAIM_VALUE, &ROLES],
};

pub static NOT_REPORTED: Reason = Reason::new("not_reported", &UNVERIFIABLE, Blame::Ourselves);
pub static NO_REVOCATIONS: Reason = Reason::new("revocations", &UNVERIFIABLE, Blame::Dependency);
/// What is told of a client stands in the document, and was checked when that was read.
pub static CLAIM_VALUE: Reason = Reason::new("claim_value", &UNVERIFIABLE, Blame::Ourselves);

/// So was this, but for what the name of a certificate says.
pub static ROLES: Reason = Reason::new("roles", &UNVERIFIABLE, Blame::Ourselves);

pub static REVOKED: Code = Code {
    name: "certificate_revoked",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The client certificate has been revoked.",
    reasons: &[&LISTED_AS_REVOKED],
};

pub static LISTED_AS_REVOKED: Reason = Reason::new("revoked", &REVOKED, Blame::Credential);

pub static UNKNOWN: Code = Code {
    name: "certificate_unknown",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The client certificate is of nobody who may call here.",
    reasons: &[&NO_ENTRY],
};

pub static NO_ENTRY: Reason = Reason::new("no_entry", &UNKNOWN, Blame::Caller);

pub static INSUFFICIENT_SCOPE: Code = Code {
    name: "certificate_insufficient_scope",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The client certificate does not grant what is needed here.",
    reasons: &[&SCOPE],
};

pub static SCOPE: Reason = Reason::new("scope", &INSUFFICIENT_SCOPE, Blame::Caller);

pub static CLAIM_NOT_ALLOWED: Code = Code {
    name: "certificate_claim_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The client certificate does not grant what is needed here.",
    reasons: &[&CLAIM, &ROLE, &CLAIM_EFFORT],
};

pub static CLAIM: Reason = Reason::new("claim", &CLAIM_NOT_ALLOWED, Blame::Caller);
pub static ROLE: Reason = Reason::new("role", &CLAIM_NOT_ALLOWED, Blame::Caller);
pub static CLAIM_EFFORT: Reason = Reason::new("effort", &CLAIM_NOT_ALLOWED, Blame::Caller);

/// Said of a certificate that is accepted and does not grant what is needed.
pub(super) const INSUFFICIENT: Insufficient = Insufficient {
    scope: &SCOPE,
    role: &ROLE,
    claim: &CLAIM,
    effort: &CLAIM_EFFORT,
};
