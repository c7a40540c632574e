//! The address of a published key set.

use crate::config::{Node, Problems};

/// Scheme, authority and path of an absolute URI.
pub(super) type Uri = (&'static str, String, String);

/// Reads an absolute URI.
pub(super) fn read_uri(node: &Node<'_>, problems: &mut Problems) -> Option<Uri> {
    let parsed = parse_uri(node.text(problems)?);
    if parsed.is_none() {
        node.report(
            problems,
            "must be an absolute http or https URI without user and fragment, such as \"https://id.example.com/jwks.json\"",
        );
    }
    parsed
}

fn parse_uri(uri: &str) -> Option<Uri> {
    let (scheme, rest) = match uri.split_once("://")? {
        ("https", rest) => ("https", rest),
        ("http", rest) => ("http", rest),
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let plain = uri.bytes().all(|b| b.is_ascii_graphic()) && !uri.contains('#');
    if authority.is_empty() || authority.contains('@') || !plain {
        return None;
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some((scheme, authority.to_owned(), format!("{slash}{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart() {
        let parts = |uri: &str| {
            parse_uri(uri).map(|(scheme, authority, path)| format!("{scheme} {authority} {path}"))
        };
        assert_eq!(parts("https://a.b:8/c?d=e").unwrap(), "https a.b:8 /c?d=e");
        assert_eq!(parts("http://a").unwrap(), "http a /");
        assert_eq!(parts("http://a?b").unwrap(), "http a /?b");
        for wrong in [
            "",
            "a.b/c",
            "ftp://a/",
            "https://",
            "https:///c",
            "https://u@a/",
            "https://a/ b",
            "https://a/#b",
            "https://é/",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
