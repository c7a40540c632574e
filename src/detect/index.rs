//! Many words, found in one pass over a text.
//!
//! A word begins with punctuation, or with a letter or digit where one may begin: behind anything but a letter or `_`
//! (a letter may follow a digit: `1or`, `0union`). So the letters inside of words cost next to nothing, and each
//! beginning is one look into a table of what the next three bytes may begin.

use crate::classes::Verify;
use crate::spot::is_word;
use crate::{Class, Classes};

/// What kinds of bytes there are: letters of either case are the same, and so are digits.
const KIND: u16 = 0x3f;
/// The byte may begin an escape.
const ESCAPES: u16 = 0x40;
/// The byte is a letter or `_`.
const LETTER: u16 = 0x80;
/// The byte is not of a plain name: a word, a number, or some with dots and hyphens.
const ODD: u16 = 0x100;

const NOTHING: u16 = 0;
const LETTERS: u16 = 1;
const DIGIT: u16 = 27;
const UNDERSCORE: u16 = 28;
const NUL: u16 = 29;
const PUNCTUATION: u16 = 30;
const SYMBOLS: &[u8] = b"!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~\n";

/// The kind of each byte, and what else it may be.
static KINDS: [u16; 256] = kinds();

const fn kinds() -> [u16; 256] {
    let mut kinds = [ODD | NOTHING; 256];
    let mut rest: &[u8] = SYMBOLS;
    let mut kind = PUNCTUATION;
    #[allow(
        clippy::indexing_slicing,
        reason = "while compiling; a byte is an index of 256"
    )]
    {
        let mut letter = 0;
        while letter < 26 {
            kinds[(b'a' + letter) as usize] = LETTER | (LETTERS + letter as u16);
            kinds[(b'A' + letter) as usize] = LETTER | (LETTERS + letter as u16);
            letter += 1;
        }
        let mut digit = b'0';
        while digit <= b'9' {
            kinds[digit as usize] = DIGIT;
            digit += 1;
        }
        kinds[b'_' as usize] = LETTER | UNDERSCORE;
        kinds[0] = ODD | NUL;
        while let [symbol, others @ ..] = rest {
            kinds[*symbol as usize] = match *symbol {
                b'-' | b'.' => kind,
                _ => ODD | kind,
            };
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

fn kind(byte: u8) -> u16 {
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
    /// What its word begins with: other words may share the slot.
    key: u32,
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

/// The kinds of three bytes, eight bits each.
const KEY: u32 = 0x3f_3f3f;
/// Those of the first two, and of the first.
const PAIR: u32 = 0x3f_3f00;
const SINGLE: u32 = 0x3f_0000;
/// The first of the three is a letter, in what is known of four bytes.
const FIRST_IS_LETTER: u32 = (LETTER as u32) << 16;

const fn key(first: u16, second: u16, third: u16) -> u32 {
    ((first & KIND) as u32) << 16 | ((second & KIND) as u32) << 8 | (third & KIND) as u32
}

const fn hash(key: u32) -> u32 {
    key.wrapping_mul(0xCC9E_2D51) >> 16
}

/// Where words of three bytes and more are.
fn slot(key: u32) -> usize {
    (hash(key) >> (16 - SLOT_BITS)) as usize
}

/// Where words of two bytes are.
fn pair_slot(key: u32) -> usize {
    SLOTS.saturating_add((hash(key & PAIR) >> 8) as usize)
}

/// Where words of one byte are.
fn single_slot(key: u32) -> usize {
    SLOTS
        .saturating_add(256)
        .saturating_add((key >> 16) as usize)
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
        let mut placed: Vec<(usize, u16, u32)> = Vec::new();
        for (number, word) in index.words.iter().enumerate() {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            let mut see = |key: u32| {
                if let Some(bits) = index.seen.get_mut((hash(key) >> 6) as usize) {
                    *bits |= 1 << (hash(key) & 63);
                }
                key
            };
            let (slot, key) = match *word.text {
                [] => continue,
                [only] => {
                    index.single |= 1 << (kind(only) & KIND);
                    let key = key(kind(only), 0, 0);
                    (single_slot(key), key)
                }
                [first, second] => {
                    let is_whole = is_whole(word.text);
                    let letters = LETTERS..DIGIT;
                    let is_letter = |third| letters.contains(&third) || third == UNDERSCORE;
                    let ends = |third: &u16| !is_whole || !is_letter(*third);
                    for third in (0..=KIND).filter(ends) {
                        see(key(kind(first), kind(second), third));
                    }
                    let key = key(kind(first), kind(second), 0);
                    (pair_slot(key), key)
                }
                [first, second, third, ..] => {
                    let key = see(key(kind(first), kind(second), kind(third)));
                    (slot(key), key)
                }
            };
            placed.push((slot, number, key));
        }
        placed.sort_unstable();
        index.entries.reserve_exact(placed.len());
        for (number, (slot, word, key)) in placed.iter().enumerate() {
            let next = placed.get(number.saturating_add(1));
            index.entries.push(Entry {
                key: *key,
                word: *word,
                is_last: next.is_none_or(|(next, ..)| next != slot),
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

    /// The next place of a text where a word may begin.
    ///
    /// Without a branch for each byte but the one that is hardly ever taken: where words of people end cannot be
    /// foretold. It stands alone so that all it needs is in registers.
    #[inline(never)]
    pub(crate) fn next(&self, scan: &mut Scan<'_>) -> Option<usize> {
        let (seen, single) = (&*self.seen, self.single);
        let Scan {
            mut last,
            mut marks,
            ..
        } = *scan;
        let mut begins = |this: u16| {
            marks |= this;
            last = last << 8 | u32::from(this & 0xff);
            let hash = hash(last & KEY);
            let bits = seen.get((hash >> 6) as usize).copied().unwrap_or(0);
            let begins = bits >> (hash & 63) | single >> (last >> 16 & u32::from(KIND));
            // A letter behind one is inside of a word.
            let inside = last & last >> 8 & FIRST_IS_LETTER;
            begins & 1 != 0 && inside == 0
        };
        // Each byte is looked at when the two behind it are known.
        let rest = scan.text.get(scan.end..).unwrap_or_default();
        let mut end = scan.end;
        let mut found = rest.iter().position(|byte| begins(kind(*byte)));
        end = end.saturating_add(found.map_or(rest.len(), |at| at.saturating_add(1)));
        while found.is_none() && end < scan.text.len().saturating_add(BLANKS) {
            found = begins(NOTHING).then_some(0);
            end = end.saturating_add(1);
        }
        (scan.last, scan.marks, scan.end) = (last, marks, end);
        found.map(|_| end.saturating_sub(BLANKS.saturating_add(1)))
    }

    /// Hands each word to `each` that begins at the place that was found last. How many words were compared.
    #[inline(never)]
    pub(crate) fn words_at<E>(
        &self,
        scan: &Scan<'_>,
        at: usize,
        mut each: impl FnMut(&Listed) -> Result<(), E>,
    ) -> Result<u64, E> {
        let (text, key) = (scan.text, scan.last & KEY);
        let rest = text.get(at..).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let digits = (rest.first(), before);
        let mut compared = 0;
        if matches!(digits, (Some(b'0'..=b'9'), Some(byte)) if is_word(*byte)) {
            return Ok(compared);
        }
        let goes_on = rest.get(2).is_some_and(|third| kind(*third) & LETTER != 0);
        for (head, mask) in [
            (slot(key), KEY),
            (pair_slot(key), PAIR),
            (single_slot(key), SINGLE),
        ] {
            let first = self.slots.get(head).copied().unwrap_or(0);
            let Some(first) = usize::from(first).checked_sub(1) else {
                continue;
            };
            for entry in self.entries.get(first..).unwrap_or_default() {
                compared = compared.saturating_add(1);
                if entry.key == key & mask
                    && let Some(word) = self.words.get(usize::from(entry.word))
                    && begins_with(rest, word.text)
                    && !(goes_on && is_whole(word.text))
                {
                    each(word)?;
                }
                if entry.is_last {
                    break;
                }
            }
        }
        Ok(compared)
    }
}

/// Whether a text begins with a word in lower case. From the word's end: words with one beginning differ there.
fn begins_with(text: &[u8], word: &[u8]) -> bool {
    let begin = text.get(..word.len()).unwrap_or_default();
    let same = |(byte, letter): (&u8, &u8)| byte.to_ascii_lowercase() == *letter;
    begin.len() == word.len() && begin.iter().zip(word).rev().all(same)
}

/// How many blanks are thought behind a text, so that the keys of its last bytes are whole.
const BLANKS: usize = 2;

/// How far a text has been looked through.
pub(crate) struct Scan<'t> {
    text: &'t [u8],
    /// How many of its bytes and the blanks behind have been seen.
    end: usize,
    /// What the last four are, eight bits each.
    last: u32,
    /// All that its bytes are.
    marks: u16,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        let kind_at = |at: usize| text.get(at).map_or(NOTHING, |byte| kind(*byte));
        let (first, second) = (kind_at(0), kind_at(1));
        Self {
            text,
            end: BLANKS,
            last: u32::from(first & 0xff) << 8 | u32::from(second & 0xff),
            marks: first | second,
        }
    }

    /// Whether there was a byte that may begin an escape.
    pub(crate) fn escapes(&self) -> bool {
        self.marks & ESCAPES != 0
    }

    /// Whether the text is one short word, a number or a name with dots: what most texts of JSON are.
    pub(crate) fn is_plain(&self) -> bool {
        self.text.len() < 32 && self.marks & ODD == 0
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
            let mut scan = Scan::new(&text);
            while let Some(at) = index.next(&mut scan) {
                let searched: Result<u64, ()> = index.words_at(&scan, at, |found_word| {
                    found += usize::from(at == 1 && found_word.text == word.text);
                    Ok(())
                });
                assert!(searched.is_ok());
            }
            assert!(found > 0, "{:?}", word.text);
        }
    }
}
