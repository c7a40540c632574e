//! Header fields as bytes: what a peer sent, and what we may write.

use std::fmt;
use std::rc::Rc;

use crate::digits::Digits;

/// The header fields of one message as the proxy gave them: names in lower case,
/// values as bytes, duplicates kept.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    block: Vec<u8>,
    fields: Vec<FieldSpan>,
}

/// Where a name and its value stand in the block.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpan {
    /// First byte and length of the name.
    pub name: (usize, usize),
    /// First byte and length of the value.
    pub value: (usize, usize),
}

/// A field that has one meaning came more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Headers {
    /// Fields that stand in `block`; nothing is copied. A span outside the block reads as empty.
    pub fn indexed(block: Vec<u8>, fields: Vec<FieldSpan>) -> Self {
        Self { block, fields }
    }

    /// Appends a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let mut append = |bytes: &[u8]| {
            let start = self.block.len();
            self.block.extend_from_slice(bytes);
            (start, bytes.len())
        };
        let span = FieldSpan {
            name: append(name),
            value: append(value),
        };
        self.fields.push(span);
    }

    /// Gives every field of that name another value.
    pub fn replace(&mut self, name: &str, value: &[u8]) {
        let span = (self.block.len(), value.len());
        self.block.extend_from_slice(value);
        let block = &self.block;
        let is_named = |(start, length): (usize, usize)| {
            block.get(start..start.saturating_add(length)) == Some(name.as_bytes())
        };
        for field in self.fields.iter_mut().filter(|field| is_named(field.name)) {
            field.value = span;
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// Every value of a field.
    pub fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.fields
            .iter()
            .filter(move |field| {
                let (_, length) = field.name;
                length == name.len() && self.slice(field.name) == name.as_bytes()
            })
            .map(|field| self.slice(field.value))
    }

    /// The value of a field that may come once.
    ///
    /// # Errors
    /// [`Repeated`] when it came more than once: which of them a service would
    /// believe cannot be known, so none is.
    pub fn one(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            _ => Err(Repeated),
        }
    }

    fn slice(&self, (start, length): (usize, usize)) -> &[u8] {
        let end = start.saturating_add(length);
        self.block.get(start..end).unwrap_or_default()
    }
}

/// The name of a field that we write: an RFC 9110 token in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderName(Rc<str>);

/// The value of a field that we write: printable bytes, blanks and tabs, so that no
/// value can end its line and begin another.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderValue(Rc<[u8]>);

/// Why text is no header name or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// A name with a byte outside the token characters, or without any byte.
    Name,
    /// A value with a control character, or with blanks around it.
    Value,
}

impl HeaderName {
    /// Checks a name; upper case is lowered.
    ///
    /// # Errors
    /// [`HeaderError::Name`].
    pub fn parse(name: &str) -> Result<Self, HeaderError> {
        let is_token = !name.is_empty() && name.bytes().all(is_token_byte);
        if is_token {
            Ok(Self(name.to_ascii_lowercase().into()))
        } else {
            Err(HeaderError::Name)
        }
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HeaderValue {
    /// Checks a value.
    ///
    /// # Errors
    /// [`HeaderError::Value`].
    pub fn parse(value: &[u8]) -> Result<Self, HeaderError> {
        let visible = value
            .iter()
            .all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f));
        let padded = value.trim_ascii().len() != value.len();
        if visible && !padded {
            Ok(Self(value.into()))
        } else {
            Err(HeaderError::Value)
        }
    }

    /// The value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<u64> for HeaderValue {
    /// The number in decimal.
    fn from(number: u64) -> Self {
        Self(Digits::of(number).as_bytes().into())
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is written to a header can be a credential.
        f.write_str("HeaderValue(..)")
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderError::Name => "is not a header name: letters, digits and !#$%&'*+-.^_`|~",
            HeaderError::Value => {
                "is not a header value: no control characters, no line breaks, no blanks around it"
            }
        })
    }
}

/// RFC 9110 §5.6.2 `tchar`.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refuses_the_second() {
        let mut headers = Headers::default();
        headers.push(b"a", b"1");
        headers.push(b"b", b"\xff");
        headers.push(b"b", b"2");
        assert_eq!(headers.one("a"), Ok(Some(&b"1"[..])));
        assert_eq!(headers.one("b"), Err(Repeated));
        assert_eq!(headers.one("c"), Ok(None));
        assert_eq!(headers.all("b").collect::<Vec<_>>(), [&b"\xff"[..], b"2"]);
    }

    #[test]
    fn spans_outside_the_block_are_empty() {
        let span = FieldSpan {
            name: (usize::MAX, 2),
            value: (0, 9),
        };
        let headers = Headers::indexed(b"abc".to_vec(), vec![span]);
        assert_eq!(headers.iter().collect::<Vec<_>>(), [(&b""[..], &b""[..])]);
    }

    #[test]
    fn what_we_write_cannot_break_its_line() {
        for wrong in [&b"a\r\nx: y"[..], b"a\nb", b"\0", b"a\x7f", b" a", b"a\t"] {
            assert_eq!(
                HeaderValue::parse(wrong),
                Err(HeaderError::Value),
                "{wrong:?}"
            );
        }
        assert!(HeaderValue::parse(b"a b\tc \xc3\xa9").is_ok());
        assert_eq!(HeaderValue::from(120).as_bytes(), b"120");
        for wrong in ["", "a b", "a:", ":path", "a\r\n", "ä"] {
            assert_eq!(
                HeaderName::parse(wrong),
                Err(HeaderError::Name),
                "{wrong:?}"
            );
        }
        assert_eq!(
            HeaderName::parse("X-Frame-Options").unwrap().as_str(),
            "x-frame-options"
        );
    }
}
