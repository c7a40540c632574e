//! Patterns: ECMA-262 regular expressions in a crate that matches in linear time.
//!
//! The two languages share most of their syntax and differ in what it means: `\d` is ASCII there
//! and all of Unicode here, `.` leaves out other characters, `[` in a class opens another one
//! here. So a pattern is read and written anew, with a character in the place of each class. What cannot be matched in linear time, look-around
//! and back-references, is refused, as is what one of the two does not have.

mod category;
mod reader;

use std::fmt;

use portcullis_document::LeftOut;
use portcullis_wire::regex::{self, Regex, Syntax};
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};

use self::reader::{PLACES, Translated, translate};

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
    /// No expression can be had.
    LeftOut,
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
            PatternError::LeftOut => return LeftOut::PATTERNS.fmt(f),
        })
    }
}

impl From<regex::Error> for PatternError {
    fn from(error: regex::Error) -> Self {
        match error {
            regex::Error::Syntax => PatternError::Syntax,
            regex::Error::TooLarge | regex::Error::Alphabet => PatternError::TooLarge,
            regex::Error::LeftOut => PatternError::LeftOut,
        }
    }
}

/// Compiles a pattern. It matches anywhere in a text unless it says otherwise.
pub(super) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    Regex::interned(Syntax::Ecma, pattern, || {
        let Translated { text, classes } = translate(pattern)?;
        let hir = regex_syntax::parse(&text).map_err(|_| PatternError::Syntax)?;
        Ok(with_classes(&hir, &classes))
    })
}

/// Puts classes where characters stand for them.
fn with_classes(hir: &Hir, classes: &[ClassUnicode]) -> Hir {
    let with = |hirs: &[Hir]| hirs.iter().map(|hir| with_classes(hir, classes)).collect();
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => hir.clone(),
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0);
            if !text.contains(|c| PLACES.contains(&c)) {
                return hir.clone();
            }
            let parts = text.chars().map(|c| match class_at(c, classes) {
                Some(class) => Hir::class(Class::Unicode(class.clone())),
                None => Hir::literal(c.to_string().into_bytes()),
            });
            Hir::concat(parts.collect())
        }
        // It stands for a choice between characters, and each of them may stand for a class.
        HirKind::Class(Class::Unicode(class)) => {
            let last = |range: &ClassUnicodeRange| range.end() >= *PLACES.start();
            if !class.iter().any(last) {
                return hir.clone();
            }
            let mut ranges = Vec::new();
            for c in class.iter().flat_map(|range| range.start()..=range.end()) {
                match class_at(c, classes) {
                    Some(class) => ranges.extend_from_slice(class.ranges()),
                    None => ranges.push(ClassUnicodeRange::new(c, c)),
                }
            }
            Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
        }
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            min: repetition.min,
            max: repetition.max,
            greedy: repetition.greedy,
            sub: Box::new(with_classes(&repetition.sub, classes)),
        }),
        HirKind::Capture(capture) => with_classes(&capture.sub, classes),
        HirKind::Concat(parts) => Hir::concat(with(parts)),
        HirKind::Alternation(parts) => Hir::alternation(with(parts)),
    }
}

fn class_at(c: char, classes: &[ClassUnicode]) -> Option<&ClassUnicode> {
    let place = u32::from(c).checked_sub(u32::from(*PLACES.start()))?;
    classes.get(usize::try_from(place).ok()?)
}

/// Whether a text is a pattern, by its syntax alone. It may be one that cannot be had here.
pub(super) fn is_pattern(text: &str) -> bool {
    const DEEPEST: u32 = 64;
    let mut parser = ParserBuilder::new().nest_limit(DEEPEST).build();
    match translate(text) {
        Ok(translated) => parser.parse(&translated.text).is_ok(),
        Err(PatternError::Syntax | PatternError::Flags) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::regex::Effort;

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
            let found = |text| regex.is_match(text, &Effort::new(10_000));
            assert_eq!(found(yes), Ok(true), "{pattern} {yes:?}");
            assert_eq!(found(no), Ok(false), "{pattern} {no:?}");
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
