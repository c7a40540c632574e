//! The refusals of `payload`.

use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, grpc};
use portcullis_wire::headers::{HeaderName, HeaderValue};

pub static TOO_LARGE: Code = Code {
    name: "payload_too_large",
    status: 413,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The request body is larger than allowed.",
    reasons: &[&DECLARED_TOO_LARGE, &BODY_TOO_LARGE],
};

pub static DECLARED_TOO_LARGE: Reason = Reason::new("content_length", &TOO_LARGE, Blame::Request);
pub static BODY_TOO_LARGE: Reason = Reason::new("body_size", &TOO_LARGE, Blame::Request);

pub static LENGTH_MALFORMED: Code = Code {
    name: "payload_length_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The Content-Length field is malformed.",
    reasons: &[&CONTENT_LENGTH],
};

pub static CONTENT_LENGTH: Reason =
    Reason::new("content_length", &LENGTH_MALFORMED, Blame::Request);

pub static PRESENCE: Code = Code {
    name: "payload_presence",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The method needs a request body, or allows none.",
    reasons: &[&BODY_MISSING, &BODY_FORBIDDEN],
};

pub static BODY_MISSING: Reason = Reason::new("body_missing", &PRESENCE, Blame::Request);
pub static BODY_FORBIDDEN: Reason = Reason::new("body_forbidden", &PRESENCE, Blame::Request);

pub static MEDIA_TYPE: Code = Code {
    name: "payload_media_type",
    status: 415,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The media type of the request body is not allowed.",
    reasons: &[
        &CONTENT_TYPE_ABSENT,
        &CONTENT_TYPE_MALFORMED,
        &CONTENT_TYPE_NOT_ALLOWED,
        &CHARSET,
    ],
};

pub static CONTENT_TYPE_ABSENT: Reason =
    Reason::new("content_type_absent", &MEDIA_TYPE, Blame::Request);
pub static CONTENT_TYPE_MALFORMED: Reason =
    Reason::new("content_type_malformed", &MEDIA_TYPE, Blame::Request);
pub static CONTENT_TYPE_NOT_ALLOWED: Reason =
    Reason::new("content_type_not_allowed", &MEDIA_TYPE, Blame::Request);
pub static CHARSET: Reason = Reason::new("charset", &MEDIA_TYPE, Blame::Request);

pub static ENCODING: Code = Code {
    name: "payload_content_encoding",
    status: 415,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The content encoding of the request body is not allowed.",
    reasons: &[&CONTENT_ENCODING],
};

pub static CONTENT_ENCODING: Reason = Reason::new("content_encoding", &ENCODING, Blame::Request);

pub static EXPECTATION: Code = Code {
    name: "payload_expectation",
    status: 417,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The expectation of the request cannot be met.",
    reasons: &[&EXPECT_UNKNOWN, &EXPECT_CONTINUE],
};

pub static EXPECT_UNKNOWN: Reason = Reason::new("expect_unknown", &EXPECTATION, Blame::Request);
pub static EXPECT_CONTINUE: Reason = Reason::new("expect_continue", &EXPECTATION, Blame::Request);

pub static UPGRADE: Code = Code {
    name: "payload_upgrade",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The connection cannot be upgraded here.",
    reasons: &[&UPGRADE_REFUSED, &UPGRADE_WITH_BODY],
};

pub static UPGRADE_REFUSED: Reason = Reason::new("upgrade", &UPGRADE, Blame::Request);
pub static UPGRADE_WITH_BODY: Reason = Reason::new("upgrade_with_body", &UPGRADE, Blame::Request);

pub static MALFORMED: Code = Code {
    name: "payload_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body is malformed.",
    reasons: &[
        &JSON_SYNTAX,
        &JSON_UTF8,
        &JSON_SURROGATE,
        &XML_SYNTAX,
        &XML_UTF8,
        &XML_ENCODING,
        &XML_VERSION,
        &XML_NAMESPACE,
        &XML_DUPLICATE_ATTRIBUTE,
    ],
};

pub static JSON_SYNTAX: Reason = Reason::new("json_syntax", &MALFORMED, Blame::Request);
pub static JSON_UTF8: Reason = Reason::new("json_utf8", &MALFORMED, Blame::Request);
pub static JSON_SURROGATE: Reason = Reason::new("json_surrogate", &MALFORMED, Blame::Request);
pub static XML_SYNTAX: Reason = Reason::new("xml_syntax", &MALFORMED, Blame::Request);
pub static XML_UTF8: Reason = Reason::new("xml_utf8", &MALFORMED, Blame::Request);
pub static XML_ENCODING: Reason = Reason::new("xml_encoding", &MALFORMED, Blame::Request);
pub static XML_VERSION: Reason = Reason::new("xml_version", &MALFORMED, Blame::Request);
pub static XML_NAMESPACE: Reason = Reason::new("xml_namespace", &MALFORMED, Blame::Request);
pub static XML_DUPLICATE_ATTRIBUTE: Reason =
    Reason::new("xml_duplicate_attribute", &MALFORMED, Blame::Request);

pub static STRUCTURE: Code = Code {
    name: "payload_structure",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body has a structure that is not allowed.",
    reasons: &[
        &JSON_DUPLICATE_KEY,
        &JSON_DEPTH,
        &JSON_VALUES,
        &JSON_MEMBERS,
        &JSON_ELEMENTS,
        &JSON_KEY_BYTES,
        &JSON_STRING_BYTES,
        &JSON_NUMBER_BYTES,
        &JSON_NUMBER_RANGE,
        &XML_DOCTYPE,
        &XML_ENTITY,
        &XML_PROCESSING_INSTRUCTION,
        &XML_COMMENT,
        &XML_INCLUSION,
        &XML_SCHEMA_LOCATION,
        &XML_DEPTH,
        &XML_ELEMENTS,
        &XML_ATTRIBUTES,
        &XML_NAMESPACES,
        &XML_NAME_BYTES,
        &XML_TEXT_BYTES,
        &XML_ATTRIBUTE_BYTES,
        &XML_ROOT,
    ],
};

pub static JSON_DUPLICATE_KEY: Reason =
    Reason::new("json_duplicate_key", &STRUCTURE, Blame::Request);
pub static JSON_DEPTH: Reason = Reason::new("json_depth", &STRUCTURE, Blame::Request);
pub static JSON_VALUES: Reason = Reason::new("json_values", &STRUCTURE, Blame::Request);
pub static JSON_MEMBERS: Reason = Reason::new("json_members", &STRUCTURE, Blame::Request);
pub static JSON_ELEMENTS: Reason = Reason::new("json_elements", &STRUCTURE, Blame::Request);
pub static JSON_KEY_BYTES: Reason = Reason::new("json_key_bytes", &STRUCTURE, Blame::Request);
pub static JSON_STRING_BYTES: Reason = Reason::new("json_string_bytes", &STRUCTURE, Blame::Request);
pub static JSON_NUMBER_BYTES: Reason = Reason::new("json_number_bytes", &STRUCTURE, Blame::Request);
pub static JSON_NUMBER_RANGE: Reason = Reason::new("json_number_range", &STRUCTURE, Blame::Request);
pub static XML_DOCTYPE: Reason = Reason::new("xml_doctype", &STRUCTURE, Blame::Request);
pub static XML_ENTITY: Reason = Reason::new("xml_entity", &STRUCTURE, Blame::Request);
pub static XML_PROCESSING_INSTRUCTION: Reason =
    Reason::new("xml_processing_instruction", &STRUCTURE, Blame::Request);
pub static XML_COMMENT: Reason = Reason::new("xml_comment", &STRUCTURE, Blame::Request);
pub static XML_INCLUSION: Reason = Reason::new("xml_inclusion", &STRUCTURE, Blame::Request);
pub static XML_SCHEMA_LOCATION: Reason =
    Reason::new("xml_schema_location", &STRUCTURE, Blame::Request);
pub static XML_DEPTH: Reason = Reason::new("xml_depth", &STRUCTURE, Blame::Request);
pub static XML_ELEMENTS: Reason = Reason::new("xml_elements", &STRUCTURE, Blame::Request);
pub static XML_ATTRIBUTES: Reason = Reason::new("xml_attributes", &STRUCTURE, Blame::Request);
pub static XML_NAMESPACES: Reason = Reason::new("xml_namespaces", &STRUCTURE, Blame::Request);
pub static XML_NAME_BYTES: Reason = Reason::new("xml_name_bytes", &STRUCTURE, Blame::Request);
pub static XML_TEXT_BYTES: Reason = Reason::new("xml_text_bytes", &STRUCTURE, Blame::Request);
pub static XML_ATTRIBUTE_BYTES: Reason =
    Reason::new("xml_attribute_bytes", &STRUCTURE, Blame::Request);
pub static XML_ROOT: Reason = Reason::new("xml_root", &STRUCTURE, Blame::Request);

pub static SOAP: Code = Code {
    name: "payload_soap",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The SOAP message is not as expected.",
    reasons: &[
        &SOAP_ENVELOPE,
        &SOAP_VERSION,
        &SOAP_ACTION,
        &SOAP_ACTION_ABSENT,
        &SOAP_ACTION_NOT_ALLOWED,
        &SOAP_OPERATION,
        &SOAP_ADDRESSING,
    ],
};

pub static SOAP_ENVELOPE: Reason = Reason::new("envelope", &SOAP, Blame::Request);
pub static SOAP_VERSION: Reason = Reason::new("version", &SOAP, Blame::Request);
pub static SOAP_ACTION: Reason = Reason::new("action", &SOAP, Blame::Request);
pub static SOAP_ACTION_ABSENT: Reason = Reason::new("action_absent", &SOAP, Blame::Request);
pub static SOAP_ACTION_NOT_ALLOWED: Reason =
    Reason::new("action_not_allowed", &SOAP, Blame::Request);
pub static SOAP_OPERATION: Reason = Reason::new("operation", &SOAP, Blame::Request);
pub static SOAP_ADDRESSING: Reason = Reason::new("addressing", &SOAP, Blame::Request);

pub static SCHEMA: Code = Code {
    name: "payload_schema",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The request body is not as expected.",
    reasons: &[&SCHEMA_VIOLATED, &SCHEMA_EFFORT],
};

pub static SCHEMA_VIOLATED: Reason = Reason::new("schema", &SCHEMA, Blame::Request);
pub static SCHEMA_EFFORT: Reason = Reason::new("effort", &SCHEMA, Blame::Request);

pub static RESPONSE: Code = Code {
    name: "payload_response",
    status: 502,
    grpc_status: grpc::UNAVAILABLE,
    title: "The service's answer is not as expected.",
    reasons: &[
        &RESPONSE_SCHEMA,
        &RESPONSE_EFFORT,
        &RESPONSE_JSON,
        &RESPONSE_SIZE,
        &RESPONSE_CONTENT_ENCODING,
        &RESPONSE_CONTENT_TYPE,
    ],
};

pub static RESPONSE_SCHEMA: Reason = Reason::new("schema", &RESPONSE, Blame::Upstream);
pub static RESPONSE_EFFORT: Reason = Reason::new("effort", &RESPONSE, Blame::Upstream);
pub static RESPONSE_JSON: Reason = Reason::new("json", &RESPONSE, Blame::Upstream);
pub static RESPONSE_SIZE: Reason = Reason::new("size", &RESPONSE, Blame::Upstream);
pub static RESPONSE_CONTENT_ENCODING: Reason =
    Reason::new("content_encoding", &RESPONSE, Blame::Upstream);
pub static RESPONSE_CONTENT_TYPE: Reason = Reason::new("content_type", &RESPONSE, Blame::Upstream);

/// RFC 9110 §12.5.1 and §12.5.3: the response says what would be accepted.
pub(super) fn with_hint(refusal: Refusal, name: &str, value: &str) -> Refusal {
    let name = HeaderName::parse(name).ok();
    let value = HeaderValue::parse(value.as_bytes()).ok();
    match name.zip(value) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}
