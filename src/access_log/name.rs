//! What members of a record are called: in OpenTelemetry's semantic conventions, and in the
//! Elastic Common Schema. What neither has begins with `portcullis.` in both.

use crate::config::{Node, Problems};

/// Whose names are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// OpenTelemetry semantic conventions.
    OpenTelemetry,
    /// Elastic Common Schema.
    Elastic,
}

impl Schema {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [("otel", Schema::OpenTelemetry), ("ecs", Schema::Elastic)];
        node.choice(problems, &choices)
    }
}

/// The release of the Elastic Common Schema whose names are used.
pub(super) const ECS_VERSION: &str = "9.0.0";

/// A member that both schemas have, by different names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Timestamp,
    Event,
    RequestId,
    TraceId,
    ParentId,
    ProtocolVersion,
    TlsVersion,
    RequestSize,
    ResponseSize,
    UserHash,
}

impl Name {
    pub(super) fn of(self, schema: Schema) -> &'static str {
        let (otel, ecs) = match self {
            Name::Timestamp => ("timestamp", "@timestamp"),
            Name::Event => ("event.name", "event.dataset"),
            Name::RequestId => ("http.request.header.x-request-id", "http.request.id"),
            Name::TraceId => ("trace_id", "trace.id"),
            Name::ParentId => ("parent_span_id", "span.id"),
            Name::ProtocolVersion => ("network.protocol.version", "http.version"),
            Name::TlsVersion => ("tls.protocol.version", "tls.version"),
            Name::RequestSize => ("http.request.size", "http.request.bytes"),
            Name::ResponseSize => ("http.response.size", "http.response.bytes"),
            Name::UserHash => ("user.hash", "user.hash"),
        };
        match schema {
            Schema::OpenTelemetry => otel,
            Schema::Elastic => ecs,
        }
    }
}
