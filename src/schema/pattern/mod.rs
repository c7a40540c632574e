//! Patterns: ECMA-262 regular expressions in a crate that matches in linear time.
//!
//! The two languages share most of their syntax and differ in what it means: `\d` is ASCII there
//! and all of Unicode here, `.` leaves out other characters, `[` in a class opens another one
//! here. So a pattern is read and written anew. What cannot be matched in linear time, look-around
//! and back-references, is refused, as is what one of the two does not have.

mod category;

use std::fmt;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use crate::regex::{self, Regex};
use regex_syntax::ast::parse::ParserBuilder;

/// Why a pattern cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    /// `(?=`, `(?!`, `(?<=` or `(?<!`.
    LookAround,
    /// `\1` or `\k<name>`.
    BackReference,
    /// A group that sets flags.
    Flags,
    /// Anything else that is wrong.
    Syntax,
    /// A property that the filter has no table of.
    Property,
    /// It would take too much memory.
    TooLarge,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternError::LookAround => {
                "looks around, which cannot be matched in linear time; say it with `not`, `allOf` or `anyOf`"
            }
            PatternError::BackReference => {
                "refers back to a group, which cannot be matched in linear time"
            }
            PatternError::Flags => "sets flags, which ECMA-262 patterns of schemas do not have",
            PatternError::Syntax => "is not a regular expression of ECMA-262",
            PatternError::Property => {
                "names a Unicode property other than a general category, such as \\p{L} or \\p{Letter}"
            }
            PatternError::TooLarge => "is too large when compiled; bound lengths with `maxLength`",
        })
    }
}

/// What a compiled pattern may take.
const LARGEST_PROGRAM: usize = 2 << 20;

/// Compiles a pattern. It matches anywhere in a text unless it says otherwise.
pub(super) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let translated = translate(pattern)?;
    let compiled = Regex::compile(&translated, false, LARGEST_PROGRAM);
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
        _ => PatternError::Syntax,
    })
}

/// Whether a text is a pattern, by its syntax alone. It may be one that cannot be had here.
pub(super) fn is_pattern(text: &str) -> bool {
    const DEEPEST: u32 = 64;
    let mut parser = ParserBuilder::new().nest_limit(DEEPEST).build();
    match translate(text) {
        Ok(translated) => parser.parse(&translated).is_ok(),
        Err(PatternError::Syntax | PatternError::Flags) => false,
        Err(_) => true,
    }
}

const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
/// ECMA-262 `WhiteSpace` and `LineTerminator`.
const BLANKS: &str = r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";
const NOT_LINE_ENDS: &str = r"[^\n\r\u{2028}\u{2029}]";

fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut reader = Reader {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len().saturating_add(16)),
    };
    while let Some(c) = reader.rest.next() {
        match c {
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' => reader.group()?,
            '.' => reader.out.push_str(NOT_LINE_ENDS),
            '{' => reader.brace(),
            '^' | '$' | '|' | ')' | '*' | '+' | '?' => reader.out.push(c),
            c => reader.literal(c),
        }
    }
    Ok(reader.out)
}

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
}

/// One member of a class, or what an escape stands for.
enum Atom {
    One(char),
    /// Half of a character, which no text here has.
    Surrogate(u32),
    /// The inside of a class.
    Set(&'static str),
    /// The outside of one.
    NotSet(&'static str),
    /// `\p{…}`, written out.
    Property(String),
}

impl Reader<'_> {
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
            Atom::One(c) => self.literal(c),
            // No text has one.
            Atom::Surrogate(_) => self.out.push_str(NOTHING),
            Atom::Set(set) => {
                let _ = write!(self.out, "[{set}]");
            }
            Atom::NotSet(set) => {
                let _ = write!(self.out, "[^{set}]");
            }
            Atom::Property(property) => self.out.push_str(&property),
        }
        Ok(())
    }

    /// What follows a backslash.
    fn atom(&mut self) -> Result<Atom, PatternError> {
        let c = self.rest.next().ok_or(PatternError::Syntax)?;
        Ok(match c {
            'd' => Atom::Set(DIGITS),
            'D' => Atom::NotSet(DIGITS),
            'w' => Atom::Set(WORD),
            'W' => Atom::NotSet(WORD),
            's' => Atom::Set(BLANKS),
            'S' => Atom::NotSet(BLANKS),
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
        let mut ahead = Reader {
            rest: self.rest.clone(),
            out: String::new(),
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
        let class = category::class(name).ok_or(PatternError::Property)?;
        Ok(Atom::Property(match (class.as_str(), kind) {
            ("", 'p') => NOTHING.to_owned(),
            ("", _) => ANYTHING.to_owned(),
            (class, 'p') => format!("[{class}]"),
            (class, _) => format!("[^{class}]"),
        }))
    }

    /// A class, `[` having been read.
    fn class(&mut self) -> Result<(), PatternError> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut inside = String::new();
        loop {
            let from = match self.rest.next() {
                None => return Err(PatternError::Syntax),
                Some(']') => break,
                Some(c) => self.class_atom(c)?,
            };
            if self.rest.peek() != Some(&'-') {
                write_atom(&mut inside, &from);
                continue;
            }
            self.rest.next();
            let to = match self.rest.next() {
                None => return Err(PatternError::Syntax),
                Some(']') => {
                    write_atom(&mut inside, &from);
                    write_atom(&mut inside, &Atom::One('-'));
                    break;
                }
                Some(c) => self.class_atom(c)?,
            };
            write_range(&mut inside, &from, &to)?;
        }
        match (inside.is_empty(), negated) {
            (true, false) => self.out.push_str(NOTHING),
            (true, true) => self.out.push_str(ANYTHING),
            (false, false) => {
                let _ = write!(self.out, "[{inside}]");
            }
            (false, true) => {
                let _ = write!(self.out, "[^{inside}]");
            }
        }
        Ok(())
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

/// Matches no character.
const NOTHING: &str = r"[^\x00-\u{10FFFF}]";
/// Matches every character.
const ANYTHING: &str = r"[\x00-\u{10FFFF}]";

fn atom_of(code: u32) -> Result<Atom, PatternError> {
    if (0xd800..0xe000).contains(&code) {
        return Ok(Atom::Surrogate(code));
    }
    char::from_u32(code)
        .map(Atom::One)
        .ok_or(PatternError::Syntax)
}

fn write_atom(out: &mut String, atom: &Atom) {
    // Writing to a `String` cannot fail.
    let _ = match atom {
        Atom::One(c) => write!(out, "\\x{{{:X}}}", u32::from(*c)),
        Atom::Surrogate(_) => write!(out, "{NOTHING}"),
        Atom::Set(set) => write!(out, "{set}"),
        Atom::NotSet(set) => write!(out, "[^{set}]"),
        Atom::Property(property) => write!(out, "{property}"),
    };
}

fn write_range(out: &mut String, from: &Atom, to: &Atom) -> Result<(), PatternError> {
    // No text has half a character, so a range may leave them out.
    let (low, high) = match (from, to) {
        (Atom::One(low), Atom::One(high)) => (*low, *high),
        (Atom::One(low), Atom::Surrogate(_)) => (*low, '\u{d7ff}'),
        (Atom::Surrogate(_), Atom::One(high)) => ('\u{e000}', *high),
        (Atom::Surrogate(low), Atom::Surrogate(high)) if low <= high => {
            out.push_str(NOTHING);
            return Ok(());
        }
        (Atom::Surrogate(_), Atom::Surrogate(_)) => return Err(PatternError::Syntax),
        // `[\w-.]` is three members, as in ECMA-262 annex B.
        (from, to) => {
            write_atom(out, from);
            write_atom(out, &Atom::One('-'));
            write_atom(out, to);
            return Ok(());
        }
    };
    if low > high {
        return Err(PatternError::Syntax);
    }
    let _ = write!(
        out,
        "\\x{{{:X}}}-\\x{{{:X}}}",
        u32::from(low),
        u32::from(high)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_what_it_means_in_ecmascript() {
        for (pattern, yes, no) in [
            ("^a*$", "aaa", "ab"),
            ("a+", "xaay", "x"),
            (r"^\d$", "7", "٧"),
            (r"^\w+$", "a_1", "é"),
            (r"^\W$", "é", "a"),
            (r"^\s$", "\u{feff}", "x"),
            (r"^\S$", "x", "\u{3000}"),
            ("^.$", "\u{85}", "\u{2028}"),
            (r"^[\d.-]+$", "1.-", "a"),
            (r"^[\w-.]+$", "a-.", "!"),
            ("^[[a&&b]+$", "[&a", "c"),
            (r"^[\]\\^-]+$", r"]\^-", "a"),
            ("^[^]$", "\n", ""),
            (r"^[\b]$", "\u{8}", "b"),
            (r"^\cJ$", "\n", "J"),
            (r"^\u00e9$", "é", "e"),
            (r"^\u{1F432}$", "🐲", "x"),
            (r"^\uD83D\uDC32*$", "🐲🐲", "🐉"),
            (r"^[\uD83D\uDC32]$", "🐲", "x"),
            (r"^[\u0000-\uFFFF]$", "é", "🐲"),
            (r"^[^\uD800-\uDFFF]$", "🐲", ""),
            (r"^\p{L}\p{Nd}$", "é7", "7é"),
            (r"^\p{Letter}+$", "é", "7"),
            (r"^(?<year>\d{4})-(\d\d)$", "2020-01", "20-01"),
            (r"^a{2,}b{1}$", "aaab", "ab"),
            (r"^a{,2}$", "a{,2}", "a"),
            (r"^{x}$", "{x}", "x"),
            (r"^\/\-\.$", "/-.", "x"),
            (r"\bfoo\b", "a foo.", "foobar"),
            (r"^#~&-@<>!%`'\x22,;:=$", "#~&-@<>!%`'\",;:=", ""),
            (r"a|^$", "", "b"),
            (r"^\x41\0$", "A\0", "A"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert!(regex.is_match(yes), "{pattern} {yes:?}");
            assert!(!regex.is_match(no), "{pattern} {no:?}");
        }
    }

    #[test]
    fn refuses_what_is_not_to_be_had() {
        for (pattern, error) in [
            ("(?=a)", PatternError::LookAround),
            ("^(?!a).*$", PatternError::LookAround),
            ("(?<=a)b", PatternError::LookAround),
            ("(?<!a)b", PatternError::LookAround),
            (r"(a)\1", PatternError::BackReference),
            (r"(?<n>a)\k<n>", PatternError::BackReference),
            ("(?i)a", PatternError::Flags),
            ("(?i:a)", PatternError::Flags),
            ("(", PatternError::Syntax),
            (")", PatternError::Syntax),
            ("[a", PatternError::Syntax),
            ("[b-a]", PatternError::Syntax),
            ("*a", PatternError::Syntax),
            (r"\", PatternError::Syntax),
            (r"\a", PatternError::Syntax),
            (r"\Z", PatternError::Syntax),
            (r"\u12", PatternError::Syntax),
            (r"\u{110000}", PatternError::Syntax),
            (r"\p{Script=Greek}", PatternError::Property),
            (r"\p{Nonsense}", PatternError::Property),
            ("(a{1000}){1000}", PatternError::TooLarge),
        ] {
            assert_eq!(compile(pattern).unwrap_err(), error, "{pattern}");
        }
    }
}
