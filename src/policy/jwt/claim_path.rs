//! Where a claim stands in a token's payload.

use crate::config::{Node, Problems};
use crate::json::compact::{Compact, Value};

/// A claim's name, or an RFC 6901 pointer into the claims when it begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    tokens: Vec<String>,
}

impl ClaimPath {
    /// Reads one.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let written = node.name(problems)?;
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

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
