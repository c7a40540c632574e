//! The refusals of `payload`.

use crate::headers::{HeaderName, HeaderValue};
use crate::refusal::{Code, Refusal, grpc};

pub(super) const TOO_LARGE: Code = Code {
    name: "payload_too_large",
    status: 413,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The request body is larger than allowed.",
    reasons: &["content_length", "body_size"],
};

pub(super) const LENGTH_MALFORMED: Code = Code {
    name: "payload_length_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The Content-Length field is malformed.",
    reasons: &["content_length"],
};

pub(super) const PRESENCE: Code = Code {
    name: "payload_presence",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The method needs a request body, or allows none.",
    reasons: &["body_missing", "body_forbidden"],
};

pub(super) const MEDIA_TYPE: Code = Code {
    name: "payload_media_type",
    status: 415,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The media type of the request body is not allowed.",
    reasons: &[
        "content_type_absent",
        "content_type_malformed",
        "content_type_not_allowed",
        "charset",
    ],
};

pub(super) const ENCODING: Code = Code {
    name: "payload_content_encoding",
    status: 415,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The content encoding of the request body is not allowed.",
    reasons: &["content_encoding"],
};

pub(super) const EXPECTATION: Code = Code {
    name: "payload_expectation",
    status: 417,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The expectation of the request cannot be met.",
    reasons: &["expect_unknown", "expect_continue"],
};

pub(super) const UPGRADE: Code = Code {
    name: "payload_upgrade",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The connection cannot be upgraded here.",
    reasons: &["upgrade", "upgrade_with_body"],
};

pub(super) const MALFORMED: Code = Code {
    name: "payload_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body is malformed.",
    reasons: &["json_syntax", "json_utf8", "json_surrogate"],
};

pub(super) const STRUCTURE: Code = Code {
    name: "payload_structure",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body has a structure that is not allowed.",
    reasons: &[
        "json_duplicate_key",
        "json_depth",
        "json_values",
        "json_members",
        "json_elements",
        "json_key_bytes",
        "json_string_bytes",
        "json_number_bytes",
        "json_number_range",
    ],
};

pub(super) const SCHEMA: Code = Code {
    name: "payload_schema",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body is not as expected.",
    reasons: &["schema", "effort"],
};

pub(super) const RESPONSE: Code = Code {
    name: "payload_response",
    status: 502,
    grpc_status: grpc::UNAVAILABLE,
    title: "The service's answer is not as expected.",
    reasons: &[
        "schema",
        "effort",
        "json",
        "size",
        "content_encoding",
        "content_type",
    ],
};

/// RFC 9110 §12.5.1 and §12.5.3: the answer says what would be accepted.
pub(super) fn with_hint(refusal: Refusal, name: &str, value: &str) -> Refusal {
    let name = HeaderName::parse(name).ok();
    let value = HeaderValue::parse(value.as_bytes()).ok();
    match name.zip(value) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}
