//! Why requests are refused for their version.

use super::VersionFault;
use crate::refusal::core::EFFORT;
use crate::refusal::{Blame, Code, Reason, grpc};

/// All of them.
pub const CODES: &[&Code] = &[&AMBIGUOUS, &MISSING, &UNKNOWN, &NOT_FOUND, &GONE, &BROWNOUT];

pub static AMBIGUOUS: Code = Code {
    name: "version_ambiguous",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request can be read as one for several versions.",
    reasons: &[&SEVERAL, &REPEATED, &QUERY, &PATH, &ACCEPT],
};

pub static SEVERAL: Reason = Reason::new("several", &AMBIGUOUS, Blame::Request);
pub static REPEATED: Reason = Reason::new("repeated", &AMBIGUOUS, Blame::Request);
pub static QUERY: Reason = Reason::new("query", &AMBIGUOUS, Blame::Request);
pub static PATH: Reason = Reason::new("path", &AMBIGUOUS, Blame::Request);
pub static ACCEPT: Reason = Reason::new("accept", &AMBIGUOUS, Blame::Request);

pub static MISSING: Code = Code {
    name: "version_missing",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request names no version.",
    reasons: &[&ABSENT],
};

pub static ABSENT: Reason = Reason::new("absent", &MISSING, Blame::Request);

pub static UNKNOWN: Code = Code {
    name: "version_unknown",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "There is no such version.",
    reasons: &[&NO_SUCH],
};

pub static NO_SUCH: Reason = Reason::new("unknown", &UNKNOWN, Blame::Request);

/// The same, where the document wants another status.
pub static NOT_FOUND: Code = Code {
    name: "version_not_found",
    status: 404,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "There is no such version.",
    reasons: &[&NOWHERE],
};

pub static NOWHERE: Reason = Reason::new("unknown", &NOT_FOUND, Blame::Request);

pub static GONE: Code = Code {
    name: "version_gone",
    status: 410,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "This version is no longer offered.",
    reasons: &[&SUNSET, &REMOVED, &OPERATION],
};

pub static SUNSET: Reason = Reason::new("sunset", &GONE, Blame::Request);
pub static REMOVED: Reason = Reason::new("removed", &GONE, Blame::Request);
/// Of a deprecated operation of an API.
pub static OPERATION: Reason = Reason::new("operation", &GONE, Blame::Request);

pub static BROWNOUT: Code = Code {
    name: "version_brownout",
    status: 410,
    grpc_status: grpc::UNAVAILABLE,
    title: "This version is going to be withdrawn, and is switched off for a while.",
    reasons: &[&WINDOW],
};

pub static WINDOW: Reason = Reason::new("window", &BROWNOUT, Blame::Request);

/// Why a request is refused whose version cannot be told.
pub fn of_fault(fault: VersionFault) -> &'static Reason {
    match fault {
        VersionFault::Several => &SEVERAL,
        VersionFault::Repeated => &REPEATED,
        VersionFault::Query => &QUERY,
        VersionFault::Path => &PATH,
        VersionFault::Accept => &ACCEPT,
        VersionFault::Effort => &EFFORT,
    }
}
