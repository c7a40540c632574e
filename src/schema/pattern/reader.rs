//! Reading ECMA-262's syntax.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::str::Chars;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{PatternError, category};

/// Ranges of characters.
type Ranges = &'static [(char, char)];

const DIGITS: Ranges = &[('0', '9')];
const WORD: Ranges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
/// ECMA-262 `WhiteSpace` and `LineTerminator`.
const BLANKS: Ranges = &[
    ('\t', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];
const LINE_ENDS: Ranges = &[('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')];

/// The characters that stand for classes: for private use, the last of all. One that a pattern
/// writes itself stands for a class that has it alone.
pub(super) const PLACES: RangeInclusive<char> = '\u{100000}'..='\u{10ffff}';

/// More ranges than that the classes of a pattern may not have together.
const MOST_RANGES: usize = 100_000;

/// A pattern in the syntax of the `regex` crate.
pub(super) struct Translated {
    pub(super) text: String,
    /// What the first of [`PLACES`] stands for, the second, and so on.
    pub(super) classes: Vec<ClassUnicode>,
}

pub(super) fn translate(pattern: &str) -> Result<Translated, PatternError> {
    let mut reader = PatternReader {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len().saturating_add(16)),
        classes: Vec::new(),
        ranges: 0,
    };
    while let Some(c) = reader.rest.next() {
        match c {
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' => reader.group()?,
            '.' => reader.place(class_of(LINE_ENDS, Sense::Outside))?,
            '{' => reader.brace(),
            '^' | '$' | '|' | ')' | '*' | '+' | '?' => reader.out.push(c),
            c if PLACES.contains(&c) => {
                reader.place(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))?;
            }
            c => reader.literal(c),
        }
    }
    Ok(Translated {
        text: reader.out,
        classes: reader.classes,
    })
}

/// Which side of ranges is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    Inside,
    Outside,
}

fn class_of(ranges: Ranges, sense: Sense) -> ClassUnicode {
    let ranges = ranges.iter();
    let ranges = ranges.map(|(from, to)| ClassUnicodeRange::new(*from, *to));
    sensed(ClassUnicode::new(ranges), sense)
}

fn sensed(mut class: ClassUnicode, sense: Sense) -> ClassUnicode {
    if sense == Sense::Outside {
        class.negate();
    }
    class
}

struct PatternReader<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    classes: Vec<ClassUnicode>,
    /// How many ranges classes have had so far.
    ranges: usize,
}

/// One member of a class, or what an escape stands for.
enum Atom {
    One(char),
    /// Half of a character, which no text here has.
    Surrogate(u32),
    /// One of several.
    Class(ClassUnicode),
}

impl PatternReader<'_> {
    /// Writes the next of [`PLACES`] for a class.
    fn place(&mut self, class: ClassUnicode) -> Result<(), PatternError> {
        self.ranges = self.ranges.saturating_add(class.ranges().len());
        if self.ranges > MOST_RANGES {
            return Err(PatternError::TooLarge);
        }
        let place = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        let place = u32::from(*PLACES.start()).saturating_add(place);
        self.out
            .push(char::from_u32(place).ok_or(PatternError::TooLarge)?);
        self.classes.push(class);
        Ok(())
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || !c.is_ascii() || c == ' ' || c == '_' {
            self.out.push(c);
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(self.out, "\\x{{{:X}}}", u32::from(c));
        }
    }

    /// A `{` that begins no quantifier stands for itself, as in ECMA-262 annex B.
    fn brace(&mut self) {
        let ahead: String = self
            .rest
            .clone()
            .take_while(|c| *c != '}')
            .take(24)
            .collect();
        let closed = self.rest.clone().take(25).any(|c| c == '}');
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let quantifier = match ahead.split_once(',') {
            None => number(&ahead),
            Some((least, "")) => number(least),
            Some((least, most)) => number(least) && number(most),
        };
        if closed && quantifier {
            let _ = write!(self.out, "{{{ahead}}}");
            for _ in 0..=ahead.len() {
                self.rest.next();
            }
        } else {
            self.literal('{');
        }
    }

    /// Groups capture nothing: nobody asks what they matched.
    fn group(&mut self) -> Result<(), PatternError> {
        self.out.push_str("(?:");
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        match self.rest.next() {
            Some(':') => Ok(()),
            Some('=' | '!') => Err(PatternError::LookAround),
            Some('<') => match self.rest.next() {
                Some('=' | '!') => Err(PatternError::LookAround),
                Some(c) if c.is_alphabetic() || c == '_' || c == '$' => {
                    let closed = self.rest.by_ref().any(|c| c == '>');
                    closed.then_some(()).ok_or(PatternError::Syntax)
                }
                _ => Err(PatternError::Syntax),
            },
            Some(c) if c.is_ascii_alphabetic() || c == '-' => Err(PatternError::Flags),
            _ => Err(PatternError::Syntax),
        }
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match self.rest.peek() {
            Some('b') => {
                self.out.push_str("(?-u:\\b)");
                self.rest.next();
                return Ok(());
            }
            Some('B') => {
                self.out.push_str("(?-u:\\B)");
                self.rest.next();
                return Ok(());
            }
            Some('1'..='9' | 'k') => return Err(PatternError::BackReference),
            _ => {}
        }
        match self.atom()? {
            Atom::One(c) if PLACES.contains(&c) => {
                self.place(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
            }
            Atom::One(c) => {
                self.literal(c);
                Ok(())
            }
            // No text has one.
            Atom::Surrogate(_) => self.place(ClassUnicode::empty()),
            Atom::Class(class) => self.place(class),
        }
    }

    /// What follows a backslash.
    fn atom(&mut self) -> Result<Atom, PatternError> {
        let c = self.rest.next().ok_or(PatternError::Syntax)?;
        Ok(match c {
            'd' => Atom::Class(class_of(DIGITS, Sense::Inside)),
            'D' => Atom::Class(class_of(DIGITS, Sense::Outside)),
            'w' => Atom::Class(class_of(WORD, Sense::Inside)),
            'W' => Atom::Class(class_of(WORD, Sense::Outside)),
            's' => Atom::Class(class_of(BLANKS, Sense::Inside)),
            'S' => Atom::Class(class_of(BLANKS, Sense::Outside)),
            't' => Atom::One('\t'),
            'n' => Atom::One('\n'),
            'v' => Atom::One('\u{b}'),
            'f' => Atom::One('\u{c}'),
            'r' => Atom::One('\r'),
            '0' if !self.rest.peek().is_some_and(char::is_ascii_digit) => Atom::One('\0'),
            'c' => match self.rest.next() {
                Some(c) if c.is_ascii_alphabetic() => Atom::One(char::from(c as u8 & 0x1f)),
                _ => return Err(PatternError::Syntax),
            },
            'x' => {
                let code = self.digits(2)?;
                Atom::One(char::from_u32(code).ok_or(PatternError::Syntax)?)
            }
            'u' => self.code_point()?,
            'p' | 'P' => self.property(c)?,
            c if c.is_ascii_alphanumeric() => return Err(PatternError::Syntax),
            c => Atom::One(c),
        })
    }

    fn digits(&mut self, count: usize) -> Result<u32, PatternError> {
        let mut value = 0;
        for _ in 0..count {
            let digit = self.rest.next().and_then(|c| c.to_digit(16));
            value = value << 4 | digit.ok_or(PatternError::Syntax)?;
        }
        Ok(value)
    }

    fn code_point(&mut self) -> Result<Atom, PatternError> {
        if self.rest.next_if_eq(&'{').is_some() {
            let mut value: u32 = 0;
            loop {
                match self.rest.next() {
                    Some('}') => break,
                    c => {
                        let digit = c.and_then(|c| c.to_digit(16)).ok_or(PatternError::Syntax)?;
                        value = value.saturating_mul(16).saturating_add(digit);
                    }
                }
            }
            return atom_of(value);
        }
        let first = self.digits(4)?;
        if !(0xd800..0xdc00).contains(&first) {
            return atom_of(first);
        }
        let mut ahead = PatternReader {
            rest: self.rest.clone(),
            out: String::new(),
            classes: Vec::new(),
            ranges: 0,
        };
        let escaped = ahead.rest.next() == Some('\\') && ahead.rest.next() == Some('u');
        if let (true, Ok(second @ 0xdc00..=0xdfff)) = (escaped, ahead.digits(4)) {
            self.rest = ahead.rest;
            return atom_of(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        }
        atom_of(first)
    }

    fn property(&mut self, kind: char) -> Result<Atom, PatternError> {
        if self.rest.next() != Some('{') {
            return Err(PatternError::Syntax);
        }
        let name: String = self
            .rest
            .by_ref()
            .take_while(|c| *c != '}')
            .take(64)
            .collect();
        let name = match name.split_once('=') {
            None => name.as_str(),
            Some(("General_Category" | "gc", value)) => value,
            Some(_) => return Err(PatternError::Property),
        };
        let ranges = category::ranges(name).ok_or(PatternError::Property)?;
        self.ranges = self.ranges.saturating_add(ranges.len());
        if self.ranges > MOST_RANGES {
            return Err(PatternError::TooLarge);
        }
        let sense = match kind {
            'p' => Sense::Inside,
            _ => Sense::Outside,
        };
        Ok(Atom::Class(sensed(ClassUnicode::new(ranges), sense)))
    }

    /// A class, `[` having been read.
    fn class(&mut self) -> Result<(), PatternError> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut inside = Vec::new();
        loop {
            let from = match self.rest.next() {
                None => return Err(PatternError::Syntax),
                Some(']') => break,
                Some(c) => self.class_atom(c)?,
            };
            if self.rest.peek() != Some(&'-') {
                add(&mut inside, &from);
                continue;
            }
            self.rest.next();
            let to = match self.rest.next() {
                None => return Err(PatternError::Syntax),
                Some(']') => {
                    add(&mut inside, &from);
                    add(&mut inside, &Atom::One('-'));
                    break;
                }
                Some(c) => self.class_atom(c)?,
            };
            add_range(&mut inside, &from, &to)?;
        }
        let sense = match negated {
            true => Sense::Outside,
            false => Sense::Inside,
        };
        self.place(sensed(ClassUnicode::new(inside), sense))
    }

    fn class_atom(&mut self, c: char) -> Result<Atom, PatternError> {
        match c {
            '\\' => match self.rest.peek() {
                Some('b') => {
                    self.rest.next();
                    Ok(Atom::One('\u{8}'))
                }
                Some('-') => {
                    self.rest.next();
                    Ok(Atom::One('-'))
                }
                _ => self.atom(),
            },
            c => Ok(Atom::One(c)),
        }
    }
}

fn atom_of(code: u32) -> Result<Atom, PatternError> {
    if (0xd800..0xe000).contains(&code) {
        return Ok(Atom::Surrogate(code));
    }
    char::from_u32(code)
        .map(Atom::One)
        .ok_or(PatternError::Syntax)
}

fn add(ranges: &mut Vec<ClassUnicodeRange>, atom: &Atom) {
    match atom {
        Atom::One(c) => ranges.push(ClassUnicodeRange::new(*c, *c)),
        // No text has one.
        Atom::Surrogate(_) => {}
        Atom::Class(class) => ranges.extend_from_slice(class.ranges()),
    }
}

fn add_range(
    ranges: &mut Vec<ClassUnicodeRange>,
    from: &Atom,
    to: &Atom,
) -> Result<(), PatternError> {
    // No text has half a character, so a range may leave them out.
    let (low, high) = match (from, to) {
        (Atom::One(low), Atom::One(high)) => (*low, *high),
        (Atom::One(low), Atom::Surrogate(_)) => (*low, '\u{d7ff}'),
        (Atom::Surrogate(_), Atom::One(high)) => ('\u{e000}', *high),
        (Atom::Surrogate(low), Atom::Surrogate(high)) if low <= high => {
            return Ok(());
        }
        (Atom::Surrogate(_), Atom::Surrogate(_)) => return Err(PatternError::Syntax),
        // `[\w-.]` is three members, as in ECMA-262 annex B.
        (from, to) => {
            add(ranges, from);
            add(ranges, &Atom::One('-'));
            add(ranges, to);
            return Ok(());
        }
    };
    if low > high {
        return Err(PatternError::Syntax);
    }
    ranges.push(ClassUnicodeRange::new(low, high));
    Ok(())
}
