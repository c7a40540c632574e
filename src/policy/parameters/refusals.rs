//! The refusals of `parameters`.

use super::decode::Malformed;
use super::set::{Fault, Wrong};
use crate::refusal::{Code, Refusal, Told, grpc};

pub(super) const MALFORMED: Code = Code {
    name: "parameters_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The parameters of the request are malformed.",
    reasons: &["encoding", "utf8", "control", "separator", "too_many"],
};

pub(super) const INVALID: Code = Code {
    name: "parameters_invalid",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The parameters of the request are not as expected.",
    reasons: &["missing", "repeated", "undeclared", "schema", "effort"],
};

/// Why parameters with that fault are refused.
pub(crate) fn refusal(fault: Fault, told: Told) -> Refusal {
    let reason = match fault.wrong {
        Wrong::Missing => "missing",
        Wrong::Repeated => "repeated",
        Wrong::Undeclared => "undeclared",
        Wrong::Schema => "schema",
        Wrong::Effort => "effort",
    };
    Refusal::new(&INVALID, reason).with_violations(fault.violations, told)
}

/// Why parameters that cannot be read are refused.
pub(super) fn malformed(why: Malformed) -> Refusal {
    Refusal::new(&MALFORMED, why.reason())
}
