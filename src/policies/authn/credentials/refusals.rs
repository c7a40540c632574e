//! What is said of a request whose credentials, of whatever kinds, are not what is needed.

use portcullis_exchange::refusal::{Blame, Code, Reason, grpc};

pub static MISSING: Code = Code {
    name: "credentials_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A credential is needed.",
    reasons: &[&NO_CREDENTIAL, &OTHER],
};

pub static NO_CREDENTIAL: Reason = Reason::new("missing", &MISSING, Blame::NoCredential);
/// What was accepted is not what the operation asks for.
pub static OTHER: Reason = Reason::new("other", &MISSING, Blame::NoCredential);

pub static INSUFFICIENT: Code = Code {
    name: "credentials_insufficient",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The credential does not grant what is needed here.",
    reasons: &[&SCOPE, &ROLE],
};

pub static SCOPE: Reason = Reason::new("scope", &INSUFFICIENT, Blame::Caller);
pub static ROLE: Reason = Reason::new("role", &INSUFFICIENT, Blame::Caller);
