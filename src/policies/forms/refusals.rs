//! The refusals of `forms`.

use super::files::FileError;
use super::multipart::Broken;
use crate::parameters::{Malformed, ParameterError, ParameterErrorKind};
use portcullis_exchange::refusal::{Blame, Code, Disclosure, Reason, Refusal, grpc};
use portcullis_schema::Violation;

pub static TOO_LARGE: Code = Code {
    name: "form_too_large",
    status: 413,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The form is larger than allowed.",
    reasons: &[&DECLARED_TOO_LARGE, &BODY_TOO_LARGE],
};

pub static DECLARED_TOO_LARGE: Reason = Reason::new("content_length", &TOO_LARGE, Blame::Request);
pub static BODY_TOO_LARGE: Reason = Reason::new("body_size", &TOO_LARGE, Blame::Request);

pub static MEDIA_TYPE: Code = Code {
    name: "form_media_type",
    status: 415,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body is not a form that can be read.",
    reasons: &[&CONTENT_TYPE, &CHARSET, &BOUNDARY, &CONTENT_ENCODING],
};

pub static CONTENT_TYPE: Reason = Reason::new("content_type", &MEDIA_TYPE, Blame::Request);
pub static CHARSET: Reason = Reason::new("charset", &MEDIA_TYPE, Blame::Request);
pub static BOUNDARY: Reason = Reason::new("boundary", &MEDIA_TYPE, Blame::Request);
pub static CONTENT_ENCODING: Reason = Reason::new("content_encoding", &MEDIA_TYPE, Blame::Request);

pub static EXPECTATION: Code = Code {
    name: "form_expectation",
    status: 417,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The expectation of the request cannot be met.",
    reasons: &[&EXPECT_CONTINUE],
};

pub static EXPECT_CONTINUE: Reason = Reason::new("expect_continue", &EXPECTATION, Blame::Request);

pub static MALFORMED: Code = Code {
    name: "form_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The form is malformed.",
    reasons: &[
        &ENCODING, &UTF8, &CONTROL, &SEPARATOR, &TOO_MANY, &DELIMITER, &PART_HEAD,
    ],
};

pub static ENCODING: Reason = Reason::new("encoding", &MALFORMED, Blame::Request);
pub static UTF8: Reason = Reason::new("utf8", &MALFORMED, Blame::Request);
pub static CONTROL: Reason = Reason::new("control", &MALFORMED, Blame::Request);
pub static SEPARATOR: Reason = Reason::new("separator", &MALFORMED, Blame::Request);
pub static TOO_MANY: Reason = Reason::new("too_many", &MALFORMED, Blame::Request);
pub static DELIMITER: Reason = Reason::new("delimiter", &MALFORMED, Blame::Request);
pub static PART_HEAD: Reason = Reason::new("part_head", &MALFORMED, Blame::Request);

pub static INVALID: Code = Code {
    name: "form_invalid",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The form is not as expected.",
    reasons: &[
        &MISSING,
        &REPEATED,
        &UNDECLARED,
        &SCHEMA,
        &EFFORT,
        &PART_KIND,
        &FILE_BYTES,
        &FILE_TYPE,
        &FILE_NAME,
    ],
};

pub static MISSING: Reason = Reason::new("missing", &INVALID, Blame::Request);
pub static REPEATED: Reason = Reason::new("repeated", &INVALID, Blame::Request);
pub static UNDECLARED: Reason = Reason::new("undeclared", &INVALID, Blame::Request);
pub static SCHEMA: Reason = Reason::new("schema", &INVALID, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &INVALID, Blame::Request);
pub static PART_KIND: Reason = Reason::new("part_kind", &INVALID, Blame::Request);
pub static FILE_BYTES: Reason = Reason::new("file_bytes", &INVALID, Blame::Request);
pub static FILE_TYPE: Reason = Reason::new("file_type", &INVALID, Blame::Request);
pub static FILE_NAME: Reason = Reason::new("file_name", &INVALID, Blame::Request);

/// Why a form whose fields have that fault is refused.
pub(super) fn faulty(fault: ParameterError, told: Disclosure) -> Refusal {
    let reason = match fault.wrong {
        ParameterErrorKind::Missing => &MISSING,
        ParameterErrorKind::Repeated => &REPEATED,
        ParameterErrorKind::Undeclared => &UNDECLARED,
        ParameterErrorKind::Schema => &SCHEMA,
        ParameterErrorKind::Effort => &EFFORT,
    };
    Refusal::new(reason).with_violations(fault.violations, told)
}

/// Why a form with such a file is refused.
pub(super) fn misfit(misfit: FileError, violation: Option<Violation>, told: Disclosure) -> Refusal {
    let reason = match misfit {
        FileError::Missing => &MISSING,
        FileError::Repeated => &REPEATED,
        FileError::Kind => &PART_KIND,
        FileError::Bytes => &FILE_BYTES,
        FileError::Type => &FILE_TYPE,
        FileError::Name => &FILE_NAME,
    };
    let violations = violation.into_iter().collect();
    Refusal::new(reason).with_violations(violations, told)
}

/// Why fields that cannot be read are refused.
pub(super) fn malformed(why: Malformed) -> Refusal {
    Refusal::new(match why {
        Malformed::Encoding => &ENCODING,
        Malformed::Utf8 => &UTF8,
        Malformed::Control => &CONTROL,
        Malformed::Separator => &SEPARATOR,
        Malformed::TooMany => &TOO_MANY,
    })
}

/// Why parts that cannot be told apart are refused.
pub(super) fn broken(why: Broken) -> Refusal {
    let reason = match why {
        Broken::Delimiter => &DELIMITER,
        Broken::Head => &PART_HEAD,
        Broken::TooMany => &TOO_MANY,
    };
    Refusal::new(reason)
}
