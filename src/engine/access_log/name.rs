//! What members of a record are called: in OpenTelemetry's semantic conventions, and in the
//! Elastic Common Schema. What neither has begins with `portcullis.` in both.

use portcullis_document::{Node, Problems};

/// Whose names are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convention {
    /// OpenTelemetry semantic conventions.
    OpenTelemetry,
    /// Elastic Common Schema.
    Elastic,
}

impl Convention {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("otel", Convention::OpenTelemetry),
            ("ecs", Convention::Elastic),
        ];
        node.choice(problems, &choices)
    }
}

/// The release of the Elastic Common Schema whose names are used.
pub(super) const ECS_VERSION: &str = "9.0.0";

/// The name of a member in each schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) otel: &'static str,
    pub(super) ecs: &'static str,
}

impl Name {
    /// One name in both.
    pub(super) const fn same(name: &'static str) -> Self {
        Self {
            otel: name,
            ecs: name,
        }
    }

    pub(super) const fn of(self, schema: Convention) -> &'static str {
        match schema {
            Convention::OpenTelemetry => self.otel,
            Convention::Elastic => self.ecs,
        }
    }
}

// What records and security events both have, by different names in the schemas.

pub(super) const TIMESTAMP: Name = Name {
    otel: "timestamp",
    ecs: "@timestamp",
};
pub(super) const EVENT: Name = Name {
    otel: "event.name",
    ecs: "event.dataset",
};
pub(super) const REQUEST_ID: Name = Name {
    otel: "http.request.header.x-request-id",
    ecs: "http.request.id",
};
pub(super) const TRACE_ID: Name = Name {
    otel: "trace_id",
    ecs: "trace.id",
};
