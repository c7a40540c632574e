//! Calls and names of what only databases have.

use super::tokens::{Token, Tokens};
use crate::list::List;
use crate::spot::{is_word, skip_space};
use crate::{Evidence, Spot};

const CALL: &str = "call of a database's function";

/// Tables and columns in which databases describe themselves. Texts on databases name them.
pub(super) fn catalogue(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() && !spot.word().ends_with(b".") {
        return None;
    }
    let general = const {
        List::new(
            "northwind tempdb msdb rownum table_name column_name object_id object_name object_type \
        session_user table_schema column_id sql_variant user_group user_password",
        )
    }
    .has(spot.word());
    let alone = spot.before().len() < 24 && spot.after().len() < 24;
    let short = spot.before().len().saturating_add(spot.after().len()) < 100;
    let score = match (general, alone, short) {
        (false, true, _) | (false, _, true) => Evidence::LIKELY,
        (true, true, _)
            if spot.is_first() && spot.after().len() < 2 && !spot.word().contains(&b'_') =>
        {
            Evidence::LIKELY
        }
        (true, ..) | (false, false, false) => Evidence::HINT,
    };
    Some(Evidence::new("name of a database's own", score))
}

/// `@@version`.
pub(super) fn server_variable(_: &Spot<'_>) -> Option<Evidence> {
    Some(Evidence::new(
        "variable of a database server",
        Evidence::LIKELY,
    ))
}

/// Functions that nothing but an attack calls from outside.
pub(super) fn strong_call(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let word = spot.word();
    let open = word.ends_with(b"_") || word.ends_with(b".");
    let end = after
        .iter()
        .position(|byte| !is_word(*byte) && *byte != b'.')
        .unwrap_or(after.len());
    let (rest, behind) = after.split_at_checked(end)?;
    if !open && !rest.is_empty() {
        return None;
    }
    if open {
        spot.work().add(96);
        let known = const { List::new("cmdshell dirtree regread regwrite executesql password fileexist servicecontrol \
            enumdsn availablemedia loginconfig ntsec makewebtask oacreate execresultset help addextendedproc prepare \
            addlogin adduser subdirs terminate_process terminate configure who who2 makecab regdeletekey regenumvalues \
            replwritetovarbin http.request inaddr.get_host_address pipe.receive_message lock.sleep ldap.init \
            xmlgen.getxml java.set_output smtp.open_connection file.fopen") }.has(rest);
        let package = word.ends_with(b".")
            || const { List::new("dbms_ utl_") }.has(word) && rest.contains(&b'.');
        return (known || package).then(|| Evidence::new(CALL, Evidence::LIKELY));
    }
    let mut tokens = Tokens::new(behind, spot.work());
    if !tokens.accept(Token::Open) && !word.ends_with(b"~") {
        let alone = spot.is_first() && after.is_empty() && word.contains(&b'_');
        return alone.then(|| Evidence::new(CALL, Evidence::SUSPECT));
    }
    let first = tokens.next();
    let score = match (word, first) {
        // Many languages have one.
        (b"sleep", Some(Token::Number)) => match spot.before().last() {
            Some(b'.' | b':' | b'>') => Evidence::HINT,
            _ => Evidence::LIKELY,
        },
        (
            b"sleep" | b"polygon" | b"is_member",
            Some(Token::Open | Token::Variable | Token::Word(b"select")),
        ) => Evidence::LIKELY,
        (b"sleep" | b"polygon" | b"is_member" | b"benchmark", Some(Token::Word(_))) => {
            Evidence::HINT
        }
        (b"sleep" | b"polygon" | b"is_member" | b"benchmark", None) if !spot.is_first() => {
            Evidence::HINT
        }
        _ => Evidence::LIKELY,
    };
    Some(Evidence::new(CALL, score))
}

/// Functions that other languages have too: evidence if the text is a call and nothing else, or if it is about bytes.
pub(super) fn call(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() {
        return None;
    }
    let behind = skip_space(spot.after());
    if !matches!(behind, [b'(' | b'/', ..]) {
        return None;
    }
    let mut tokens = Tokens::new(behind, spot.work());
    if !tokens.accept(Token::Open) {
        return None;
    }
    let mut arguments = tokens;
    let first = tokens.next();
    let second = tokens.next();

    let own = match spot.word() {
        b"current_user" | b"connection_id" | b"system_user" | b"last_insert_id" => true,
        b"database" | b"schema" | b"user" | b"version" | b"db_name" | b"user_name" => {
            spot.before().len().saturating_add(spot.after().len()) < 100
        }
        _ => false,
    };
    let dotted = matches!(spot.before().last(), Some(b'.' | b':' | b'>' | b'$'))
        || spot.before().ends_with(b"fn ")
        || spot.before().ends_with(b"def ")
        || spot.before().ends_with(b"function ");
    let score = match (first, second) {
        (Some(Token::Close) | None, _) if own && !dotted => Evidence::LIKELY,
        (None, _) if spot.is_first() => Evidence::LIKELY,
        _ if spot.is_first()
            && behind.len() < 60
            && !behind.contains(&b'\n')
            && !arguments.close() =>
        {
            Evidence::LIKELY
        }
        (Some(Token::Open), Some(Token::Word(b"select"))) | (Some(Token::Word(b"select")), _) => {
            Evidence::LIKELY
        }
        (Some(Token::Number), Some(Token::Comma | Token::Close))
            if const { List::new("char chr unhex concat md5") }.has(spot.word())
                && !spot.before().ends_with(b".") =>
        {
            Evidence::SUSPECT
        }
        (Some(Token::Word(_)), Some(Token::Open))
            if const { List::new("ascii ord hex length concat count floor cast char_length") }
                .has(spot.word()) =>
        {
            Evidence::SUSPECT
        }
        _ => Evidence::HINT / 2,
    };
    Some(Evidence::new(CALL, score))
}
