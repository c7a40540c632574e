//! Records as OTLP 1 has them in JSON (opentelemetry-proto, `logs/v1`): the members of a record
//! are attributes of a log record; what OTLP has a field for stands there.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::security::Severity;
use portcullis_wire::json::{Json, quoted};

/// A request to a collector in the making.
pub(super) struct Batch {
    text: String,
    first: bool,
}

/// How deep a record may nest: the list of what shadow mode would have refused, with errors.
const DEPTH: usize = 8;

impl Batch {
    pub(super) fn new(resource: &[(String, String)]) -> Self {
        let mut text = r#"{"resourceLogs":[{"resource":{"attributes":["#.to_owned();
        for (index, (name, value)) in resource.iter().enumerate() {
            separate(&mut text, index);
            let (name, value) = (quoted(name), quoted(value));
            let _ = write!(
                text,
                r#"{{"key":{name},"value":{{"stringValue":{value}}}}}"#
            );
        }
        text.push_str(r#"]},"scopeLogs":[{"scope":{"name":"portcullis","version":""#);
        text.push_str(env!("CARGO_PKG_VERSION"));
        text.push_str(r#""},"logRecords":["#);
        Self { text, first: true }
    }

    /// Adds a record, which is a line of JSON.
    pub(super) fn add(&mut self, line: &str, severity: Severity, at: Duration) {
        let out = &mut self.text;
        separate(out, usize::from(!self.first));
        self.first = false;
        let nanos = at.as_nanos();
        // SeverityNumber: 9 is INFO, 13 WARN, 17 ERROR.
        let (number, word) = match severity {
            Severity::Info => (9, "INFO"),
            Severity::Low => (10, "INFO2"),
            Severity::Medium => (13, "WARN"),
            Severity::High => (17, "ERROR"),
        };
        let _ = write!(
            out,
            r#"{{"timeUnixNano":"{nanos}","observedTimeUnixNano":"{nanos}","severityNumber":{number},"severityText":"{word}""#
        );
        let parsed = Json::parse(line.as_bytes(), DEPTH);
        let Ok(Json::Object(record)) = parsed else {
            let _ = write!(out, r#","body":{{"stringValue":{}}}}}"#, quoted(line));
            return;
        };
        let own = |name: &str| match name {
            "timestamp" | "@timestamp" => Some(""),
            "event.name" | "event.dataset" => Some("eventName"),
            "trace_id" | "trace.id" => Some("traceId"),
            "parent_span_id" | "span.id" => Some("spanId"),
            _ => None,
        };
        for (name, value) in record.iter() {
            if let Some(field) = own(name).filter(|field| !field.is_empty()) {
                let _ = write!(out, r#","{field}":{value}"#);
            }
        }
        out.push_str(r#","attributes":["#);
        let attributes = record.iter().filter(|(name, _)| own(name).is_none());
        key_values(out, attributes);
        out.push_str("]}");
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.text.push_str("]}]}]}");
        self.text.into_bytes()
    }
}

fn key_values<'j>(out: &mut String, members: impl Iterator<Item = (&'j str, &'j Json)>) {
    for (index, (name, value)) in members.enumerate() {
        separate(out, index);
        let _ = write!(out, r#"{{"key":{},"value":"#, quoted(name));
        any_value(out, value);
        out.push('}');
    }
}

/// `AnyValue`. Whole numbers are strings, as protobuf's JSON has 64 bits.
fn any_value(out: &mut String, value: &Json) {
    let _ = match value {
        Json::Null => write!(out, "{{}}"),
        Json::Bool(value) => write!(out, r#"{{"boolValue":{value}}}"#),
        Json::Number(number) if number.as_i64().is_none() => {
            write!(out, r#"{{"doubleValue":{number}}}"#)
        }
        Json::Number(number) => write!(out, r#"{{"intValue":"{number}"}}"#),
        Json::String(text) => write!(out, r#"{{"stringValue":{}}}"#, quoted(text)),
        Json::Array(items) => {
            out.push_str(r#"{"arrayValue":{"values":["#);
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                any_value(out, item);
            }
            write!(out, "]}}}}")
        }
        Json::Object(object) => {
            out.push_str(r#"{"kvlistValue":{"values":["#);
            key_values(out, object.iter());
            write!(out, "]}}}}")
        }
    };
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}
