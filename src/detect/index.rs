//! Many words, found in one pass over a text.
//!
//! A word begins with punctuation, or with a letter or digit where one may begin: behind anything but a letter or `_`
//! (a letter may follow a digit: `1or`, `0union`). So the letters inside of words cost next to nothing, and each
//! beginning is one look into a table of what the next three bytes may begin.

use crate::classes::Verify;
use crate::{Class, Classes};

/// What kinds of bytes there are: letters of either case are the same, and so are digits.
const NOTHING: u8 = 0;
const LETTERS: u8 = 1;
const DIGIT: u8 = 27;
const UNDERSCORE: u8 = 28;
const NUL: u8 = 29;
const PUNCTUATION: u8 = 30;
const SYMBOLS: &[u8] = b"!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~\n";

/// The kind of each byte.
static KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut kinds = [NOTHING; 256];
    let mut rest: &[u8] = SYMBOLS;
    let mut kind = PUNCTUATION;
    #[allow(
        clippy::indexing_slicing,
        reason = "while compiling; a byte is an index of 256"
    )]
    {
        let mut letter = 0;
        while letter < 26 {
            kinds[(b'a' + letter) as usize] = LETTERS + letter;
            kinds[(b'A' + letter) as usize] = LETTERS + letter;
            letter += 1;
        }
        let mut digit = b'0';
        while digit <= b'9' {
            kinds[digit as usize] = DIGIT;
            digit += 1;
        }
        kinds[b'_' as usize] = UNDERSCORE;
        kinds[0] = NUL;
        while let [symbol, others @ ..] = rest {
            kinds[*symbol as usize] = kind;
            kind += 1;
            rest = others;
        }
    }
    kinds
}

fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or(NOTHING)
}

/// The words of some classes.
pub(crate) struct Index {
    /// For each slot of three kinds, where its entries begin, plus one.
    slots: Vec<u16>,
    /// Entries of one slot follow one another.
    entries: Vec<Entry>,
    words: Vec<Listed>,
    /// Words of one byte, by its kind.
    short: [u16; 64],
}

#[derive(Clone, Copy)]
struct Entry {
    word: u16,
    is_last: bool,
}

/// A word and what it may be.
#[derive(Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) text: &'static [u8],
    pub(crate) class: Class,
    pub(crate) verify: Verify,
}

const SLOT_BITS: u32 = 13;

fn slot(first: u8, second: u8, third: u8) -> usize {
    let key = (u32::from(first) << 12) | (u32::from(second) << 6) | u32::from(third);
    (key.wrapping_mul(0x9E37_79B1) >> (32 - SLOT_BITS)) as usize
}

impl Index {
    pub(crate) fn new(classes: Classes) -> Self {
        let mut words: Vec<Listed> = Vec::new();
        for class in Class::ALL.into_iter().filter(|class| classes.has(*class)) {
            for words_of in class.words() {
                let texts = words_of.list.split(' ').filter(|text| !text.is_empty());
                words.extend(texts.map(|text| Listed {
                    text: text.as_bytes(),
                    class,
                    verify: words_of.verify,
                }));
            }
        }
        let mut placed: Vec<(usize, u16)> = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            match *word.text {
                [] => {}
                // Beyond the slots of three.
                [only] => placed.push(((1 << SLOT_BITS) + usize::from(kind(only)), index)),
                [first, second] => {
                    let mut slots: Vec<usize> = (0..64)
                        .map(|third| slot(kind(first), kind(second), third))
                        .collect();
                    slots.sort_unstable();
                    slots.dedup();
                    placed.extend(slots.into_iter().map(|slot| (slot, index)));
                }
                [first, second, third, ..] => {
                    placed.push((slot(kind(first), kind(second), kind(third)), index));
                }
            }
        }
        placed.sort_unstable();
        let (mut slots, mut short) = (vec![0; 1 << SLOT_BITS], [0; 64]);
        let mut entries = Vec::with_capacity(placed.len());
        for (index, (slot, word)) in placed.iter().enumerate() {
            let next = placed.get(index.saturating_add(1));
            entries.push(Entry {
                word: *word,
                is_last: next.is_none_or(|(next, _)| next != slot),
            });
            let head = match slot.checked_sub(1 << SLOT_BITS) {
                Some(kind) => short.get_mut(kind),
                None => slots.get_mut(*slot),
            };
            if let Some(head) = head.filter(|head| **head == 0) {
                *head = u16::try_from(index.saturating_add(1)).unwrap_or(0);
            }
        }
        words.shrink_to_fit();
        Self {
            slots,
            entries,
            words,
            short,
        }
    }

    /// What it takes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let tables = [
            self.slots.capacity().saturating_mul(size_of::<u16>()),
            self.entries.capacity().saturating_mul(size_of::<Entry>()),
            self.words.capacity().saturating_mul(size_of::<Listed>()),
        ];
        tables
            .into_iter()
            .fold(size_of::<Self>(), usize::saturating_add)
    }

    /// Hands each word of a text to `each`, with where it begins.
    pub(crate) fn search<E>(
        &self,
        text: &[u8],
        mut each: impl FnMut(&Listed, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = text;
        let mut before = NOTHING;
        while let [byte, after @ ..] = rest {
            let this = kind(*byte);
            let inside = this <= UNDERSCORE
                && (this == NOTHING
                    || (LETTERS..DIGIT).contains(&before)
                    || before == UNDERSCORE
                    || (this == DIGIT && before == DIGIT));
            if !inside {
                let (second, third) = match after {
                    [second, third, ..] => (kind(*second), kind(*third)),
                    [second] => (kind(*second), NOTHING),
                    [] => (NOTHING, NOTHING),
                };
                let heads = [
                    self.slots.get(slot(this, second, third)),
                    self.short.get(usize::from(this)),
                ];
                for head in heads.into_iter().flatten().filter(|head| **head != 0) {
                    self.visit(*head, text, rest, &mut each)?;
                }
            }
            before = this;
            rest = after;
        }
        Ok(())
    }

    #[inline(never)]
    fn visit<E>(
        &self,
        head: u16,
        text: &[u8],
        rest: &[u8],
        each: &mut impl FnMut(&Listed, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let first = usize::from(head).saturating_sub(1);
        for entry in self.entries.get(first..).unwrap_or_default() {
            if let Some(word) = self.words.get(usize::from(entry.word)) {
                let begin = rest.get(..word.text.len());
                if begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word.text)) {
                    each(word, text.len().saturating_sub(rest.len()))?;
                }
            }
            if entry.is_last {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_can_be_found_and_are_few_enough() {
        let index = Index::new(Classes::ALL);
        assert!(index.words.len() < usize::from(u16::MAX));
        assert!(index.entries.len() < usize::from(u16::MAX));
        for word in &index.words {
            let lower = word.text.to_ascii_lowercase();
            assert_eq!(lower, word.text, "in lower case");
            assert!(word.text.iter().all(u8::is_ascii), "{:?}", word.text);
            let mut found = 0;
            let text = [b" ", word.text, b" "].concat();
            let searched: Result<(), ()> = index.search(&text, |found_word, at| {
                found += usize::from(at == 1 && found_word.text == word.text);
                Ok(())
            });
            assert!(searched.is_ok() && found > 0, "{:?}", word.text);
        }
    }
}
