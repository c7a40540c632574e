//! Clauses, names of operators and numbers that are evidence by themselves.

use super::tokens::{Token, Tokens};
use crate::list::List;
use crate::spot::is_word;
use crate::{Context, Evidence, Spot};

/// `1.e(`, which some databases read as nothing, and filters as a number.
pub(super) fn hidden_name(spot: &Spot<'_>) -> Option<Evidence> {
    let digit = spot.before().last().is_some_and(u8::is_ascii_digit);
    digit.then(|| Evidence::new("number that hides a name", Evidence::LIKELY))
}

/// Clauses that need a value before and one behind.
pub(super) fn clause(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() {
        return None;
    }
    let before = spot.before().trim_ascii_end();
    let closes = before.last() == Some(&b')');
    let mut tokens = Tokens::new(spot.after(), spot.work());
    let first = tokens.next()?;
    let opens = first == Token::Open;
    let score = match spot.word() {
        b"like" if closes && opens => Evidence::LIKELY,
        b"procedure" if first == Token::Word(b"analyse") && tokens.accept(Token::Open) => {
            Evidence::SURE
        }
        b"order" | b"group" if first == Token::Word(b"by") => match tokens.next()? {
            Token::Number if tokens.is_over() && tokens.peek().is_some() => Evidence::LIKELY,
            Token::Word(b"concat") if tokens.accept(Token::Open) => Evidence::LIKELY,
            _ => return None,
        },
        b"in" if opens && spot.is_first() => {
            let value = matches!(
                tokens.next(),
                Some(Token::Number | Token::Literal | Token::Word(b"select"))
            );
            let goes_on = matches!(
                tokens.next(),
                Some(Token::Comma | Token::Close | Token::Word(_))
            );
            match value && goes_on {
                true => Evidence::LIKELY,
                false => return None,
            }
        }
        b"in" if opens && tokens.peek() == Some(Token::Word(b"select")) => Evidence::LIKELY,
        b"is" if is_number(before) => {
            let not = first == Token::Word(b"not");
            match not && tokens.next() == Some(Token::Number) && tokens.is_over() {
                true => Evidence::SUSPECT,
                false => return None,
            }
        }
        b"like" if spot.is_first() && first == Token::Word(b"null") => Evidence::SUSPECT,
        b"regexp" | b"rlike" | b"between" if is_number(before) && first == Token::Number => {
            Evidence::SUSPECT
        }
        _ => return None,
    };
    Some(Evidence::new("clause", score))
}

fn is_number(text: &[u8]) -> bool {
    text.last().is_some_and(u8::is_ascii_digit)
}

/// Operators of stores of documents, as names of members or in brackets.
pub(super) fn document_operator(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    let bracket = spot.word() == b"[$";
    let after = spot.after();
    let end = after
        .iter()
        .position(|byte| !is_word(*byte))
        .unwrap_or(after.len());
    let name = after.get(..end)?;
    if name.len() < 2 || name.len() > 12 || !DOCUMENT_OPERATORS.has(name) {
        return None;
    }
    let closes = after.get(end);
    let is_named = match closes {
        None => spot.is_first() && matches!(spot.context(), Context::Name | Context::Json),
        Some(b']') => bracket,
        Some(quote @ (b'"' | b'\'')) => {
            let next = after
                .get(end.saturating_add(1)..)
                .unwrap_or_default()
                .trim_ascii_start()
                .first();
            before.last() == Some(quote) && next == Some(&b':')
        }
        Some(b':') => before.trim_ascii_end().last() == Some(&b'{'),
        _ => false,
    };
    is_named.then(|| Evidence::new("operator of a document store", Evidence::LIKELY))
}

const DOCUMENT_OPERATORS: List = List::new(
    "ne eq gt gte lt lte in nin exists regex where not or and nor elemmatch size mod all type \
    expr text function accumulator jsonschema comment bitsallset near slice",
);

/// Numbers that made readers of numbers hang or overflow: alone they ask whether they still do.
pub(super) fn magic_number(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    if !spot.after().is_empty() || !(before.is_empty() || before == b"-") {
        return None;
    }
    let plain = spot.word().first().is_some_and(|first| *first != b'0')
        && spot.word().iter().all(u8::is_ascii_digit);
    let score = match plain {
        true => Evidence::SUSPECT,
        false => Evidence::LIKELY,
    };
    Some(Evidence::new("number that overflows", score))
}
