//! Names and values as they are sent in queries and forms: decoded exactly once, or refused.

use std::borrow::Cow;

/// One name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<'q> {
    /// As it was sent.
    pub raw: &'q [u8],
    /// Decoded.
    pub name: Cow<'q, str>,
    /// Decoded; empty if there is no `=`.
    pub value: Cow<'q, str>,
}

/// Why a query or a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A `%` without two hexadecimal digits.
    Encoding,
    /// The decoded bytes are not UTF-8.
    Utf8,
    /// A control character, encoded or not.
    Control,
    /// A `;`, at which some servers split and others do not.
    Separator,
    /// More pairs than anybody needs.
    TooMany,
}

impl Malformed {
    /// The word for it in the log.
    pub fn reason(self) -> &'static str {
        match self {
            Malformed::Encoding => "encoding",
            Malformed::Utf8 => "utf8",
            Malformed::Control => "control",
            Malformed::Separator => "separator",
            Malformed::TooMany => "too_many",
        }
    }
}

/// Which control characters may stand in values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// None.
    Refused,
    /// Line ends and tabs, as people write them into forms.
    Lines,
}

/// How many pairs are read.
const MAX_PAIRS: usize = 1000;

/// Reads `a=1&b=2` as `application/x-www-form-urlencoded` is read: `+` is a blank.
///
/// # Errors
/// See [`Malformed`].
pub fn pairs(bytes: &[u8], controls: Controls) -> Result<Vec<Pair<'_>>, Malformed> {
    if bytes.contains(&b';') {
        return Err(Malformed::Separator);
    }
    let mut pairs = Vec::new();
    for raw in bytes.split(|b| *b == b'&').filter(|raw| !raw.is_empty()) {
        if pairs.len() >= MAX_PAIRS {
            return Err(Malformed::TooMany);
        }
        let mut halves = raw.splitn(2, |b| *b == b'=');
        let mut half = || decode(halves.next().unwrap_or_default(), controls);
        let (name, value) = (half()?, half()?);
        pairs.push(Pair { raw, name, value });
    }
    Ok(pairs)
}

fn decode(encoded: &[u8], controls: Controls) -> Result<Cow<'_, str>, Malformed> {
    if !encoded.iter().any(|b| matches!(b, b'%' | b'+')) {
        return vetted(encoded, controls).map(Cow::Borrowed);
    }
    let decoded = unescape(encoded).ok_or(Malformed::Encoding)?;
    vetted(&decoded, controls)?;
    let text = String::from_utf8(decoded).map_err(|_| Malformed::Utf8)?;
    Ok(Cow::Owned(text))
}

/// Text without control characters that may not be there.
///
/// # Errors
/// [`Malformed::Utf8`] and [`Malformed::Control`].
pub fn vetted(bytes: &[u8], controls: Controls) -> Result<&str, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8)?;
    let lines = controls == Controls::Lines;
    let allowed = |c: char| lines && matches!(c, '\t' | '\n' | '\r');
    if text.chars().any(|c| c.is_control() && !allowed(c)) {
        return Err(Malformed::Control);
    }
    Ok(text)
}

fn unescape(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || (bytes.next()? as char).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let pairs = pairs(text.as_bytes(), Controls::Refused)?;
        let owned = |pair: Pair<'_>| (pair.name.into_owned(), pair.value.into_owned());
        Ok(pairs.into_iter().map(owned).collect())
    }

    #[test]
    fn what_is_encoded_is_decoded_once() {
        let pair = |name: &str, value: &str| Ok(vec![(name.to_owned(), value.to_owned())]);
        assert_eq!(read("a=b"), pair("a", "b"));
        assert_eq!(read("%61=%62+c%2Bd"), pair("a", "b c+d"));
        assert_eq!(read("a=%2541"), pair("a", "%41"));
        assert_eq!(read("a=b=c"), pair("a", "b=c"));
        assert_eq!(read("a"), pair("a", ""));
        assert_eq!(read("&&a=1&"), pair("a", "1"));
        assert_eq!(read("caf%C3%A9=1"), pair("café", "1"));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn what_services_read_differently_is_not_read() {
        for (text, why) in [
            ("a=%", Malformed::Encoding),
            ("a=%4", Malformed::Encoding),
            ("%zz=1", Malformed::Encoding),
            ("a=%+1", Malformed::Encoding),
            ("a=%ff", Malformed::Utf8),
            ("a=%c0%ae", Malformed::Utf8),
            ("a=%ed%a0%80", Malformed::Utf8),
            ("a=%00", Malformed::Control),
            ("a=%0a", Malformed::Control),
            ("%7f=1", Malformed::Control),
            ("a=%c2%85", Malformed::Control),
            ("a=1;b=2", Malformed::Separator),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
        assert_eq!(read(&"a&".repeat(1001)), Err(Malformed::TooMany));
        assert_eq!(read(&"a&".repeat(1000)).unwrap().len(), 1000);
    }

    #[test]
    fn forms_may_have_lines() {
        let read = |text: &'static str| pairs(text.as_bytes(), Controls::Lines);
        assert_eq!(read("a=b%0D%0Ac").unwrap()[0].value, "b\r\nc");
        assert_eq!(read("a=%00"), Err(Malformed::Control));
    }
}
