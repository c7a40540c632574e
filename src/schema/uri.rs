//! References and what they refer to: RFC 3986.

use std::fmt;

/// A URI reference in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uri {
    scheme: Option<String>,
    authority: Option<String>,
    path: String,
    query: Option<String>,
    /// What follows `#`.
    pub(super) fragment: Option<String>,
}

impl Uri {
    /// Splits a reference, RFC 3986 appendix B. Every text has these parts.
    pub(super) fn parse(text: &str) -> Self {
        let (text, fragment) = split(text, '#');
        let (text, query) = split(text, '?');
        let (scheme, text) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme.to_ascii_lowercase()), rest),
            _ => (None, text),
        };
        let (authority, path) = match text.strip_prefix("//") {
            None => (None, text),
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (Some(authority.to_owned()), path)
            }
        };
        Self {
            scheme,
            authority,
            path: path.to_owned(),
            query,
            fragment,
        }
    }

    /// Whether it names a scheme.
    pub(super) fn is_absolute(&self) -> bool {
        self.scheme.is_some()
    }

    /// What a reference means when it stands here, RFC 3986 §5.2.
    pub(super) fn join(&self, reference: &str) -> Self {
        let Self {
            scheme,
            authority,
            path,
            query,
            fragment,
        } = Self::parse(reference);
        if scheme.is_some() || authority.is_some() {
            return Self {
                scheme: scheme.or_else(|| self.scheme.clone()),
                authority,
                path: without_dots(&path),
                query,
                fragment,
            };
        }
        let (path, query) = if path.is_empty() {
            (self.path.clone(), query.or_else(|| self.query.clone()))
        } else if path.starts_with('/') {
            (without_dots(&path), query)
        } else {
            (without_dots(&self.merge(&path)), query)
        };
        Self {
            scheme: self.scheme.clone(),
            authority: self.authority.clone(),
            path,
            query,
            fragment,
        }
    }

    /// The same without its fragment.
    pub(super) fn without_fragment(mut self) -> Self {
        self.fragment = None;
        self
    }

    fn merge(&self, path: &str) -> String {
        if self.authority.is_some() && self.path.is_empty() {
            return format!("/{path}");
        }
        match self.path.rsplit_once('/') {
            Some((before, _)) => format!("{before}/{path}"),
            None => path.to_owned(),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}:")?;
        }
        if let Some(authority) = &self.authority {
            write!(f, "//{authority}")?;
        }
        f.write_str(&self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        if let Some(fragment) = &self.fragment {
            write!(f, "#{fragment}")?;
        }
        Ok(())
    }
}

fn split(text: &str, at: char) -> (&str, Option<String>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after.to_owned())),
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(inner)
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Decodes percent-encoding. `None` if it is malformed or not UTF-8 then.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            decoded.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_as_in_rfc_3986() {
        let base = Uri::parse("http://a/b/c/d;p?q");
        for (reference, expected) in [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            ("g#s", "http://a/b/c/g#s"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g;x=1/../y", "http://a/b/c/y"),
        ] {
            assert_eq!(base.join(reference).to_string(), expected, "{reference}");
        }
        let urn = Uri::parse("urn:uuid:deadbeef-1234-00ff-ff00-4321feebdaed");
        assert_eq!(
            urn.join("#/$defs/a").to_string(),
            "urn:uuid:deadbeef-1234-00ff-ff00-4321feebdaed#/$defs/a"
        );
        assert_eq!(
            Uri::parse("schemas:///order").join("item#x").to_string(),
            "schemas:///item#x"
        );
    }

    #[test]
    fn fragments_are_decoded_once() {
        assert_eq!(decode("/a%25b%7e").as_deref(), Some("/a%b~"));
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%ff"), None);
    }
}
