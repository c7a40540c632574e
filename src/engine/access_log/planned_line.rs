//! A record in the making on a plan. It comes to what [`JsonLine`](super::line::JsonLine) writes, in less code: every
//! member has a comma, most values are copied as they are, and how long it is is asked once, at the end.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use super::line::{LONGEST_VALUE, quoted};
use super::redact;
use super::time::rfc3339;
use portcullis_wire::append;
use portcullis_wire::digits::Digits;

/// The name of a member, which is not the first, as it stands in front of a text: `,"name":"`. All records of a document
/// share it.
#[derive(Clone, Debug)]
pub(super) struct Key(Rc<str>);

impl Key {
    const BEGINS: &str = ",\"";
    const ENDS: &str = "\":\"";

    pub(super) fn of(name: &str) -> Self {
        Self([Self::BEGINS, name, Self::ENDS].concat().into())
    }

    /// The name.
    pub(super) fn name(&self) -> &str {
        let name = self.0.strip_prefix(Self::BEGINS);
        let name = name.and_then(|name| name.strip_suffix(Self::ENDS));
        name.unwrap_or_default()
    }
}

/// The beginning of a buffer that is kept.
pub(super) struct PlannedLine {
    buffer: Vec<u8>,
    /// How much of it has been written.
    at: usize,
}

/// A second as records have it: `2026-11-29T23:59:59.`
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenSecond {
    /// Since the epoch.
    second: u64,
    text: [u8; WrittenSecond::LENGTH],
}

impl Default for WrittenSecond {
    fn default() -> Self {
        Self::of(0)
    }
}

impl WrittenSecond {
    const LENGTH: usize = 20;

    #[cold]
    #[inline(never)]
    fn of(second: u64) -> Self {
        let mut text = String::new();
        rfc3339(&mut text, Duration::from_secs(second));
        let text = text.as_bytes().first_chunk();
        Self {
            second,
            text: text.copied().unwrap_or_default(),
        }
    }

    /// The second of a time: this one for as long as it lasts.
    #[inline]
    pub(super) fn at(self, since_epoch: Duration) -> Self {
        match since_epoch.as_secs() {
            second if second == self.second => self,
            second => Self::of(second),
        }
    }
}

/// Whether a value stands in a record as it is.
#[inline]
fn is_plain(value: &[u8]) -> bool {
    value.len() <= LONGEST_VALUE && redact::is_plain(value)
}

impl PlannedLine {
    /// The least that a buffer has.
    const LEAST: usize = 1024;

    /// An empty one in the memory of a text.
    #[inline]
    pub(super) fn in_place_of(text: &mut String) -> Self {
        let mut buffer = std::mem::take(text).into_bytes();
        let all = buffer.capacity().max(Self::LEAST);
        buffer.resize(all, 0);
        Self { buffer, at: 0 }
    }

    /// Ends the object. None if it has more bytes than `longest`.
    #[inline]
    pub(super) fn finish(mut self, longest: usize) -> Option<String> {
        if self.at > longest {
            return None;
        }
        self.put(b"}");
        self.buffer.truncate(self.at);
        String::from_utf8(self.buffer).ok()
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        match append::put(&mut self.buffer, self.at, bytes) {
            Some(at) => self.at = at,
            None => self.grow(bytes),
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: &[u8]) {
        self.buffer.truncate(self.at);
        self.buffer.extend_from_slice(bytes);
        self.at = self.buffer.len();
        self.buffer.resize(self.buffer.capacity(), 0);
    }

    /// What follows the second of a time, to the end of its string.
    #[inline]
    pub(super) fn time(&mut self, second: WrittenSecond, since_epoch: Duration) {
        let millis = since_epoch.subsec_millis();
        let digit = |number: u32| b'0' | (number % 10) as u8;
        self.put(&second.text);
        let rest = [millis / 100, millis / 10, millis].map(digit);
        self.put(&rest);
        self.put(b"Z\"");
    }

    /// The name of a member, and what its value begins with.
    #[inline]
    pub(super) fn key(&mut self, Key(key): &Key, opening: &[u8]) {
        let key = key.strip_suffix('"').unwrap_or(key);
        self.put(key.as_bytes());
        self.put(opening);
    }

    #[inline]
    pub(super) fn number(&mut self, key: &Key, value: Option<u64>) {
        if let Some(value) = value {
            self.key(key, b"");
            self.put(Digits::of(value).as_bytes());
        }
    }

    /// A value of a peer, if there is one.
    #[inline]
    pub(super) fn shown(
        &mut self,
        key: &Key,
        value: Option<&[u8]>,
        redact: fn(&[u8]) -> Cow<'_, [u8]>,
    ) {
        let Some(value) = value else {
            return;
        };
        if is_plain(value) {
            self.put(key.0.as_bytes());
            self.put(value);
            self.put(b"\"");
        } else {
            self.key(key, b"");
            self.escaped(&redact(value));
        }
    }

    /// A value of a peer, redacted and escaped. Most need neither.
    #[inline]
    pub(super) fn value(&mut self, value: &[u8], redact: fn(&[u8]) -> Cow<'_, [u8]>) {
        if is_plain(value) {
            self.put(b"\"");
            self.put(value);
            self.put(b"\"");
        } else {
            self.escaped(&redact(value));
        }
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
        let mut second = WrittenSecond::default();
        for millis in [0, 7, 999, 1_000, 951_782_400_123, 951_782_400_999, 1] {
            let time = Duration::from_millis(millis);
            let mut expected = String::new();
            rfc3339(&mut expected, time);
            let mut line = PlannedLine::in_place_of(&mut String::new());
            second = second.at(time);
            line.time(second, time);
            let written = line.buffer.get(..line.at);
            assert_eq!(written, Some(format!("{expected}\"").as_bytes()));
        }
    }
}
