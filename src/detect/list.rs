//! Short lists of words.

/// Words with a space between each two, and what is enough to tell most others from them.
pub(crate) struct List {
    words: &'static str,
    seen: [u64; 4],
}

/// Where a word is noted, by its length, its first byte and its last.
const fn place(length: usize, first: u8, last: u8) -> (usize, u32) {
    let hash = (length as u32)
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add((first as u32).wrapping_mul(0x85EB_CA6B))
        .wrapping_add((last as u32).wrapping_mul(0xC2B2_AE35));
    ((hash >> 30) as usize, (hash >> 24) & 63)
}

impl List {
    #[allow(clippy::indexing_slicing, reason = "while compiling")]
    pub(crate) const fn new(words: &'static str) -> Self {
        let bytes = words.as_bytes();
        let mut seen = [0; 4];
        let (mut start, mut at) = (0, 0);
        while at <= bytes.len() {
            if at == bytes.len() || bytes[at] == b' ' {
                if at > start {
                    let (slot, bit) = place(at - start, bytes[start], bytes[at - 1]);
                    seen[slot] |= 1 << bit;
                }
                start = at + 1;
            }
            at += 1;
        }
        Self { words, seen }
    }

    /// Whether a word is one of them.
    pub(crate) fn has(&self, word: &[u8]) -> bool {
        let (Some(first), Some(last)) = (word.first(), word.last()) else {
            return false;
        };
        let (slot, bit) = place(word.len(), *first, *last);
        let seen = self.seen.get(slot).copied().unwrap_or(0);
        seen & (1 << bit) != 0 && is_one_of(word, self.words)
    }
}

/// Whether a word is in a list with a space between each two words. It goes through all of it.
pub(crate) fn is_one_of(word: &[u8], words: &str) -> bool {
    let mut rest = words.as_bytes();
    loop {
        if let Some(after) = rest.strip_prefix(word)
            && matches!(after, [] | [b' ', ..])
        {
            return !word.is_empty();
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
