//! Many words, found in one pass over a text.
//!
//! A word begins with punctuation, or with a letter or digit where one may begin: behind anything but a letter or `_`
//! (a letter may follow a digit: `1or`, `0union`). So the letters inside of words cost next to nothing, and each
//! beginning is one look into a table of what the next three bytes may begin.

use crate::classes::Verify;
use crate::spot::is_word;
use crate::{Class, Classes};

/// What kinds of bytes there are: letters of either case are the same, and so are digits.
const KIND: u8 = 0x3f;
/// The byte may begin an escape.
const ESCAPES: u8 = 0x40;
/// The byte is a letter or `_`.
const LETTER: u8 = 0x80;

const NOTHING: u8 = 0;
const LETTERS: u8 = 1;
const DIGIT: u8 = 27;
const UNDERSCORE: u8 = 28;
const NUL: u8 = 29;
const PUNCTUATION: u8 = 30;
const SYMBOLS: &[u8] = b"!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~\n";

/// The kind of each byte, and what else it may be.
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
            kinds[(b'a' + letter) as usize] = LETTER | (LETTERS + letter);
            kinds[(b'A' + letter) as usize] = LETTER | (LETTERS + letter);
            letter += 1;
        }
        let mut digit = b'0';
        while digit <= b'9' {
            kinds[digit as usize] = DIGIT;
            digit += 1;
        }
        kinds[b'_' as usize] = LETTER | UNDERSCORE;
        kinds[0] = NUL;
        while let [symbol, others @ ..] = rest {
            kinds[*symbol as usize] = kind;
            kind += 1;
            rest = others;
        }
        let mut escapes: &[u8] = crate::forms::BEGINNINGS;
        while let [byte, others @ ..] = escapes {
            kinds[*byte as usize] |= ESCAPES;
            escapes = others;
        }
    }
    kinds
}

fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or(NOTHING)
}

/// The words of some classes.
pub(crate) struct Index {
    /// A bit for each key that a word may begin with, by a hash of it.
    seen: Box<[u64; SEEN]>,
    /// A bit for each kind that is a word by itself.
    single: u64,
    /// For each slot of keys, where its entries begin, plus one.
    slots: Vec<u16>,
    /// Entries of one slot follow one another.
    entries: Vec<Entry>,
    words: Vec<Listed>,
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

/// Words of two letters that others begin with. The rest are whole: many words of people begin with two letters.
const PREFIXES: [&[u8]; 3] = [b"on", b"vb", b"gz"];

/// Whether a word has no letter behind it.
fn is_whole(word: &[u8]) -> bool {
    matches!(word, [first, _] if first.is_ascii_alphabetic()) && !PREFIXES.contains(&word)
}

const SLOT_BITS: u32 = 12;
const SLOTS: usize = 1 << SLOT_BITS;
const SEEN: usize = 1 << 10;

/// The kinds of three bytes.
const KEY: u32 = 0x3_ffff;

const fn key(first: u8, second: u8, third: u8) -> u32 {
    ((first & KIND) as u32) << 12 | ((second & KIND) as u32) << 6 | (third & KIND) as u32
}

const fn hash(key: u32) -> u32 {
    key.wrapping_mul(0x9E37_79B1) >> 16
}

/// Where words of three bytes and more are.
fn slot(key: u32) -> usize {
    (hash(key) >> (16 - SLOT_BITS)) as usize
}

/// Where words of two bytes are.
fn pair_slot(key: u32) -> usize {
    SLOTS.saturating_add((hash(key >> 6) >> 8) as usize)
}

/// Where words of one byte are.
fn single_slot(key: u32) -> usize {
    SLOTS
        .saturating_add(256)
        .saturating_add((key >> 12) as usize)
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
        words.shrink_to_fit();
        let mut index = Self {
            seen: Box::new([0; SEEN]),
            single: 0,
            slots: vec![0; SLOTS + 256 + 64],
            entries: Vec::new(),
            words,
        };
        let mut placed: Vec<(usize, u16)> = Vec::new();
        for (number, word) in index.words.iter().enumerate() {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            let mut see = |key: u32| {
                if let Some(bits) = index.seen.get_mut((hash(key) >> 6) as usize) {
                    *bits |= 1 << (hash(key) & 63);
                }
                key
            };
            let slot = match *word.text {
                [] => continue,
                [only] => {
                    index.single |= 1 << (kind(only) & KIND);
                    single_slot(key(kind(only), 0, 0))
                }
                [first, second] => {
                    let is_whole = is_whole(word.text);
                    let letters = LETTERS..DIGIT;
                    let is_letter = |third| letters.contains(&third) || third == UNDERSCORE;
                    let ends = |third: &u8| !is_whole || !is_letter(*third);
                    for third in (0..=KIND).filter(ends) {
                        see(key(kind(first), kind(second), third));
                    }
                    pair_slot(key(kind(first), kind(second), 0))
                }
                [first, second, third, ..] => {
                    slot(see(key(kind(first), kind(second), kind(third))))
                }
            };
            placed.push((slot, number));
        }
        placed.sort_unstable();
        index.entries.reserve_exact(placed.len());
        for (number, (slot, word)) in placed.iter().enumerate() {
            let next = placed.get(number.saturating_add(1));
            index.entries.push(Entry {
                word: *word,
                is_last: next.is_none_or(|(next, _)| next != slot),
            });
            if let Some(head) = index.slots.get_mut(*slot).filter(|head| **head == 0) {
                *head = u16::try_from(number.saturating_add(1)).unwrap_or(0);
            }
        }
        index
    }

    /// What it takes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let tables = [
            size_of::<[u64; SEEN]>(),
            self.slots.capacity().saturating_mul(size_of::<u16>()),
            self.entries.capacity().saturating_mul(size_of::<Entry>()),
            self.words.capacity().saturating_mul(size_of::<Listed>()),
        ];
        tables
            .into_iter()
            .fold(size_of::<Self>(), usize::saturating_add)
    }

    /// Hands each word of a text to `each`, with where it begins. Whether there is a byte that may begin an escape.
    ///
    /// Without a branch for each byte but the one that is hardly ever taken: where words of people end cannot be
    /// foretold.
    pub(crate) fn search<E>(
        &self,
        text: &[u8],
        mut each: impl FnMut(&Listed, usize) -> Result<(), E>,
    ) -> Result<bool, E> {
        let (mut key, mut letters, mut marks) = (0_u32, 0_u32, 0_u8);
        // Each byte is looked at when the two behind it are known.
        for (end, byte) in text.iter().chain(b"  ").enumerate() {
            let this = kind(*byte);
            marks |= this;
            key = (key << 6 | u32::from(this & KIND)) & KEY;
            letters = letters << 1 | u32::from(this >> 7);
            let hash = hash(key);
            let bits = self.seen.get((hash >> 6) as usize).copied().unwrap_or(0);
            let begins = bits >> (hash & 63) | self.single >> (key >> 12);
            let inside = letters >> 2 & letters >> 3;
            if begins & u64::from(!inside) & 1 != 0 && end >= 2 {
                self.visit(key, text, end.saturating_sub(2), &mut each)?;
            }
        }
        Ok(marks & ESCAPES != 0)
    }

    #[inline(never)]
    fn visit<E>(
        &self,
        key: u32,
        text: &[u8],
        at: usize,
        each: &mut impl FnMut(&Listed, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let rest = text.get(at..).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let digits = (rest.first(), before);
        if matches!(digits, (Some(b'0'..=b'9'), Some(byte)) if is_word(*byte)) {
            return Ok(());
        }
        for head in [slot(key), pair_slot(key), single_slot(key)] {
            let first = self.slots.get(head).copied().unwrap_or(0);
            let Some(first) = usize::from(first).checked_sub(1) else {
                continue;
            };
            for entry in self.entries.get(first..).unwrap_or_default() {
                if let Some(word) = self.words.get(usize::from(entry.word)) {
                    let begin = rest.get(..word.text.len());
                    let goes_on = || rest.get(2).is_some_and(|third| kind(*third) & LETTER != 0);
                    if begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word.text))
                        && !(is_whole(word.text) && goes_on())
                    {
                        each(word, at)?;
                    }
                }
                if entry.is_last {
                    break;
                }
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
            let searched: Result<bool, ()> = index.search(&text, |found_word, at| {
                found += usize::from(at == 1 && found_word.text == word.text);
                Ok(())
            });
            assert!(searched.is_ok() && found > 0, "{:?}", word.text);
        }
    }
}
