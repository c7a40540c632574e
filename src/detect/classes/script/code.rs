//! Code that a browser runs. People post code too, so that most of it is a hint.

use super::markup::contains;
use crate::spot::{is_space, is_word, skip_space};
use crate::{Evidence, Spot};

const CALL: &str = "call of what a page has";
const SIGNS: &str = "code of signs alone";
const MEMBER: &str = "member of a page's object";

/// What is left when white space and comments in front have been taken off.
fn skip_blank(text: &[u8]) -> &[u8] {
    let mut rest = skip_space(text);
    while let [b'/', b'*', inside @ ..] = rest {
        let Some(end) = inside.windows(2).position(|pair| pair == b"*/") else {
            return rest;
        };
        rest = skip_space(inside.get(end.saturating_add(2)..).unwrap_or_default());
    }
    rest
}

/// Whether the spot stands where a text that is put into a page goes on: at its beginning, behind a quote or an end.
fn begins(spot: &Spot<'_>) -> bool {
    let before = spot.before().trim_ascii_end();
    before.is_empty()
        || (before.len() < 60
            && matches!(
                before.last(),
                Some(b'\'' | b'"' | b'`' | b';' | b'>' | b'-' | b'+' | b'=')
            ))
}

fn name(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .position(|byte| !is_word(*byte))
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// `document.cookie`, `window["alert"]` and their like.
pub(super) fn page(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() {
        return None;
    }
    let after = skip_blank(spot.after());
    let parted = spot.after().first() != after.first() || after.len() < spot.after().len();
    let (bracket, rest) = match after {
        [b'.', rest @ ..] => (false, skip_blank(rest)),
        [b'[', rest @ ..] => (true, skip_blank(rest)),
        _ => return None,
    };
    let quoted = matches!(rest, [b'"' | b'\'' | b'`', ..]);
    let rest = match rest {
        [b'"' | b'\'' | b'`', rest @ ..] => rest,
        _ => rest,
    };
    let name = name(rest);
    let known = is_known(spot.word(), name);
    let commented = parted && contains(spot.after().get(..24).unwrap_or(spot.after()), b"/*");
    let score = match (bracket, quoted, known) {
        (true, true, _) if begins(spot) || known => Evidence::LIKELY,
        (true, ..) if contains(spot.after().get(..16).unwrap_or_default(), b"/*") => {
            Evidence::LIKELY
        }
        (false, _, true) if commented => Evidence::SURE,
        (false, _, true) if begins(spot) || spot.before().len() < 40 => Evidence::LIKELY,
        (false, _, true) => Evidence::SUSPECT,
        _ => return None,
    };
    Some(Evidence::new(MEMBER, score))
}

fn is_known(object: &[u8], name: &[u8]) -> bool {
    let known = match object {
        b"document" => {
            "cookie write writeln domain location body createelement queryselector url documenturi referrer \
            documentelement open forms"
        }
        b"window" | b"self" | b"top" | b"parent" | b"frames" | b"globalthis" => {
            "location name alert open eval document cookie onerror localstorage"
        }
        b"location" => "href hash search replace assign",
        _ => return false,
    };
    known.split(' ').any(|each| each.as_bytes() == name)
}

/// Calls of a page's functions.
pub(super) fn call(spot: &Spot<'_>) -> Option<Evidence> {
    let after = skip_blank(spot.after());
    let [b'(' | b'`', rest @ ..] = after else {
        let import = spot.word() == b"import"
            && spot.is_first()
            && matches!(after, [b'{' | b'*' | b'"' | b'\'', ..]);
        return import.then(|| Evidence::new(CALL, Evidence::SUSPECT));
    };
    let before = spot.before();
    let rest = skip_blank(rest);
    let begins = begins(spot);
    let shows = matches!(spot.word(), b"alert" | b"confirm" | b"prompt");
    let trial = match rest {
        [b'1'..=b'9' | b'/', ..] | [] => true,
        [b'"' | b'\'' | b'`', value @ ..] => value.starts_with(b"xss") || value.starts_with(b"xxs"),
        _ => {
            rest.starts_with(b"document")
                || rest.starts_with(b"window")
                || rest.starts_with(b"string.from")
                || rest.starts_with(b"location")
        }
    };
    let dotted = before.last() == Some(&b'.');
    let score = match spot.word() {
        _ if shows && trial && !dotted => Evidence::SURE,
        _ if shows && begins && !dotted => Evidence::LIKELY,
        b"eval" | b"settimeout" | b"setinterval" | b"execscript" | b"atob" | b"import"
            if begins && !dotted && before.len() < 24 =>
        {
            Evidence::LIKELY
        }
        b"eval" | b"settimeout" | b"setinterval" if trial => Evidence::SUSPECT,
        b"function" if before.trim_ascii_end().ends_with(b"new") && before.len() < 40 => {
            Evidence::LIKELY
        }
        b"fetch"
            if begins && matches!(rest, [b'"' | b'\'' | b'`', ..]) && contains(rest, b"//") =>
        {
            Evidence::LIKELY
        }
        b"alert" | b"eval" => Evidence::HINT,
        _ => return None,
    };
    Some(Evidence::new(CALL, score))
}

/// Members that lead from anything to code.
pub(super) fn member(spot: &Spot<'_>) -> Option<Evidence> {
    if !spot.is_whole() {
        return None;
    }
    let after = skip_blank(spot.after());
    let before = spot.before().trim_ascii_end();
    let score = match spot.word() {
        b".fromcharcode" | b".globaleval" => Evidence::LIKELY,
        b".innerhtml" | b".outerhtml" | b".parentnode" | b".insertadjacenthtml" | b".srcdoc" => {
            match before.len() < 60 && spot.after().len() < 100 {
                true => Evidence::LIKELY,
                false => Evidence::HINT,
            }
        }
        b".constructor" if contains(after.get(..16).unwrap_or(after), b"constructor") => {
            Evidence::SURE
        }
        b".constructor" if matches!(after, [b'(', b'"' | b'\'' | b'`', ..]) => Evidence::LIKELY,
        b".addeventlistener" | b".appendchild" | b".constructor" => return None,
        b".call" | b".apply" | b".map" if matches!(after, [b'`', ..]) => Evidence::LIKELY,
        _ if after.starts_with(b".") || after.starts_with(b"`") => {
            let next = skip_blank(after.get(1..).unwrap_or_default());
            let called = next.starts_with(b"call") || next.starts_with(b"apply");
            let after = skip_blank(next.get(4..).unwrap_or_default());
            match called
                && (after.starts_with(b"`") || before.ends_with(b"]") && spot.before().len() < 24)
            {
                true => Evidence::LIKELY,
                false => return None,
            }
        }
        _ => return None,
    };
    Some(Evidence::new(MEMBER, score))
}

/// Code of brackets and signs alone.
pub(super) fn symbols(spot: &Spot<'_>) -> Option<Evidence> {
    let is_sign = |byte: &&u8| {
        matches!(
            **byte,
            b'[' | b']'
                | b'('
                | b')'
                | b'!'
                | b'+'
                | b'{'
                | b'}'
                | b'$'
                | b'='
                | b'-'
                | b'~'
                | b'/'
                | b','
                | b'0'
                | b'1'
        ) || is_space(**byte)
    };
    if spot.word() == b"!" {
        let empty = matches!(spot.after(), [b'!' | b'+' | b' ', b'[', b']', ..]);
        return empty.then(|| Evidence::new(SIGNS, Evidence::LIKELY));
    }
    spot.work().add(64);
    let before = spot
        .before()
        .iter()
        .rev()
        .take(16)
        .take_while(is_sign)
        .count();
    let behind = spot.after().iter().take(32).take_while(is_sign).count();
    let signs = spot.after().get(..behind).unwrap_or_default();
    let adds = signs.iter().filter(|byte| **byte == b'+').count();
    let empties = signs.windows(2).filter(|pair| *pair == b"[]").count();
    let score = match adds.min(empties) {
        0 => return None,
        1 if before.saturating_add(behind) < 12 => Evidence::HINT,
        1 => Evidence::SUSPECT,
        _ => Evidence::LIKELY,
    };
    Some(Evidence::new(SIGNS, score))
}
