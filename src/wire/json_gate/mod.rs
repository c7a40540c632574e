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
mod shape;
mod text;

use self::keys::{Keys, Names};
pub use self::number::Numbers;
pub use self::shape::{Shape, measure};
pub use self::text::Text;
pub use self::text::read as read_string;

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
    walk(text, limits, &mut |_| {})
}

/// Judges one JSON text and shows every name and every string on the way. What is shown may stand
/// before a fault.
///
/// # Errors
/// The first [`Fault`].
pub fn walk<'t>(
    text: &'t [u8],
    limits: &Limits,
    see: &mut impl FnMut(Text<'t>),
) -> Result<(), Fault> {
    Walker::new(limits, &mut Shown(see)).run(text)
}

/// Who is told what stands in a text.
trait Watch<'t> {
    /// A name, or a string.
    fn text(&mut self, text: Text<'t>);
    /// A number of so many bytes.
    fn number(&mut self, _bytes: usize) {}
    /// An array or object that is not empty; what to call it when it ends.
    fn begins(&mut self) -> Result<usize, Fault> {
        Ok(0)
    }
    /// It has so many values.
    fn ends(&mut self, _place: usize, _length: usize, _is_object: bool) {}
}

/// Who wants to see texts alone.
struct Shown<'s, See>(&'s mut See);

impl<'t, See: FnMut(Text<'t>)> Watch<'t> for Shown<'_, See> {
    #[inline]
    fn text(&mut self, text: Text<'t>) {
        (self.0)(text);
    }
}

struct Walker<'t, 'w, W> {
    limits: &'w Limits,
    open: Vec<Frame>,
    keys: Keys<'t>,
    watch: &'w mut W,
}

/// An array or object that has begun.
struct Frame {
    place: usize,
    holds: Holds,
}

enum Holds {
    Elements(usize),
    Members(Names),
}

/// What stands behind an opening bracket or brace.
enum Inside<'t> {
    /// A value.
    Value(&'t [u8]),
    /// The other one; this follows.
    Nothing(&'t [u8]),
}

impl<'t, 'w, W: Watch<'t>> Walker<'t, 'w, W> {
    fn new(limits: &'w Limits, watch: &'w mut W) -> Self {
        Self {
            limits,
            open: Vec::new(),
            keys: Keys::default(),
            watch,
        }
    }

    fn run(mut self, text: &'t [u8]) -> Result<(), Fault> {
        let mut rest = text;
        let mut values = self.limits.values;
        loop {
            rest = skip_blanks(rest);
            values = values.checked_sub(1).ok_or(Fault::Values)?;
            rest = match rest {
                [b'"', after @ ..] => self.string(after)?,
                [b'-' | b'0'..=b'9', ..] => {
                    let after = number::read(rest, self.limits)?;
                    self.watch.number(rest.len().saturating_sub(after.len()));
                    after
                }
                [b'{', after @ ..] => match self.begin_object(after)? {
                    Inside::Nothing(after) => after,
                    Inside::Value(value) => {
                        rest = value;
                        continue;
                    }
                },
                [b'[', after @ ..] => match self.begin_array(after)? {
                    Inside::Nothing(after) => after,
                    Inside::Value(value) => {
                        rest = value;
                        continue;
                    }
                },
                [b't', b'r', b'u', b'e', after @ ..]
                | [b'f', b'a', b'l', b's', b'e', after @ ..]
                | [b'n', b'u', b'l', b'l', after @ ..] => after,
                _ => return Err(Fault::Syntax),
            };
            match self.end_value(rest)? {
                Some(value) => rest = value,
                None => return Ok(()),
            }
        }
    }

    fn string(&mut self, after_quote: &'t [u8]) -> Result<&'t [u8], Fault> {
        let (text, rest) = text::read(after_quote)?;
        if text.raw().len() > self.limits.string_bytes {
            return Err(Fault::StringBytes);
        }
        self.watch.text(text);
        Ok(rest)
    }

    fn begin_array(&mut self, after_bracket: &'t [u8]) -> Result<Inside<'t>, Fault> {
        self.check_depth()?;
        let rest = skip_blanks(after_bracket);
        if let [b']', after @ ..] = rest {
            return Ok(Inside::Nothing(after));
        }
        if self.limits.elements == 0 {
            return Err(Fault::Elements);
        }
        self.open.push(Frame {
            place: self.watch.begins()?,
            holds: Holds::Elements(1),
        });
        Ok(Inside::Value(rest))
    }

    fn begin_object(&mut self, after_brace: &'t [u8]) -> Result<Inside<'t>, Fault> {
        self.check_depth()?;
        let rest = skip_blanks(after_brace);
        if let [b'}', after @ ..] = rest {
            return Ok(Inside::Nothing(after));
        }
        let place = self.watch.begins()?;
        let mut names = Names::none(&self.keys);
        let value = self.name(rest, &mut names)?;
        self.open.push(Frame {
            place,
            holds: Holds::Members(names),
        });
        Ok(Inside::Value(value))
    }

    fn check_depth(&self) -> Result<(), Fault> {
        if self.open.len() < self.limits.depth {
            Ok(())
        } else {
            Err(Fault::Depth)
        }
    }

    /// A name and its colon.
    fn name(&mut self, rest: &'t [u8], names: &mut Names) -> Result<&'t [u8], Fault> {
        let [b'"', after @ ..] = skip_blanks(rest) else {
            return Err(Fault::Syntax);
        };
        let (name, rest) = text::read(after)?;
        if name.raw().len() > self.limits.key_bytes {
            return Err(Fault::KeyBytes);
        }
        self.watch.text(name);
        if self.keys.push(names, name)? > self.limits.members {
            return Err(Fault::Members);
        }
        match skip_blanks(rest) {
            [b':', after @ ..] => Ok(after),
            _ => Err(Fault::Syntax),
        }
    }

    /// Goes on after a value: out of the containers that end here, to the next value; none if
    /// that was the last.
    fn end_value(&mut self, mut rest: &'t [u8]) -> Result<Option<&'t [u8]>, Fault> {
        while let Some(Frame { place, holds }) = self.open.last_mut() {
            match (skip_blanks(rest), holds) {
                ([b',', after @ ..], Holds::Elements(elements)) => {
                    if *elements >= self.limits.elements {
                        return Err(Fault::Elements);
                    }
                    *elements = elements.saturating_add(1);
                    return Ok(Some(after));
                }
                ([b',', after @ ..], Holds::Members(names)) => {
                    let mut more = *names;
                    let value = self.name(after, &mut more)?;
                    if let Some(Frame { holds, .. }) = self.open.last_mut() {
                        *holds = Holds::Members(more);
                    }
                    return Ok(Some(value));
                }
                ([b']', after @ ..], Holds::Elements(elements)) => {
                    self.watch.ends(*place, *elements, false);
                    rest = after;
                }
                ([b'}', after @ ..], Holds::Members(names)) => {
                    self.watch.ends(*place, self.keys.count(*names), true);
                    self.keys.close(*names)?;
                    rest = after;
                }
                _ => return Err(Fault::Syntax),
            }
            self.open.pop();
        }
        match skip_blanks(rest) {
            [] => Ok(None),
            _ => Err(Fault::Syntax),
        }
    }
}

#[inline(always)]
fn skip_blanks(rest: &[u8]) -> &[u8] {
    // Texts for machines have none.
    match rest {
        [0..=b' ', ..] => skip_run_of_blanks(rest),
        _ => rest,
    }
}

/// Texts for people have them in runs.
fn skip_run_of_blanks(mut rest: &[u8]) -> &[u8] {
    const EIGHT_SPACES: [u8; 8] = [b' '; 8];
    while let [b' ' | b'\n' | b'\r' | b'\t', after @ ..] = rest {
        rest = after;
        while let Some((&EIGHT_SPACES, after)) = rest.split_first_chunk::<8>() {
            rest = after;
        }
    }
    rest
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
