//! SPIFFE IDs, and how clients are known by them.

use portcullis_document::{Node, Problems};

/// Which SPIFFE IDs are meant.
#[derive(Debug)]
pub(super) enum SpiffeMatcher {
    /// That one.
    Exact(String),
    /// That one, and those below it.
    Prefix(String),
}

const SCHEME: &str = "spiffe://";
/// The longest, and the longest trust domain: SPIFFE-ID, 2.
const LONGEST: usize = 2048;
const LONGEST_DOMAIN: usize = 255;

impl SpiffeMatcher {
    /// Reads `{ exact }` or `{ prefix }`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"exact\": \"spiffe://…\"}")?;
        let exact = fields.optional("exact");
        let prefix = fields.optional("prefix");
        let matcher = match (exact, prefix) {
            (Some(_), Some(second)) => {
                second.report(problems, "cannot stand beside `exact`; keep one of them");
                None
            }
            (Some(node), None) => read_id(&node, problems).map(Self::Exact),
            (None, Some(node)) => read_id(&node, problems).map(Self::Prefix),
            (None, None) => {
                let names = ["exact", "prefix"];
                fields.lacks(&names, problems, "needs \"exact\" or \"prefix\"");
                None
            }
        };
        fields.deny_unknown(problems);
        matcher
    }

    /// Whether a URI is one of them. A prefix ends where a segment of the path does.
    pub(super) fn matches(&self, uri: &str) -> bool {
        match self {
            Self::Exact(id) => uri == id,
            Self::Prefix(id) => {
                let rest = uri.strip_prefix(id.as_str());
                let is_below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                is_below && is_spiffe_id(uri)
            }
        }
    }

    /// How many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Exact(id) | Self::Prefix(id) => id.len(),
        }
    }
}

fn read_id(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let id = node.non_empty(problems)?;
    if !is_spiffe_id(id) {
        node.report(
            problems,
            "is no SPIFFE ID: `spiffe://`, a trust domain of lower-case letters, digits, `.`, `-` and `_`, and segments of letters, digits, `.`, `-` and `_`, without `/` at the end",
        );
        return None;
    }
    Some(id.to_owned())
}

/// Whether a URI is a SPIFFE ID: SPIFFE-ID, 2. What is none may mean another to who reads it: segments of
/// dots, empty ones, such as are encoded.
pub(super) fn is_spiffe_id(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix(SCHEME).filter(|_| uri.len() <= LONGEST) else {
        return false;
    };
    let mut parts = rest.split('/');
    let domain = parts.next().unwrap_or_default();
    let is_mark = |b: u8| b"-._".contains(&b);
    let of_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || is_mark(b);
    let of_segment = |b: u8| b.is_ascii_alphanumeric() || is_mark(b);
    let is_domain = !domain.is_empty() && domain.len() <= LONGEST_DOMAIN;
    let is_segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(of_segment);
    is_domain && domain.bytes().all(of_domain) && parts.all(is_segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spiffe_ids_are_some() {
        for id in ["spiffe://m", "spiffe://mesh.example/ns/a-1/sa/B_c"] {
            assert!(is_spiffe_id(id), "{id}");
        }
        for id in [
            "",
            "spiffe://",
            "spiffe:///a",
            "SPIFFE://m/a",
            "spiffe://M/a",
            "spiffe://m/",
            "spiffe://m//a",
            "spiffe://m/./a",
            "spiffe://m/a/..",
            "spiffe://m/%2e%2e",
            "spiffe://m/a?b",
            "spiffe://m/a#b",
            "spiffe://u@m/a",
            "spiffe://m:1/a",
            "https://m/a",
        ] {
            assert!(!is_spiffe_id(id), "{id}");
        }
        assert!(!is_spiffe_id(&format!(
            "spiffe://m/{}",
            "a".repeat(LONGEST)
        )));
    }

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        let below = SpiffeMatcher::Prefix("spiffe://m/ns/a".to_owned());
        for id in ["spiffe://m/ns/a", "spiffe://m/ns/a/sa/b"] {
            assert!(below.matches(id), "{id}");
        }
        for id in [
            "spiffe://m/ns/ab",
            "spiffe://m/ns",
            "spiffe://m/ns/a/",
            "spiffe://m/ns/a/../b",
            "spiffe://m/ns/a%2f",
            "spiffe://n/ns/a",
        ] {
            assert!(!below.matches(id), "{id}");
        }
        let domain = SpiffeMatcher::Prefix("spiffe://m".to_owned());
        assert!(domain.matches("spiffe://m/a") && !domain.matches("spiffe://m.evil/a"));
    }
}
