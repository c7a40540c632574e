//! A gate for JSON texts: one pass over the bytes that says whether they are RFC 8259 JSON within
//! limits, and builds nothing.
//!
//! It is stricter than the RFC where two readers could take one text for two: a name may not come
//! twice in an object, however it is spelled, and a surrogate must have its other half. Memory is
//! one small frame for each open array and object, and one entry for each name of the objects
//! that are open, asked of the budget before it is taken.

mod keys;
mod list;
mod number;
mod pieces;
mod shape;
mod text;
mod walk;

pub use self::number::Numbers;
pub use self::pieces::Pieces;
pub use self::shape::{Shape, measure};
pub use self::text::Text;
pub use self::text::read as read_string;
pub use self::walk::{Kind, MemberName, Watch, Word, Written};

use self::walk::{Extent, WalkState};

/// What a text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many arrays and objects may contain one another.
    pub depth: usize,
    /// Values in all.
    pub values: usize,
    /// Members of one object.
    pub members: usize,
    /// Elements of one array.
    pub elements: usize,
    /// Bytes of a member's name, as sent.
    pub key_bytes: usize,
    /// Bytes of a string, as sent.
    pub string_bytes: usize,
    /// Bytes of a number, as sent.
    pub number_bytes: usize,
    /// Which numbers.
    pub numbers: Numbers,
}

impl Limits {
    /// The grammar and nothing else, but for the depth.
    pub const GENEROUS: Self = Self {
        depth: 512,
        values: usize::MAX,
        members: usize::MAX,
        elements: usize::MAX,
        key_bytes: usize::MAX,
        string_bytes: usize::MAX,
        number_bytes: usize::MAX,
        numbers: Numbers::Any,
    };
}

/// Why a text does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not follow the grammar of RFC 8259.
    Syntax,
    /// A string is not UTF-8.
    Utf8,
    /// A string has one half of a surrogate pair.
    Surrogate,
    /// An object has two members of one name.
    DuplicateKey,
    /// See [`Limits::depth`].
    Depth,
    /// See [`Limits::values`].
    Values,
    /// See [`Limits::members`].
    Members,
    /// See [`Limits::elements`].
    Elements,
    /// See [`Limits::key_bytes`].
    KeyBytes,
    /// See [`Limits::string_bytes`].
    StringBytes,
    /// See [`Limits::number_bytes`].
    NumberBytes,
    /// See [`Limits::numbers`].
    NumberRange,
    /// There is no memory to find out.
    Memory,
}

/// Judges one JSON text.
///
/// # Errors
/// The first [`Fault`].
pub fn check(text: &[u8], limits: &Limits) -> Result<(), Fault> {
    let mut state = WalkState::new(limits);
    state.pass(text, Extent::Rest, limits).map(|_| ())
}

/// Judges one JSON text and shows every name and every string on the way. What is shown may stand
/// before a fault.
///
/// # Errors
/// The first [`Fault`].
pub fn walk<'t>(
    text: &'t [u8],
    limits: &Limits,
    see: &mut dyn FnMut(Text<'t>),
) -> Result<(), Fault> {
    // One copy, in this crate: it is made for speed, and those that ask may not be.
    self::watch(text, limits, &mut Shown(see))
}

/// Judges one JSON text, and tells `watch` on the way what stands in it. What is told may stand
/// before a fault.
///
/// # Errors
/// The first [`Fault`], which may be one of `watch`.
pub fn watch<'t>(text: &'t [u8], limits: &Limits, watch: &mut impl Watch<'t>) -> Result<(), Fault> {
    let mut state = WalkState::new(limits);
    state.walk(text, Extent::Rest, limits, watch).map(|_| ())
}

/// Who wants to see texts alone.
struct Shown<'s, 't>(&'s mut dyn FnMut(Text<'t>));

impl<'t> Watch<'t> for Shown<'_, 't> {
    #[inline]
    fn name(&mut self, name: MemberName<'t>) {
        (self.0)(name.text);
    }

    #[inline]
    fn string(&mut self, text: Text<'t>) {
        (self.0)(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(change: impl FnOnce(&mut Limits)) -> Limits {
        let mut limits = Limits::GENEROUS;
        change(&mut limits);
        limits
    }

    #[test]
    fn accepts_the_grammar_and_nothing_else() {
        let good = [
            "null",
            " true\r\n\t",
            "[]",
            "{}",
            "[ ]",
            "{ }",
            "[1,2]",
            r#"{"a":1}"#,
            r#"{ "a" : [ {} , null ] , "b" : "" }"#,
            "[\n        1,\n        2\n]",
            "\"\u{7f}\u{2028}é\u{10ffff}\"",
        ];
        for text in good {
            assert_eq!(check(text.as_bytes(), &Limits::GENEROUS), Ok(()), "{text}");
        }
        let bad = [
            "",
            " ",
            "nul",
            "True",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1",
            "[",
            "]",
            "}",
            "{",
            "[}",
            "{]",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{a:1}"#,
            r#"{1:1}"#,
            r#"{"a":1 "b":2}"#,
            "[] []",
            "[]x",
            "'a'",
            "/* */ 1",
            "\u{feff}{}",
            "\u{a0}1",
            "[\u{c}1]",
        ];
        for text in bad {
            let found = check(text.as_bytes(), &Limits::GENEROUS);
            assert_eq!(found, Err(Fault::Syntax), "{text}");
        }
    }

    #[test]
    fn values_are_counted_wherever_they_stand() {
        let text = br#"{"a":[1,"b",{}],"c":null}"#;
        let judged = |values| check(text, &limited(|limits| limits.values = values));
        assert_eq!((judged(6), judged(5)), (Ok(()), Err(Fault::Values)));
    }

    #[test]
    fn counts_against_each_limit() {
        type Change = fn(&mut Limits);
        let cases: [(Change, &str, &str, Fault); 6] = [
            (|limits| limits.depth = 2, "[[1]]", "[[[]]]", Fault::Depth),
            (
                |limits| limits.members = 2,
                r#"[{"a":1,"b":{"c":1,"d":2}},{"a":1}]"#,
                r#"{"a":1,"b":2,"c":3}"#,
                Fault::Members,
            ),
            (
                |limits| limits.elements = 2,
                "[1,[2,3]]",
                "[1,2,3]",
                Fault::Elements,
            ),
            (
                |limits| limits.key_bytes = 3,
                r#"{"abc":"long"}"#,
                r#"{"abcd":1}"#,
                Fault::KeyBytes,
            ),
            (
                |limits| limits.string_bytes = 3,
                r#"{"long":"abc"}"#,
                r#"["abcd"]"#,
                Fault::StringBytes,
            ),
            (
                |limits| limits.number_bytes = 3,
                "[123]",
                "[1234]",
                Fault::NumberBytes,
            ),
        ];
        for (change, within, beyond, fault) in cases {
            let limits = limited(change);
            assert_eq!(check(within.as_bytes(), &limits), Ok(()), "{within}");
            assert_eq!(check(beyond.as_bytes(), &limits), Err(fault), "{beyond}");
        }
        let none = limited(|limits| (limits.members, limits.elements) = (0, 0));
        assert_eq!(check(b"[{}]", &none), Err(Fault::Elements));
        assert_eq!(check(b"{\"\":1}", &none), Err(Fault::Members));
        assert_eq!(check(b"{}", &none), Ok(()));
        let scalar = limited(|limits| limits.depth = 0);
        assert_eq!(check(b"1", &scalar), Ok(()));
        assert_eq!(check(b"[]", &scalar), Err(Fault::Depth));
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = limited(|limits| limits.depth = usize::MAX);
        let text = ["[".repeat(200_000), "]".repeat(200_000)].concat();
        assert_eq!(check(text.as_bytes(), &deep), Ok(()));
        let open = "{\"a\":".repeat(100_000);
        assert_eq!(check(open.as_bytes(), &deep), Err(Fault::Syntax));
    }

    #[test]
    fn shows_names_and_strings() {
        let mut seen = Vec::new();
        let text = br#"{"a":["b","\u0063"],"d":{"\u00e9":1}}"#;
        walk(text, &Limits::GENEROUS, &mut |text: Text<'_>| {
            seen.push(String::from_utf8(text.decoded().into_owned()).unwrap());
        })
        .unwrap();
        assert_eq!(seen, ["a", "b", "c", "d", "é"]);
    }
}
