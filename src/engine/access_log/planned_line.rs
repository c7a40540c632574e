//! A record in the making on a plan. It comes to what [`JsonLine`](super::line::JsonLine) writes, in less code: every
//! member has a comma, most values are copied as they are, and how long it is is asked once, at the end.

use std::borrow::Cow;
use std::time::Duration;

use super::line::{LONGEST_VALUE, quoted};
use super::redact;
use super::time::rfc3339;
use portcullis_wire::digits::Digits;

/// Bytes at the end of a buffer that is kept.
pub(super) struct PlannedLine(Vec<u8>);

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
    pub(super) fn at(self, since_epoch: Duration) -> Self {
        match since_epoch.as_secs() {
            second if second == self.second => self,
            second => Self::of(second),
        }
    }
}

impl PlannedLine {
    /// An empty one in the memory of a text.
    pub(super) fn in_place_of(text: &mut String) -> Self {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.clear();
        Self(bytes)
    }

    /// Ends the object. None if it has more bytes than `longest`.
    pub(super) fn finish(mut self, longest: usize) -> Option<String> {
        if self.0.len() > longest {
            return None;
        }
        self.put(b"}");
        String::from_utf8(self.0).ok()
    }

    // Once in the code, for all its callers.
    #[inline(never)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// What follows the second of a time, to the end of its string.
    pub(super) fn time(&mut self, second: WrittenSecond, since_epoch: Duration) {
        let millis = since_epoch.subsec_millis();
        let digit = |number: u32| b'0' | (number % 10) as u8;
        self.put(&second.text);
        let rest = [millis / 100, millis / 10, millis].map(digit);
        self.put(&rest);
        self.put(b"Z\"");
    }

    /// The name of a member, which is not the first, and what stands behind it.
    #[inline(never)]
    pub(super) fn key(&mut self, name: &str, opening: &[u8]) {
        self.put(b",\"");
        self.put(name.as_bytes());
        self.put(opening);
    }

    pub(super) fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(name, b"\":");
            self.put(Digits::of(value).as_bytes());
        }
    }

    /// A value of a peer, if there is one.
    pub(super) fn shown(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
        redact: fn(&[u8]) -> Cow<'_, [u8]>,
    ) {
        if let Some(value) = value {
            self.key(name, b"\":");
            self.value(value, redact);
        }
    }

    /// A value of a peer, redacted and escaped. Most need neither.
    #[inline(never)]
    pub(super) fn value(&mut self, value: &[u8], redact: fn(&[u8]) -> Cow<'_, [u8]>) {
        if value.len() <= LONGEST_VALUE && redact::is_plain(value) {
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
            let mut line = PlannedLine(Vec::new());
            second = second.at(time);
            line.time(second, time);
            assert_eq!(line.0, format!("{expected}\"").into_bytes());
        }
    }
}
