//! Statements, calls and names of what only databases have.

use super::tokens::{Token, Tokens};
use crate::list::List;
use crate::{Evidence, Spot};

const STATEMENT: &str = "statement";

/// `union select`.
pub(super) fn union(spot: &Spot<'_>) -> Option<Evidence> {
    let mut tokens = Tokens::new(spot.after(), spot.work());
    tokens.take_word(const { &List::new("all distinct distinctrow") });
    while tokens.accept(Token::Open) {}
    let follows = tokens.take_word(const { &List::new("select values") });
    // `from` and what is compared may stand between, and people write of unions that select.
    let sure = matches!(tokens.next(), Some(token) if !matches!(token, Token::Word(b"a" | b"the" | b"an" | b"committee")));
    (spot.is_whole() && follows && sure).then(|| Evidence::new("union", Evidence::SURE))
}

/// `select`, if what it selects is no word of people.
pub(super) fn select(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() {
        return None;
    }
    let before = spot.before().trim_ascii_end();
    let nested = matches!(
        before.last(),
        Some(b'(' | b';' | b'\'' | b'"' | b')' | b'/')
    );
    let mut tokens = Tokens::new(spot.after(), spot.work());
    tokens.take_word(const { &List::new("distinct all top sql_no_cache") });
    if matches!(spot.after().first(), Some(b'\'' | b'"' | b'`')) {
        return None;
    }
    let parenthesised = tokens.accept(Token::Open);
    let first = tokens.next()?;
    let score = match first {
        Token::Operator(b"*") => match tokens.take_word(const { &List::new("from into") }) {
            true => Evidence::LIKELY,
            false => return None,
        },
        Token::Variable | Token::Literal | Token::Number => {
            if parenthesised
                && tokens.accept(Token::Close)
                && tokens.next().is_none_or(|token| {
                    matches!(token, Token::Word(_) | Token::Close | Token::Operator(_))
                })
            {
                return None;
            }
            let goes_on = matches!(
                tokens.peek(),
                Some(Token::Comma | Token::Word(b"from" | b"where" | b"into" | b"as" | b"union"))
                    | None
            );
            match (nested || parenthesised, goes_on) {
                (true, _) => Evidence::LIKELY,
                (false, true) => Evidence::SUSPECT,
                _ => return None,
            }
        }
        Token::Word(word) if tokens.peek() == Some(Token::Open) => match KNOWN_CALLS.has(word) {
            true => Evidence::LIKELY,
            false if nested => Evidence::LIKELY,
            false => Evidence::HINT,
        },
        Token::Word(b"case" | b"null" | b"char" | b"concat")
            if nested || parenthesised || tokens.peek() == Some(Token::Comma) =>
        {
            Evidence::LIKELY
        }
        Token::Word(_) => {
            let mut names: u32 = 1;
            let mut listed = false;
            loop {
                match tokens.next() {
                    Some(Token::Comma) => listed = true,
                    Some(Token::Word(b"from")) => break,
                    Some(Token::Word(_) | Token::Operator(_)) if names < 12 => {
                        names = names.saturating_add(1)
                    }
                    _ if nested => return Some(Evidence::new(STATEMENT, Evidence::SUSPECT)),
                    _ => return None,
                }
            }
            let next = tokens.next();
            let article = matches!(next, Some(Token::Word(word)) if const { List::new("the a an this that these those any our your one all") }.has(word));
            let ends = matches!(
                tokens.peek(),
                None | Some(
                    Token::Word(b"where" | b"limit" | b"order" | b"group" | b"union" | b"having")
                        | Token::Close
                        | Token::Comment
                        | Token::Semicolon
                )
            );
            match (nested || listed || names == 1, article, ends) {
                (true, false, _) if nested => Evidence::LIKELY,
                (true, false, true) => Evidence::LIKELY,
                (true, false, false) => Evidence::HINT,
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Evidence::new(STATEMENT, score))
}

const KNOWN_CALLS: List = List::new(
    "sleep concat group_concat load_file char chr count version database user benchmark pg_sleep \
    unhex hex extractvalue updatexml cast convert substring ascii if ifnull concat_ws current_user system_user md5 json_extract",
);

/// Other statements, which need more than their first word.
pub(super) fn statement(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() {
        return None;
    }
    let before = spot.before().trim_ascii_end();
    let stacked = matches!(before.last(), Some(b';')) && before.len() < 120;
    let starts = before.is_empty() || matches!(before.last(), Some(b'\'' | b'"' | b'/' | b')'));
    const GENERAL: List = List::new("use set desc describe goto do values call dbcc attach");
    if !stacked && GENERAL.has(spot.word()) {
        return None;
    }
    let mut tokens = Tokens::new(spot.after(), spot.work());
    let first = tokens.next();
    let word = match first {
        Some(Token::Word(word)) => word,
        _ => b"",
    };
    let second = tokens.peek();
    let named = matches!(
        second,
        Some(Token::Word(_) | Token::Literal | Token::Variable)
    );
    let object = const {
        List::new(
            "table database schema view user function procedure trigger index login role assembly \
        event tablespace sequence extension",
        )
    }
    .has(word)
        || word == b"or" && second == Some(Token::Word(b"replace"))
        || const { List::new("temporary temp unique") }.has(word)
            && matches!(second, Some(Token::Word(b"table" | b"index")));
    let score = match spot.word() {
        b"insert" | b"replace" if word == b"into" && named => {
            let values = tokens
                .by_ref()
                .take(24)
                .any(|token| matches!(token, Token::Word(b"values" | b"select")));
            if values {
                Evidence::SURE
            } else {
                Evidence::HINT
            }
        }
        b"merge" if word == b"into" || (word == b"using" && second == Some(Token::Open)) => {
            Evidence::SUSPECT
        }
        b"update" => {
            let set = tokens.take_word(const { &List::new("set") })
                && matches!(tokens.next(), Some(Token::Word(_)))
                && tokens.accept(Token::Operator(b"="));
            if set {
                Evidence::SURE
            } else {
                return stacked_only(stacked && !word.is_empty());
            }
        }
        b"delete" if word == b"from" && named => {
            tokens.next();
            let ends = tokens.is_over() || tokens.take_word(const { &List::new("where limit") });
            if ends {
                Evidence::LIKELY
            } else {
                Evidence::HINT
            }
        }
        b"drop" | b"truncate" if object && named => Evidence::LIKELY,
        b"create" | b"alter" if object && named => {
            let defined = tokens.by_ref().take(6).any(|token| {
                matches!(
                    token,
                    Token::Open
                        | Token::Word(
                            b"returns"
                                | b"with"
                                | b"identified"
                                | b"character"
                                | b"add"
                                | b"drop"
                                | b"rename"
                                | b"as"
                        )
                )
            });
            match (stacked, starts, defined) {
                (true, ..) => Evidence::SURE,
                (_, true, _) | (.., true) => Evidence::LIKELY,
                _ => Evidence::HINT,
            }
        }
        b"alter" => {
            let set = tokens.take_word(const { &List::new("character charset") })
                && tokens.take_word(const { &List::new("set") });
            if set {
                Evidence::SURE
            } else {
                return stacked_only(stacked && !word.is_empty());
            }
        }
        b"rename" if word == b"table" && named => Evidence::LIKELY,
        b"exec" | b"execute" => {
            let known = word == b"immediate"
                || word == b"as"
                || word.starts_with(b"sp_")
                || word.starts_with(b"xp_")
                || word.starts_with(b"master")
                || word.starts_with(b"msdb");
            let variable = matches!(first, Some(Token::Variable))
                || (first == Some(Token::Open)
                    && matches!(second, Some(Token::Variable | Token::Literal))
                    && !before.ends_with(b"."));
            match (known, variable, first == Some(Token::Open)) {
                (true, ..) | (_, true, _) => Evidence::LIKELY,
                (.., true) if starts || stacked => Evidence::SUSPECT,
                _ => return stacked_only(stacked && !word.is_empty()),
            }
        }
        b"declare" if matches!(first, Some(Token::Variable)) => Evidence::LIKELY,
        b"set" if stacked && matches!(first, Some(Token::Variable)) => Evidence::LIKELY,
        b"shutdown" => {
            let wait = word == b"with" && tokens.take_word(const { &List::new("nowait") });
            let over = Tokens::new(spot.after(), spot.work()).is_over();
            match (wait, stacked) {
                (true, _) => Evidence::SURE,
                (_, true) if over => Evidence::LIKELY,
                _ => return None,
            }
        }
        b"waitfor" if const { List::new("delay time") }.has(word) => Evidence::SURE,
        b"load"
            if word == b"data"
                && tokens
                    .take_word(const { &List::new("local low_priority concurrent infile") }) =>
        {
            Evidence::LIKELY
        }
        b"load" if word == b"xml" && tokens.take_word(const { &List::new("local infile") }) => {
            Evidence::LIKELY
        }
        b"into" if const { List::new("outfile dumpfile") }.has(word) => Evidence::SURE,
        b"handler" if tokens.take_word(const { &List::new("open read close") }) => Evidence::LIKELY,
        b"grant"
            if tokens
                .by_ref()
                .take(6)
                .any(|token| token == Token::Word(b"to"))
                && const { List::new("all select insert update delete create execute") }
                    .has(word) =>
        {
            Evidence::SUSPECT
        }
        b"backup" | b"restore" if word == b"database" && named => Evidence::LIKELY,
        b"as" if second == Some(Token::Word(b"from")) => match first {
            Some(Token::Literal) => Evidence::LIKELY,
            Some(Token::Word(_)) if before.ends_with(b")") || before.ends_with(b"`") => {
                Evidence::SUSPECT
            }
            _ => return None,
        },
        b"from"
            if second == Some(Token::Word(b"limit"))
                || matches!(first, Some(Token::Open)) && second == Some(Token::Word(b"select")) =>
        {
            Evidence::LIKELY
        }
        b"if" if first == Some(Token::Open) => return blind(tokens),
        b"case" if word == b"when" => return blind(tokens),
        b"values" | b"use" | b"goto" | b"do" | b"dbcc" => {
            return stacked_only(stacked && !word.is_empty());
        }
        _ => {
            return stacked_only(
                stacked
                    && (!word.is_empty() || matches!(first, Some(Token::Open | Token::Variable))),
            );
        }
    };
    let score = if stacked {
        score.saturating_add(Evidence::SUSPECT).min(Evidence::SURE)
    } else {
        score
    };
    Some(Evidence::new(STATEMENT, score))
}

/// The first word of a statement behind a semicolon: code of other languages has that too.
fn stacked_only(stacked: bool) -> Option<Evidence> {
    stacked.then(|| Evidence::new("word of a statement behind a semicolon", Evidence::HINT))
}

/// `if(now()=sysdate(),sleep(12),0)`, `case when (1=1) then`.
fn blind(mut tokens: Tokens<'_>) -> Option<Evidence> {
    while tokens.accept(Token::Open) {}
    let left = tokens.next()?;
    if !matches!(left, Token::Number | Token::Literal) {
        return None;
    }
    let compared = matches!(
        tokens.next(),
        Some(Token::Operator(b"=" | b"<" | b">" | b"<>" | b"!="))
    );
    let right = tokens.next()?;
    let literal = |token: Token<'_>| matches!(token, Token::Number | Token::Literal);
    let then = tokens.any(|token| matches!(token, Token::Comma | Token::Word(b"then")));
    let sure = compared && then && literal(left) && literal(right);
    sure.then(|| Evidence::new("blind question", Evidence::LIKELY))
}

/// `/*!50000union*/`, `/*+ hint */`.
pub(super) fn version_comment(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let digits = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let closes = after.windows(2).any(|pair| pair == b"*/");
    let score = match (spot.word(), digits) {
        (b"/*!", 5 | 6) => Evidence::SURE,
        (b"/*!", _) if after.first().is_some_and(u8::is_ascii_lowercase) && closes => {
            Evidence::LIKELY
        }
        (b"/*+", _) if closes && spot.before().len() < 100 => Evidence::LIKELY,
        _ => return None,
    };
    Some(Evidence::new("comment that a database runs", score))
}
