//! The refusals of `forms`.

use super::files::Misfit;
use super::multipart::Broken;
use crate::policy::parameters::{Fault, Malformed, Wrong};
use crate::refusal::{Code, Refusal, Told, grpc};
use crate::schema::Violation;

pub(super) const TOO_LARGE: Code = Code {
    name: "form_too_large",
    status: 413,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The form is larger than allowed.",
    reasons: &["content_length", "body_size"],
};

pub(super) const MEDIA_TYPE: Code = Code {
    name: "form_media_type",
    status: 415,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body is not a form that can be read.",
    reasons: &["content_type", "charset", "boundary", "content_encoding"],
};

pub(super) const EXPECTATION: Code = Code {
    name: "form_expectation",
    status: 417,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The expectation of the request cannot be met.",
    reasons: &["expect_continue"],
};

pub(super) const MALFORMED: Code = Code {
    name: "form_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The form is malformed.",
    reasons: &[
        "encoding",
        "utf8",
        "control",
        "separator",
        "too_many",
        "delimiter",
        "part_head",
    ],
};

pub(super) const INVALID: Code = Code {
    name: "form_invalid",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The form is not as expected.",
    reasons: &[
        "missing",
        "repeated",
        "undeclared",
        "schema",
        "effort",
        "part_kind",
        "file_bytes",
        "file_type",
        "file_name",
    ],
};

/// Why a form whose fields have that fault is refused.
pub(super) fn faulty(fault: Fault, told: Told) -> Refusal {
    let reason = match fault.wrong {
        Wrong::Missing => "missing",
        Wrong::Repeated => "repeated",
        Wrong::Undeclared => "undeclared",
        Wrong::Schema => "schema",
        Wrong::Effort => "effort",
    };
    Refusal::new(&INVALID, reason).with_violations(fault.violations, told)
}

/// Why a form with such a file is refused.
pub(super) fn misfit(misfit: Misfit, violation: Option<Violation>, told: Told) -> Refusal {
    let reason = match misfit {
        Misfit::Missing => "missing",
        Misfit::Repeated => "repeated",
        Misfit::Kind => "part_kind",
        Misfit::Bytes => "file_bytes",
        Misfit::Type => "file_type",
        Misfit::Name => "file_name",
    };
    let violations = violation.into_iter().collect();
    Refusal::new(&INVALID, reason).with_violations(violations, told)
}

/// Why fields that cannot be read are refused.
pub(super) fn malformed(why: Malformed) -> Refusal {
    Refusal::new(&MALFORMED, why.reason())
}

/// Why parts that cannot be told apart are refused.
pub(super) fn broken(why: Broken) -> Refusal {
    let reason = match why {
        Broken::Delimiter => "delimiter",
        Broken::Head => "part_head",
        Broken::TooMany => "too_many",
    };
    Refusal::new(&MALFORMED, reason)
}
