//! A JSON object in the making: every value from outside is escaped, redacted and bounded.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use super::detail::{self, Parameters};
use super::redact::{self, ShownValues};
use super::time;
use portcullis_exchange::refusal::Detail;
use portcullis_wire::digits;
use portcullis_wire::json::compact::Value;

/// One line. Members are added in the order of their weight: what does not fit any more is left
/// out, and the line says so.
pub(super) struct JsonLine {
    text: String,
    longest: usize,
    cut: bool,
}

/// The longest value, in bytes before escaping; what is longer ends in `…`.
pub(super) const LONGEST_VALUE: usize = 512;

/// What says that members were left out.
pub(super) const CUT: &str = "portcullis.truncated";

/// How long a line may be of which nothing has been left out, but for its end: that it was cut finds room too.
#[inline]
pub(super) fn bound(longest: usize) -> usize {
    let end = CUT.len().saturating_add(r#","":true}"#.len());
    longest.saturating_sub(end)
}

impl JsonLine {
    /// An empty object that will have about `longest` bytes at most.
    pub(super) fn new(longest: usize) -> Self {
        let mut text = String::with_capacity(longest.min(1024));
        text.push('{');
        Self {
            longest: bound(longest),
            ..Self::unbounded(text)
        }
    }

    /// The rest of an object that begins with that text.
    pub(super) fn unbounded(text: String) -> Self {
        Self {
            text,
            longest: usize::MAX,
            cut: false,
        }
    }

    /// The name of a member, and the quotation mark in front of what follows.
    pub(super) fn quote_next(&mut self, name: &str) {
        self.key(name);
        self.text.push('"');
    }

    /// What has been written, without its end.
    pub(super) fn into_text(self) -> String {
        self.text
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
    pub(super) fn trusted(&mut self, name: &str, value: &str) {
        self.member(name, |out| quoted(out, value.as_bytes()));
    }

    /// Text of a peer. What looks like a token is not shown.
    pub(super) fn untrusted(&mut self, name: &str, value: &[u8]) {
        self.member(name, |out| shown(out, value, redact::tokens));
    }

    pub(super) fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.untrusted(name, value);
        }
    }

    /// A list of texts of a peer, as OpenTelemetry has header fields.
    pub(super) fn list<'v>(&mut self, name: &str, values: impl Iterator<Item = &'v [u8]>) {
        self.member(name, |out| {
            for (index, value) in values.enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                shown(out, value, redact::tokens);
            }
            out.push(']');
        });
    }

    /// A path that a peer wrote.
    pub(super) fn path(&mut self, name: &str, path: Option<&[u8]>) {
        if let Some(path) = path {
            self.member(name, |out| shown(out, path, redact::path));
        }
    }

    /// A list of URLs that a peer wrote; `shown` is for their queries.
    pub(super) fn urls<'v>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = &'v [u8]>,
        shown: Option<&ShownValues<'_>>,
    ) {
        self.member(name, |out| {
            for (index, value) in values.enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                quoted(out, &redact::url(value, shown));
            }
            out.push(']');
        });
    }

    pub(super) fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.member(name, |out| digits::push(out, value));
        }
    }

    /// A time, as RFC 3339 has it.
    pub(super) fn time(&mut self, name: &str, since_epoch: Duration) {
        self.member(name, |out| {
            out.push('"');
            time::rfc3339(out, since_epoch);
            out.push('"');
        });
    }

    /// A query, its values shown as `shown` says.
    pub(super) fn query(&mut self, name: &str, query: &[u8], shown: &ShownValues<'_>) {
        self.member(name, |out| quoted(out, &redact::query(query, shown)));
    }

    /// A claim: scalars as they are, anything else as JSON in a string.
    pub(super) fn claim(&mut self, name: &str, claim: Value<'_>) {
        match claim {
            Value::String(text) => self.untrusted(name, text.as_bytes()),
            Value::Number(_) | Value::Bool(_) => self.member(name, |out| {
                let _ = write!(out, "{claim}");
            }),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                self.untrusted(name, claim.to_string().as_bytes());
            }
        }
    }

    /// A list of objects, or an object, whose members are the filter's own words.
    pub(super) fn structure(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.member(name, write);
    }

    /// What is known of a refusal; nothing if that is nothing.
    pub(super) fn detail(&mut self, name: &str, detail: &Detail, parameters: Parameters) {
        let mut text = String::new();
        if detail::write(&mut text, detail, parameters) {
            self.member(name, |out| out.push_str(&text));
        }
    }

    /// `name` is a word of this filter's, or [escaped](escape) already.
    fn key(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
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

/// A value of a peer, redacted and escaped. Most need neither.
fn shown(out: &mut String, value: &[u8], redact: fn(&[u8]) -> Cow<'_, [u8]>) {
    match std::str::from_utf8(value) {
        Ok(text) if value.len() <= LONGEST_VALUE && redact::is_plain(value) => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Ok(_) | Err(_) => quoted_after(out, value, redact),
    }
}

#[cold]
#[inline(never)]
fn quoted_after(out: &mut String, value: &[u8], redact: fn(&[u8]) -> Cow<'_, [u8]>) {
    quoted(out, &redact(value));
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

/// What stands between the quotation marks of a JSON string, RFC 8259 §7. Every control character
/// and line separator is escaped, so that no value can end its line in any reader's eyes; bytes that
/// are not UTF-8 appear as `\xNN`.
pub(super) fn escape(out: &mut String, value: &[u8]) {
    // Most values are plain from end to end.
    let (shown, rest) = value
        .split_at_checked(plain_length(value))
        .unwrap_or((&[], value));
    out.push_str(std::str::from_utf8(shown).unwrap_or_default());
    if !rest.is_empty() {
        escape_all(out, rest);
    }
}

/// How many bytes at the start stand for themselves: visible ASCII and blanks, without `"` and `\`.
fn plain_length(value: &[u8]) -> usize {
    const WORD: usize = size_of::<u64>();
    let words = value
        .chunks_exact(WORD)
        .map_while(|word| Some(u64::from_ne_bytes(word.try_into().ok()?)))
        .take_while(|word| all_plain(*word));
    let whole = words.count().saturating_mul(WORD);
    let rest = value.get(whole..).unwrap_or_default();
    let plain = |b: &&u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
    whole.saturating_add(rest.iter().take_while(plain).count())
}

/// Whether eight bytes are all plain: tests with the highest bit of each byte, after Mycroft.
fn all_plain(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let each = |byte: u8| ONES.wrapping_mul(byte.into());
    let below = |word: u64, least: u8| word.wrapping_sub(each(least)) & !word;
    let is = |byte: u8| below(word ^ each(byte), 1);
    (word | below(word, b' ') | is(b'"') | is(b'\\') | is(0x7f)) & HIGH == 0
}

#[cold]
#[inline(never)]
fn escape_all(out: &mut String, value: &[u8]) {
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
    use portcullis_wire::json::Json;

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
    fn words_are_plain_when_each_byte_is() {
        for byte in 0..=u8::MAX {
            for place in 0..19 {
                let mut value = [b'a'; 19];
                value[place] = byte;
                let plain = (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
                let length = if plain { 19 } else { place };
                assert_eq!(plain_length(&value), length, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn long_values_are_cut() {
        let mut line = JsonLine::new(8192);
        line.untrusted("a", &[b'x'; 600]);
        let line = line.finish();
        assert!(line.ends_with("x…\"}") && line.len() < 530);
    }

    #[test]
    fn a_full_line_says_so_and_stays_in_bounds() {
        for longest in [64, 100, 1000] {
            let mut line = JsonLine::new(longest);
            for name in ["a", "b", "c"] {
                line.untrusted(name, &[0; 200]);
            }
            line.trusted("short", "x");
            let line = line.finish();
            assert!(line.len() <= longest, "{} of {longest}", line.len());
            let parsed = Json::parse(line.as_bytes(), 2).unwrap();
            let cut = parsed.as_object().unwrap().member(CUT);
            assert_eq!(cut, Some(&Json::Bool(true)), "{line}");
        }
    }
}
