//! Security events: a closed list, each with what it is called and how grave it is.

use portcullis_exchange::refusal::core as general;
use portcullis_exchange::refusal::{Blame, Reason, Selector};
use portcullis_policies::access::refusals as access;
use portcullis_policies::api_key::refusals as api_key;
use portcullis_policies::certificate::refusals as certificate;
use portcullis_policies::concurrency::refusals as concurrency;
use portcullis_policies::cors;
use portcullis_policies::credentials::refusals as credentials;
use portcullis_policies::csrf;
use portcullis_policies::deny_patterns;
use portcullis_policies::forms::refusals as forms;
use portcullis_policies::graphql::refusals as graphql;
use portcullis_policies::introspection::refusals as introspection;
use portcullis_policies::jwt::bound::refusals as bound;
use portcullis_policies::jwt::refusals as jwt;
use portcullis_policies::parameters::refusals as parameters;
use portcullis_policies::payload::refusals as payload;
use portcullis_policies::rate_limits::refusals as limits;
use portcullis_policies::responses::refusals as responses;
use portcullis_policies::signed_request::refusals as signed;
use portcullis_policies::versions::refusals as versions;

/// One kind of security event.
#[derive(Debug, PartialEq, Eq)]
pub struct EventKind {
    /// Its stable name.
    pub id: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The entry of the OWASP API Security Top 10 of 2023.
    pub owasp: &'static str,
    /// The refusals that are such an event.
    pub causes: &'static [Selector],
    /// The policy whose refusals alone count; all do, if none is named.
    pub by: Option<&'static str>,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth keeping, and no sign of an attack.
    Info,
    /// One alone means nothing.
    Low,
    /// Worth a look.
    Medium,
    /// Somebody attacks.
    High,
}

impl Severity {
    /// The word in the event.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }

    /// A number, of which more is graver.
    pub fn number(self) -> u64 {
        match self {
            Severity::Info => 10,
            Severity::Low => 30,
            Severity::Medium => 50,
            Severity::High => 80,
        }
    }
}

const fn kind(id: &'static str, severity: Severity, owasp: &'static str) -> EventKind {
    EventKind {
        id,
        severity,
        owasp,
        causes: &[],
        by: None,
    }
}

/// Many failures from one source; what fails is told by [`FAILURE`].
pub(crate) const REPEATED: &EventKind =
    &kind("token_failures_repeated", Severity::High, "API2:2023");

/// Many requests of one source for what is not there; what counts is what [`SCANNED`] lists.
pub(crate) const SCANS: &EventKind = &kind("paths_scanned", Severity::Medium, "API9:2023");

/// Another document is in force.
pub(crate) const CONFIGURATION: &EventKind =
    &kind("configuration_changed", Severity::Info, "API8:2023");

/// What counts as a failure of its source. A credential whose time is over, or none, does not.
pub(crate) const FAILURE: Blame = Blame::Credential;

/// The statuses of responses, the service's and ours, to who looks for what there is: malformed, not
/// found, not with this method.
pub(crate) const SCANNED: &[u64] = &[400, 404, 405];

impl EventKind {
    /// Whether it tells of a source, and not of a route.
    pub(crate) fn is_of_source(&self) -> bool {
        self == REPEATED || self == SCANS
    }
}

/// Every kind, in the order of the reference.
pub const KINDS: &[&EventKind] = &[
    REPEATED,
    SCANS,
    &EventKind {
        causes: &[Selector::Reason(&jwt::ALGORITHM)],
        ..kind("algorithm_confusion", Severity::High, "API2:2023")
    },
    &EventKind {
        causes: &[Selector::Reason(&jwt::SIGNATURE)],
        ..kind("token_forged", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&jwt::REVOKED),
            Selector::Reason(&introspection::REVOKED),
        ],
        ..kind("token_revoked", Severity::High, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&jwt::INSUFFICIENT_SCOPE),
            Selector::Code(&jwt::CLAIM_NOT_ALLOWED),
            Selector::Code(&api_key::INSUFFICIENT_SCOPE),
            Selector::Code(&api_key::NOT_ALLOWED),
            Selector::Code(&introspection::INSUFFICIENT_SCOPE),
            Selector::Code(&introspection::NOT_ALLOWED),
            Selector::Code(&credentials::INSUFFICIENT),
        ],
        ..kind("token_insufficient", Severity::Low, "API5:2023")
    },
    &EventKind {
        causes: &[Selector::Code(&bound::REPLAYED)],
        ..kind("proof_replayed", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&bound::SIGNATURE),
            Selector::Reason(&bound::TOKEN),
            Selector::Reason(&bound::METHOD),
            Selector::Reason(&bound::URI),
        ],
        ..kind("proof_forged", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&bound::SCHEME),
            Selector::Reason(&bound::KEY_MISMATCH),
            Selector::Reason(&bound::NO_CERTIFICATE),
            Selector::Reason(&bound::CERTIFICATE),
        ],
        ..kind("bound_token_misused", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[Selector::Reason(&bound::FULL)],
        ..kind("proofs_full", Severity::Medium, "API4:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&api_key::MALFORMED),
            Selector::Reason(&api_key::UNKNOWN),
        ],
        ..kind("api_key_guessed", Severity::Low, "API2:2023")
    },
    &EventKind {
        causes: &[Selector::Reason(&api_key::REVOKED)],
        ..kind("api_key_revoked", Severity::High, "API2:2023")
    },
    &EventKind {
        causes: &[Selector::Code(&certificate::REVOKED)],
        ..kind("certificate_revoked", Severity::High, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&introspection::MALFORMED),
            Selector::Reason(&introspection::INACTIVE),
        ],
        ..kind("opaque_token_refused", Severity::Low, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&introspection::NO_SECRET),
            Selector::Reason(&introspection::UNREACHABLE),
            Selector::Reason(&introspection::TIMEOUT),
            Selector::Reason(&introspection::STATUS),
            Selector::Reason(&introspection::RESPONSE),
            Selector::Reason(&introspection::RESTING),
            Selector::Reason(&introspection::NO_MEMORY),
            Selector::Reason(&introspection::CLAIM_VALUE),
            Selector::Reason(&introspection::ROLES),
        ],
        ..kind("introspection_failed", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&certificate::INVALID),
            Selector::Code(&certificate::UNKNOWN),
        ],
        ..kind("certificate_refused", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&certificate::INSUFFICIENT_SCOPE),
            Selector::Code(&certificate::CLAIM_NOT_ALLOWED),
        ],
        ..kind("certificate_insufficient", Severity::Low, "API5:2023")
    },
    &EventKind {
        causes: &[Selector::Code(&signed::INVALID)],
        ..kind("signature_forged", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[Selector::Code(&signed::REPLAYED)],
        ..kind("signature_replayed", Severity::Medium, "API2:2023")
    },
    &EventKind {
        causes: &[Selector::Code(&signed::REVOKED)],
        ..kind("signature_revoked", Severity::High, "API2:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&signed::INSUFFICIENT_SCOPE),
            Selector::Code(&signed::CLAIM_NOT_ALLOWED),
        ],
        ..kind("signature_insufficient", Severity::Low, "API5:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&access::OBJECT),
            Selector::Reason(&access::CONCEALED_OBJECT),
        ],
        ..kind("object_denied", Severity::Medium, "API1:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&access::RULE),
            Selector::Reason(&access::NO_RULE),
            Selector::Reason(&access::CONCEALED_RULE),
            Selector::Reason(&access::CONCEALED_NO_RULE),
        ],
        ..kind("access_refused", Severity::Low, "API5:2023")
    },
    &EventKind {
        causes: &[Selector::Reason(&limits::LOCKED_OUT)],
        ..kind("limit_lockout", Severity::Medium, "API4:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&limits::LIMIT),
            Selector::Reason(&limits::QUEUE),
            Selector::Code(&concurrency::LIMITED),
        ],
        ..kind("limit_exceeded", Severity::Low, "API4:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&cors::NOT_ALLOWED),
            Selector::Code(&csrf::CROSS_SITE),
        ],
        ..kind("origin_disallowed", Severity::Low, "API8:2023")
    },
    // Before those of which it would be a part.
    &EventKind {
        causes: &[
            Selector::Reason(&parameters::UNDECLARED),
            Selector::Reason(&forms::UNDECLARED),
        ],
        ..kind("input_undeclared", Severity::Low, "API3:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&forms::PART_KIND),
            Selector::Reason(&forms::FILE_BYTES),
            Selector::Reason(&forms::FILE_TYPE),
            Selector::Reason(&forms::FILE_NAME),
        ],
        ..kind("upload_refused", Severity::Low, "API8:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&payload::SCHEMA),
            Selector::Code(&parameters::INVALID),
            Selector::Code(&forms::INVALID),
        ],
        ..kind("schema_violated", Severity::Low, "API3:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&payload::RESPONSE_SCHEMA),
            Selector::Reason(&payload::RESPONSE_JSON),
        ],
        ..kind("answer_violated", Severity::Medium, "API3:2023")
    },
    &EventKind {
        causes: &[Selector::Code(&responses::SENSITIVE)],
        ..kind("answer_sensitive", Severity::High, "API3:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&general::NO_ROUTE),
            Selector::Code(&general::METHOD_NOT_ALLOWED),
        ],
        by: Some("openapi"),
        ..kind("operation_undeclared", Severity::Low, "API9:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&versions::UNKNOWN),
            Selector::Code(&versions::NOT_FOUND),
            Selector::Code(&versions::GONE),
        ],
        ..kind("version_refused", Severity::Low, "API9:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&deny_patterns::IN_PATH),
            Selector::Reason(&deny_patterns::IN_QUERY),
            Selector::Reason(&deny_patterns::IN_HEADERS),
            Selector::Reason(&deny_patterns::IN_COOKIES),
            Selector::Reason(&deny_patterns::IN_JSON),
            Selector::Reason(&deny_patterns::IN_FORM),
            Selector::Reason(&deny_patterns::IN_MULTIPART),
            Selector::Reason(&deny_patterns::IN_XML),
            Selector::Reason(&deny_patterns::IN_TEXT),
        ],
        ..kind("pattern_found", Severity::Medium, "API8:2023")
    },
    &EventKind {
        causes: &[
            Selector::Reason(&graphql::INTROSPECTION),
            Selector::Reason(&graphql::UNKNOWN_DOCUMENT),
            Selector::Reason(&graphql::OPERATION_KIND),
            Selector::Reason(&graphql::MUTATION_BY_GET),
        ],
        ..kind("graphql_probed", Severity::Low, "API8:2023")
    },
    &EventKind {
        causes: &[Selector::Code(&graphql::LIMIT)],
        ..kind("graphql_excessive", Severity::Medium, "API4:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&payload::TOO_LARGE),
            Selector::Code(&forms::TOO_LARGE),
            Selector::Code(&graphql::TOO_LARGE),
            Selector::Code(&signed::TOO_LARGE),
        ],
        ..kind("body_too_large", Severity::Low, "API4:2023")
    },
    &EventKind {
        causes: &[
            Selector::Code(&general::PATH_MALFORMED),
            Selector::Code(&general::HOST_MALFORMED),
            Selector::Code(&general::OVERRIDDEN),
            Selector::Code(&general::HEADER_REPEATED),
            Selector::Code(&versions::AMBIGUOUS),
            Selector::Code(&payload::MALFORMED),
            Selector::Code(&payload::STRUCTURE),
            Selector::Code(&payload::SOAP),
            Selector::Code(&parameters::MALFORMED),
            Selector::Code(&forms::MALFORMED),
            Selector::Code(&graphql::MALFORMED),
        ],
        ..kind("message_malformed", Severity::Medium, "API8:2023")
    },
    CONFIGURATION,
];

/// The kind of event that a refusal by this policy is, if it is one.
pub(crate) fn of(by: Option<&str>, reason: &'static Reason) -> Option<&'static EventKind> {
    KINDS.iter().copied().find(|kind| {
        let caused = kind.causes.iter().any(|selector| selector.has(reason));
        caused && (kind.by.is_none() || kind.by == by)
    })
}
