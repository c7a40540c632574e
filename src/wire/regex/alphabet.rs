//! The alphabet of an expression: characters that it does not tell apart are one letter of it.

use regex_syntax::hir::ClassUnicode;

/// A letter: a set of characters. There are never more than [`MOST`].
pub(super) type Letter = u8;

/// The most letters of one alphabet.
const MOST: usize = 250;

/// Which letter each character is.
#[derive(Debug)]
pub(super) struct Alphabet {
    ascii: [Letter; 128],
    /// Where runs of characters of one letter begin, in order: the character times 256, and the letter.
    runs: Box<[u32]>,
    /// For each letter what the looks of an expression see of it; see [`Traits`].
    traits: Box<[Traits]>,
}

/// What looks ask of the character before or behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits(pub(super) u8);

impl Traits {
    pub(super) const EDGE: Self = Self(1);
    pub(super) const LINE_FEED: Self = Self(2);
    pub(super) const RETURN: Self = Self(4);
    pub(super) const WORD_ASCII: Self = Self(8);
    pub(super) const WORD_UNICODE: Self = Self(16);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// More letters than an alphabet has.
#[derive(Debug)]
pub(super) struct TooMany;

/// Letters of an alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Letters([u64; 4]);

impl Letters {
    fn insert(&mut self, letter: usize) {
        if let Some(word) = self.0.get_mut(letter / 64) {
            *word |= 1 << (letter % 64);
        }
    }

    /// Its letter, if there is one alone.
    pub(super) fn only(&self, letters: usize) -> Option<Letter> {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        let last = Letter::try_from(letters.checked_sub(1)?).ok()?;
        (count == 1).then(|| (0..=last).find(|letter| self.has(*letter)))?
    }

    pub(super) fn has(&self, letter: Letter) -> bool {
        let word = self.0.get(usize::from(letter) / 64);
        word.is_some_and(|word| word >> (letter % 64) & 1 == 1)
    }
}

/// An alphabet while it is made: runs of characters, each with its letter.
pub(super) struct Partition {
    runs: Vec<(u32, usize)>,
    letters: usize,
    /// How many runs have been looked at.
    work: usize,
}

impl Partition {
    /// One letter, which is every character.
    pub(super) fn new() -> Self {
        Self {
            runs: vec![(0, 0)],
            letters: 1,
            work: 1,
        }
    }

    /// Tells the characters of a class from others.
    pub(super) fn split(&mut self, class: &ClassUnicode) -> Result<(), TooMany> {
        let ranges = class.iter();
        let ranges = ranges.map(|range| (u32::from(range.start()), u32::from(range.end())));
        self.refine(ranges, |_, letter| letter)
    }

    /// Tells each of these characters, which are in order, from all others.
    pub(super) fn isolate(
        &mut self,
        characters: impl Iterator<Item = char>,
    ) -> Result<(), TooMany> {
        let characters = characters.map(|c| (u32::from(c), u32::from(c)));
        self.refine(characters, |start, _| usize::try_from(start).unwrap_or(0))
    }

    /// Splits what is in ranges off. `key` says which of it becomes one letter.
    fn refine(
        &mut self,
        ranges: impl Iterator<Item = (u32, u32)>,
        key: impl Fn(u32, usize) -> usize,
    ) -> Result<(), TooMany> {
        let mut cut: Vec<(u32, usize, Option<usize>)> = Vec::with_capacity(self.runs.len());
        let mut ranges = ranges.peekable();
        for (index, (start, letter)) in self.runs.iter().enumerate() {
            let next = self.runs.get(index.saturating_add(1));
            let end = next.map_or(0x11_0000, |(next, _)| *next);
            let mut at = *start;
            while at < end {
                let Some((from, to)) = ranges.peek().copied().filter(|(from, _)| *from < end)
                else {
                    cut.push((at, *letter, None));
                    break;
                };
                if at < from {
                    cut.push((at, *letter, None));
                    at = from;
                }
                cut.push((at, *letter, Some(key(from, *letter))));
                at = to.saturating_add(1).min(end);
                if to < end {
                    ranges.next();
                }
            }
        }
        self.work = self.work.saturating_add(cut.len());
        self.number(cut)
    }

    fn number(&mut self, cut: Vec<(u32, usize, Option<usize>)>) -> Result<(), TooMany> {
        // Letters are few, and neighbours change between the same two.
        let mut names: Vec<(usize, Option<usize>)> = Vec::new();
        self.runs.clear();
        for (start, letter, key) in cut {
            let known = names.iter().position(|name| *name == (letter, key));
            let name = known.unwrap_or_else(|| {
                names.push((letter, key));
                names.len().saturating_sub(1)
            });
            if names.len() > MOST {
                return Err(TooMany);
            }
            match self.runs.last() {
                Some((_, last)) if *last == name => {}
                _ => self.runs.push((start, name)),
            }
        }
        self.letters = names.len();
        Ok(())
    }

    /// The letters that a class consists of, once all classes have been told apart.
    pub(super) fn letters(&mut self, class: &ClassUnicode) -> Letters {
        let mut letters = Letters::default();
        let mut runs = self.runs.as_slice();
        for range in class.iter() {
            let (from, to) = (u32::from(range.start()), u32::from(range.end()));
            let first = runs.partition_point(|(start, _)| *start < from);
            runs = runs.get(first..).unwrap_or_default();
            let behind = runs.partition_point(|(start, _)| *start <= to);
            let inside = runs.get(..behind).unwrap_or_default();
            inside
                .iter()
                .for_each(|(_, letter)| letters.insert(*letter));
            self.work = self.work.saturating_add(inside.len()).saturating_add(8);
        }
        letters
    }

    /// How much work it was.
    pub(super) fn work(&self) -> usize {
        self.work
    }

    /// The alphabet. `traits` says what looks see of a character.
    pub(super) fn finish(self, traits: impl Fn(char) -> Traits) -> Alphabet {
        let mut of_letters = vec![Traits::default(); self.letters];
        let mut packed = Vec::with_capacity(self.runs.len());
        for (start, letter) in &self.runs {
            packed.push(start << 8 | u32::try_from(*letter).unwrap_or(0));
            // Surrogates are no characters: a run that begins there goes on behind them.
            let first = char::from_u32(*start).or(char::from_u32(0xe000));
            if let (Some(first), Some(of_letter)) = (first, of_letters.get_mut(*letter)) {
                *of_letter = of_letter.or(traits(first));
            }
        }
        let mut alphabet = Alphabet {
            ascii: [0; 128],
            runs: packed.into(),
            traits: of_letters.into(),
        };
        for code in 0..128_u8 {
            let letter = alphabet.look_up(u32::from(code));
            if let Some(place) = alphabet.ascii.get_mut(usize::from(code)) {
                *place = letter;
            }
        }
        alphabet
    }
}

impl Alphabet {
    /// The letter of a character.
    pub(super) fn letter(&self, c: char) -> Letter {
        let code = u32::from(c);
        let ascii = usize::try_from(code).ok();
        match ascii.and_then(|code| self.ascii.get(code)) {
            Some(letter) => *letter,
            None => self.look_up(code),
        }
    }

    fn look_up(&self, code: u32) -> Letter {
        let end = self.runs.partition_point(|run| run >> 8 <= code);
        let run = end.checked_sub(1).and_then(|last| self.runs.get(last));
        run.map_or(0, |run| (run & 0xff) as Letter)
    }

    /// How many letters there are.
    pub(super) fn len(&self) -> usize {
        self.traits.len()
    }

    /// What looks see of a letter.
    pub(super) fn traits(&self, letter: Letter) -> Traits {
        let traits = self.traits.get(usize::from(letter));
        traits.copied().unwrap_or_default()
    }

    /// What it takes of memory beside itself.
    pub(super) fn bytes(&self) -> usize {
        self.runs.len().saturating_mul(4).saturating_add(self.len())
    }
}
