//! A word in a text, and what stands around it.

use std::cell::Cell;

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The path of a request, as it was sent.
    Path,
    /// The name of a parameter, a field or a cookie.
    Name,
    /// The value of one, decoded once.
    Value,
    /// The value of a header field.
    Header,
    /// A string or a name of a JSON text, decoded.
    Json,
    /// The name that a client gives a file it sends.
    FileName,
    /// Anything else.
    Text,
}

/// How far around a word anybody looks, in bytes: what is further away is not there.
pub const REACH: usize = 160;

/// What has been gone over around a word, in steps of about a nanosecond. Most words are done with at first sight,
/// and the few that are not cost twenty times as much: who goes over more than some bytes says so.
#[derive(Debug, Default)]
pub struct Work(Cell<u64>);

impl Work {
    /// Notes so many steps.
    pub(crate) fn add(&self, steps: usize) {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.0.set(self.0.get().saturating_add(steps));
    }

    /// What has been noted since it was last asked.
    pub(crate) fn take(&self) -> u64 {
        self.0.take()
    }
}

/// A word that was found in a text.
#[derive(Clone, Copy)]
pub struct Spot<'t> {
    text: &'t [u8],
    lower: &'t [u8],
    at: usize,
    end: usize,
    context: Context,
    work: &'t Work,
}

impl<'t> Spot<'t> {
    pub(crate) fn new(
        text: &'t [u8],
        lower: &'t [u8],
        (at, end): (usize, usize),
        context: Context,
        work: &'t Work,
    ) -> Self {
        Self {
            text,
            lower,
            at,
            end,
            context,
            work,
        }
    }

    /// Where it is noted how much has been gone over.
    pub(crate) fn work(&self) -> &'t Work {
        self.work
    }

    /// Where the text stands.
    pub fn context(&self) -> Context {
        self.context
    }

    /// The word, in lower case.
    pub fn word(&self) -> &'t [u8] {
        self.lower.get(self.at..self.end).unwrap_or_default()
    }

    /// The word and so much of what follows it, in lower case.
    pub fn word_and(&self, length: usize) -> &'t [u8] {
        let end = self.end.saturating_add(length);
        self.lower.get(self.at..end).unwrap_or_default()
    }

    /// The word and what follows it, as it was sent.
    pub fn as_sent(&self) -> &'t [u8] {
        let end = self.end.saturating_add(REACH).min(self.text.len());
        self.text.get(self.at..end).unwrap_or_default()
    }

    /// What stands before the word, in lower case, to the left end of what anybody sees.
    pub fn before(&self) -> &'t [u8] {
        let start = self.at.saturating_sub(REACH);
        self.lower.get(start..self.at).unwrap_or_default()
    }

    /// What stands behind the word, in lower case.
    pub fn after(&self) -> &'t [u8] {
        let end = self.end.saturating_add(REACH).min(self.lower.len());
        self.lower.get(self.end..end).unwrap_or_default()
    }

    /// Whether the text begins with the word.
    pub fn is_first(&self) -> bool {
        self.at == 0
    }

    /// Whether the text begins with the word or not long before it.
    pub fn is_near_start(&self) -> bool {
        self.at < REACH
    }

    /// Whether there is white space before the word, near or far.
    pub fn spaced_before(&self) -> bool {
        self.before().iter().any(|byte| is_space(*byte))
    }

    /// Whether the word ends there: no letter, digit or `_` follows.
    pub fn is_whole(&self) -> bool {
        !self.after().first().copied().is_some_and(is_word)
    }
}

/// Whether a byte is of names: a letter, a digit or `_`.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What is left when white space in front has been taken off.
pub fn skip_space(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !is_space(*byte));
    end.and_then(|end| text.get(end..)).unwrap_or_default()
}

/// Whether a byte parts words for interpreters.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}
