//! SQL as databases take it apart, whichever they are: comments are white space, and a literal may be left open.

use crate::list::List;
use crate::spot::{Work, is_space, is_word};

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Number,
    /// A literal in quotes, or what begins as one and does not end.
    Literal,
    Word(&'t [u8]),
    /// `@a`, `@@a`, `:a`, `$1`.
    Variable,
    Operator(&'t [u8]),
    Open,
    Close,
    Comma,
    Semicolon,
    /// The rest is one: `--`, `#`, or `/*` without its end.
    Comment,
    /// Nothing that a statement has.
    Other(u8),
}

/// The tokens of a text in lower case.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'t> {
    pub(super) rest: &'t [u8],
    work: &'t Work,
    /// What parted the last token from the one before.
    pub(super) commented: bool,
}

/// How many are gone over in search of an end.
const MOST_TOKENS: usize = 16;

/// What a token costs beside its bytes.
const TOKEN_STEPS: usize = 8;

/// How long the operator is that a text begins with.
fn operator(text: &[u8]) -> usize {
    match text {
        [b'<', b'=', b'>', ..] | [b'!' | b'=', b'=', b'=', ..] | [b'-' | b'#', b'>', b'>', ..] => 3,
        [b'<', b'>' | b'=' | b'@' | b'<', ..]
        | [b'!', b'=' | b'<' | b'>', ..]
        | [b'>' | b'=' | b':' | b'^', b'=', ..]
        | [b'-' | b'@' | b'#' | b'>', b'>', ..]
        | [b'|', b'|', ..]
        | [b'&', b'&', ..]
        | [b':', b':', ..]
        | [b'?', b'|' | b'&', ..] => 2,
        _ => 1,
    }
}

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t [u8], work: &'t Work) -> Self {
        Self {
            rest: text,
            work,
            commented: false,
        }
    }

    /// The next token, which is not taken.
    pub(super) fn peek(&self) -> Option<Token<'t>> {
        let mut ahead = *self;
        ahead.next()
    }

    /// Takes the next token if it is that.
    pub(super) fn accept(&mut self, token: Token<'_>) -> bool {
        let mut ahead = *self;
        let is_it = ahead.next() == Some(token);
        if is_it {
            *self = ahead;
        }
        is_it
    }

    /// Takes the next token if it is one of these words.
    pub(super) fn take_word(&mut self, words: &List) -> bool {
        let mut ahead = *self;
        let is_it = matches!(ahead.next(), Some(Token::Word(word)) if words.has(word));
        if is_it {
            *self = ahead;
        }
        is_it
    }

    /// Whether nothing follows but what closes and ends a statement.
    pub(super) fn is_over(mut self) -> bool {
        loop {
            match self.next() {
                None | Some(Token::Comment | Token::Semicolon) => return true,
                Some(Token::Close) => {}
                Some(_) => return false,
            }
        }
    }

    /// Goes over what stands in parentheses, the first of which has been taken. Whether they are closed.
    pub(super) fn close(&mut self) -> bool {
        let mut depth: u32 = 1;
        for token in self.by_ref().take(MOST_TOKENS) {
            match token {
                Token::Open => depth = depth.saturating_add(1),
                Token::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return true;
            }
        }
        false
    }

    fn skip_blank(&mut self) {
        self.commented = false;
        loop {
            match self.rest {
                [byte, rest @ ..] if is_space(*byte) || *byte == 0 => self.rest = rest,
                // What only some versions take for a comment.
                [b'/', b'*', b'!', rest @ ..] => {
                    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    self.rest = rest.get(digits..).unwrap_or_default();
                    self.commented = true;
                }
                [b'/', b'*', rest @ ..] => {
                    let Some(end) = rest.windows(2).position(|pair| pair == b"*/") else {
                        return;
                    };
                    self.rest = rest.get(end.saturating_add(2)..).unwrap_or_default();
                    self.commented = true;
                }
                [b'*', b'/', rest @ ..] => self.rest = rest,
                _ => return,
            }
        }
    }

    fn skip(&mut self, count: usize) -> &'t [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let before = self.rest.len();
        let token = self.read();
        let length = match token {
            // What is behind it is not gone over.
            Some(Token::Comment) => 0,
            _ => before.saturating_sub(self.rest.len()),
        };
        self.work.add(length.saturating_add(TOKEN_STEPS));
        token
    }
}

impl<'t> Tokens<'t> {
    fn read(&mut self) -> Option<Token<'t>> {
        self.skip_blank();
        let (first, rest) = self.rest.split_first()?;
        let count = |of: fn(u8) -> bool| rest.iter().take_while(|byte| of(**byte)).count();
        let token = match (*first, rest) {
            (b'-', [b'-', ..]) | (b'/', [b'*', ..]) => {
                self.rest = &[];
                return Some(Token::Comment);
            }
            (b'#', rest) if !matches!(rest, [b'>', ..]) => {
                self.rest = &[];
                return Some(Token::Comment);
            }
            (quote @ (b'\'' | b'"' | b'`'), rest) => {
                let end = rest.iter().position(|byte| *byte == quote);
                self.skip(end.map_or(usize::MAX, |end| end.saturating_add(2)));
                return Some(Token::Literal);
            }
            (b'0'..=b'9', _) | (b'.', [b'0'..=b'9', ..]) => {
                self.number();
                return Some(Token::Number);
            }
            (b'@', [b'@' | b'a'..=b'z' | b'_' | b'`' | b'.', ..])
            | (b':' | b'$', [b'a'..=b'z' | b'0'..=b'9', ..]) => {
                let length = count(|byte| is_word(byte) || matches!(byte, b'@' | b'.' | b'`'));
                self.skip(length.saturating_add(1));
                return Some(Token::Variable);
            }
            (b'a'..=b'z' | b'_' | 0x80.., _) => {
                let length =
                    count(|byte| is_word(byte) || byte >= 0x80 || matches!(byte, b'.' | b'$'));
                return Some(Token::Word(self.skip(length.saturating_add(1))));
            }
            (b'(', _) => Token::Open,
            (b')', _) => Token::Close,
            (b',', _) => Token::Comma,
            (b';', _) => Token::Semicolon,
            (
                b'=' | b'<' | b'>' | b'!' | b'|' | b'&' | b'+' | b'-' | b'*' | b'/' | b'%' | b'^'
                | b'~' | b':' | b'@' | b'#' | b'?',
                _,
            ) => {
                let length = operator(self.rest);
                return Some(Token::Operator(self.skip(length)));
            }
            (other, _) => Token::Other(other),
        };
        self.skip(1);
        Some(token)
    }

    /// Takes a number: digits as any base has them, and an exponent. A letter behind it begins a word: `1or`.
    fn number(&mut self) {
        let is_hex = matches!(self.rest, [b'0', b'x', next, ..] if next.is_ascii_hexdigit());
        if is_hex {
            let digits = self
                .rest
                .iter()
                .skip(2)
                .take_while(|byte| byte.is_ascii_hexdigit())
                .count();
            self.skip(digits.saturating_add(2));
            return;
        }
        let is_digit = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
        let digits = self.rest.iter().take_while(is_digit).count();
        self.skip(digits);
        if let [b'e', rest @ ..] = self.rest {
            let signs = usize::from(matches!(rest, [b'-' | b'+', ..]));
            let digits = rest
                .iter()
                .skip(signs)
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let follows = rest.get(signs..).and_then(|rest| rest.first());
            if digits > 0 || !follows.is_some_and(|byte| is_word(*byte)) {
                self.skip(digits.saturating_add(signs).saturating_add(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_taken_apart() {
        let work = Work::default();
        let tokens: Vec<Token<'_>> =
            Tokens::new(b"1or 'a''b'=/**/x.y<=>@@v /*!50000union*/(1e0) --x", &work).collect();
        use Token::{Close, Comment, Literal, Number, Open, Operator, Variable, Word};
        let expected = [
            Number,
            Word(b"or"),
            Literal,
            Literal,
            Operator(b"="),
            Word(b"x.y"),
            Operator(b"<=>"),
            Variable,
            Word(b"union"),
            Open,
            Number,
            Close,
            Comment,
        ];
        assert_eq!(tokens, expected);
        assert!(Tokens::new(b" ) ;", &work).is_over() && !Tokens::new(b") a", &work).is_over());
        assert_eq!(
            Tokens::new(b"/* open", &work).collect::<Vec<_>>(),
            [Comment]
        );
        assert_eq!(Tokens::new(b"'open", &work).collect::<Vec<_>>(), [Literal]);
    }
}
