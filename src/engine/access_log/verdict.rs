//! What policies said of a request, as JSON.

use std::fmt::Write as _;
use std::rc::Rc;

use super::detail::{self, Parameters};
use super::line;
use super::redact;
use crate::record::{Redaction, RolloutState, ShadowRefusal, Verdicts};
use portcullis_schema::Violation;

/// An object: what each policy said, in the order in which they were asked.
pub(super) fn verdicts(out: &mut String, verdicts: &Verdicts) {
    out.push('{');
    for (index, (policy, verdict)) in verdicts.in_order().enumerate() {
        for part in [
            if index == 0 { "\"" } else { ",\"" },
            policy,
            "\":\"",
            verdict.name(),
            "\"",
        ] {
            out.push_str(part);
        }
    }
    out.push('}');
}

/// An object: what of a document is for a share of requests, and whether it was in force for this one.
/// `limits`: the same of limits.
pub(super) fn rollout(out: &mut String, sampled: &RolloutState, limits: &[(Rc<str>, bool)]) {
    let limits = limits.iter().map(|(limit, is_in)| (&**limit, *is_in));
    let parts = sampled
        .in_order()
        .map(|(part, is_in): (&str, bool)| (part, is_in));
    out.push('{');
    for (index, (part, is_in)) in parts.chain(limits).enumerate() {
        let mode = if is_in { "enforced" } else { "shadow" };
        let separator = if index == 0 { "" } else { "," };
        let _ = write!(out, "{separator}\"{part}\":\"{mode}\"");
    }
    out.push('}');
}

/// A list of objects: what shadow mode would have refused.
pub(super) fn shadow(out: &mut String, refusals: &[ShadowRefusal], parameters: Parameters) {
    out.push('[');
    for (index, shadow) in refusals.iter().enumerate() {
        let separator = if index == 0 { "{" } else { ",{" };
        out.push_str(separator);
        if let Some(policy) = shadow.policy {
            let _ = write!(out, "\"policy\":\"{policy}\",");
        }
        let (code, reason) = (shadow.reason.code.name, shadow.reason.name);
        let _ = write!(out, "\"code\":\"{code}\",\"reason\":\"{reason}\"");
        if let Some(detail) = &shadow.detail {
            let before = out.len();
            out.push_str(",\"detail\":");
            if !detail::write(out, detail, parameters) {
                out.truncate(before);
            }
        }
        if !shadow.violations.is_empty() {
            out.push_str(",\"errors\":");
            errors(out, &shadow.violations);
        }
        out.push('}');
    }
    out.push(']');
}

/// A list of objects: what was put in place of parts of a response's body, or would have been.
pub(super) fn redacted(out: &mut String, redactions: &[Redaction]) {
    for (index, redaction) in redactions.iter().enumerate() {
        out.push_str(if index == 0 { "[{" } else { ",{" });
        let mode = match redaction.is_enforced {
            true => "enforced",
            false => "shadow",
        };
        let policy = redaction.policy;
        let _ = write!(
            out,
            "\"policy\":\"{policy}\",\"mode\":\"{mode}\",\"counts\":{{"
        );
        for (index, (kind, count)) in redaction.found.counts.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let _ = write!(out, "{separator}\"{kind}\":{count}");
        }
        out.push_str("},\"places\":[");
        for (index, (kind, place)) in redaction.found.places.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let _ = write!(out, "{separator}{{\"kind\":\"{kind}\",\"instance\":");
            line::quoted(out, &redact::tokens(place.as_bytes()));
            out.push('}');
        }
        out.push_str("]}");
    }
    out.push(']');
}

/// What a schema found wrong. Names in the pointers may be a client's; values are never there.
pub fn errors(out: &mut String, violations: &[Violation]) {
    for (index, violation) in violations.iter().enumerate() {
        out.push_str(if index == 0 { "[{" } else { ",{" });
        for (name, value) in [
            ("instance", violation.instance.as_str()),
            ("keyword", violation.keyword),
            ("schema", violation.schema.as_str()),
        ] {
            let separator = if out.ends_with('{') { "" } else { "," };
            let _ = write!(out, "{separator}\"{name}\":");
            line::quoted(out, &redact::tokens(value.as_bytes()));
        }
        out.push('}');
    }
    out.push(']');
}
