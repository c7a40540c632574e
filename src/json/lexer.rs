//! The pieces of a JSON text, one after the other.

use std::borrow::Cow;

use super::number::Number;
use crate::json_gate::read_string;

/// A text, and what of it is still to be read.
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    rest: &'t [u8],
}

/// What a value is, or how one begins.
pub(super) enum Token<'t> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'t str, Number),
    String(Cow<'t, str>),
    /// What follows is for [`Lexer::items`].
    Array,
    /// What follows is for [`Lexer::members`].
    Object,
}

/// What cannot be read, and where: behind so many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) cause: Cause,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    Syntax,
    Duplicate,
    Depth,
    NumberRange,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, rest: text }
    }

    /// The next value.
    pub(super) fn value(&mut self) -> Result<Token<'t>, Broken> {
        self.blanks();
        match self.rest {
            [b'{', after @ ..] => {
                self.rest = after;
                Ok(Token::Object)
            }
            [b'[', after @ ..] => {
                self.rest = after;
                Ok(Token::Array)
            }
            [b'"', after @ ..] => self.string(after).map(Token::String),
            [b'-' | b'0'..=b'9', ..] => self.number(),
            _ => self.word(),
        }
    }

    /// The items of an array that has begun, each read by `each`.
    pub(super) fn items(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.blanks();
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            self.blanks();
            if self.takes(b']') {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.broken(Cause::Syntax));
            }
        }
    }

    /// The members of an object that has begun: each has its value read by `each`.
    pub(super) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'t, str>) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.blanks();
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            self.blanks();
            let [b'"', after @ ..] = self.rest else {
                return Err(self.broken(Cause::Syntax));
            };
            let name = self.string(after)?;
            self.blanks();
            if !self.takes(b':') {
                return Err(self.broken(Cause::Syntax));
            }
            each(self, name)?;
            self.blanks();
            if self.takes(b'}') {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.broken(Cause::Syntax));
            }
        }
    }

    /// Whether nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Broken> {
        self.blanks();
        match self.rest {
            [] => Ok(()),
            _ => Err(self.broken(Cause::Syntax)),
        }
    }

    /// What is wrong with what has been read last.
    pub(super) fn wrong(&self, cause: Cause) -> Broken {
        let at = self.read().saturating_sub(1);
        Broken { at, cause }
    }

    fn broken(&self, cause: Cause) -> Broken {
        let at = self.read();
        Broken { at, cause }
    }

    /// How many bytes have been read.
    fn read(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    /// Whether the next byte is this one, which is taken then.
    fn takes(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, after)) if *first == byte => {
                self.rest = after;
                true
            }
            _ => false,
        }
    }

    fn blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', after @ ..] = self.rest {
            self.rest = after;
        }
    }

    fn word(&mut self) -> Result<Token<'t>, Broken> {
        for (word, token) in [
            (&b"null"[..], Token::Null),
            (b"true", Token::Bool(true)),
            (b"false", Token::Bool(false)),
        ] {
            if let Some(after) = self.rest.strip_prefix(word) {
                self.rest = after;
                return Ok(token);
            }
        }
        Err(self.broken(Cause::Syntax))
    }

    fn number(&mut self) -> Result<Token<'t>, Broken> {
        let part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let end = self.rest.iter().position(|byte| !part(byte));
        let end = end.unwrap_or(self.rest.len());
        let (written, after) = self.rest.split_at_checked(end).unwrap_or_default();
        let written = std::str::from_utf8(written).unwrap_or_default();
        let Some(number) = Number::parse(written) else {
            // What is JSON and no number that can be had is out of range.
            let range = crate::json_gate::is_number(written.as_bytes());
            return Err(self.broken(if range {
                Cause::NumberRange
            } else {
                Cause::Syntax
            }));
        };
        self.rest = after;
        Ok(Token::Number(written, number))
    }

    /// A string from behind its opening quote.
    fn string(&mut self, after_quote: &'t [u8]) -> Result<Cow<'t, str>, Broken> {
        let Ok((text, after)) = read_string(after_quote) else {
            // Where a line ends within it, its end has been forgotten; else all of it is shown.
            let control = after_quote
                .iter()
                .position(|byte| *byte < b' ' || *byte == b'"');
            let inside = match control.and_then(|at| after_quote.get(at)) {
                None => after_quote.len().saturating_add(1),
                Some(b'"') => 0,
                Some(_) => control.unwrap_or_default().saturating_add(1),
            };
            let at = self.read().saturating_add(inside);
            return Err(Broken {
                at,
                cause: Cause::Syntax,
            });
        };
        self.rest = after;
        // What has been read is UTF-8.
        let text = match text.decoded() {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        };
        text.ok_or_else(|| self.broken(Cause::Syntax))
    }
}

/// The line and the column of a byte of a text, both from 1; behind the end, those of the last.
pub(super) fn line_and_column(text: &[u8], at: usize) -> (usize, usize) {
    let end = at.saturating_add(1).min(text.len());
    let before = text.get(..end).unwrap_or(text);
    let inner = before.split_last().map_or(before, |(_, inner)| inner);
    let lines = inner.iter().filter(|byte| **byte == b'\n').count();
    let start = inner.iter().rposition(|byte| *byte == b'\n');
    let start = start.map_or(0, |newline| newline.saturating_add(1));
    (lines.saturating_add(1), end.saturating_sub(start))
}
