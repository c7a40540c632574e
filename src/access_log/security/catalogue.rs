//! The events: a closed list, each with what it is called and how grave it is.

/// One kind of security event.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its stable name.
    pub id: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The entry of the OWASP API Security Top 10 of 2023.
    pub owasp: &'static str,
    /// Codes, and reasons where not all of a code's count, whose refusals are such an event.
    pub causes: &'static [(&'static str, &'static [&'static str])],
    /// Whose refusals alone, if not everybody's.
    pub by: Option<&'static str>,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the file.
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

const fn kind(
    id: &'static str,
    severity: Severity,
    owasp: &'static str,
    causes: &'static [(&'static str, &'static [&'static str])],
) -> Kind {
    Kind {
        id,
        severity,
        owasp,
        causes,
        by: None,
    }
}

/// Many failures from one source; what fails is what [`FAILURES`] lists.
pub(super) const REPEATED: &Kind =
    &kind("token_failures_repeated", Severity::High, "API2:2023", &[]);

/// Many requests of one source for what is not there; what counts is what [`SCANNED`] lists.
pub(super) const SCANS: &Kind = &kind("paths_scanned", Severity::Medium, "API9:2023", &[]);

/// Another document is in force.
pub(super) const CONFIGURATION: &Kind =
    &kind("configuration_changed", Severity::Info, "API8:2023", &[]);

/// What counts as a failure of its source. A token that has just expired, or none, does not.
pub(super) const FAILURES: &[&str] = &[
    "jwt_invalid",
    "jwt_repeated",
    "jwt_revoked",
    "jwt_not_yet_valid",
];

/// The statuses of answers, the service's and ours, to who looks for what there is: malformed, not
/// found, not with this method.
pub(super) const SCANNED: &[u64] = &[400, 404, 405];

impl Kind {
    /// Whether it tells of a source, and not of a route.
    pub(super) fn is_of_source(&self) -> bool {
        self == REPEATED || self == SCANS
    }
}

/// Every kind, in the order of the reference.
pub const KINDS: &[&Kind] = &[
    REPEATED,
    SCANS,
    &kind(
        "algorithm_confusion",
        Severity::High,
        "API2:2023",
        &[("jwt_invalid", &["algorithm"])],
    ),
    &kind(
        "token_forged",
        Severity::Medium,
        "API2:2023",
        &[("jwt_invalid", &["signature"])],
    ),
    &kind(
        "token_revoked",
        Severity::High,
        "API2:2023",
        &[("jwt_revoked", &[])],
    ),
    &kind(
        "token_insufficient",
        Severity::Low,
        "API5:2023",
        &[
            ("jwt_insufficient_scope", &[]),
            ("jwt_claim_not_allowed", &[]),
        ],
    ),
    &kind(
        "limit_lockout",
        Severity::Medium,
        "API4:2023",
        &[("rate_limited", &["locked_out"])],
    ),
    &kind(
        "limit_exceeded",
        Severity::Low,
        "API4:2023",
        &[("rate_limited", &["limit"])],
    ),
    &kind(
        "origin_disallowed",
        Severity::Low,
        "API8:2023",
        &[("origin_not_allowed", &[]), ("cross_site_request", &[])],
    ),
    // Before those of which it would be a part.
    &kind(
        "input_undeclared",
        Severity::Low,
        "API3:2023",
        &[
            ("parameters_invalid", &["undeclared"]),
            ("form_invalid", &["undeclared"]),
        ],
    ),
    &kind(
        "upload_refused",
        Severity::Low,
        "API8:2023",
        &[(
            "form_invalid",
            &["part_kind", "file_bytes", "file_type", "file_name"],
        )],
    ),
    &kind(
        "schema_violated",
        Severity::Low,
        "API3:2023",
        &[
            ("payload_schema", &[]),
            ("parameters_invalid", &[]),
            ("form_invalid", &[]),
        ],
    ),
    &kind(
        "answer_violated",
        Severity::Medium,
        "API3:2023",
        &[("payload_response", &["schema", "json"])],
    ),
    &Kind {
        by: Some("openapi"),
        ..kind(
            "operation_undeclared",
            Severity::Low,
            "API9:2023",
            &[("no_route", &[]), ("method_not_allowed", &[])],
        )
    },
    &kind(
        "pattern_found",
        Severity::Medium,
        "API8:2023",
        &[(
            "pattern_denied",
            &["path", "query", "headers", "json", "form"],
        )],
    ),
    &kind(
        "body_too_large",
        Severity::Low,
        "API4:2023",
        &[("payload_too_large", &[]), ("form_too_large", &[])],
    ),
    &kind(
        "message_malformed",
        Severity::Medium,
        "API8:2023",
        &[
            ("path_malformed", &[]),
            ("host_malformed", &[]),
            ("request_overridden", &[]),
            ("header_repeated", &[]),
            ("payload_malformed", &[]),
            ("payload_structure", &[]),
            ("parameters_malformed", &[]),
            ("form_malformed", &[]),
        ],
    ),
    CONFIGURATION,
];

/// The kind of event that a refusal by this policy is, if it is one.
pub(super) fn of(by: Option<&str>, code: &str, reason: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| {
        let caused = kind.causes.iter().any(|(each, reasons)| {
            *each == code && (reasons.is_empty() || reasons.contains(&reason))
        });
        caused && (kind.by.is_none() || kind.by == by)
    })
}
