//! The refusals of `parameters`.

use super::set::{ParameterError, ParameterErrorKind};
use portcullis_exchange::refusal::{Blame, Code, Disclosure, Reason, Refusal, grpc};
use portcullis_wire::urlencoded::Malformed;

pub static MALFORMED: Code = Code {
    name: "parameters_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The parameters of the request are malformed.",
    reasons: &[&ENCODING, &UTF8, &CONTROL, &SEPARATOR, &TOO_MANY],
};

pub static ENCODING: Reason = Reason::new("encoding", &MALFORMED, Blame::Request);
pub static UTF8: Reason = Reason::new("utf8", &MALFORMED, Blame::Request);
pub static CONTROL: Reason = Reason::new("control", &MALFORMED, Blame::Request);
pub static SEPARATOR: Reason = Reason::new("separator", &MALFORMED, Blame::Request);
pub static TOO_MANY: Reason = Reason::new("too_many", &MALFORMED, Blame::Request);

pub static INVALID: Code = Code {
    name: "parameters_invalid",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The parameters of the request are not as expected.",
    reasons: &[&MISSING, &REPEATED, &UNDECLARED, &SCHEMA, &EFFORT],
};

pub static MISSING: Reason = Reason::new("missing", &INVALID, Blame::Request);
pub static REPEATED: Reason = Reason::new("repeated", &INVALID, Blame::Request);
pub static UNDECLARED: Reason = Reason::new("undeclared", &INVALID, Blame::Request);
pub static SCHEMA: Reason = Reason::new("schema", &INVALID, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &INVALID, Blame::Request);

/// Why parameters with that fault are refused.
pub fn refusal(fault: ParameterError, told: Disclosure) -> Refusal {
    let reason = match fault.wrong {
        ParameterErrorKind::Missing => &MISSING,
        ParameterErrorKind::Repeated => &REPEATED,
        ParameterErrorKind::Undeclared => &UNDECLARED,
        ParameterErrorKind::Schema => &SCHEMA,
        ParameterErrorKind::Effort => &EFFORT,
    };
    Refusal::new(reason).with_violations(fault.violations, told)
}

/// Why parameters that cannot be read are refused.
pub(super) fn malformed(why: Malformed) -> Refusal {
    Refusal::new(match why {
        Malformed::Encoding => &ENCODING,
        Malformed::Utf8 => &UTF8,
        Malformed::Control => &CONTROL,
        Malformed::Separator => &SEPARATOR,
        Malformed::TooMany => &TOO_MANY,
    })
}
