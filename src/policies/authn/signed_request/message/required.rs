//! What a signature has to cover.

use portcullis_document::{Node, Problems};
use portcullis_wire::headers::Headers;

use super::input::{MOST_COMPONENTS, SignatureInput, is_derived, is_field};

/// The components that a signature has to cover, but for the digest of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequiredComponents {
    /// What makes a request that one and no other: `@method`, `@authority`, `@path`, and `@query` if there is one.
    Usual,
    /// These.
    Named(Vec<Box<str>>),
}

impl RequiredComponents {
    /// Reads `components`. The list may be empty.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let items = node.items(problems)?;
        if items.len() > MOST_COMPONENTS {
            node.report(
                problems,
                format_args!("has more than {MOST_COMPONENTS} items"),
            );
            return None;
        }
        let names = items.iter().map(|item| {
            let name = item.text(problems)?;
            if name == "content-digest" {
                item.report(
                    problems,
                    "is asked for by `content_digest`, where a request has a body; take it out here",
                );
                return None;
            }
            let is_known = is_derived(name) || is_field(name);
            if !is_known {
                item.report(
                    problems,
                    "must be the name of a field in lower case, or one of @method, @target-uri, @authority, @scheme, @request-target, @path and @query",
                );
            }
            is_known.then(|| name.into())
        });
        let names: Vec<Option<Box<str>>> = names.collect();
        names.into_iter().collect::<Option<_>>().map(Self::Named)
    }

    /// The first that a signature does not cover.
    pub(super) fn lacking<'s>(
        &'s self,
        input: &SignatureInput<'_>,
        headers: &Headers,
    ) -> Option<&'s str> {
        let usual = ["@method", "@authority", "@path", "@query"];
        match self {
            Self::Usual => {
                let has_query = headers.all(":path").any(|path| path.contains(&b'?'));
                let asked = usual
                    .into_iter()
                    .filter(|name| has_query || *name != "@query");
                asked.into_iter().find(|name| !input.covers(name))
            }
            Self::Named(names) => names
                .iter()
                .map(|name| &**name)
                .find(|name| !input.covers(name)),
        }
    }
}
