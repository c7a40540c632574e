//! A record in the making on a plan. It comes to what [`JsonLine`](super::line::JsonLine) writes, in less code: every
//! member has a comma, most values are copied as they are, and how long it is is asked once, at the end.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::line::{LONGEST_VALUE, quoted};
use super::redact;
use super::time::rfc3339;
use portcullis_wire::append::Appended;
use portcullis_wire::digits::Digits;

/// What stands in front of the value of a member that is not the first, where that is a text: `,"name":"`. All records
/// of a document share it.
#[derive(Clone, Debug)]
pub(super) struct Key(Rc<str>);

/// What stands around a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// Quotation marks.
    Quotes,
    /// Those of the one item of a list.
    List,
}

impl Around {
    fn begins(self) -> &'static str {
        match self {
            Self::Quotes => "\":\"",
            Self::List => "\":[\"",
        }
    }

    #[inline]
    fn ends(self) -> &'static [u8] {
        match self {
            Self::Quotes => b"\"",
            Self::List => b"\"]",
        }
    }
}

impl Key {
    const BEGINS: &str = ",\"";

    pub(super) fn of(name: &str, around: Around) -> Self {
        Self([Self::BEGINS, name, around.begins()].concat().into())
    }

    /// The name.
    pub(super) fn name(&self) -> &str {
        let name = self.0.strip_prefix(Self::BEGINS).unwrap_or_default();
        name.split_once('"').unwrap_or_default().0
    }

    /// What stands in front of a value that is no text, or has its own quotation mark.
    #[inline]
    fn before_mark(&self) -> &[u8] {
        let bytes = self.0.as_bytes().split_last();
        bytes.map_or(&[], |(_, before)| before)
    }
}

/// A record at the beginning of a buffer that is kept.
pub(super) struct PlannedLine<'b>(Appended<'b>);

/// The second in which a record was last written, as records have it: `2026-11-29T23:59:59.`
#[derive(Debug)]
pub(super) struct WrittenSecond {
    /// Since the epoch.
    second: Cell<u64>,
    text: Cell<[u8; WrittenSecond::LENGTH]>,
}

impl Default for WrittenSecond {
    fn default() -> Self {
        let second = Self {
            second: Cell::default(),
            text: Cell::default(),
        };
        second.set(0);
        second
    }
}

impl WrittenSecond {
    const LENGTH: usize = 20;

    #[cold]
    #[inline(never)]
    fn set(&self, second: u64) {
        let mut text = String::new();
        rfc3339(&mut text, Duration::from_secs(second));
        let text = text.as_bytes().first_chunk();
        self.second.set(second);
        self.text.set(text.copied().unwrap_or_default());
    }

    /// The text of a second, which is written once for as long as it lasts.
    #[inline]
    fn text(&self, second: u64) -> [u8; Self::LENGTH] {
        if self.second.get() != second {
            self.set(second);
        }
        self.text.get()
    }
}

/// Whether a value stands in a record as it is.
#[inline]
fn is_plain(value: &[u8]) -> bool {
    value.len() <= LONGEST_VALUE && redact::is_plain(value)
}

impl<'b> PlannedLine<'b> {
    /// An empty one in place of what the buffer holds.
    #[inline]
    pub(super) fn in_place_of(buffer: &'b mut Vec<u8>) -> Self {
        Self(Appended::in_place_of(buffer))
    }

    /// Ends the object. None if it has more bytes than `longest`.
    #[inline]
    pub(super) fn finish(mut self, longest: usize) -> Option<&'b str> {
        if self.0.written() > longest {
            return None;
        }
        self.put(b"}");
        std::str::from_utf8(self.0.into_bytes()).ok()
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0.put(bytes);
    }

    /// A time, to the end of its string.
    #[inline]
    pub(super) fn time(&mut self, second: &WrittenSecond, since_epoch: Duration) {
        let millis = since_epoch.subsec_millis();
        let digit = |number: u32| b'0' | (number % 10) as u8;
        self.put(&second.text(since_epoch.as_secs()));
        let [hundreds, tens, ones] = [millis / 100, millis / 10, millis].map(digit);
        self.put(&[hundreds, tens, ones, b'Z', b'"']);
    }

    /// The name of a member whose value follows.
    #[inline]
    pub(super) fn key(&mut self, key: &Key) {
        self.put(key.before_mark());
    }

    #[inline(never)]
    pub(super) fn number(&mut self, key: &Key, value: u64) {
        self.key(key);
        self.put(Digits::of(value).as_bytes());
    }

    /// A value of a peer.
    #[inline(never)]
    pub(super) fn shown(
        &mut self,
        key: &Key,
        value: &[u8],
        around: Around,
        redact: fn(&[u8]) -> Cow<'_, [u8]>,
    ) {
        if is_plain(value) {
            self.put(key.0.as_bytes());
            self.put(value);
            self.put(around.ends());
        } else {
            self.redacted(key, &redact(value), around);
        }
    }

    /// One that had to be redacted or has to be escaped.
    #[cold]
    #[inline(never)]
    fn redacted(&mut self, key: &Key, value: &[u8], around: Around) {
        self.key(key);
        self.escaped(value);
        let after = around.ends().split_first();
        self.put(after.map_or(&[], |(_, after)| after));
    }

    /// A value in which nothing has to be redacted, or not any more.
    #[cold]
    #[inline(never)]
    pub(super) fn escaped(&mut self, value: &[u8]) {
        let mut text = String::new();
        quoted(&mut text, value);
        self.put(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_all_records() {
        let second = WrittenSecond::default();
        let mut buffer = Vec::new();
        for millis in [0, 7, 999, 1_000, 951_782_400_123, 951_782_400_999, 1] {
            let time = Duration::from_millis(millis);
            let mut expected = String::new();
            rfc3339(&mut expected, time);
            let mut line = PlannedLine::in_place_of(&mut buffer);
            line.time(&second, time);
            assert_eq!(line.0.into_bytes(), format!("{expected}\"").as_bytes());
        }
    }

    #[test]
    fn values_stand_between_their_marks() {
        let mut buffer = Vec::new();
        for (around, plain, escaped) in [
            (Around::Quotes, r#","a":"b""#, r#","a":"\"""#),
            (Around::List, r#","a":["b"]"#, r#","a":["\""]"#),
        ] {
            let key = Key::of("a", around);
            assert_eq!(key.name(), "a");
            for (value, expected) in [("b", plain), ("\"", escaped)] {
                let mut line = PlannedLine::in_place_of(&mut buffer);
                line.shown(&key, value.as_bytes(), around, redact::tokens);
                assert_eq!(line.0.into_bytes(), expected.as_bytes());
            }
        }
        let mut line = PlannedLine::in_place_of(&mut buffer);
        line.number(&Key::of("a", Around::Quotes), 12);
        assert_eq!(line.finish(6), None, "it has seven bytes before its end");
        let mut line = PlannedLine::in_place_of(&mut buffer);
        line.number(&Key::of("a", Around::Quotes), 12);
        assert_eq!(line.finish(7), Some(r#","a":12}"#));
    }
}
