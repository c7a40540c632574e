//! What is said of a bound token whose sender does not show what it is bound to.

use portcullis_exchange::refusal::{Blame, Code, Reason, grpc};

pub static BINDING: Code = Code {
    name: "binding_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not shown to be bound to its sender.",
    reasons: &[
        &CONFIRMATION,
        &CONFIRMATION_UNKNOWN,
        &UNBOUND,
        &SCHEME,
        &KEY_MISMATCH,
        &NO_CERTIFICATE,
        &CERTIFICATE,
    ],
};

pub static CONFIRMATION: Reason = Reason::new("confirmation", &BINDING, Blame::Credential);
pub static CONFIRMATION_UNKNOWN: Reason =
    Reason::new("confirmation_unknown", &BINDING, Blame::Credential);
pub static UNBOUND: Reason = Reason::new("unbound", &BINDING, Blame::Credential);
pub static SCHEME: Reason = Reason::new("scheme", &BINDING, Blame::Credential);
pub static KEY_MISMATCH: Reason = Reason::new("key", &BINDING, Blame::Credential);
pub static NO_CERTIFICATE: Reason = Reason::new("certificate_missing", &BINDING, Blame::Credential);
pub static CERTIFICATE: Reason = Reason::new("certificate", &BINDING, Blame::Credential);

pub static PROOF_MISSING: Code = Code {
    name: "dpop_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A proof of possession is needed.",
    reasons: &[&NO_PROOF],
};

pub static NO_PROOF: Reason = Reason::new("missing", &PROOF_MISSING, Blame::Credential);

pub static PROOF: Code = Code {
    name: "dpop_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The proof of possession is not valid.",
    reasons: &[
        &SEVERAL_PROOFS,
        &FORMAT,
        &HEADER,
        &ALGORITHM,
        &KEY,
        &CLAIMS,
        &METHOD,
        &URI,
        &TOKEN,
        &EXPIRED,
        &ISSUED_IN_FUTURE,
        &SIGNATURE,
    ],
};

pub static SEVERAL_PROOFS: Reason = Reason::new("repeated", &PROOF, Blame::Credential);
pub static FORMAT: Reason = Reason::new("format", &PROOF, Blame::Credential);
pub static HEADER: Reason = Reason::new("header", &PROOF, Blame::Credential);
pub static ALGORITHM: Reason = Reason::new("algorithm", &PROOF, Blame::Credential);
pub static KEY: Reason = Reason::new("key", &PROOF, Blame::Credential);
pub static CLAIMS: Reason = Reason::new("claims", &PROOF, Blame::Credential);
pub static METHOD: Reason = Reason::new("method", &PROOF, Blame::Credential);
pub static URI: Reason = Reason::new("uri", &PROOF, Blame::Credential);
pub static TOKEN: Reason = Reason::new("token", &PROOF, Blame::Credential);
pub static EXPIRED: Reason = Reason::new("expired", &PROOF, Blame::ExpiredCredential);
pub static ISSUED_IN_FUTURE: Reason = Reason::new("issued_in_future", &PROOF, Blame::Credential);
pub static SIGNATURE: Reason = Reason::new("signature", &PROOF, Blame::Credential);

pub static REPLAYED: Code = Code {
    name: "dpop_replayed",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The proof of possession has been used before.",
    reasons: &[&USED_BEFORE],
};

pub static USED_BEFORE: Reason = Reason::new("replayed", &REPLAYED, Blame::Credential);

pub static NONCE: Code = Code {
    name: "dpop_nonce",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The proof of possession needs a nonce of this server.",
    reasons: &[&NO_NONCE, &OTHER_NONCE],
};

/// It is how a client learns the nonce, and no failure of its.
pub static NO_NONCE: Reason = Reason::new("missing", &NONCE, Blame::NoCredential);
/// Nor is it when the nonce changes.
pub static OTHER_NONCE: Reason = Reason::new("stale", &NONCE, Blame::NoCredential);

pub static UNAVAILABLE: Code = Code {
    name: "dpop_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Proofs of possession cannot be verified right now.",
    reasons: &[&NO_CHECKER, &NO_SECRET, &FULL, &CONTENDED, &CELLS],
};

pub static NO_CHECKER: Reason = Reason::new("no_checker", &UNAVAILABLE, Blame::Ourselves);
pub static NO_SECRET: Reason = Reason::new("no_secret", &UNAVAILABLE, Blame::Ourselves);
pub static FULL: Reason = Reason::new("full", &UNAVAILABLE, Blame::Ourselves);
pub static CONTENDED: Reason = Reason::new("contended", &UNAVAILABLE, Blame::Ourselves);
pub static CELLS: Reason = Reason::new("cells", &UNAVAILABLE, Blame::Ourselves);
