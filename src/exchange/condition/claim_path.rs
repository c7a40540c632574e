//! Where a claim stands in a token's payload.

use std::fmt;

use portcullis_document::{Node, Problems, Quoted};
use portcullis_wire::json::compact::{Compact, Value};

/// A claim's name, or an RFC 6901 pointer into the claims when it begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimPath {
    tokens: Vec<String>,
}

impl ClaimPath {
    /// Reads one.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let written = node.non_empty(problems)?;
        let tokens = match written.strip_prefix('/') {
            None => vec![written.to_owned()],
            Some(pointer) => pointer.split('/').map(unescape).collect(),
        };
        Some(Self { tokens })
    }

    /// Reads a pointer.
    pub(super) fn read_pointer(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let written = node.non_empty(problems)?;
        if !written.starts_with('/') {
            let near = Quoted(&Self::of(vec![written.to_owned()]).pointer()).to_string();
            node.report(
                problems,
                format_args!("must be a JSON pointer, such as {near}"),
            );
            return None;
        }
        Self::read(node, problems)
    }

    fn of(tokens: Vec<String>) -> Self {
        Self { tokens }
    }

    /// The names on the way there.
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// It as RFC 6901 writes it.
    fn pointer(&self) -> String {
        let tokens = self.tokens.iter();
        let tokens =
            tokens.map(|token| ["/", &token.replace('~', "~0").replace('/', "~1")].concat());
        tokens.collect()
    }

    /// What stands there.
    pub fn value<'c>(&self, claims: &'c Compact) -> Option<Value<'c>> {
        claims.value().pointer(&self.tokens)
    }
}

impl fmt::Display for ClaimPath {
    /// As it may be written in a document.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tokens[..] {
            [name] if !name.starts_with('/') => f.write_str(name),
            _ => f.write_str(&self.pointer()),
        }
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
