//! What stands around a word, for several classes.

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
    text.windows(part.len().max(1)).any(|window| window == part)
}

/// Whether a list with a space between each two names this, and it is not nothing.
pub(super) fn lists(list: &str, name: &[u8]) -> bool {
    let mut names = list.as_bytes().split(|byte| *byte == b' ');
    !name.is_empty() && names.any(|listed| listed == name)
}

/// The first of a list that the text begins with, and what follows.
pub(super) fn begins_with<'t>(text: &'t [u8], list: &str) -> Option<&'t [u8]> {
    let mut names = list.as_bytes().split(|byte| *byte == b' ');
    names.find_map(|name| text.strip_prefix(name).filter(|_| !name.is_empty()))
}

/// A name at the beginning, and what follows.
pub(super) fn name(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_word(*byte));
    text.split_at(end.unwrap_or(text.len()))
}

/// How many words of a language there are: letters between blanks, with a comma or the like behind them.
pub(super) fn words(text: &[u8]) -> usize {
    let (mut count, mut letters, mut plain) = (0, 0_u8, true);
    for byte in text {
        if byte.is_ascii_alphabetic() || *byte >= 0x80 {
            letters = letters.saturating_add(1);
        } else if is_space(*byte) {
            count += usize::from(plain && letters > 1);
            (letters, plain) = (0, true);
        } else if !b",.:!?')\"`".contains(byte) {
            plain = false;
        }
    }
    count + usize::from(plain && letters > 1)
}

/// Whether a word stands in a sentence.
pub(super) fn in_prose(spot: &Spot<'_>) -> bool {
    let before = words(last(spot.before(), NEAR));
    before > 1 && before.saturating_add(words(first(spot.after(), NEAR))) > 3
}

/// Whether somebody speaks before the word.
pub(super) fn after_prose(spot: &Spot<'_>) -> bool {
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
