//! What stands around a word, for several classes.

use std::cmp::Ordering;

use crate::Evidence;
use crate::spot::{Spot, is_space, is_word, skip_space};

/// How near a word has to be to belong to a sentence.
pub(super) const NEAR: usize = 64;

/// The last bytes of a text.
pub(super) fn last(text: &[u8], count: usize) -> &[u8] {
    text.get(text.len().saturating_sub(count)..)
        .unwrap_or_default()
}

/// The first bytes of a text.
pub(super) fn first(text: &[u8], count: usize) -> &[u8] {
    text.get(..count).unwrap_or(text)
}

/// What is left of a text from there.
pub(super) fn from(text: &[u8], at: usize) -> &[u8] {
    text.get(at..).unwrap_or_default()
}

/// Whether a text contains another.
pub(super) fn has(text: &[u8], part: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| Some(byte) == part.first()) {
        rest = from(rest, at);
        if rest.starts_with(part) {
            return true;
        }
        rest = from(rest, 1);
    }
    false
}

/// Whether a list in order of bytes names this; and whether with `*` behind it.
pub(super) fn find(list: &str, name: &[u8]) -> Option<bool> {
    let mut list = list.as_bytes();
    // Half of the list is left each time.
    while !list.is_empty() {
        let middle = list.len() / 2;
        let (before, after) = list.split_at(middle);
        let start = before.iter().rposition(|byte| *byte == b' ');
        let start = start.map_or(0, |start| start.saturating_add(1));
        let length = after.iter().position(|byte| *byte == b' ');
        let end = length.map_or(list.len(), |length| middle.saturating_add(length));
        let listed = list.get(start..end)?;
        let plain = listed.strip_suffix(b"*");
        match plain.unwrap_or(listed).cmp(name) {
            Ordering::Equal => return Some(plain.is_some()),
            Ordering::Less => list = from(list, end.saturating_add(1)),
            Ordering::Greater => list = first(list, start.saturating_sub(1)),
        }
    }
    None
}

/// A name at the beginning, and what follows.
pub(super) fn name(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_word(*byte));
    text.split_at(end.unwrap_or(text.len()))
}

/// How many words of a language there are: letters between blanks, with a comma or the like behind them.
pub(super) fn words(text: &[u8]) -> usize {
    let (mut count, mut state) = (0, 0);
    for byte in text {
        let next = STEPS.get(usize::from(*byte)).copied().unwrap_or(0) >> state & 0xff;
        count += usize::from(next & COUNTED != 0);
        state = next & !COUNTED;
    }
    count + usize::from(state == LETTERS)
}

/// What a word may be so far: where it is among the states of a byte in [`STEPS`].
const NOTHING: u32 = 0;
const LETTER: u32 = 8;
const LETTERS: u32 = 16;
const NO_WORD: u32 = 24;
/// A word has ended.
const COUNTED: u32 = 0x80;

/// For each byte what it makes of each state, eight bits each: nothing is guessed, so nothing is guessed wrongly.
static STEPS: [u32; 256] = steps();

#[allow(
    clippy::indexing_slicing,
    reason = "while compiling; a byte is an index of 256"
)]
const fn steps() -> [u32; 256] {
    const fn of(nothing: u32, letter: u32, letters: u32, no_word: u32) -> u32 {
        nothing << NOTHING | letter << LETTER | letters << LETTERS | no_word << NO_WORD
    }
    let mut steps = [of(NO_WORD, NO_WORD, NO_WORD, NO_WORD); 256];
    let mut byte = 0;
    while byte < 256 {
        if byte >= 0x80 || (byte as u8).is_ascii_alphabetic() {
            steps[byte] = of(LETTER, LETTERS, LETTERS, NO_WORD);
        } else if is_space(byte as u8) {
            steps[byte] = of(NOTHING, NOTHING, NOTHING | COUNTED, NOTHING);
        }
        byte += 1;
    }
    let mut signs: &[u8] = b",.:!?')\"`";
    while let [sign, rest @ ..] = signs {
        steps[*sign as usize] = of(NOTHING, LETTER, LETTERS, NO_WORD);
        signs = rest;
    }
    steps
}

/// Whether a word stands in a sentence.
pub(super) fn in_prose(spot: &Spot<'_>) -> bool {
    spot.work().add(NEAR);
    let before = words(last(spot.before(), NEAR));
    if before > 1 {
        spot.work().add(NEAR);
    }
    before > 1 && before.saturating_add(words(first(spot.after(), NEAR))) > 3
}

/// Whether somebody speaks before the word.
pub(super) fn after_prose(spot: &Spot<'_>) -> bool {
    spot.work().add(NEAR);
    words(last(spot.before(), NEAR)) > 3
}

/// Whether there is nothing before the word but blanks, quotes and the like.
pub(super) fn leads(spot: &Spot<'_>) -> bool {
    let before = spot.before();
    before.len() < 8
        && before
            .iter()
            .all(|byte| is_space(*byte) || b"\"'`(@=;&|-".contains(byte))
}

/// Whether nothing follows a word but blanks, quotes and the like.
pub(super) fn ends(after: &[u8]) -> bool {
    after.len() < 8
        && after
            .iter()
            .all(|byte| is_space(*byte) || b"\"'`);,".contains(byte))
}

/// Whether the text is the word and nothing else.
pub(super) fn is_all(spot: &Spot<'_>) -> bool {
    leads(spot) && ends(spot.after())
}

/// Evidence, unless it weighs nothing.
pub(super) fn evidence(kind: &'static str, score: u16) -> Option<Evidence> {
    (score > 0).then_some(Evidence::new(kind, score))
}

/// What a word weighs, and what it weighs in a sentence.
pub(super) fn weigh(spot: &Spot<'_>, alone: u16, in_sentence: u16) -> u16 {
    match in_prose(spot) {
        true => in_sentence,
        false => alone,
    }
}
/// Whether a call follows: `(`, behind blanks.
pub(super) fn is_called(after: &[u8]) -> bool {
    skip_space(first(after, 16)).first() == Some(&b'(')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_language_are_counted() {
        for (text, count) in [
            ("", 0),
            ("one two, three.", 3),
            ("a b c", 0),
            ("it's", 1),
            ("x=1 y/z -l", 0),
            ("(one) two", 1),
        ] {
            assert_eq!(words(text.as_bytes()), count, "{text}");
        }
    }

    #[test]
    fn what_is_in_order_is_found() {
        for (name, found) in [
            ("a", Some(false)),
            ("b", Some(true)),
            ("c", Some(false)),
            ("d", None),
            ("", None),
            ("ab", None),
        ] {
            assert_eq!(find("a b* c", name.as_bytes()), found, "{name}");
        }
        assert_eq!(find("", b"a"), None);
    }
}
