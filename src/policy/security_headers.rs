//! Header fields that make browsers careful with an answer.
//!
//! Values follow the OWASP Secure Headers Project, list of 2026-07-19, except where a value is
//! for pages and an API has a stricter one.

use super::{Compile, Context, Kind, Part, Policy, Role, Stage};
use crate::config::{Fields, Node, Problems, Quoted};
use crate::exchange::{Edit, Response, Scheme};
use crate::headers::{HeaderName, HeaderValue};
use crate::host::Host;
use crate::route::read_header_name;

/// `security_headers: { preset, set, remove }`.
pub(super) const KIND: Kind = Kind {
    name: "security_headers",
    role: Role::Guards,
    codes: &[],
    compile: Compile::Object(compile),
};

/// For answers that programs read: nothing may be framed, run, sniffed or stored.
const API: &[(&str, &str)] = &[
    ("cache-control", "no-store, max-age=0"),
    (
        "content-security-policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    (
        STRICT_TRANSPORT_SECURITY,
        "max-age=63072000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-dns-prefetch-control", "off"),
    ("x-frame-options", "deny"),
    ("x-permitted-cross-domain-policies", "none"),
];

const STRICT_TRANSPORT_SECURITY: &str = "strict-transport-security";

/// Sets and removes response header fields, on the service's answers and on refusals.
struct SecurityHeaders {
    always: Vec<Edit>,
    over_tls: Vec<Edit>,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<Part>> {
    let problems = &mut *context.problems;
    let preset = fields
        .required("preset", problems)
        .and_then(|node| node.choice(problems, &[("api", API), ("none", &[])]));
    let set = fields.or("set", Vec::new(), problems, read_set);
    let remove = fields.or("remove", Vec::new(), problems, |node, problems| {
        node.list(problems, read_name)
    });
    let (preset, set, remove) = (preset?, set?, remove?);
    let mut names: Vec<&str> = set.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(remove.iter().map(HeaderName::as_str));
    names.sort_unstable();
    if let Some([twice, _]) = names
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a == b))
    {
        let twice = Quoted(twice).to_string();
        problems.report(
            fields.pointer(),
            format_args!("`set` and `remove` name the header {twice} twice"),
        );
        return None;
    }
    let mut values: Vec<(HeaderName, HeaderValue)> = preset
        .iter()
        .filter_map(|(name, value)| {
            HeaderName::parse(name)
                .ok()
                .zip(HeaderValue::parse(value.as_bytes()).ok())
        })
        .filter(|(name, _)| !set.iter().any(|(other, _)| other == name) && !remove.contains(name))
        .collect();
    values.extend(set);
    let tls_only = |name: &HeaderName| name.as_str() == STRICT_TRANSPORT_SECURITY;
    let (over_tls, always): (Vec<_>, Vec<_>) =
        values.into_iter().partition(|(name, _)| tls_only(name));
    let edits = |list: Vec<(HeaderName, HeaderValue)>| {
        list.into_iter().map(|(name, value)| Edit::Set(name, value))
    };
    let always = remove
        .into_iter()
        .map(Edit::Remove)
        .chain(edits(always))
        .collect();
    let policy = SecurityHeaders {
        always,
        over_tls: edits(over_tls).collect(),
    };
    Some(Part::only(Stage::Answer, policy))
}

fn read_set(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let entries = node.entries(problems)?;
    let mut read = Vec::with_capacity(entries.len());
    for (written, value) in &entries {
        let name = HeaderName::parse(written)
            .map_err(|error| value.report(problems, error))
            .ok();
        let name = name.filter(|name| may_change(name, value, problems));
        let text = value.text(problems);
        let value = text.and_then(|text| {
            HeaderValue::parse(text.as_bytes())
                .map_err(|error| value.report(problems, error))
                .ok()
        });
        read.push(name.zip(value));
    }
    read.into_iter().collect()
}

fn read_name(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    read_header_name(node, problems).filter(|name| may_change(name, node, problems))
}

/// Fields that frame a message are not for a policy to write: a wrong length is a way to
/// smuggle a second message in.
fn may_change(name: &HeaderName, node: &Node<'_>, problems: &mut Problems) -> bool {
    const FRAMING: [&str; 6] = [
        "connection",
        "content-length",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let framing = FRAMING.contains(&name.as_str());
    if framing {
        node.report(problems, "frames the message; it cannot be set or removed");
    }
    !framing
}

impl Policy for SecurityHeaders {
    fn response_headers(&self, response: &mut Response<'_>, _host: &dyn Host) {
        response.edits.extend(self.always.iter().cloned());
        // RFC 6797 §7.2: never over cleartext.
        match response.scheme {
            Scheme::Https => response.edits.extend(self.over_tls.iter().cloned()),
            Scheme::Http => {
                let stray = self.over_tls.iter().filter_map(|edit| match edit {
                    Edit::Set(name, _) => Some(Edit::Remove(name.clone())),
                    _ => None,
                });
                response.edits.extend(stray);
            }
        }
    }
}
