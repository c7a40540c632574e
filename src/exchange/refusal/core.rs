//! The refusals that no policy makes.

use crate::host::Failure;
use crate::refusal::{Blame, Code, Reason, Refusal, grpc};
use crate::target::{AuthorityError, TargetError};
use portcullis_wire::headers::{HeaderName, HeaderValue};

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

pub static HOST_MALFORMED: Code = Code {
    name: "host_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The host of the request is missing, malformed or ambiguous.",
    reasons: &[
        &HOST_MISSING,
        &HOST_REPEATED,
        &HOST_BYTE,
        &HOST_LABEL,
        &HOST_ADDRESS,
        &HOST_PORT,
    ],
};

pub static HOST_MISSING: Reason = Reason::new("host_missing", &HOST_MALFORMED, Blame::Request);
pub static HOST_REPEATED: Reason = Reason::new("host_repeated", &HOST_MALFORMED, Blame::Request);
pub static HOST_BYTE: Reason = Reason::new("host_byte", &HOST_MALFORMED, Blame::Request);
pub static HOST_LABEL: Reason = Reason::new("host_label", &HOST_MALFORMED, Blame::Request);
pub static HOST_ADDRESS: Reason = Reason::new("host_address", &HOST_MALFORMED, Blame::Request);
pub static HOST_PORT: Reason = Reason::new("host_port", &HOST_MALFORMED, Blame::Request);

pub static PATH_MALFORMED: Code = Code {
    name: "path_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request path is malformed or ambiguous.",
    reasons: &[
        &PATH_NOT_ABSOLUTE,
        &PATH_BYTE,
        &PATH_ENCODING,
        &PATH_ENCODED_DELIMITER,
        &PATH_UTF8,
        &PATH_DOT_SEGMENT,
        &PATH_EMPTY_SEGMENT,
        &PATH_PARAMETER,
        &PATH_FRAGMENT,
        &PATH_PADDING,
        &PATH_TWO_ROUTES,
    ],
};

pub static PATH_NOT_ABSOLUTE: Reason =
    Reason::new("path_not_absolute", &PATH_MALFORMED, Blame::Request);
pub static PATH_BYTE: Reason = Reason::new("path_byte", &PATH_MALFORMED, Blame::Request);
pub static PATH_ENCODING: Reason = Reason::new("path_encoding", &PATH_MALFORMED, Blame::Request);
pub static PATH_ENCODED_DELIMITER: Reason =
    Reason::new("path_encoded_delimiter", &PATH_MALFORMED, Blame::Request);
pub static PATH_UTF8: Reason = Reason::new("path_utf8", &PATH_MALFORMED, Blame::Request);
pub static PATH_DOT_SEGMENT: Reason =
    Reason::new("path_dot_segment", &PATH_MALFORMED, Blame::Request);
pub static PATH_EMPTY_SEGMENT: Reason =
    Reason::new("path_empty_segment", &PATH_MALFORMED, Blame::Request);
pub static PATH_PARAMETER: Reason = Reason::new("path_parameter", &PATH_MALFORMED, Blame::Request);
pub static PATH_FRAGMENT: Reason = Reason::new("path_fragment", &PATH_MALFORMED, Blame::Request);
pub static PATH_PADDING: Reason = Reason::new("path_padding", &PATH_MALFORMED, Blame::Request);
pub static PATH_TWO_ROUTES: Reason =
    Reason::new("path_two_routes", &PATH_MALFORMED, Blame::Request);

pub static OVERRIDDEN: Code = Code {
    name: "request_overridden",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "A header field names another method or path than the request's own.",
    reasons: &[&OVERRIDE_HEADER],
};

pub static OVERRIDE_HEADER: Reason = Reason::new("override_header", &OVERRIDDEN, Blame::Request);

pub static HEADER_REPEATED: Code = Code {
    name: "header_repeated",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "A header field that has one meaning came more than once.",
    reasons: &[&ROUTE_HEADER],
};

pub static ROUTE_HEADER: Reason = Reason::new("route_header", &HEADER_REPEATED, Blame::Request);

pub static NO_ROUTE: Code = Code {
    name: "no_route",
    status: 404,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "There is nothing at this address.",
    reasons: &[&NOTHING_HERE],
};

pub static NOTHING_HERE: Reason = Reason::new("no_route", &NO_ROUTE, Blame::Request);

pub static METHOD_NOT_ALLOWED: Code = Code {
    name: "method_not_allowed",
    status: 405,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "The method is not allowed here.",
    reasons: &[&METHOD],
};

pub static METHOD: Reason = Reason::new("method", &METHOD_NOT_ALLOWED, Blame::Request);

/// RFC 6585 §5.
pub static FIELDS_TOO_LARGE: Code = Code {
    name: "header_fields_too_large",
    status: 431,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The header fields of the request are too large.",
    reasons: &[&HEAD_TOO_LARGE, &KEPT_TOO_LARGE],
};

pub static HEAD_TOO_LARGE: Reason = Reason::new("head", &FIELDS_TOO_LARGE, Blame::Request);
pub static KEPT_TOO_LARGE: Reason = Reason::new("kept", &FIELDS_TOO_LARGE, Blame::Request);

pub static TOO_COSTLY: Code = Code {
    name: "request_too_costly",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "It would take too much work to tell what the request is for.",
    reasons: &[&EFFORT],
};

pub static EFFORT: Reason = Reason::new("effort", &TOO_COSTLY, Blame::Request);

pub static UNAVAILABLE: Code = Code {
    name: "unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "The service is not available right now.",
    reasons: &[
        &NOT_CONFIGURED,
        &NO_MEMORY,
        &HOST_CALL,
        &BODY_NOT_SHOWN,
        &WAIT,
    ],
};

pub static NOT_CONFIGURED: Reason = Reason::new("not_configured", &UNAVAILABLE, Blame::Ourselves);
pub static NO_MEMORY: Reason = Reason::new("memory", &UNAVAILABLE, Blame::Ourselves);
pub static HOST_CALL: Reason = Reason::new("host_call", &UNAVAILABLE, Blame::Ourselves);
pub static BODY_NOT_SHOWN: Reason = Reason::new("body_not_shown", &UNAVAILABLE, Blame::Ourselves);
pub static WAIT: Reason = Reason::new("wait", &UNAVAILABLE, Blame::Ourselves);

/// Why a request whose host cannot be told is refused.
pub fn of_authority(error: AuthorityError) -> &'static Reason {
    match error {
        AuthorityError::Missing => &HOST_MISSING,
        AuthorityError::Repeated => &HOST_REPEATED,
        AuthorityError::Byte => &HOST_BYTE,
        AuthorityError::Label => &HOST_LABEL,
        AuthorityError::Address => &HOST_ADDRESS,
        AuthorityError::Port => &HOST_PORT,
    }
}

/// Why a request whose path cannot be told is refused.
pub fn of_target(error: TargetError) -> &'static Reason {
    match error {
        TargetError::NotAbsolute => &PATH_NOT_ABSOLUTE,
        TargetError::ForbiddenByte => &PATH_BYTE,
        TargetError::Encoding => &PATH_ENCODING,
        TargetError::EncodedDelimiter => &PATH_ENCODED_DELIMITER,
        TargetError::NotUtf8 => &PATH_UTF8,
        TargetError::DotSegment => &PATH_DOT_SEGMENT,
        TargetError::EmptySegment => &PATH_EMPTY_SEGMENT,
        TargetError::PathParameter => &PATH_PARAMETER,
        TargetError::Fragment => &PATH_FRAGMENT,
        TargetError::Padding => &PATH_PADDING,
        TargetError::TooCostly => &EFFORT,
        TargetError::TwoRoutes => &PATH_TWO_ROUTES,
    }
}

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

/// RFC 9110 §15.5.6: the response lists what is allowed.
pub fn method_not_allowed(allowed: &[String]) -> Refusal {
    let refusal = Refusal::new(&METHOD);
    let name = HeaderName::parse("allow").ok();
    let value = HeaderValue::parse(allowed.join(", ").as_bytes()).ok();
    match name.zip(value) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}

impl Failure {
    /// The refusal of a request for that reason.
    pub fn refusal(self) -> Refusal {
        let reason = match self {
            Failure::HostCall => &HOST_CALL,
            Failure::Memory => &NO_MEMORY,
        };
        Refusal::new(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::ErrorProtocol;
    use portcullis_wire::headers::Headers;

    #[test]
    fn prepared_replies_are_what_would_be_written() {
        for (prepared, reason) in [
            (NOT_CONFIGURED_REPLY, &NOT_CONFIGURED),
            (NO_MEMORY_REPLY, &NO_MEMORY),
        ] {
            let headers = Headers::default();
            let audience = ErrorProtocol::of(&headers, None);
            let written = Refusal::new(reason).reply(audience, None);
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
