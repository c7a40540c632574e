//! Source expressions: from where something may be loaded.

use std::fmt;

use portcullis_document::DidYouMean;

/// One source expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `'none'`: it must stand alone.
    None,
    /// `'self'`.
    Own,
    /// A keyword about inline content: it means something for scripts and styles.
    Inline(&'static str),
    /// A keyword that means something for scripts.
    Script(&'static str),
    /// A digest of what may stand inline, or of a script.
    Hash,
    /// Everything of a scheme that anybody can serve from, or simply everything.
    Anything,
    /// A host, or a scheme of the operator's own.
    Place,
}

/// Why text is no source expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceError<'a> {
    /// It holds what separates sources or directives.
    Separator,
    /// A keyword without its quotes.
    Unquoted(&'static str),
    /// A nonce or hash without its quotes.
    UnquotedValue,
    /// Quotes around something else.
    Keyword(&'a str),
    /// A nonce.
    Nonce,
    /// A digest of the wrong length or alphabet.
    Hash,
    /// None of the above, and no place either.
    Malformed,
}

const INLINE: &[&str] = &["'unsafe-inline'", "'unsafe-hashes'", "'report-sample'"];

const SCRIPT: &[&str] = &[
    "'unsafe-eval'",
    "'wasm-unsafe-eval'",
    "'strict-dynamic'",
    "'trusted-types-eval'",
    "'inline-speculation-rules'",
    "'report-sha256'",
    "'report-sha384'",
    "'report-sha512'",
];

const ALONE: &[&str] = &["'none'", "'self'"];

impl Source {
    pub(super) fn parse(text: &str) -> Result<Self, SourceError<'_>> {
        let separates = |b: u8| !b.is_ascii_graphic() || b == b';' || b == b',';
        if text.is_empty() || text.bytes().any(separates) {
            return Err(SourceError::Separator);
        }
        if let Some(inner) = text.strip_prefix('\'') {
            return quoted(text, inner);
        }
        if let Some(keyword) = keywords().find(|each| each.trim_matches('\'') == text) {
            return Err(SourceError::Unquoted(keyword));
        }
        if hash_name(text).is_some() || text.starts_with("nonce-") {
            return Err(SourceError::UnquotedValue);
        }
        place(text).ok_or(SourceError::Malformed)
    }
}

fn keywords() -> impl Iterator<Item = &'static str> + Clone {
    ALONE.iter().chain(INLINE).chain(SCRIPT).copied()
}

fn quoted<'a>(text: &'a str, inner: &'a str) -> Result<Source, SourceError<'a>> {
    let known = |list: &'static [&'static str]| list.iter().find(|each| **each == text).copied();
    match text {
        "'none'" => return Ok(Source::None),
        "'self'" => return Ok(Source::Own),
        _ => {}
    }
    if let Some(keyword) = known(INLINE) {
        return Ok(Source::Inline(keyword));
    }
    if let Some(keyword) = known(SCRIPT) {
        return Ok(Source::Script(keyword));
    }
    if inner.starts_with("nonce-") {
        return Err(SourceError::Nonce);
    }
    match (hash_name(inner), inner.strip_suffix('\'')) {
        (None, _) => Err(SourceError::Keyword(text)),
        (Some((length, digest)), Some(_)) if is_digest(digest.trim_end_matches('\''), length) => {
            Ok(Source::Hash)
        }
        (Some(_), _) => Err(SourceError::Hash),
    }
}

/// The length of the digest and what follows the algorithm's name.
fn hash_name(text: &str) -> Option<(usize, &str)> {
    const ALGORITHMS: [(&str, usize); 3] = [("sha256-", 32), ("sha384-", 48), ("sha512-", 64)];
    let rest = |(name, length): (&str, usize)| Some((length, text.strip_prefix(name)?));
    ALGORITHMS.into_iter().find_map(rest)
}

/// Base64 or base64url of so many bytes, with padding.
fn is_digest(text: &str, length: usize) -> bool {
    let data = text.trim_end_matches('=');
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b"+/-_".contains(&b);
    let encoded = length.div_ceil(3).saturating_mul(4);
    let bits = data.len().saturating_mul(6);
    text.len() == encoded && data.bytes().all(alphabet) && bits / 8 == length
}

/// `*`, `scheme:`, or `[scheme://]host[:port][/path]`.
fn place(text: &str) -> Option<Source> {
    if text == "*" {
        return Some(Source::Anything);
    }
    if let Some(scheme) = text.strip_suffix(':') {
        let anybodys = ["https", "http", "data", "blob", "ws", "wss", "filesystem"];
        return is_scheme(scheme).then(|| match anybodys.contains(&scheme) {
            true => Source::Anything,
            false => Source::Place,
        });
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, ""),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_port = |port: &str| port == "*" || port.parse::<u16>().is_ok();
    let usable = scheme.is_none_or(is_scheme)
        && is_host(host)
        && port.is_none_or(is_port)
        && !path.contains(['?', '#']);
    usable.then_some(match host {
        "*" => Source::Anything,
        _ => Source::Place,
    })
}

fn is_scheme(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(rest)
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let character = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !label.is_empty() && label.bytes().all(character)
    };
    text == "*"
        || text
            .strip_prefix("*.")
            .unwrap_or(text)
            .split('.')
            .all(label)
}

impl fmt::Display for SourceError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Separator => f.write_str(
                "must be one source: no blanks, no `;`, no `,` (in a path they are %20, %3B and %2C), nothing outside ASCII",
            ),
            SourceError::Unquoted(keyword) => {
                write!(f, "is the name of a host; the keyword has single quotes: \"{keyword}\"")
            }
            SourceError::UnquotedValue => {
                f.write_str("needs single quotes around it, inside the string")
            }
            SourceError::Keyword(text) => {
                let near = DidYouMean(text, keywords());
                write!(f, "is no keyword{near}")
            }
            SourceError::Nonce => f.write_str(
                "a nonce must be new in each answer, and this one would be the same in all; write the script's hash, or let the service send this header, with \"action\": \"if_absent\" here",
            ),
            SourceError::Hash => f.write_str(
                "must be `'sha256-…'`, `'sha384-…'` or `'sha512-…'` with the whole digest in base64",
            ),
            SourceError::Malformed => f.write_str(
                "is no source: write `https://cdn.example.com`, `*.example.com:8443`, `https://example.com/path/`, `https:` or a keyword in single quotes",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        for (text, source) in [
            ("'none'", Source::None),
            ("'self'", Source::Own),
            ("'unsafe-inline'", Source::Inline("'unsafe-inline'")),
            ("'strict-dynamic'", Source::Script("'strict-dynamic'")),
            (
                "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
                Source::Hash,
            ),
            ("*", Source::Anything),
            ("https:", Source::Anything),
            ("data:", Source::Anything),
            ("https://*:*", Source::Anything),
            ("custom:", Source::Place),
            ("cdn.example.com", Source::Place),
            ("localhost:8080", Source::Place),
            ("https://*.example.com:*/a/b%3Bc", Source::Place),
            ("wss://example.com", Source::Place),
            ("127.0.0.1", Source::Place),
        ] {
            assert_eq!(Source::parse(text), Ok(source), "{text}");
        }
    }

    #[test]
    fn what_is_no_source_is_told_why() {
        for (text, error) in [
            ("", SourceError::Separator),
            ("'self' https:", SourceError::Separator),
            ("a;b", SourceError::Separator),
            ("https://a.example,b", SourceError::Separator),
            ("https://bücher.example", SourceError::Separator),
            ("self", SourceError::Unquoted("'self'")),
            ("unsafe-inline", SourceError::Unquoted("'unsafe-inline'")),
            ("nonce-abc", SourceError::UnquotedValue),
            ("sha256-abc", SourceError::UnquotedValue),
            ("'slef'", SourceError::Keyword("'slef'")),
            ("'self", SourceError::Keyword("'self")),
            ("'", SourceError::Keyword("'")),
            ("'nonce-abc'", SourceError::Nonce),
            ("'sha256-abc='", SourceError::Hash),
            (
                "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                SourceError::Hash,
            ),
            (
                "'sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
                SourceError::Hash,
            ),
            ("https://", SourceError::Malformed),
            ("https://a.example?x", SourceError::Malformed),
            ("https://a.example/x?y", SourceError::Malformed),
            ("a..example", SourceError::Malformed),
            ("a.example:99999", SourceError::Malformed),
            ("https://a.*.example", SourceError::Malformed),
            ("[::1]", SourceError::Malformed),
            ("\"self\"", SourceError::Malformed),
        ] {
            assert_eq!(Source::parse(text), Err(error), "{text}");
        }
    }
}
