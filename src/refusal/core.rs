//! The refusals that no policy makes.

use crate::headers::{HeaderName, HeaderValue};
use crate::refusal::{Code, Refusal, grpc};

/// All of them.
pub const CODES: &[&Code] = &[
    &HOST_MALFORMED,
    &PATH_MALFORMED,
    &OVERRIDDEN,
    &HEADER_REPEATED,
    &NO_ROUTE,
    &METHOD_NOT_ALLOWED,
    &FIELDS_TOO_LARGE,
    &TOO_COSTLY,
    &UNAVAILABLE,
];

pub const HOST_MALFORMED: Code = Code {
    name: "host_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The host of the request is missing, malformed or ambiguous.",
    reasons: &[
        "host_missing",
        "host_repeated",
        "host_byte",
        "host_label",
        "host_address",
        "host_port",
    ],
};

pub const PATH_MALFORMED: Code = Code {
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
        "path_padding",
        "path_two_routes",
    ],
};

pub const OVERRIDDEN: Code = Code {
    name: "request_overridden",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "A header field names another method or path than the request's own.",
    reasons: &["override_header"],
};

pub const HEADER_REPEATED: Code = Code {
    name: "header_repeated",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "A header field that has one meaning came more than once.",
    reasons: &["route_header"],
};

pub const NO_ROUTE: Code = Code {
    name: "no_route",
    status: 404,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "There is nothing at this address.",
    reasons: &["no_route"],
};

pub const METHOD_NOT_ALLOWED: Code = Code {
    name: "method_not_allowed",
    status: 405,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "The method is not allowed here.",
    reasons: &["method"],
};

/// RFC 6585 §5.
pub const FIELDS_TOO_LARGE: Code = Code {
    name: "header_fields_too_large",
    status: 431,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The header fields of the request are too large.",
    reasons: &["head", "kept"],
};

pub const TOO_COSTLY: Code = Code {
    name: "request_too_costly",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "It would take too much work to tell what the request is for.",
    reasons: &["effort"],
};

pub const UNAVAILABLE: Code = Code {
    name: "unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "The service is not available right now.",
    reasons: &["not_configured", "memory", "host_call", "body_not_shown"],
};

/// A reply that needs no memory: all of it stands ready.
#[derive(Clone, Copy, Debug)]
pub struct PreparedReply {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status, which the proxy uses when the request is gRPC.
    pub grpc_status: u32,
    /// The one header field, `content-type`.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
    /// What `%RESPONSE_CODE_DETAILS%` shows.
    pub details: &'static str,
}

/// What a request gets while there is no document to judge it by.
pub const NOT_CONFIGURED_REPLY: PreparedReply =
    unavailable("portcullis.unavailable.not_configured");

/// What a request gets that there is no memory for.
pub const NO_MEMORY_REPLY: PreparedReply = unavailable("portcullis.unavailable.memory");

const fn unavailable(details: &'static str) -> PreparedReply {
    PreparedReply {
        status: UNAVAILABLE.status,
        grpc_status: UNAVAILABLE.grpc_status,
        content_type: "application/problem+json",
        body: r#"{"type":"urn:portcullis:problem:unavailable","title":"The service is not available right now.","status":503,"code":"unavailable"}"#,
        details,
    }
}

/// RFC 9110 §15.5.6: the answer lists what is allowed.
pub fn method_not_allowed(allowed: &[String]) -> Refusal {
    let refusal = Refusal::new(&METHOD_NOT_ALLOWED, "method");
    let name = HeaderName::parse("allow").ok();
    let value = HeaderValue::parse(allowed.join(", ").as_bytes()).ok();
    match name.zip(value) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Headers;
    use crate::refusal::Audience;

    #[test]
    fn prepared_replies_are_what_would_be_written() {
        for (prepared, reason) in [
            (NOT_CONFIGURED_REPLY, "not_configured"),
            (NO_MEMORY_REPLY, "memory"),
        ] {
            let headers = Headers::default();
            let audience = Audience::of(&headers, None);
            let written = Refusal::new(&UNAVAILABLE, reason).reply(audience, None);
            assert_eq!(prepared.status, written.status);
            assert_eq!(prepared.grpc_status, written.grpc_status);
            assert_eq!(prepared.body.as_bytes(), written.body);
            assert_eq!(prepared.details, written.details);
            let fields: Vec<_> = written.headers.iter().collect();
            let [(name, value)] = &fields[..] else {
                panic!("{fields:?}");
            };
            assert_eq!(name.as_str(), "content-type");
            assert_eq!(prepared.content_type.as_bytes(), value.as_bytes());
        }
    }
}
