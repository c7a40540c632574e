//! Where a claim stands in a token's payload.

use std::fmt;

use portcullis_document::{Node, Problems};
use portcullis_wire::json::compact::{Compact, Value};

/// A claim's name, or an RFC 6901 pointer into the claims when it begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            tokens => tokens.iter().try_for_each(|token| {
                let token = token.replace('~', "~0").replace('/', "~1");
                write!(f, "/{token}")
            }),
        }
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
