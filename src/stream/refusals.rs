//! The refusals that no policy makes.

use crate::headers::{HeaderName, HeaderValue};
use crate::refusal::{Code, Refusal, grpc};

/// All of them.
pub const CODES: &[&Code] = &[
    &PATH_MALFORMED,
    &HEADER_REPEATED,
    &NO_ROUTE,
    &METHOD_NOT_ALLOWED,
    &TOO_COSTLY,
    &UNAVAILABLE,
];

pub(super) const PATH_MALFORMED: Code = Code {
    name: "path_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request path is malformed or ambiguous.",
    reasons: &[
        "path_not_absolute",
        "path_byte",
        "path_encoding",
        "path_encoded_delimiter",
        "path_utf8",
        "path_dot_segment",
        "path_empty_segment",
        "path_parameter",
        "path_fragment",
        "path_two_routes",
    ],
};

pub(super) const HEADER_REPEATED: Code = Code {
    name: "header_repeated",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "A header field that has one meaning came more than once.",
    reasons: &["route_header"],
};

pub(crate) const NO_ROUTE: Code = Code {
    name: "no_route",
    status: 404,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "There is nothing at this address.",
    reasons: &["no_route"],
};

pub(super) const METHOD_NOT_ALLOWED: Code = Code {
    name: "method_not_allowed",
    status: 405,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "The method is not allowed here.",
    reasons: &["method"],
};

pub(super) const TOO_COSTLY: Code = Code {
    name: "request_too_costly",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "It would take too much work to tell what the request is for.",
    reasons: &["effort"],
};

pub(super) const UNAVAILABLE: Code = Code {
    name: "unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "The service is not available right now.",
    reasons: &["not_configured", "host_call", "body_not_shown"],
};

/// RFC 9110 §15.5.6: the answer lists what is allowed.
pub(crate) fn method_not_allowed(allowed: &[String]) -> Refusal {
    let refusal = Refusal::new(&METHOD_NOT_ALLOWED, "method");
    let name = HeaderName::parse("allow").ok();
    let value = HeaderValue::parse(allowed.join(", ").as_bytes()).ok();
    match name.zip(value) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}
