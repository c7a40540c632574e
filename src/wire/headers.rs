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

    /// Leaves those fields for which `most` says how many bytes of their value are to stay, in a
    /// block that is no larger than they need.
    pub fn keep(&mut self, mut most: impl FnMut(&[u8], &[u8]) -> Option<usize>) {
        let Self { block, fields } = self;
        let slice = |(start, length): (usize, usize)| {
            let end = start.saturating_add(length);
            block.get(start..end).unwrap_or_default()
        };
        let mut total = 0_usize;
        fields.retain_mut(|field| {
            let (name, value) = (slice(field.name), slice(field.value));
            let Some(most) = most(name, value) else {
                return false;
            };
            field.value.1 = value.len().min(most);
            total = total.saturating_add(name.len().saturating_add(field.value.1));
            true
        });
        let mut kept = Vec::with_capacity(total);
        for field in &mut *fields {
            for span in [&mut field.name, &mut field.value] {
                let start = kept.len();
                kept.extend_from_slice(slice(*span));
                *span = (start, kept.len().saturating_sub(start));
            }
        }
        fields.shrink_to_fit();
        *block = kept;
    }

    /// How many bytes of memory they take.
    pub fn memory(&self) -> usize {
        let spans = self
            .fields
            .capacity()
            .saturating_mul(size_of::<FieldSpan>());
        self.block.capacity().saturating_add(spans)
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

    /// The method of a request; empty if it is not text, which no method is.
    pub fn method(&self) -> &str {
        self.text(":method")
    }

    /// The value of a field that came once and is text; otherwise empty.
    pub fn text(&self, name: &str) -> &str {
        let value = self.one(name).ok().flatten().unwrap_or_default();
        std::str::from_utf8(value).unwrap_or_default()
    }

    fn slice(&self, (start, length): (usize, usize)) -> &[u8] {
        let end = start.saturating_add(length);
        self.block.get(start..end).unwrap_or_default()
    }
}

/// The name of a field that we write: an RFC 9110 token in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderName(Rc<str>);

/// The value of a field that we write. INVARIANT: printable bytes, blanks and tabs, so that no
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
    #[inline]
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
    #[inline]
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

/// Whether services may read two names as one. CGI and its heirs read `x_user` and `x-user` as one variable,
/// and some gateways do so with every byte that is no letter and no digit.
pub fn are_alike(one: &[u8], other: &[u8]) -> bool {
    let folded = |byte: &u8| fold(*byte);
    one.len() == other.len() && one.iter().map(folded).eq(other.iter().map(folded))
}

/// A byte of a name, as those services read it: all that is no letter and no digit is `-`.
pub fn fold(byte: u8) -> u8 {
    match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'-',
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
    fn what_is_kept_takes_no_more_room_than_it_needs() {
        let mut headers = Headers::default();
        for (name, value) in [("a", "123"), ("b", "12345"), ("a", "4567"), ("c", "")] {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers.replace("b", b"98765");
        headers.keep(|name, _| (name != b"c").then_some(4));
        let expected = [(&b"a"[..], &b"123"[..]), (b"b", b"9876"), (b"a", b"4567")];
        assert_eq!(headers.iter().collect::<Vec<_>>(), expected);
        assert_eq!(headers.memory(), 14 + 3 * size_of::<FieldSpan>());
        headers.keep(|_, _| None);
        assert_eq!((headers.is_empty(), headers.memory()), (true, 0));
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
