//! Reading a text as a [`Value`].

use std::borrow::Cow;
use std::fmt;

use super::decimal::Decimal;
use super::value::{Members, Value};

/// A value, and how many values there are in it, itself included.
#[derive(Debug)]
pub struct Text<'t> {
    /// The value.
    pub value: Value<'t>,
    /// How many values: what judging it may cost is measured by that.
    pub count: usize,
}

/// Why a text cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Not RFC 8259 JSON, or not UTF-8.
    Syntax,
    /// An object has a member twice.
    DuplicateMember,
    /// Arrays and objects are nested deeper than allowed.
    TooDeep,
    /// A number with an exponent of millions.
    NumberRange,
    /// An escape that stands for half a character.
    LoneSurrogate,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TextError::Syntax => "not JSON",
            TextError::DuplicateMember => "an object has a member twice",
            TextError::TooDeep => "nested too deep",
            TextError::NumberRange => "a number out of range",
            TextError::LoneSurrogate => "a lone surrogate",
        })
    }
}

impl<'t> Text<'t> {
    /// Reads one JSON text. `depth` is how many arrays and objects may contain one another.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn parse(bytes: &'t [u8], depth: usize) -> Result<Self, TextError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TextError::Syntax)?;
        let mut reader = Reader {
            text,
            bytes,
            at: 0,
            count: 0,
        };
        let value = reader.value(depth)?;
        reader.blanks();
        if reader.at != bytes.len() {
            return Err(TextError::Syntax);
        }
        Ok(Self {
            value,
            count: reader.count,
        })
    }
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    count: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), TextError> {
        if self.next() == Some(byte) {
            Ok(())
        } else {
            Err(TextError::Syntax)
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at = self.at.saturating_add(1);
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'t>, TextError> {
        self.blanks();
        self.count = self.count.saturating_add(1);
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", Value::Bool(true)),
            Some(b'f') => self.literal(b"false", Value::Bool(false)),
            Some(b'n') => self.literal(b"null", Value::Null),
            _ => Err(TextError::Syntax),
        }
    }

    fn literal(&mut self, word: &[u8], value: Value<'t>) -> Result<Value<'t>, TextError> {
        let end = self.at.saturating_add(word.len());
        if self.bytes.get(self.at..end) != Some(word) {
            return Err(TextError::Syntax);
        }
        self.at = end;
        Ok(value)
    }

    fn number(&mut self) -> Result<Value<'t>, TextError> {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') = self.peek() {
            self.at = self.at.saturating_add(1);
        }
        let written = self.bytes.get(start..self.at).unwrap_or_default();
        match Decimal::parse(written) {
            Some(number) => Ok(Value::Number(number)),
            None if written.iter().any(|byte| byte | 0x20 == b'e') && is_number(written) => {
                Err(TextError::NumberRange)
            }
            None => Err(TextError::Syntax),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'t>, TextError> {
        let depth = depth.checked_sub(1).ok_or(TextError::TooDeep)?;
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at = self.at.saturating_add(1);
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.blanks();
            match self.next() {
                Some(b',') => {}
                Some(b']') => return Ok(Value::Array(items)),
                _ => return Err(TextError::Syntax),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'t>, TextError> {
        let depth = depth.checked_sub(1).ok_or(TextError::TooDeep)?;
        self.expect(b'{')?;
        let mut members = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at = self.at.saturating_add(1);
            return Ok(Value::Object(Members::default()));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.expect(b':')?;
            members.push((name, self.value(depth)?));
            self.blanks();
            match self.next() {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return Err(TextError::Syntax),
            }
        }
        let members = Members::new(members).map_err(|_| TextError::DuplicateMember)?;
        Ok(Value::Object(members))
    }

    fn string(&mut self) -> Result<Cow<'t, str>, TextError> {
        self.expect(b'"')?;
        let plain = self.plain()?;
        if self.peek() == Some(b'"') {
            self.at = self.at.saturating_add(1);
            return Ok(Cow::Borrowed(plain));
        }
        let mut owned = plain.to_owned();
        loop {
            match self.next() {
                Some(b'"') => return Ok(Cow::Owned(owned)),
                Some(b'\\') => owned.push(self.escape()?),
                _ => return Err(TextError::Syntax),
            }
            owned.push_str(self.plain()?);
        }
    }

    /// Characters up to the next quote or backslash.
    fn plain(&mut self) -> Result<&'t str, TextError> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            .ok_or(TextError::Syntax)?;
        self.at = start.saturating_add(length);
        // What stops a run is a whole character of ASCII, so both ends are boundaries.
        self.text.get(start..self.at).ok_or(TextError::Syntax)
    }

    fn escape(&mut self) -> Result<char, TextError> {
        Ok(match self.next() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.four_digits()?;
                if !(0xd800..0xe000).contains(&first) {
                    return char::from_u32(first).ok_or(TextError::LoneSurrogate);
                }
                if self.next() != Some(b'\\') || self.next() != Some(b'u') {
                    return Err(TextError::LoneSurrogate);
                }
                let second = self.four_digits()?;
                return pair(first, second).ok_or(TextError::LoneSurrogate);
            }
            _ => return Err(TextError::Syntax),
        })
    }

    fn four_digits(&mut self) -> Result<u32, TextError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|byte| char::from(byte).to_digit(16));
            value = value << 4 | digit.ok_or(TextError::Syntax)?;
        }
        Ok(value)
    }
}

/// The character that two halves make.
fn pair(high: u32, low: u32) -> Option<char> {
    if !(0xd800..0xdc00).contains(&high) || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

/// Whether it would be a number but for its exponent.
fn is_number(written: &[u8]) -> bool {
    let end = written.iter().position(|byte| byte | 0x20 == b'e');
    let Some((mantissa, power)) = end.and_then(|end| written.split_at_checked(end)) else {
        return false;
    };
    let power = power.get(1..).unwrap_or_default();
    let digits = match power.split_first() {
        Some((b'-' | b'+', digits)) => digits,
        _ => power,
    };
    let whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    whole && Decimal::parse(mantissa).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value<'_> {
        match Text::parse(text.as_bytes(), 16) {
            Ok(text) => text.value,
            Err(error) => panic!("{text}: {error}"),
        }
    }

    fn error(text: &str) -> TextError {
        Text::parse(text.as_bytes(), 3)
            .map(|text| text.value)
            .unwrap_err()
    }

    #[test]
    fn reads_values() {
        assert_eq!(value(" null "), Value::Null);
        assert_eq!(value("[]"), value("[ ]"));
        assert_eq!(
            value(r#"{"b":1,"a":[true]}"#),
            value(r#" { "a" : [ true ] , "b" : 1.0 } "#)
        );
        assert_eq!(
            value(r#""\u00e9\ud83d\udc32\n\/é""#),
            Value::String("é🐲\n/é".into())
        );
        let text = Text::parse(br#"{"a":[1,{}],"b":""}"#, 4).unwrap();
        assert_eq!(text.count, 5);
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let borrowed = |text| matches!(value(text), Value::String(Cow::Borrowed(_)));
        assert!(borrowed(r#""plain é""#) && !borrowed(r#""\t""#));
    }

    #[test]
    fn says_what_is_wrong() {
        for text in [
            "",
            " ",
            "nul",
            "tru",
            "[1,]",
            "[,1]",
            "{\"a\" 1}",
            "{\"a\":1,}",
            "{a:1}",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\u{1}\"",
            "1 2",
            "01",
            "-",
            "1.e3",
            "[1",
            "{\"a\":",
            "\u{feff}1",
        ] {
            assert_eq!(error(text), TextError::Syntax, "{text}");
        }
        for text in [
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\ud800\n""#,
            r#""\ud800x""#,
        ] {
            assert_eq!(error(text), TextError::LoneSurrogate, "{text}");
        }
        assert_eq!(error(r#"{"a":1,"\u0061":2}"#), TextError::DuplicateMember);
        assert_eq!(error("[[[[]]]]"), TextError::TooDeep);
        assert_eq!(error("1e9999999"), TextError::NumberRange);
        assert_eq!(Text::parse(b"\"\xff\"", 1).unwrap_err(), TextError::Syntax);
    }
}
