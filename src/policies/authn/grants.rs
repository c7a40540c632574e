//! What a document says that a client may, whose credential says nothing of that itself.

use std::fmt::Write as _;

use super::requirement::read_scope;
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_wire::json::compact::Compact;
use portcullis_wire::json::quoted;

/// The longest text of what a client may, in bytes.
const LONGEST: usize = 4096;

/// Attributes by which something else is known: they have fields of their own, or are claims of tokens that
/// there is none of.
const RESERVED: [&str; 7] = ["sub", "client", "key_id", "scope", "scp", "iss", "aud"];

/// How deep attributes are nested at most, the object around them included.
const MAX_DEPTH: usize = 16;

/// What is known of a client: its name, under the names that tokens have for it, and `rest`, each member of
/// it behind a comma. None if that is nested too deeply.
pub(super) fn known_as(client: &str, rest: &str) -> Option<Compact> {
    let client = quoted(client);
    let text = format!("{{\"sub\":{client},\"client\":{client}{rest}}}");
    Compact::parse(text.as_bytes(), MAX_DEPTH)
}

/// Reads `scopes` and `attributes`, as members of a JSON object, each behind a comma: more of what is known
/// of a client, under the names of claims.
pub(super) fn read_grants(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<String> {
    let scopes = fields.or_default("scopes", Vec::new(), problems, |node, problems| {
        node.list(problems, read_scope)
    });
    let attributes = fields.or_default("attributes", String::new(), problems, read_attributes);
    let (scopes, attributes) = (scopes?, attributes?);
    let mut grants = match scopes.is_empty() {
        true => String::new(),
        false => format!(",\"scope\":{}", quoted(&scopes.join(" "))),
    };
    grants.push_str(&attributes);
    if grants.len() > LONGEST {
        problems.report(
            fields.pointer(),
            format_args!("its scopes and attributes have more than {LONGEST} bytes"),
        );
        return None;
    }
    Some(grants)
}

fn read_attributes(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let mut written = String::new();
    let mut good = true;
    for (name, value) in node.members(problems)? {
        if RESERVED.contains(&name) {
            value.report(
                problems,
                format_args!(
                    "{} cannot be an attribute: it has a field of its own, or would be read as a claim of a token",
                    Quoted(name)
                ),
            );
            good = false;
        }
        // Writing to a string cannot fail.
        let _ = write!(written, ",{}:{}", quoted(name), value.json());
    }
    good.then_some(written)
}
