//! What only shells of Windows understand.

use super::command::{Argument, Command};
use crate::classes::around::{
    after_prose, evidence, find, first, from, in_prose, is_all, last, leads, name, weigh,
};
use crate::list::{List, Prefixes};
use crate::spot::{is_space, is_word, skip_space};
use crate::{Evidence, Spot};

/// Whether the word is where a command is.
fn begins(spot: &Spot<'_>) -> bool {
    leads(spot)
        || last(spot.before(), 2)
            .iter()
            .any(|byte| b";|&`({\n".contains(byte))
}

/// `cmd /c`, `powershell -x`.
pub(super) fn shell(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let program = after.strip_prefix(b".exe");
    let after = program.unwrap_or(after);
    let blank = after.iter().take_while(|byte| is_space(**byte)).count();
    let next = from(after, blank);
    let prose = in_prose(spot) || after_prose(spot);
    let handed = match spot.word() {
        b"cmd" => {
            matches!(next, [b'/', b'c' | b'k' | b'r' | b'q' | b's', end, ..] if !is_word(*end))
        }
        _ => blank > 0 && matches!(next, [b'-' | b'/', letter, ..] if letter.is_ascii_alphabetic()),
    };
    let score = match (handed, program.is_some()) {
        (true, _) if prose => Evidence::SUSPECT,
        (true, _) => Evidence::SURE,
        (false, true) if begins(spot) || last(spot.before(), 1) == b"\\" => Evidence::LIKELY - 5,
        (false, true) => Evidence::HINT,
        (false, false) => 0,
    };
    evidence("windows shell", score)
}

/// Tools that fetch and run.
pub(super) fn tool(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let after = after.strip_prefix(b".exe").unwrap_or(after);
    let score = match Argument::read(after, spot.work()) {
        Argument::Sure | Argument::Hidden | Argument::Likely if in_prose(spot) => Evidence::HINT,
        Argument::Sure | Argument::Hidden => Evidence::SURE,
        Argument::Likely => Evidence::LIKELY,
        Argument::Word if after.starts_with(b" ") && begins(spot) => Evidence::LIKELY - 5,
        _ => Evidence::HINT / 2,
    };
    evidence("windows tool", score)
}

const CONDITION: &str = "windows condition";

/// `if exist`, `if /i`, `if x equ y`.
pub(super) fn condition(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let starts = spot
        .before()
        .last()
        .is_none_or(|byte| b" \n\t;|&({\"'`=@".contains(byte));
    let mut next = skip_space(first(after, 80));
    if !starts || next.len() == first(after, 80).len() && !next.starts_with(b"/") {
        return None;
    }
    let mut score = 0;
    if let [b'/', b'i', rest @ ..] = next {
        next = skip_space(rest);
        score = Evidence::LIKELY;
    }
    spot.work().add(96);
    let not = next.strip_prefix(b"not ");
    next = not.map_or(next, skip_space);
    if const { Prefixes::new("errorlevel cmdextversion") }
        .strip(next)
        .is_some_and(|rest| rest.first().is_some_and(|byte| is_space(*byte)))
    {
        return evidence(CONDITION, Evidence::SURE);
    }
    if let Some(rest) = next.strip_prefix(b"exist ") {
        let file = from(rest, 0)
            .iter()
            .take_while(|byte| !is_space(**byte))
            .any(|byte| b"\\.%\":/*".contains(byte));
        let score = match file {
            true if after_prose(spot) => Evidence::SUSPECT,
            true => Evidence::SURE,
            false if begins(spot) && !in_prose(spot) => Evidence::LIKELY,
            false => Evidence::HINT,
        };
        return evidence(CONDITION, score);
    }
    if let Some(rest) = next.strip_prefix(b"defined ") {
        let (variable, rest) = name(skip_space(rest));
        let rest = skip_space(rest);
        let command = rest.starts_with(b"(") || Command::read(rest, spot.work()).known().is_some();
        let connective = const {
            List::new("in by as the and or for on to with then at it is otherwise from this a an")
        }
        .has(variable);
        let score = match begins(spot) && !variable.is_empty() && !connective {
            true if command => Evidence::SURE,
            true => Evidence::SUSPECT,
            false => 0,
        };
        return evidence(CONDITION, score);
    }
    let compared = begins(spot)
        && next.windows(5).any(|five| {
            matches!(
                five,
                [b' ', b'e', b'q', b'u', b' ']
                    | [b' ', b'n', b'e', b'q', b' ']
                    | [b' ', b'l', b's' | b'e', b's' | b'q', b' ']
                    | [b' ', b'g', b't' | b'e', b'r' | b'q', b' ']
            )
        });
    if compared {
        return evidence(
            CONDITION,
            if after_prose(spot) {
                Evidence::SUSPECT
            } else {
                Evidence::SURE
            },
        );
    }
    // `if a==b command`, where other languages have brackets, blanks, or end the line otherwise.
    let end = next
        .iter()
        .position(|byte| is_space(*byte))
        .unwrap_or(next.len());
    let (token, rest) = next.split_at(end);
    let equal = token.windows(2).any(|two| two == b"==");
    let plain = equal && !b"([!".contains(token.first()?) && token.last() != Some(&b':');
    let rest = skip_space(rest);
    let command = Command::read(rest, spot.work()).known();
    let follows = command.is_some() || rest.starts_with(b"(") || rest.starts_with(b"@");
    if plain && follows && begins(spot) {
        score = Evidence::LIKELY;
    }
    evidence(CONDITION, score)
}

/// `for /f`, `for %x in (`.
pub(super) fn repetition(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let next = skip_space(first(after, 48));
    let blank = after.first().is_some_and(|byte| is_space(*byte));
    let found = match next {
        [b'/', letter, end, ..] => {
            b"dflr".contains(letter) && (is_space(*end) || b"%\"".contains(end))
        }
        [b'%', b'%', letter, ..] | [b'%', letter, ..] if blank => is_word(*letter)
            && next.windows(4).any(
                |four| matches!(four, [b' ', b'i', b'n', end] if is_space(*end) || *end == b'('),
            ),
        _ => false,
    };
    let score = if after_prose(spot) {
        Evidence::SUSPECT
    } else {
        Evidence::SURE
    };
    found.then_some(Evidence::new("windows loop", score))
}

/// What PowerShell does something to, behind a verb; in order.
const NOUNS: &str = "acl aduser alias childitem ciminstance cimmethod clixml command computer computerinfo connection \
    content csv domain error eventlog executionpolicy expression file history host hotfix item \
    itemproperty job localuser location member module mppreference netipaddress nettcpconnection object \
    output path process psdrive pssession random restmethod scheduledtask securestring service string \
    type variable webrequest wmimethod wmiobject";

pub(super) fn cmdlet(spot: &Spot<'_>) -> Option<Evidence> {
    const KIND: &str = "powershell command";
    let after = spot.after();
    if spot.word() == b"iex" {
        let called = matches!(skip_space(first(after, 8)).first(), Some(b'(' | b'$'));
        return called.then_some(Evidence::new(KIND, Evidence::LIKELY - 5));
    }
    let (noun, rest) = name(first(after, 24));
    if find(NOUNS, noun).is_none() || rest.first().is_some_and(|byte| b"-=:".contains(byte)) {
        return None;
    }
    let argument = Argument::read(rest, spot.work());
    let strong = spot.word() == b"invoke-"
        || const { List::new("executionpolicy wmiobject mppreference childitem") }.has(noun);
    let score = match argument {
        _ if after_prose(spot) => Evidence::HINT,
        _ if strong => Evidence::LIKELY,
        Argument::Sure | Argument::Likely | Argument::Hidden => Evidence::LIKELY,
        Argument::None if rest.starts_with(b" |") || rest.starts_with(b"|") => Evidence::LIKELY,
        _ if begins(spot) && !is_all(spot) => Evidence::SUSPECT,
        _ => Evidence::HINT,
    };
    evidence(KIND, score)
}

/// Variables, keys and calls.
pub(super) fn part(spot: &Spot<'_>) -> Option<Evidence> {
    let score = weigh(spot, Evidence::SUSPECT, Evidence::HINT);
    evidence("windows name", score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_found() {
        for noun in NOUNS.split(' ') {
            assert_eq!(find(NOUNS, noun.as_bytes()), Some(false), "{noun}");
        }
    }
}
