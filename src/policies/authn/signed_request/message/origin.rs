//! What clients see of the service, where that is not what the proxy sees.

use portcullis_document::{Node, Problems};

/// The scheme and the authority that clients sign, RFC 9421 §2.2.3 and §2.2.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) scheme: &'static str,
    pub(super) authority: Box<str>,
}

impl Origin {
    /// Reads `https://api.example.com`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let read = Self::parse(node.text(problems)?);
        if read.is_none() {
            node.report(
                problems,
                "must be a scheme and a host as clients write them, in lower case and without a path, such as \"https://api.example.com\"",
            );
        }
        read
    }

    fn parse(text: &str) -> Option<Self> {
        let schemes = [("https", ":443"), ("http", ":80")];
        let (scheme, usual) = schemes.into_iter().find(|(scheme, _)| {
            text.split_once("://")
                .is_some_and(|(own, _)| own == *scheme)
        })?;
        let (_, authority) = text.split_once("://")?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
        let is_whole = !authority.is_empty() && authority.bytes().all(plain);
        let authority = authority.strip_suffix(usual).unwrap_or(authority);
        is_whole.then(|| Self {
            scheme,
            authority: authority.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let parse = |text| Origin::parse(text).map(|origin| (origin.scheme, origin.authority));
        for (text, scheme, authority) in [
            ("https://api.example.com", "https", "api.example.com"),
            ("https://api.example.com:443", "https", "api.example.com"),
            ("http://api.example.com:443", "http", "api.example.com:443"),
            ("http://[::1]:8080", "http", "[::1]:8080"),
        ] {
            assert_eq!(parse(text), Some((scheme, authority.into())));
        }
        for wrong in [
            "",
            "https://",
            "api.example.com",
            "https://A",
            "https://a/",
            "ftp://a",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
