//! Reading a text as a [`Value`].

use std::borrow::Cow;
use std::fmt;

use super::value::{Members, Value};
use portcullis_wire::budget::{self, Reservation, Share};
use portcullis_wire::json::decimal::Decimal;
use portcullis_wire::json_gate::{Fault, Limits, Shape, measure, read_string};

/// A value, and how many values there are in it, itself included.
#[derive(Debug)]
pub struct Text<'t> {
    /// The value.
    pub value: Value<'t>,
    /// How many values: what judging it may cost is measured by that.
    pub count: usize,
    /// How long the text is, and by that.
    pub bytes: usize,
    /// What is reserved for it.
    _memory: Reservation,
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
    /// There are more values than may be.
    TooMany,
    /// There is no memory for it.
    Memory,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TextError::Syntax => "not JSON",
            TextError::DuplicateMember => "an object has a member twice",
            TextError::TooDeep => "nested too deep",
            TextError::NumberRange => "a number out of range",
            TextError::LoneSurrogate => "a lone surrogate",
            TextError::TooMany => "too many values",
            TextError::Memory => "no memory",
        })
    }
}

impl<'t> Text<'t> {
    /// Reads one JSON text. `depth` is how many arrays and objects may contain one another.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn parse(bytes: &'t [u8], depth: usize) -> Result<Self, TextError> {
        let limits = Limits {
            depth,
            ..Limits::GENEROUS
        };
        let shape = measure(bytes, &limits).map_err(TextError::from)?;
        Self::read(bytes, &shape, depth)
    }

    /// The same of a text whose shape is known. The memory for it is asked for first.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn read(bytes: &'t [u8], shape: &Shape, depth: usize) -> Result<Self, TextError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TextError::Syntax)?;
        let memory = budget::reserve(Share::Bodies, Value::memory(shape));
        let memory = memory.ok_or(TextError::Memory)?;
        let mut reader = Reader {
            text,
            rest: bytes,
            lengths: shape.lengths(),
        };
        let value = reader.value(depth)?;
        reader.blanks();
        if !reader.rest.is_empty() {
            return Err(TextError::Syntax);
        }
        Ok(Self {
            value,
            count: shape.values,
            bytes: bytes.len(),
            _memory: memory,
        })
    }
}

impl From<Fault> for TextError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::DuplicateKey => TextError::DuplicateMember,
            Fault::Depth => TextError::TooDeep,
            Fault::NumberRange => TextError::NumberRange,
            Fault::Surrogate => TextError::LoneSurrogate,
            Fault::Values => TextError::TooMany,
            Fault::Memory => TextError::Memory,
            // Of the others, none is asked for.
            _ => TextError::Syntax,
        }
    }
}

/// A text, and what of it is still to be read.
struct Reader<'t, 'l> {
    /// All of it.
    text: &'t str,
    rest: &'t [u8],
    /// How many values are in the arrays and objects that are still to come.
    lengths: &'l [u32],
}

impl<'t> Reader<'t, '_> {
    /// Whether the next byte is this one, which is taken then.
    fn takes(&mut self, byte: u8) -> bool {
        let Some((first, after)) = self.rest.split_first() else {
            return false;
        };
        if *first == byte {
            self.rest = after;
        }
        *first == byte
    }

    fn blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', after @ ..] = self.rest {
            self.rest = after;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'t>, TextError> {
        self.blanks();
        match self.rest {
            [b'{', after @ ..] => {
                self.rest = after;
                self.object(depth)
            }
            [b'[', after @ ..] => {
                self.rest = after;
                self.array(depth)
            }
            [b'"', after @ ..] => self.string(after).map(Value::String),
            [b'-' | b'0'..=b'9', ..] => self.number(),
            [b't', ..] => self.literal(b"true", Value::Bool(true)),
            [b'f', ..] => self.literal(b"false", Value::Bool(false)),
            [b'n', ..] => self.literal(b"null", Value::Null),
            _ => Err(TextError::Syntax),
        }
    }

    /// Room for what is in the next array or object, and no more.
    fn room<T>(&mut self) -> Result<Vec<T>, TextError> {
        let (length, others) = self.lengths.split_first().ok_or(TextError::Syntax)?;
        self.lengths = others;
        let length = usize::try_from(*length).unwrap_or(usize::MAX);
        let mut room = Vec::new();
        let made = room.try_reserve_exact(length);
        made.map_err(|_| TextError::Memory)?;
        Ok(room)
    }

    fn literal(&mut self, word: &[u8], value: Value<'t>) -> Result<Value<'t>, TextError> {
        self.rest = self.rest.strip_prefix(word).ok_or(TextError::Syntax)?;
        Ok(value)
    }

    fn number(&mut self) -> Result<Value<'t>, TextError> {
        let part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let end = self.rest.iter().position(|byte| !part(byte));
        let end = end.unwrap_or(self.rest.len());
        let (written, after) = self.rest.split_at_checked(end).ok_or(TextError::Syntax)?;
        self.rest = after;
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
        self.blanks();
        if self.takes(b']') {
            return Ok(Value::Array(Vec::new()));
        }
        let mut items = self.room()?;
        loop {
            items.push(self.value(depth)?);
            self.blanks();
            if self.takes(b']') {
                return Ok(Value::Array(items));
            }
            if !self.takes(b',') {
                return Err(TextError::Syntax);
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'t>, TextError> {
        let depth = depth.checked_sub(1).ok_or(TextError::TooDeep)?;
        self.blanks();
        if self.takes(b'}') {
            return Ok(Value::Object(Members::default()));
        }
        let mut members = self.room()?;
        loop {
            self.blanks();
            let [b'"', after @ ..] = self.rest else {
                return Err(TextError::Syntax);
            };
            let name = self.string(after)?;
            self.blanks();
            if !self.takes(b':') {
                return Err(TextError::Syntax);
            }
            members.push((name, self.value(depth)?));
            self.blanks();
            if self.takes(b'}') {
                break;
            }
            if !self.takes(b',') {
                return Err(TextError::Syntax);
            }
        }
        let members = Members::new(members).map_err(|_| TextError::DuplicateMember)?;
        Ok(Value::Object(members))
    }

    /// A string from behind its opening quote.
    fn string(&mut self, after_quote: &'t [u8]) -> Result<Cow<'t, str>, TextError> {
        let (text, after) = read_string(after_quote).map_err(|fault| match fault {
            Fault::Surrogate => TextError::LoneSurrogate,
            _ => TextError::Syntax,
        })?;
        self.rest = after;
        let read = match text.plain() {
            // What ends a string is no part of a character, so both ends are boundaries.
            Some(plain) => {
                let start = self.text.len().saturating_sub(after_quote.len());
                let end = start.saturating_add(plain.len());
                self.text.get(start..end).map(Cow::Borrowed)
            }
            None => {
                let decoded = String::from_utf8(text.decoded().into_owned());
                decoded.ok().map(Cow::Owned)
            }
        };
        read.ok_or(TextError::Syntax)
    }
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
