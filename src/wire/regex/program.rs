//! From an expression to the states of a machine over its alphabet.

use std::collections::BTreeMap;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};

use super::Error;
use super::alphabet::{Alphabet, Letter, Letters, Partition, Traits};
use crate::sort::sort;

/// The place of a state.
pub(super) type StateId = u32;

/// A machine that reads a text letter by letter, in many states at once.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) alphabet: Alphabet,
    states: Box<[State]>,
    sets: Box<[Letters]>,
    pub(super) start: StateId,
    /// What of a letter any look asks for.
    pub(super) asked: Traits,
    /// How much work it was to make.
    pub(super) work: usize,
}

/// What a state waits for, and which states follow.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// One letter.
    Letter(Letter, StateId),
    /// One of the letters of a set.
    Set(u16, StateId),
    /// Nothing: both follow at once.
    Split(StateId, StateId),
    /// That a look holds.
    Look(Look, StateId),
    /// Nothing more: the expression has been found.
    Found,
}

/// An expression, each of its classes by number.
enum Node {
    Empty,
    Class(u16),
    Look(Look),
    Repeat(u32, Option<u32>, Box<Node>),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
}

/// More states than that an expression may not have, be it that many are to be made or visited.
const MOST_STATES: usize = 21_000;

impl Program {
    pub(super) fn new(hir: &Hir) -> Result<Self, Error> {
        let mut classes = Classes::default();
        let root = classes.node(hir)?;
        let looks = hir.properties().look_set();
        let asked = looks.iter().map(asked).fold(Traits::default(), Traits::or);
        let mut partition = classes.partition(asked)?;
        let mut letters = Vec::with_capacity(classes.listed.len());
        for class in &classes.listed {
            letters.push(partition.letters(class));
        }
        let work = partition.work();
        let alphabet = partition.finish(|c| traits(c, asked));
        let mut builder = Builder {
            states: vec![State::Found],
            letters: &letters,
            alphabet: &alphabet,
            visits: 0,
        };
        let start = builder.node(&root, 0)?;
        let visits = builder.visits;
        let states = builder.states.into_boxed_slice();
        Ok(Self {
            states,
            sets: letters.into(),
            start,
            asked,
            work: work.saturating_add(visits),
            alphabet,
        })
    }

    pub(super) fn state(&self, id: StateId) -> Option<State> {
        let place = usize::try_from(id).ok()?;
        self.states.get(place).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether a letter is in a set.
    pub(super) fn has(&self, set: u16, letter: Letter) -> bool {
        let set = self.sets.get(usize::from(set));
        set.is_some_and(|set| set.has(letter))
    }

    /// What it takes of memory beside itself.
    pub(super) fn bytes(&self) -> usize {
        let states = self.states.len().saturating_mul(size_of::<State>());
        let sets = self.sets.len().saturating_mul(size_of::<Letters>());
        let own = states.saturating_add(sets);
        own.saturating_add(self.alphabet.bytes())
    }
}

/// What a look asks of the characters beside it.
fn asked(look: Look) -> Traits {
    match look {
        Look::Start | Look::End => Traits::EDGE,
        Look::StartLF | Look::EndLF => Traits::EDGE.or(Traits::LINE_FEED),
        Look::StartCRLF | Look::EndCRLF => Traits::EDGE.or(Traits::LINE_FEED).or(Traits::RETURN),
        Look::WordAscii
        | Look::WordAsciiNegate
        | Look::WordStartAscii
        | Look::WordEndAscii
        | Look::WordStartHalfAscii
        | Look::WordEndHalfAscii => Traits::WORD_ASCII,
        _ => Traits::WORD_UNICODE,
    }
}

fn traits(c: char, asked: Traits) -> Traits {
    let mut traits = match c {
        '\n' => Traits::LINE_FEED,
        '\r' => Traits::RETURN,
        _ => Traits::default(),
    };
    if c.is_ascii_alphanumeric() || c == '_' {
        traits = traits.or(Traits::WORD_ASCII);
    }
    if asked.has(Traits::WORD_UNICODE) && regex_syntax::try_is_word_character(c).unwrap_or(false) {
        traits = traits.or(Traits::WORD_UNICODE);
    }
    traits
}

/// Whether a look holds between two characters.
pub(super) fn holds(look: Look, before: Traits, behind: Traits) -> bool {
    let ascii = (
        before.has(Traits::WORD_ASCII),
        behind.has(Traits::WORD_ASCII),
    );
    let unicode = (
        before.has(Traits::WORD_UNICODE),
        behind.has(Traits::WORD_UNICODE),
    );
    let edge_or = |traits: Traits, other| traits.has(Traits::EDGE.or(other));
    match look {
        Look::Start => before.has(Traits::EDGE),
        Look::End => behind.has(Traits::EDGE),
        Look::StartLF => edge_or(before, Traits::LINE_FEED),
        Look::EndLF => edge_or(behind, Traits::LINE_FEED),
        Look::StartCRLF => {
            edge_or(before, Traits::LINE_FEED)
                || (before.has(Traits::RETURN) && !behind.has(Traits::LINE_FEED))
        }
        Look::EndCRLF => {
            edge_or(behind, Traits::RETURN)
                || (behind.has(Traits::LINE_FEED) && !before.has(Traits::RETURN))
        }
        Look::WordAscii => ascii.0 != ascii.1,
        Look::WordAsciiNegate => ascii.0 == ascii.1,
        Look::WordUnicode => unicode.0 != unicode.1,
        Look::WordUnicodeNegate => unicode.0 == unicode.1,
        Look::WordStartAscii => !ascii.0 && ascii.1,
        Look::WordEndAscii => ascii.0 && !ascii.1,
        Look::WordStartUnicode => !unicode.0 && unicode.1,
        Look::WordEndUnicode => unicode.0 && !unicode.1,
        Look::WordStartHalfAscii => !ascii.0,
        Look::WordEndHalfAscii => !ascii.1,
        Look::WordStartHalfUnicode => !unicode.0,
        Look::WordEndHalfUnicode => !unicode.1,
    }
}

/// The classes of an expression, each once.
#[derive(Default)]
struct Classes {
    listed: Vec<ClassUnicode>,
    numbers: BTreeMap<Vec<(char, char)>, u16>,
    characters: BTreeMap<char, u16>,
}

impl Classes {
    fn node(&mut self, hir: &Hir) -> Result<Node, Error> {
        Ok(match hir.kind() {
            HirKind::Empty => Node::Empty,
            HirKind::Look(look) => Node::Look(*look),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| Error::Alphabet)?;
                let characters = text.chars().map(|c| self.character(c).map(Node::Class));
                Node::Sequence(characters.collect::<Result<_, _>>()?)
            }
            HirKind::Class(Class::Unicode(class)) => Node::Class(self.class(class)?),
            HirKind::Class(Class::Bytes(class)) => {
                let class = class.to_unicode_class().ok_or(Error::Alphabet)?;
                Node::Class(self.class(&class)?)
            }
            HirKind::Repetition(repetition) => {
                let sub = Box::new(self.node(&repetition.sub)?);
                Node::Repeat(repetition.min, repetition.max, sub)
            }
            HirKind::Capture(capture) => self.node(&capture.sub)?,
            HirKind::Concat(parts) => Node::Sequence(self.nodes(parts)?),
            HirKind::Alternation(parts) => Node::Choice(self.nodes(parts)?),
        })
    }

    fn nodes(&mut self, parts: &[Hir]) -> Result<Vec<Node>, Error> {
        parts.iter().map(|part| self.node(part)).collect()
    }

    fn character(&mut self, c: char) -> Result<u16, Error> {
        if let Some(number) = self.characters.get(&c) {
            return Ok(*number);
        }
        let number = self.list(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))?;
        self.characters.insert(c, number);
        Ok(number)
    }

    fn class(&mut self, class: &ClassUnicode) -> Result<u16, Error> {
        let ranges = class.iter().map(|range| (range.start(), range.end()));
        let ranges: Vec<(char, char)> = ranges.collect();
        if let [(one, other)] = ranges.as_slice()
            && one == other
        {
            return self.character(*one);
        }
        if let Some(number) = self.numbers.get(&ranges) {
            return Ok(*number);
        }
        let number = self.list(class.clone())?;
        self.numbers.insert(ranges, number);
        Ok(number)
    }

    fn list(&mut self, class: ClassUnicode) -> Result<u16, Error> {
        let number = u16::try_from(self.listed.len()).map_err(|_| Error::TooLarge)?;
        self.listed.push(class);
        Ok(number)
    }

    /// Tells apart what the classes, and looks, tell apart.
    fn partition(&self, asked: Traits) -> Result<Partition, Error> {
        let mut partition = Partition::new();
        let line_ends = [
            ('\n', asked.has(Traits::LINE_FEED)),
            ('\r', asked.has(Traits::RETURN)),
        ];
        let mut alone: Vec<char> = self.characters.keys().copied().collect();
        alone.extend(line_ends.iter().filter(|(_, asked)| *asked).map(|(c, _)| c));
        sort(&mut alone, char::cmp);
        alone.dedup();
        let alphabet = |_| Error::Alphabet;
        partition.isolate(alone.into_iter()).map_err(alphabet)?;
        if asked.has(Traits::WORD_ASCII) {
            let ranges = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
            let ranges = ranges.map(|(from, to)| ClassUnicodeRange::new(from, to));
            partition
                .split(&ClassUnicode::new(ranges))
                .map_err(alphabet)?;
        }
        if asked.has(Traits::WORD_UNICODE) {
            let word = regex_syntax::parse(r"\w").map_err(|_| Error::Alphabet)?;
            if let HirKind::Class(Class::Unicode(class)) = word.kind() {
                partition.split(class).map_err(alphabet)?;
            }
        }
        for class in self.numbers.values() {
            if let Some(class) = self.listed.get(usize::from(*class)) {
                partition.split(class).map_err(alphabet)?;
            }
        }
        Ok(partition)
    }
}

/// Builds states from the last to the first.
struct Builder<'b> {
    states: Vec<State>,
    letters: &'b [Letters],
    alphabet: &'b Alphabet,
    visits: usize,
}

impl Builder<'_> {
    /// The state in which a node begins that `next` follows.
    fn node(&mut self, node: &Node, next: StateId) -> Result<StateId, Error> {
        self.visits = self.visits.saturating_add(1);
        if self.visits > MOST_STATES {
            return Err(Error::TooLarge);
        }
        match node {
            Node::Empty => Ok(next),
            Node::Class(number) => {
                let letters = self.letters.get(usize::from(*number));
                let one = letters.and_then(|letters| letters.only(self.alphabet.len()));
                self.push(match one {
                    Some(letter) => State::Letter(letter, next),
                    None => State::Set(*number, next),
                })
            }
            Node::Look(look) => self.push(State::Look(*look, next)),
            Node::Sequence(nodes) => {
                let mut nodes = nodes.iter().rev();
                nodes.try_fold(next, |next, node| self.node(node, next))
            }
            Node::Choice(nodes) => {
                let mut nodes = nodes.iter().rev();
                let Some(last) = nodes.next() else {
                    return Ok(next);
                };
                let last = self.node(last, next)?;
                nodes.try_fold(last, |others, node| {
                    let one = self.node(node, next)?;
                    self.push(State::Split(one, others))
                })
            }
            Node::Repeat(least, most, node) => self.repeat(*least, *most, node, next),
        }
    }

    fn repeat(
        &mut self,
        least: u32,
        most: Option<u32>,
        node: &Node,
        next: StateId,
    ) -> Result<StateId, Error> {
        let mut start = next;
        match most {
            Some(most) => {
                for _ in least..most {
                    let one = self.node(node, start)?;
                    start = self.push(State::Split(one, next))?;
                }
            }
            None => {
                start = self.push(State::Split(next, next))?;
                let one = self.node(node, start)?;
                let place = usize::try_from(start).map_err(|_| Error::TooLarge)?;
                if let Some(state) = self.states.get_mut(place) {
                    *state = State::Split(one, next);
                }
            }
        }
        for _ in 0..least {
            start = self.node(node, start)?;
        }
        Ok(start)
    }

    fn push(&mut self, state: State) -> Result<StateId, Error> {
        if self.states.len() >= MOST_STATES {
            return Err(Error::TooLarge);
        }
        let id = StateId::try_from(self.states.len()).map_err(|_| Error::TooLarge)?;
        self.states.push(state);
        Ok(id)
    }
}
