//! Short lists of words.

/// Words with a space between each two.
pub(crate) struct List {
    words: &'static str,
    filter: Filter,
}

impl List {
    pub(crate) const fn new(words: &'static str) -> Self {
        let filter = Filter::of(words, b' ');
        Self { words, filter }
    }

    /// Whether a word is one of them.
    pub(crate) fn has(&self, word: &[u8]) -> bool {
        self.filter.may_have(word) && is_one_of(word, self.words)
    }
}

/// What is enough to tell most words from those of a list.
#[derive(Clone, Copy)]
pub(crate) struct Filter([u64; 4]);

/// Where a word is noted, by its length, its first byte and its last.
const fn place(length: usize, first: u8, last: u8) -> (usize, u32) {
    let hash = (length as u32)
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add((first as u32).wrapping_mul(0x85EB_CA6B))
        .wrapping_add((last as u32).wrapping_mul(0xC2B2_AE35));
    ((hash >> 30) as usize, (hash >> 24) & 63)
}

impl Filter {
    /// Of no words.
    pub(crate) const NONE: Self = Self([0; 4]);

    /// Of words with a space between each two, and perhaps a mark behind them.
    #[allow(clippy::indexing_slicing, reason = "while compiling")]
    pub(crate) const fn of(words: &str, mark: u8) -> Self {
        let bytes = words.as_bytes();
        let mut seen = [0; 4];
        let (mut start, mut at) = (0, 0);
        while at <= bytes.len() {
            if at == bytes.len() || bytes[at] == b' ' {
                let marked = at > start && bytes[at - 1] == mark;
                let end = if marked { at - 1 } else { at };
                if end > start {
                    let (slot, bit) = place(end - start, bytes[start], bytes[end - 1]);
                    seen[slot] |= 1 << bit;
                }
                start = at + 1;
            }
            at += 1;
        }
        Self(seen)
    }

    /// Whether a word may be one of them.
    pub(crate) fn may_have(&self, word: &[u8]) -> bool {
        let (Some(first), Some(last)) = (word.first(), word.last()) else {
            return false;
        };
        let (slot, bit) = place(word.len(), *first, *last);
        self.0.get(slot).copied().unwrap_or(0) & (1 << bit) != 0
    }
}

/// Short texts with a space between each two, that others may begin with.
pub(crate) struct Prefixes {
    prefixes: &'static str,
    /// A bit for each byte that one of them is.
    bytes: [u64; 4],
    /// A bit for what each longer one begins with, by a hash of two bytes.
    pairs: [u64; 4],
}

impl Prefixes {
    #[allow(clippy::indexing_slicing, reason = "while compiling")]
    pub(crate) const fn new(prefixes: &'static str) -> Self {
        let bytes = prefixes.as_bytes();
        let mut found = Self {
            prefixes,
            bytes: [0; 4],
            pairs: [0; 4],
        };
        let mut at = 0;
        while at < bytes.len() {
            let is_first = at == 0 || bytes[at - 1] == b' ';
            let is_last = at + 1 == bytes.len() || bytes[at + 1] == b' ';
            if is_first && is_last {
                found.bytes[(bytes[at] >> 6) as usize] |= 1 << (bytes[at] & 63);
            } else if is_first && bytes[at] != b' ' {
                let (slot, bit) = place(0, bytes[at], bytes[at + 1]);
                found.pairs[slot] |= 1 << bit;
            }
            at += 1;
        }
        found
    }

    /// What is left of a text behind the first of them that it begins with.
    pub(crate) fn strip<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let first = *text.first()?;
        let bytes = self.bytes.get(usize::from(first >> 6)).copied();
        let (slot, bit) = place(0, first, text.get(1).copied().unwrap_or(0));
        let pairs = self.pairs.get(slot).copied().unwrap_or(0);
        match (bytes.unwrap_or(0) >> (first & 63) | pairs >> bit) & 1 {
            0 => None,
            _ => strip_one_of(text, self.prefixes),
        }
    }
}

/// What is left of a text behind the first of a list that it begins with.
pub(crate) fn strip_one_of<'t>(text: &'t [u8], list: &str) -> Option<&'t [u8]> {
    let first = text.first()?;
    let mut rest = list.as_bytes();
    loop {
        let end = rest.iter().position(|byte| *byte == b' ');
        if rest.first() == Some(first) {
            let prefix = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            if let Some(after) = text.strip_prefix(prefix) {
                return Some(after);
            }
        }
        rest = rest.get(end?.saturating_add(1)..).unwrap_or_default();
    }
}

/// Whether a word is in a list with a space between each two words. It goes through all of it.
pub(crate) fn is_one_of(word: &[u8], words: &str) -> bool {
    let Some(first) = word.first() else {
        return false;
    };
    let mut rest = words.as_bytes();
    loop {
        if rest.first() == Some(first)
            && let Some(after) = rest.strip_prefix(word)
            && matches!(after, [] | [b' ', ..])
        {
            return true;
        }
        let Some(end) = rest.iter().position(|byte| *byte == b' ') else {
            return false;
        };
        rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_a_text_begins_with_is_taken_off() {
        const PREFIXES: Prefixes = Prefixes::new("ab a \u{e9} bc*");
        for (text, rest) in [
            ("abc", Some("c")),
            ("ac", Some("c")),
            ("a", Some("")),
            ("bc*d", Some("d")),
            ("\u{e9}e", Some("e")),
            ("bc", None),
            ("c", None),
            (" a", None),
            ("", None),
        ] {
            assert_eq!(
                PREFIXES.strip(text.as_bytes()),
                rest.map(str::as_bytes),
                "{text}"
            );
        }
    }

    #[test]
    fn words_are_told_from_what_is_like_them() {
        const WORDS: List = List::new("select insert or");
        for word in ["select", "insert", "or"] {
            assert!(WORDS.has(word.as_bytes()) && is_one_of(word.as_bytes(), WORDS.words));
        }
        for word in ["", "s", "selec", "selects", "t i", "or ", "nsert", "sxlect"] {
            assert!(
                !WORDS.has(word.as_bytes()) && !is_one_of(word.as_bytes(), WORDS.words),
                "{word}"
            );
        }
    }
}
