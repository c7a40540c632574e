//! What a shell puts in place of what is written: output of commands, variables, sums, paths, braces.

use super::command::{Argument, Command};
use super::names::Known;
use super::{HIDDEN, SUBSTITUTED};
use crate::classes::around::{
    after_prose, ends, evidence, first, from, has, in_prose, is_all, last, leads, name, weigh,
};
use crate::spot::{is_space, is_word, skip_space};
use crate::{Evidence, Spot};

const EXPANDED: &str = "shell expansion";
const PATTERN: &str = "path with wildcards";

/// A command whose output is to stand there.
pub(super) fn substituted(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    let before = spot.before().last();
    // The types of other languages.
    if !spot.word().starts_with(b"$") && before.is_some_and(|byte| is_word(*byte) || *byte == b':')
    {
        return None;
    }
    let command = Command::read(text, spot.work());
    let argument = Argument::read(command.rest, spot.work());
    let score = match command.known() {
        Some(_) if command.hidden || argument == Argument::Hidden => Evidence::SURE,
        Some(_) if argument >= Argument::Likely => Evidence::SURE,
        // A variable of `make`.
        Some(_)
            if argument == Argument::None && is_upper(from(spot.as_sent(), spot.word().len())) =>
        {
            0
        }
        // `$(id).hide()` is of a browser's library.
        Some(_) if has(first(command.rest, 3), b").") => 0,
        Some(Known::Command) => Evidence::LIKELY,
        Some(Known::Word) if argument == Argument::None => Evidence::LIKELY,
        Some(Known::Word) => Evidence::SUSPECT,
        None if is_all_but_bracket(spot, &command) => Evidence::SUSPECT,
        None => 0,
    };
    let score = if after_prose(spot) {
        score.min(Evidence::SUSPECT)
    } else {
        score
    };
    evidence(SUBSTITUTED, score)
}

/// Whether a name is in upper case.
fn is_upper(text: &[u8]) -> bool {
    text.iter().take(2).all(u8::is_ascii_uppercase)
}

/// Whether the text is nothing but the substitution of something.
fn is_all_but_bracket(spot: &Spot<'_>, command: &Command<'_>) -> bool {
    !command.name().is_empty() && leads(spot) && command.rest.strip_prefix(b")").is_some_and(ends)
}

/// Sums of a shell: `$((1+1))`, `$[1+1]`.
pub(super) fn computed(spot: &Spot<'_>) -> Option<Evidence> {
    let text = first(spot.after(), 24);
    let sum = text
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || b"+-*/% ".contains(byte));
    let sum = sum.count();
    let closed = from(text, sum)
        .first()
        .is_some_and(|byte| b")]".contains(byte));
    let found = sum > 2 && closed && !first(text, sum).iter().all(u8::is_ascii_digit);
    found.then_some(Evidence::new(EXPANDED, Evidence::LIKELY))
}

/// Expansions that only shells know: `${x:0:1}`, `${x//a/b}`, `${!x}`, `${x@P}`.
pub(super) fn expanded(spot: &Spot<'_>) -> Option<Evidence> {
    let text = first(spot.after(), 32);
    let (variable, after) = name(text.strip_prefix(b"!").unwrap_or(text));
    let close = after.iter().position(|byte| *byte == b'}')?;
    let inside = first(after, close);
    let found = !variable.is_empty()
        && match inside {
            [b':', rest @ ..] | [b'@', b':', rest @ ..] => {
                let digit = |byte: &u8| byte.is_ascii_digit() || b":- ~".contains(byte);
                !rest.is_empty() && rest.iter().all(digit) && rest.iter().any(u8::is_ascii_digit)
            }
            [b'/', b'/', ..] => has(from(inside, 2), b"/"),
            [b'@', letter] => b"pqaeuk".contains(letter),
            [] => text.starts_with(b"!"),
            _ => false,
        };
    let score = weigh(spot, Evidence::LIKELY, Evidence::HINT);
    found.then_some(Evidence::new(EXPANDED, score))
}

/// What stands for a blank: `$IFS`.
pub(super) fn blank(spot: &Spot<'_>) -> Option<Evidence> {
    let next = spot.after().first();
    if spot.word() == b"$ifs"
        && next.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    {
        return None;
    }
    let score = weigh(spot, Evidence::SURE, Evidence::SUSPECT);
    evidence("field separator", score)
}

/// Words that come apart in a shell: `{cat,/etc/passwd}`, `{,id}`, `c{a,un}t`.
pub(super) fn braces(spot: &Spot<'_>) -> Option<Evidence> {
    let text = first(spot.after(), 64);
    let end = text
        .iter()
        .position(|byte| !is_word(*byte) && !b",./-+*?~$:".contains(byte))?;
    let (inside, after) = text.split_at(end);
    let after = after.strip_prefix(b"}")?;
    let mut parts = inside.split(|byte| *byte == b',');
    let (head, second) = (parts.next()?, parts.next()?);
    spot.work().add(inside.len());
    let head = if head.is_empty() { second } else { head };
    let command = Command::read(head, spot.work());
    if command.rest.is_empty() && command.known().is_some() {
        let paths = inside.contains(&b'/') || inside.contains(&b'-') || inside.starts_with(b",");
        let certain = paths || command.known() == Some(Known::Command);
        let score = match certain {
            true if in_prose(spot) => Evidence::SUSPECT,
            true => Evidence::SURE,
            false => Evidence::HINT,
        };
        return evidence(HIDDEN, score);
    }
    let letters = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic());
    let within = letters(spot.before().last()) && letters(after.first());
    let found = within
        && leads_word(spot)
        && inside
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b',');
    found.then_some(Evidence::new(EXPANDED, Evidence::LIKELY))
}

/// Whether the word before is the first of the text.
fn leads_word(spot: &Spot<'_>) -> bool {
    let before = spot.before();
    before.len() < 16
        && before
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || b";|&".contains(byte))
}

/// A path whose letters are left to the shell to find.
pub(super) fn patterned(spot: &Spot<'_>) -> Option<Evidence> {
    // A directory by its name: something has to be left open behind it.
    if !spot.word().iter().any(|byte| b"?*[".contains(byte)) {
        let named = |byte: &&u8| is_word(**byte) || b"/.-".contains(byte);
        let rest = first(spot.after(), 24);
        let end = rest.iter().take_while(named).count();
        if !from(rest, end)
            .first()
            .is_some_and(|byte| b"?*[".contains(byte))
        {
            return None;
        }
    }
    spot.work().add(160);
    let around = spot.as_sent();
    let end = around
        .iter()
        .take(28)
        .position(|byte| is_space(*byte) || b"\"'`;|&<>)=".contains(byte));
    let path = first(around, end.unwrap_or(28));
    // `/[^/]etc`: a slash in brackets is no end of a directory for whoever reads this.
    let mut segments = path.split(|byte| *byte == b'/').skip(1);
    let (head, second) = (segments.next()?, segments.next()?);
    let third = segments.next().unwrap_or_default();
    let allowed = |byte: &u8| is_word(*byte) || b"?*[].-!+^$".contains(byte);
    let mut open = [head, second, third].map(is_open);
    // `/etc/x*` is what people write too.
    let plain = head.iter().all(|byte| is_word(*byte));
    if plain && second.ends_with(b"*") {
        open = [false; 3];
    }
    let found = (2..8).contains(&head.len())
        && [head, second, third].into_iter().flatten().all(allowed)
        && open.contains(&true)
        && !head.starts_with(b"*")
        && second.iter().any(|byte| is_word(*byte));
    let before = spot.before().last();
    let begins = plain || before.is_none_or(|byte| !is_word(*byte) && !b"/.*".contains(byte));
    if !found || !begins {
        return None;
    }
    evidence(PATTERN, weigh(spot, Evidence::LIKELY, Evidence::SUSPECT))
}

/// Whether a shell has to find what stands there: `p*wd`, `pa?swd`, `pas[s]wd`.
fn is_open(segment: &[u8]) -> bool {
    segment.len() > 1 && segment.iter().any(|byte| b"?*[".contains(byte))
}

/// A function that starts itself: `:(){ :|:& };:`.
pub(super) fn function(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    let before = match spot.word() {
        b")" => last(before, 24).strip_suffix(b" ")?.strip_suffix(b"(")?,
        _ => last(before, 24),
    };
    let body = skip_space(first(spot.after(), 64));
    let body = match spot.word() {
        b"(){" => body,
        _ => skip_space(body.strip_prefix(b"{")?),
    };
    let start = before
        .iter()
        .rposition(|byte| !is_word(*byte) && !b":.".contains(byte));
    let own = from(before, start.map_or(0, |start| start.saturating_add(1)));
    let rest = body.strip_prefix(own)?;
    let rest = skip_space(rest.strip_prefix(b"()").unwrap_or(rest));
    let found = !own.is_empty() && matches!(rest.first(), Some(b'|' | b'&'));
    found.then_some(Evidence::new("function that starts itself", Evidence::SURE))
}

/// Directories and commands of before: `~+`, `!-1`.
pub(super) fn history(spot: &Spot<'_>) -> Option<Evidence> {
    let digit = spot.after().first().is_some_and(u8::is_ascii_digit);
    let only = |byte: &u8| byte.is_ascii_digit() || b"!-".contains(byte);
    if spot.word() == b"!-" && digit && spot.is_first() && spot.after().iter().all(only) {
        return evidence(EXPANDED, Evidence::LIKELY);
    }
    let found = match spot.word() {
        b"!-" => digit && leads(spot),
        _ => is_all(spot) || (leads(spot) && spot.after().first() == Some(&b'/')),
    };
    found.then_some(Evidence::new(EXPANDED, Evidence::SUSPECT))
}
