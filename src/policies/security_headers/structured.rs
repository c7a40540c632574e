//! Header fields that are written as a structure: directives by name, each with a list.

use super::rule::{Action, Change, Rule, Rules, When};
use portcullis_document::Node;
use portcullis_exchange::policy::Context;
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// Such a header field, in its two forms.
pub(super) struct StructuredHeader {
    pub(super) enforced: &'static str,
    pub(super) report_only: &'static str,
    /// Writes the value down, or reports what is wrong with the directives.
    pub(super) write: fn(&Node<'_>, Disposition, &mut Context<'_>) -> Option<String>,
}

/// What a browser does with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    Enforce,
    Report,
}

/// Reads `{ directives, report_only, action }` into rules.
pub(super) fn read(
    header: &StructuredHeader,
    node: &Node<'_>,
    rules: &mut Rules,
    context: &mut Context<'_>,
) -> Option<()> {
    let mut fields = node.object(
        context.problems,
        "{\"directives\": {…}}, or the whole text into `set`",
    )?;
    let directives = fields.optional("directives");
    let report_only = fields.optional("report_only");
    let action = fields.or_default("action", rules.action(), context.problems, Action::read);
    fields.deny_unknown(context.problems);
    if directives.is_none() && report_only.is_none() {
        context.problems.lacks(
            node.pointer(),
            "lacks \"directives\", which browsers enforce, or \"report_only\", which they report on; or both",
        );
        return None;
    }
    let action = action?;
    let forms = [
        (directives, header.enforced, Disposition::Enforce),
        (report_only, header.report_only, Disposition::Report),
    ];
    let mut whole = Some(());
    for (node, name, disposition) in forms {
        let Some(node) = node else { continue };
        let value = (header.write)(&node, disposition, context);
        let value = value.and_then(|value| {
            HeaderValue::parse(value.as_bytes())
                .map_err(|error| node.report(context.problems, error))
                .ok()
        });
        match HeaderName::parse(name).ok().zip(value) {
            Some((name, value)) => {
                let rule = Rule {
                    name,
                    change: Change::Write(value, action),
                    when: When::Always,
                };
                rules.put(rule, &node, context.problems);
            }
            None => whole = None,
        }
    }
    whole
}
