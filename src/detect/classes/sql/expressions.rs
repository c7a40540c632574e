//! Literals that are left, and conditions that are always true or answer a question.

use super::tokens::{Token, Tokens};
use crate::list::List;
use crate::spot::{REACH, is_space, is_word, skip_space};
use crate::{Evidence, Spot};

/// What is no further from the beginning of a text stands where a value would.
const NEAR: usize = 40;

const TAUTOLOGY: &str = "condition";
const COMMENTED_OUT: &str = "rest of a statement commented out";
const STACKED: &str = "second statement";
const CONTINUED: &str = "expression behind a literal";

/// Statements that may follow a semicolon.
pub(super) const STATEMENTS: List = List::new(
    "select insert update delete drop alter create truncate replace merge exec execute \
    declare shutdown grant revoke waitfor load call set desc describe attach union begin if with copy do handler",
);

/// What an operand is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Literal,
    Name,
    /// A call, or a statement within.
    Call,
}

/// A quote that may end the literal of a statement that the text is put into.
pub(super) fn left_literal(spot: &Spot<'_>) -> Option<Evidence> {
    let [quote] = *spot.word() else { return None };
    let after = spot.after();
    // A letter behind it is an apostrophe's, or a literal's, unless a word of SQL begins.
    let first = after.first()?;
    if is_word(*first) && !(first.is_ascii_lowercase() && begins_clause(after)) {
        return None;
    }
    let before = spot.before();
    // Names stand in backticks, and in prose anything does; three quotes are no literal's end.
    let is_open =
        || quote != b'`' && !before.ends_with(&[quote, quote]) && is_unpaired(spot, quote);
    let is_near = before.len() < NEAR;
    let mut tokens = Tokens::new(after, spot.work());
    let mut token = tokens.next()?;
    while token == Token::Close {
        token = tokens.next()?;
    }
    match token {
        // Its end is the text's: what follows is an option or a heading otherwise.
        Token::Comment => {
            let goes_on = after.iter().skip(2).any(|byte| *byte == quote);
            let rest = after
                .iter()
                .rev()
                .take_while(|byte| !matches!(byte, b'-' | b'#' | b'*'))
                .count();
            let is_short = rest == 0 || (rest < 24 && after.len() < REACH);
            let hash = *first == b'#' && rest > 0 && !rest_is_blank(after);
            (!goes_on && is_short && !hash && is_open())
                .then(|| Evidence::new(COMMENTED_OUT, Evidence::SURE))
        }
        Token::Semicolon => {
            let statement =
                matches!(tokens.peek(), Some(Token::Word(word)) if STATEMENTS.has(word));
            let over = tokens.is_over();
            if !statement && !over {
                return None;
            }
            match (is_open(), statement, over) {
                (true, true, _) => Some(Evidence::new(STACKED, Evidence::SURE)),
                (false, true, _) => Some(Evidence::new(STACKED, Evidence::HINT)),
                (true, _, true) if spot.is_near_start() && !spot.spaced_before() => {
                    Some(Evidence::new(COMMENTED_OUT, Evidence::LIKELY))
                }
                _ => None,
            }
        }
        Token::Word(word) => {
            let is_closed = after.contains(&quote);
            (CLAUSES.has(word)).then(|| behind_literal(word, tokens, is_open(), is_closed))?
        }
        Token::Operator(operator) => {
            let again = tokens.rest.trim_ascii_start().first() == Some(&quote);
            operator_behind_literal(operator, tokens, (is_open(), is_near, again))
        }
        // `' '1`: two literals become one.
        Token::Literal if spot.is_near_start() && after.len() < 24 && is_open() => {
            let closes = matches!(tokens.next(), Some(Token::Number | Token::Word(_)));
            closes.then(|| Evidence::new(CONTINUED, Evidence::SUSPECT))
        }
        _ => None,
    }
}

fn rest_is_blank(after: &[u8]) -> bool {
    after
        .iter()
        .skip(1)
        .all(|byte| !byte.is_ascii_alphanumeric())
}

/// Words that go on behind a literal.
const CLAUSES: List = List::new(
    "or and xor having where like rlike regexp glob between in is not div mod collate sounds union \
    order group limit procedure waitfor intersect except minus escape match as from into select",
);

fn begins_clause(text: &[u8]) -> bool {
    let end = text
        .iter()
        .position(|byte| !is_word(*byte))
        .unwrap_or(text.len());
    end < 10 && text.get(..end).is_some_and(|word| CLAUSES.has(word))
}

fn behind_literal(
    word: &[u8],
    mut tokens: Tokens<'_>,
    is_open: bool,
    is_closed: bool,
) -> Option<Evidence> {
    if const { List::new("or and xor having where") }.has(word) {
        return judge_condition(&mut tokens, is_open, false);
    }
    if !is_open {
        return None;
    }
    let commented = ends_in_comment(tokens);
    if word == b"waitfor" || (word == b"union" && tokens.commented) {
        return Some(Evidence::new("blind question", Evidence::SURE));
    }
    if const { List::new("select having union") }.has(word) && !is_closed {
        let follows = matches!(tokens.peek(), Some(token) if !matches!(token, Token::Comma | Token::Other(_)));
        return follows.then(|| Evidence::new(STACKED, Evidence::LIKELY));
    }
    let needs = const {
        List::new("like rlike regexp glob between in is not div mod collate sounds match escape")
    }
    .has(word);
    if !needs {
        return commented.then(|| Evidence::new(CONTINUED, Evidence::SURE));
    }
    while tokens.take_word(
        const { &List::new("not like glob regexp rlike in match between sounds is null") },
    ) {}
    let operand = tokens.peek();
    let is_value = matches!(
        operand,
        Some(Token::Number | Token::Literal | Token::Variable | Token::Open)
    );
    match (commented, is_value) {
        (true, _) => Some(Evidence::new(CONTINUED, Evidence::SURE)),
        (false, true) => Some(Evidence::new(CONTINUED, Evidence::SUSPECT)),
        _ => None,
    }
}

fn operator_behind_literal(
    operator: &[u8],
    mut tokens: Tokens<'_>,
    (is_open, is_near, again): (bool, bool, bool),
) -> Option<Evidence> {
    if operator == b"||" || operator == b"&&" {
        let condition = judge_condition(&mut tokens.clone(), is_open, false);
        if condition.is_some() {
            return condition;
        }
    }
    if !is_open {
        return None;
    }
    let commented = ends_in_comment(tokens);
    let operand = operand(&mut tokens)?;
    let score = match operand {
        _ if commented => Evidence::SURE,
        _ if operator == b"%" || again && !matches!(operator, b"=" | b"||" | b"!") => return None,
        Operand::Literal if operator == b"!" && is_near => Evidence::LIKELY,
        Operand::Call if is_near => Evidence::LIKELY,
        Operand::Call => Evidence::SUSPECT,
        _ if operator == b"||" => Evidence::SUSPECT,
        Operand::Literal if operator != b"/" => Evidence::SUSPECT,
        _ => return None,
    };
    Some(Evidence::new(CONTINUED, score))
}

fn ends_in_comment(tokens: Tokens<'_>) -> bool {
    let text = tokens.rest;
    let end = text
        .iter()
        .rposition(|byte| !is_space(*byte))
        .map_or(0, |end| end.saturating_add(1));
    let text = text.get(..end).unwrap_or_default();
    // What is longer than anybody sees has no end here.
    end < REACH.saturating_sub(16)
        && (text.ends_with(b"--") || text.ends_with(b"#") || text.ends_with(b"/*"))
}

/// Whether the quote is the first one that is not an apostrophe, so that it may close what the text does not open.
fn is_unpaired(spot: &Spot<'_>, quote: u8) -> bool {
    let before = spot.before();
    if before.len() >= REACH {
        return false;
    }
    spot.work().add(before.len().saturating_mul(3));
    let mut quotes: usize = 0;
    let mut last = b' ';
    let mut bytes = before.iter().peekable();
    while let Some(byte) = bytes.next() {
        let next = bytes.peek().copied().copied().unwrap_or(b' ');
        let is_apostrophe = last.is_ascii_alphabetic() && next.is_ascii_alphabetic();
        if *byte == quote && !is_apostrophe {
            quotes = quotes.saturating_add(1);
        }
        last = *byte;
    }
    quotes.is_multiple_of(2)
}

/// `or`, `and` and their like, which people write too.
pub(super) fn condition(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before().trim_ascii_end();
    let word = spot.word();
    if word.first().is_some_and(u8::is_ascii_alphabetic) && !spot.is_whole() {
        // `or1=1`, and no other word.
        let next = spot.after().first().copied().unwrap_or(b' ');
        if !next.is_ascii_digit() {
            return None;
        }
    }
    if is_spoken(spot.after()) {
        return None;
    }
    spot.work().add(16);
    let value_before = match before.last() {
        None => true,
        Some(byte) => {
            before.len() < NEAR && (byte.is_ascii_digit() || matches!(byte, b')' | b'/' | b';'))
        }
    };
    let mut tokens = Tokens::new(spot.after(), spot.work());
    if word == b"when" {
        let value = matches!(
            tokens.next(),
            Some(Token::Number | Token::Literal | Token::Open)
        );
        let then = tokens.take_word(const { &List::new("then") })
            || tokens.any(|token| token == Token::Word(b"then"));
        return (value_before && value && then).then(|| Evidence::new(TAUTOLOGY, Evidence::LIKELY));
    }
    judge_condition(
        &mut tokens,
        false,
        value_before && !before.is_empty() || spot.is_first(),
    )
}

/// Whether two words follow, neither of which makes a condition: most of what people say.
fn is_spoken(text: &[u8]) -> bool {
    const BEGIN: List = List::new("not exists select case if true false null unknown binary");
    const COMPARE: List =
        List::new("is in like rlike regexp between not glob match sounds similar ilike then");
    fn word(text: &[u8]) -> (&[u8], &[u8]) {
        let text = skip_space(text);
        let end = text
            .iter()
            .position(|byte| !is_word(*byte))
            .unwrap_or(text.len());
        text.split_at_checked(end).unwrap_or_default()
    }
    let (first, rest) = word(text);
    let begins = |word: &[u8]| word.first().is_some_and(u8::is_ascii_alphabetic);
    if !begins(first) || BEGIN.has(first) {
        return false;
    }
    let (second, _) = word(rest);
    begins(second) && !COMPARE.has(second)
}

/// What follows `or` or `and`: behind a literal that is left, or behind a value.
fn judge_condition(tokens: &mut Tokens<'_>, is_open: bool, value_before: bool) -> Option<Evidence> {
    let text = *tokens;
    let negated = tokens.take_word(const { &List::new("not") });
    let mut inner = *tokens;
    let nested =
        inner.accept(Token::Open) && inner.take_word(const { &List::new("select case if") });
    if nested && (is_open || value_before) {
        return Some(Evidence::new("blind question", Evidence::SURE));
    }
    let known =
        tokens.take_word(const { &List::new("exists select case if sleep benchmark pg_sleep") });
    if known && tokens.peek() == Some(Token::Open) {
        return (is_open || value_before).then(|| Evidence::new("blind question", Evidence::SURE));
    }
    if known {
        *tokens = text;
        tokens.take_word(const { &List::new("not") });
    }
    let constant = matches!(tokens.peek(), Some(Token::Word(word)) if const { List::new("true false null unknown") }.has(word));
    let is_number = matches!(tokens.peek(), Some(Token::Number));
    let left = operand(tokens)?;
    let mut ahead = *tokens;
    let comparison = comparison(&mut ahead);
    let compared = comparison.is_some();
    let right = comparison.and_then(|_| operand(&mut ahead));
    // People say what is or is in something.
    let spoken = comparison == Some(Comparison::Word);
    let commented = ends_in_comment(*tokens) || ends_in_comment(ahead);
    let score = match (left, compared, right) {
        (_, true, _) if commented && (is_open || value_before) => Evidence::SURE,
        (Operand::Literal, true, Some(Operand::Literal))
            if (is_open || value_before) && !spoken =>
        {
            Evidence::SURE
        }
        (Operand::Literal, true, Some(Operand::Literal)) if !spoken && is_number => {
            Evidence::LIKELY
        }
        _ if spoken && !is_open => Evidence::HINT,
        (_, true, Some(_)) | (Operand::Literal, true, None) if is_open => Evidence::SURE,
        (Operand::Literal | Operand::Call, true, Some(_)) if value_before => Evidence::LIKELY,
        (Operand::Name, true, Some(Operand::Literal)) if value_before => Evidence::SUSPECT,
        (Operand::Literal, true, _) => Evidence::HINT,
        (_, true, _) => return None,
        _ if commented && is_open => Evidence::SURE,
        _ if is_open && (constant || negated || left != Operand::Name) && tokens.is_over() => {
            Evidence::LIKELY
        }
        _ if value_before && (constant || is_number) && tokens.is_over() => {
            match text.commented || commented || constant {
                true => Evidence::LIKELY,
                false => Evidence::SUSPECT,
            }
        }
        (Operand::Call, ..) if is_open => Evidence::LIKELY,
        _ => return None,
    };
    Some(Evidence::new(TAUTOLOGY, score))
}

/// Takes an operand, with what stands in front of it.
fn operand(tokens: &mut Tokens<'_>) -> Option<Operand> {
    for _ in 0..12 {
        let operand = match tokens.next()? {
            Token::Number | Token::Literal | Token::Variable => Operand::Literal,
            Token::Word(word)
                if const { List::new("not binary distinct all any some n x") }.has(word) =>
            {
                continue;
            }
            Token::Word(b"select" | b"case" | b"array") => Operand::Call,
            Token::Word(word) if const { List::new("true false null") }.has(word) => {
                Operand::Literal
            }
            Token::Word(_) => {
                if tokens.accept(Token::Open) {
                    tokens.close();
                    Operand::Call
                } else {
                    Operand::Name
                }
            }
            Token::Open | Token::Other(b'{') => continue,
            Token::Operator(b"-" | b"+" | b"~" | b"!") => continue,
            _ => return None,
        };
        while tokens.accept(Token::Close) {}
        return Some(operand);
    }
    None
}

/// How two operands are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Sign,
    Word,
}

/// Takes what compares.
fn comparison(tokens: &mut Tokens<'_>) -> Option<Comparison> {
    let mut ahead = *tokens;
    let comparison =
        match ahead.next()? {
            Token::Operator(b":=" | b"->" | b"<<" | b">>") => return None,
            Token::Operator(operator) => {
                let compares = |byte: &u8| matches!(byte, b'=' | b'<' | b'>' | b'~');
                (operator == b"::" || operator.iter().any(compares)).then_some(Comparison::Sign)?
            }
            Token::Word(b"not")
                if ahead.take_word(
                    const { &List::new("in like between regexp rlike glob similar ilike") },
                ) =>
            {
                Comparison::Word
            }
            Token::Word(word)
                if const {
                    List::new("is in like rlike regexp between glob match sounds similar ilike")
                }
                .has(word) =>
            {
                Comparison::Word
            }
            _ => return None,
        };
    *tokens = ahead;
    while tokens.take_word(const { &List::new("not like in between to similar glob") }) {}
    Some(comparison)
}

/// An operator of JSON behind a literal that is one: `'{"a":1}' @> `.
pub(super) fn json_operator(spot: &Spot<'_>) -> Option<Evidence> {
    let quote = *spot.word().first()?;
    let after = spot.after();
    spot.work().add(after.len());
    let closing = after
        .windows(2)
        .position(|pair| matches!(pair, [b'}' | b']', end] if *end == quote))?;
    let mut tokens = Tokens::new(after.get(closing.saturating_add(2)..)?, spot.work());
    let mut score = Evidence::SUSPECT;
    for _ in 0..4 {
        match tokens.next()? {
            Token::Operator(b"::") => score = Evidence::SURE,
            Token::Operator(b"@>" | b"<@" | b"->" | b"->>" | b"#>" | b"#>>" | b"?|" | b"?&") => {
                return Some(Evidence::new(
                    "operator of JSON",
                    score.max(Evidence::LIKELY),
                ));
            }
            Token::Word(_) | Token::Close => {}
            _ => return None,
        }
    }
    None
}
