//! The tokens of a document. Whatever two readers may take for two things is refused: control characters, a byte
//! order mark other than at the start, line ends of which some readers know nothing.

use super::DocumentFault;

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lexeme<'t> {
    /// `{`, `(`, `:` and the like.
    Punctuator(u8),
    /// `...`
    Spread,
    Name(&'t [u8]),
    /// An integer, as it is written.
    Integer(&'t [u8]),
    Float,
    /// A string of either form.
    Text,
    End,
}

/// Where a text has been read to.
pub(super) struct Lexemes<'t> {
    rest: &'t [u8],
    /// How many tokens may still come.
    left: u32,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const BLOCK_QUOTE: &[u8] = b"\"\"\"";

impl<'t> Lexemes<'t> {
    pub(super) fn new(text: &'t [u8], tokens: u32) -> Result<Self, DocumentFault> {
        let text = std::str::from_utf8(text).map_err(|_| DocumentFault::Characters)?;
        let text = text.as_bytes();
        Ok(Self {
            rest: text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text),
            left: tokens,
        })
    }

    /// How many tokens may still come.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    pub(super) fn next(&mut self) -> Result<Lexeme<'t>, DocumentFault> {
        self.skip_ignored()?;
        let Some(first) = self.rest.first().copied() else {
            return Ok(Lexeme::End);
        };
        self.left = self.left.checked_sub(1).ok_or(DocumentFault::Tokens)?;
        match first {
            b'!' | b'$' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'}' => {
                self.take(1);
                Ok(Lexeme::Punctuator(first))
            }
            b'.' if self.rest.starts_with(b"...") => {
                self.take(3);
                Ok(Lexeme::Spread)
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let is_part = |b: &u8| *b == b'_' || b.is_ascii_alphanumeric();
                Ok(Lexeme::Name(self.take_while(is_part)))
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'"' if self.rest.starts_with(BLOCK_QUOTE) => self.block(),
            b'"' => self.text(),
            0x7f.. => Err(DocumentFault::Characters),
            b'\0'..=0x1f => Err(DocumentFault::Characters),
            _ => Err(DocumentFault::Syntax),
        }
    }

    fn take(&mut self, count: usize) -> &'t [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, belongs: impl Fn(&u8) -> bool) -> &'t [u8] {
        let end = self.rest.iter().position(|b| !belongs(b));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Passes over blanks, line ends, commas and comments.
    fn skip_ignored(&mut self) -> Result<(), DocumentFault> {
        loop {
            self.take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b','));
            if self.rest.first() != Some(&b'#') {
                return Ok(());
            }
            let comment = self.take_while(|b| !matches!(b, b'\n' | b'\r'));
            let is_odd = |b: &u8| *b < b' ' && *b != b'\t';
            // U+2028 and U+2029 end the line for readers of early drafts, and a lone CR for some alone.
            let separators = |three: &[u8]| matches!(three, [0xe2, 0x80, 0xa8 | 0xa9]);
            let is_lone = self.rest.starts_with(b"\r") && !self.rest.starts_with(b"\r\n");
            if is_lone || comment.iter().any(is_odd) || comment.windows(3).any(separators) {
                return Err(DocumentFault::Characters);
            }
        }
    }

    fn number(&mut self) -> Result<Lexeme<'t>, DocumentFault> {
        let start = self.rest;
        let mut is_float = false;
        if self.rest.starts_with(b"-") {
            self.take(1);
        }
        let whole = self.take_while(u8::is_ascii_digit);
        let mut is_good = !whole.is_empty() && (whole.len() == 1 || !whole.starts_with(b"0"));
        if self.rest.starts_with(b".") {
            self.take(1);
            is_float = true;
            is_good &= !self.take_while(u8::is_ascii_digit).is_empty();
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.take(1);
            is_float = true;
            if let Some(b'+' | b'-') = self.rest.first() {
                self.take(1);
            }
            is_good &= !self.take_while(u8::is_ascii_digit).is_empty();
        }
        let ends = !matches!(
            self.rest.first(),
            Some(b'_' | b'.' | b'a'..=b'z' | b'A'..=b'Z')
        );
        let length = start.len().saturating_sub(self.rest.len());
        match (is_good && ends, is_float) {
            (false, _) => Err(DocumentFault::Syntax),
            (true, true) => Ok(Lexeme::Float),
            (true, false) => Ok(Lexeme::Integer(start.get(..length).unwrap_or_default())),
        }
    }

    fn text(&mut self) -> Result<Lexeme<'t>, DocumentFault> {
        self.take(1);
        // The first half of a surrogate pair has come, and the other has to follow.
        let mut is_half = false;
        loop {
            if !is_half {
                self.take_while(|b| *b >= b' ' && !matches!(b, b'"' | b'\\'));
            }
            match self.rest {
                [b'\\', b'u', ..] => {
                    self.take(2);
                    let unit = hexadecimal(self.take(4)).ok_or(DocumentFault::Syntax)?;
                    is_half = match (unit, is_half) {
                        (0xd800..=0xdbff, false) => true,
                        (0xdc00..=0xdfff, true) => false,
                        (0xd800..=0xdfff, _) | (_, true) => return Err(DocumentFault::Characters),
                        _ => false,
                    };
                }
                _ if is_half => return Err(DocumentFault::Characters),
                [b'\\', escape, ..] if b"\"\\/bfnrt".contains(escape) => {
                    self.take(2);
                }
                [b'"', ..] => {
                    self.take(1);
                    return Ok(Lexeme::Text);
                }
                [b'\t', ..] => {
                    self.take(1);
                }
                [control, ..] if *control < b' ' && !matches!(control, b'\n' | b'\r') => {
                    return Err(DocumentFault::Characters);
                }
                _ => return Err(DocumentFault::Syntax),
            }
        }
    }

    fn block(&mut self) -> Result<Lexeme<'t>, DocumentFault> {
        self.take(BLOCK_QUOTE.len());
        loop {
            self.take_while(|b| *b >= b' ' && !matches!(b, b'"' | b'\\'));
            match self.rest {
                [] => return Err(DocumentFault::Syntax),
                [b'\\', quoted @ ..] if quoted.starts_with(BLOCK_QUOTE) => {
                    self.take(BLOCK_QUOTE.len().saturating_add(1));
                }
                quoted if quoted.starts_with(BLOCK_QUOTE) => {
                    self.take(BLOCK_QUOTE.len());
                    return Ok(Lexeme::Text);
                }
                [b'"' | b'\\' | b'\t' | b'\n' | b'\r', ..] => {
                    self.take(1);
                }
                _ => return Err(DocumentFault::Characters),
            }
        }
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let mut value = (digits.len() == 4).then_some(0_u32)?;
    for digit in digits {
        value = value << 4 | (*digit as char).to_digit(16)?;
    }
    Some(value)
}
