//! The refusals of `graphql`.

use portcullis_exchange::refusal::{Blame, Code, Reason, grpc};

/// Every code with which it refuses.
pub(super) const CODES: &[&Code] = &[
    &METHOD_NOT_ALLOWED,
    &MEDIA_TYPE,
    &TOO_LARGE,
    &MALFORMED,
    &LIMIT,
    &NOT_ALLOWED,
];

pub static METHOD_NOT_ALLOWED: Code = Code {
    name: "graphql_method",
    status: 405,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "GraphQL requests are not sent with this method.",
    reasons: &[&METHOD, &MUTATION_BY_GET],
};

pub static METHOD: Reason = Reason::new("method", &METHOD_NOT_ALLOWED, Blame::Request);
pub static MUTATION_BY_GET: Reason =
    Reason::new("mutation_by_get", &METHOD_NOT_ALLOWED, Blame::Request);

pub static MEDIA_TYPE: Code = Code {
    name: "graphql_media_type",
    status: 415,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "GraphQL requests are not sent in this form.",
    reasons: &[&CONTENT_TYPE, &ENCODING],
};

pub static CONTENT_TYPE: Reason = Reason::new("content_type", &MEDIA_TYPE, Blame::Request);
pub static ENCODING: Reason = Reason::new("content_encoding", &MEDIA_TYPE, Blame::Request);

pub static TOO_LARGE: Code = Code {
    name: "graphql_too_large",
    status: 413,
    grpc_status: grpc::RESOURCE_EXHAUSTED,
    title: "The GraphQL request is larger than allowed.",
    reasons: &[&BYTES],
};

pub static BYTES: Reason = Reason::new("bytes", &TOO_LARGE, Blame::Request);

pub static MALFORMED: Code = Code {
    name: "graphql_malformed",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The GraphQL request is malformed or ambiguous.",
    reasons: &[
        &JSON,
        &MEMBER,
        &PARAMETER,
        &BODY,
        &QUERY_MISSING,
        &CHARACTERS,
        &SYNTAX,
        &TYPE_SYSTEM,
        &REPEATED,
        &FRAGMENT_UNKNOWN,
        &FRAGMENT_UNUSED,
        &FRAGMENT_CYCLE,
        &OPERATION,
        &OPERATION_NAME,
        &HASH,
        &EXPECT,
    ],
};

pub static JSON: Reason = Reason::new("json", &MALFORMED, Blame::Request);
pub static MEMBER: Reason = Reason::new("member", &MALFORMED, Blame::Request);
pub static PARAMETER: Reason = Reason::new("parameter", &MALFORMED, Blame::Request);
pub static BODY: Reason = Reason::new("body", &MALFORMED, Blame::Request);
pub static QUERY_MISSING: Reason = Reason::new("query_missing", &MALFORMED, Blame::Request);
pub static CHARACTERS: Reason = Reason::new("characters", &MALFORMED, Blame::Request);
pub static SYNTAX: Reason = Reason::new("syntax", &MALFORMED, Blame::Request);
pub static TYPE_SYSTEM: Reason = Reason::new("type_system", &MALFORMED, Blame::Request);
pub static REPEATED: Reason = Reason::new("repeated", &MALFORMED, Blame::Request);
pub static FRAGMENT_UNKNOWN: Reason = Reason::new("fragment_unknown", &MALFORMED, Blame::Request);
pub static FRAGMENT_UNUSED: Reason = Reason::new("fragment_unused", &MALFORMED, Blame::Request);
pub static FRAGMENT_CYCLE: Reason = Reason::new("fragment_cycle", &MALFORMED, Blame::Request);
pub static OPERATION: Reason = Reason::new("operation", &MALFORMED, Blame::Request);
pub static OPERATION_NAME: Reason = Reason::new("operation_name", &MALFORMED, Blame::Request);
pub static HASH: Reason = Reason::new("hash", &MALFORMED, Blame::Request);
pub static EXPECT: Reason = Reason::new("expect_continue", &MALFORMED, Blame::Request);

pub static LIMIT: Code = Code {
    name: "graphql_limit",
    status: 422,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "The GraphQL request asks for more than allowed.",
    reasons: &[
        &TOKENS,
        &NESTING,
        &OPERATIONS,
        &BATCH,
        &DEPTH,
        &FIELDS,
        &ROOT_FIELDS,
        &ALIASES,
        &DIRECTIVES,
        &COST,
        &COST_UNKNOWN,
        &EFFORT,
    ],
};

pub static TOKENS: Reason = Reason::new("tokens", &LIMIT, Blame::Request);
pub static NESTING: Reason = Reason::new("nesting", &LIMIT, Blame::Request);
pub static OPERATIONS: Reason = Reason::new("operations", &LIMIT, Blame::Request);
pub static BATCH: Reason = Reason::new("batch", &LIMIT, Blame::Request);
pub static DEPTH: Reason = Reason::new("depth", &LIMIT, Blame::Request);
pub static FIELDS: Reason = Reason::new("fields", &LIMIT, Blame::Request);
pub static ROOT_FIELDS: Reason = Reason::new("root_fields", &LIMIT, Blame::Request);
pub static ALIASES: Reason = Reason::new("aliases", &LIMIT, Blame::Request);
pub static DIRECTIVES: Reason = Reason::new("directives", &LIMIT, Blame::Request);
pub static COST: Reason = Reason::new("cost", &LIMIT, Blame::Request);
pub static COST_UNKNOWN: Reason = Reason::new("cost_unknown", &LIMIT, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &LIMIT, Blame::Request);

pub static NOT_ALLOWED: Code = Code {
    name: "graphql_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The GraphQL request is not allowed.",
    reasons: &[
        &INTROSPECTION,
        &OPERATION_KIND,
        &UNNAMED,
        &UNKNOWN_DOCUMENT,
        &UPGRADE,
    ],
};

pub static INTROSPECTION: Reason = Reason::new("introspection", &NOT_ALLOWED, Blame::Request);
pub static OPERATION_KIND: Reason = Reason::new("operation_kind", &NOT_ALLOWED, Blame::Request);
pub static UNNAMED: Reason = Reason::new("unnamed", &NOT_ALLOWED, Blame::Request);
pub static UNKNOWN_DOCUMENT: Reason = Reason::new("unknown_document", &NOT_ALLOWED, Blame::Request);
pub static UPGRADE: Reason = Reason::new("upgrade", &NOT_ALLOWED, Blame::Request);
