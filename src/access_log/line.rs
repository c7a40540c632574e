//! A JSON object in the making: every value from outside is escaped, redacted and bounded.

use std::fmt::Write as _;

use super::redact::{self, Shown};
use crate::json::Json;

/// One line. Members are added in the order of their weight: what does not fit any more is left
/// out, and the line says so.
pub(super) struct Line {
    text: String,
    longest: usize,
    cut: bool,
}

/// The longest value, in bytes before escaping; what is longer ends in `…`.
const LONGEST_VALUE: usize = 512;

/// What says that members were left out.
const CUT: &str = "portcullis.truncated";

impl Line {
    /// An empty object that will have about `longest` bytes at most.
    pub(super) fn new(longest: usize) -> Self {
        let mut text = String::with_capacity(longest.min(1024));
        text.push('{');
        let longest = longest.saturating_sub(CUT.len().saturating_add(r#","":true}"#.len()));
        Self {
            text,
            longest,
            cut: false,
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.cut {
            self.key(CUT);
            self.text.push_str("true");
        }
        self.text.push('}');
        self.text
    }

    /// Text that the document or the filter wrote.
    pub(super) fn own(&mut self, name: &str, value: &str) {
        self.member(name, |out| quoted(out, value.as_bytes()));
    }

    /// Text that somebody else wrote. What looks like a token is not shown.
    pub(super) fn foreign(&mut self, name: &str, value: &[u8]) {
        self.member(name, |out| quoted(out, &redact::tokens(value)));
    }

    pub(super) fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.foreign(name, value);
        }
    }

    /// A list of texts that somebody else wrote, as OpenTelemetry has header fields.
    pub(super) fn list<'v>(&mut self, name: &str, values: impl Iterator<Item = &'v [u8]>) {
        self.member(name, |out| {
            for (index, value) in values.enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                quoted(out, &redact::tokens(value));
            }
            out.push(']');
        });
    }

    pub(super) fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.member(name, |out| {
                let _ = write!(out, "{value}");
            });
        }
    }

    /// A query, its values shown as `shown` says.
    pub(super) fn query(&mut self, name: &str, query: &[u8], shown: &Shown<'_>) {
        self.member(name, |out| quoted(out, &redact::query(query, shown)));
    }

    /// A claim: scalars as they are, anything else as JSON in a string.
    pub(super) fn claim(&mut self, name: &str, claim: &Json) {
        match claim {
            Json::String(text) => self.foreign(name, text.as_bytes()),
            Json::Number(_) | Json::Bool(_) => self.member(name, |out| {
                let _ = write!(out, "{claim}");
            }),
            Json::Null | Json::Array(_) | Json::Object(_) => {
                self.foreign(name, claim.to_string().as_bytes());
            }
        }
    }

    /// A list of objects, or an object, whose members are the filter's own words.
    pub(super) fn structure(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.member(name, write);
    }

    fn key(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        quoted(&mut self.text, name.as_bytes());
        self.text.push(':');
    }

    fn member(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        let before = self.text.len();
        self.key(name);
        write(&mut self.text);
        if self.text.len() > self.longest {
            self.text.truncate(before);
            self.cut = true;
        }
    }
}

/// A JSON string of at most [`LONGEST_VALUE`] bytes before escaping.
pub(super) fn quoted(out: &mut String, value: &[u8]) {
    out.push('"');
    let (shown, cut) = match value.split_at_checked(LONGEST_VALUE) {
        Some((shown, rest)) => (shown, !rest.is_empty()),
        None => (value, false),
    };
    escape(out, shown);
    if cut {
        out.push('…');
    }
    out.push('"');
}

/// RFC 8259 §7, with every control character and line separator escaped, so that no value can
/// end its line in any reader's eyes; bytes that are not UTF-8 appear as `\xNN`.
fn escape(out: &mut String, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_place() {
        let mut out = String::new();
        escape(
            &mut out,
            b"a\"b\\c\r\n\x1b[0m\xff\xc2\x85\xe2\x80\xa8\xc3\xa9",
        );
        assert_eq!(out, r#"a\"b\\c\u000d\u000a\u001b[0m\\xff\u0085\u2028é"#);
    }

    #[test]
    fn long_values_are_cut() {
        let mut line = Line::new(8192);
        line.foreign("a", &[b'x'; 600]);
        let line = line.finish();
        assert!(line.ends_with("x…\"}") && line.len() < 530);
    }

    #[test]
    fn a_full_line_says_so_and_stays_in_bounds() {
        for longest in [64, 100, 1000] {
            let mut line = Line::new(longest);
            for name in ["a", "b", "c"] {
                line.foreign(name, &[0; 200]);
            }
            line.own("short", "x");
            let line = line.finish();
            assert!(line.len() <= longest, "{} of {longest}", line.len());
            let parsed = Json::parse(line.as_bytes(), 2).unwrap();
            let cut = parsed.as_object().unwrap().member(CUT);
            assert_eq!(cut, Some(&Json::Bool(true)), "{line}");
        }
    }
}
