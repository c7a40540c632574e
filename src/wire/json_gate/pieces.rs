//! A text that comes in pieces.

use super::walk::{Extent, WalkState};
use super::{Fault, Limits, Watch};

/// Judges one JSON text while it comes. It comes to the same as [`super::watch`] of all of it.
///
/// What is kept between two pieces is asked of the budget: where the walk is, and the names of the objects
/// that are open. Of what is told to a watch, nothing is kept.
pub struct Pieces {
    limits: Limits,
    state: WalkState,
}

impl Pieces {
    /// Before the first byte.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let state = WalkState::new(&limits);
        Self { limits, state }
    }

    /// Judges what is at hand; how much of it is done with. The rest is to be at hand again, with what follows
    /// it. It is never more than one string or number, and blanks.
    ///
    /// # Errors
    /// The first [`Fault`]. Then there is nothing more to be judged.
    pub fn more<'t>(&mut self, text: &'t [u8], watch: &mut impl Watch<'t>) -> Result<usize, Fault> {
        self.state.walk(text, Extent::Piece, &self.limits, watch)
    }

    /// The same with nobody watching.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn pass(&mut self, text: &[u8]) -> Result<usize, Fault> {
        self.state.pass(text, Extent::Piece, &self.limits)
    }

    /// Judges what is left, with nobody watching.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn pass_last(mut self, text: &[u8]) -> Result<(), Fault> {
        let end = self.state.pass(text, Extent::Rest, &self.limits);
        end.map(|_| ())
    }

    /// Judges what is left.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn last<'t>(mut self, text: &'t [u8], watch: &mut impl Watch<'t>) -> Result<(), Fault> {
        let end = self.state.walk(text, Extent::Rest, &self.limits, watch);
        end.map(|_| ())
    }
}

impl Watch<'_> for () {}

impl WalkState {
    /// Walks with nobody watching: one copy of that code, made for speed as this crate is.
    #[inline(never)]
    pub(super) fn pass(
        &mut self,
        text: &[u8],
        extent: Extent,
        limits: &Limits,
    ) -> Result<usize, Fault> {
        self.walk(text, extent, limits, &mut ())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, MemberName, Numbers, Text, Word, Written, watch};
    use super::*;

    /// Notes what it is told.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl<'t> Watch<'t> for Told {
        fn name(&mut self, name: MemberName<'t>) {
            self.0.push(format!("name {:?} {}", name.text, name.word));
        }

        fn string(&mut self, text: Text<'t>) {
            self.0.push(format!("string {text:?}"));
        }

        fn number(&mut self, number: Written<'t>) {
            self.0.push(format!("{number:?}"));
        }

        fn word(&mut self, word: Word) {
            self.0.push(format!("{word:?}"));
        }

        fn empty(&mut self, kind: Kind) {
            self.0.push(format!("empty {kind:?}"));
        }

        fn begins(&mut self, _: Kind) -> Result<usize, Fault> {
            self.0.push("begins".to_owned());
            Ok(self.0.len())
        }

        fn ends(&mut self, place: usize, length: usize, kind: Kind) {
            self.0.push(format!("ends {place} {length} {kind:?}"));
        }
    }

    /// What a text comes to that ends there first, and there, and in the end.
    fn in_pieces(
        text: &[u8],
        ends: impl Iterator<Item = usize>,
        limits: &Limits,
    ) -> (Result<(), Fault>, Told) {
        let (mut pieces, mut told, mut done) = (Pieces::new(*limits), Told::default(), 0);
        for end in ends {
            // Memory of its own, so that nothing can be read beyond it.
            let at_hand = text[done..end].to_vec();
            match pieces.more(&at_hand, &mut told) {
                Ok(more) => done += more,
                Err(fault) => return (Err(fault), told),
            }
        }
        (pieces.last(&text[done..], &mut told), told)
    }

    fn comes_to_the_same(text: &[u8], limits: &Limits) {
        let mut told = Told::default();
        let whole = (watch(text, limits, &mut told), told.0);
        let shown = String::from_utf8_lossy(text);
        let same = |ends: &mut dyn Iterator<Item = usize>| {
            let (judged, told) = in_pieces(text, ends, limits);
            assert_eq!(judged, whole.0, "{shown}");
            // What is told before a fault is nobody's concern.
            if judged.is_ok() {
                assert_eq!(told.0, whole.1, "{shown}");
            }
        };
        for end in 0..=text.len() {
            same(&mut [end].into_iter());
            same(&mut [end, end].into_iter());
            for step in 1..4 {
                same(&mut (end.min(step)..=text.len()).step_by(step));
            }
        }
    }

    const TEXTS: &[&str] = &[
        "",
        " ",
        "1",
        "-0.5e+10",
        " [ ] ",
        "{ }",
        "[{}]",
        "true ",
        "[true,false,null]",
        "[tru]",
        "[nul l]",
        "truefalse",
        r#"{"a":1,"b":[2,3.25,-4e5],"c":{"d":"e","f":{}}}"#,
        r#" { "a" : [ 1 , "x" ] , "bcdefghijklmn" : null } "#,
        r#"{"a":{"b":1,"c":{"b":1}},"b":2,"a":3}"#,
        r#"{"long name of many bytes":{"x":1},"long name of many byteS":2}"#,
        r#"{"a":{"a":{"a":1}},"b":{"a":1},"\u0061":1}"#,
        r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":1,"k":2,"l":3,"m":4,"n":5}"#,
        r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":1,"k":2,"l":3,"m":4,"a":5}"#,
        r#"["\"\\\/\b\f\n\r\t","\u00e9","\ud83d\ude00","\ud83d"]"#,
        r#"["\ud83d\u0041"]"#,
        r#"["\ud83dx"]"#,
        r#"["\ude00"]"#,
        r#"["\u12g4"]"#,
        r#"["\x"]"#,
        "[\"é€\u{1f600}\",\"é\"]",
        "[\"a\nb\"]",
        "[01]",
        "[1.]",
        "[1e]",
        "[-]",
        "[1.5.5]",
        "[12345678901234567890,9007199254740993,1e400,123456789012345678901234567890]",
        "[1,]",
        "[1 2]",
        r#"{"a" 1}"#,
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        "[[[[]]],[[[1]]]]",
        "[1]]",
        "[1}",
        "{]",
        "[] x",
        "\"abc",
        r#"{"a":"b"#,
    ];

    #[test]
    fn a_text_in_pieces_comes_to_the_same_as_in_one() {
        for text in TEXTS {
            comes_to_the_same(text.as_bytes(), &Limits::GENEROUS);
        }
        for bytes in [
            &b"[\"\xff\"]"[..],
            b"[\"\xe2\x82\"]",
            b"[\"\xe2\x82",
            b"[\"\xf0\x9f\x98\"]",
            b"[\"\xed\xa0\x80\"]",
        ] {
            comes_to_the_same(bytes, &Limits::GENEROUS);
        }
    }

    #[test]
    fn and_so_it_does_where_a_limit_is_met() {
        for most in [0, 1, 3] {
            for text in TEXTS {
                type Change = fn(&mut Limits, usize);
                let changes: [Change; 7] = [
                    |limits, most| limits.depth = most,
                    |limits, most| limits.values = most,
                    |limits, most| limits.members = most,
                    |limits, most| limits.elements = most,
                    |limits, most| limits.key_bytes = most,
                    |limits, most| limits.string_bytes = most,
                    |limits, most| limits.number_bytes = most,
                ];
                for change in changes {
                    let mut limits = Limits {
                        numbers: Numbers::Exact,
                        ..Limits::GENEROUS
                    };
                    change(&mut limits, most);
                    comes_to_the_same(text.as_bytes(), &limits);
                }
            }
        }
    }

    #[test]
    fn a_name_may_come_again_much_later() {
        let many: Vec<String> = (0..200)
            .map(|n| format!("\"name {n}\":{{\"x\":[]}}"))
            .collect();
        for again in [0, 99, 199, 200] {
            let text = format!("{{{},\"name {again}\":1}}", many.join(","));
            let whole = super::super::check(text.as_bytes(), &Limits::GENEROUS);
            for step in [1, 7, 100, 1000] {
                let ends = (0..=text.len()).step_by(step);
                let (judged, _) = in_pieces(text.as_bytes(), ends, &Limits::GENEROUS);
                assert_eq!(judged, whole, "{again}");
            }
            assert_eq!(whole.is_ok(), again == 200);
        }
    }

    #[test]
    fn names_that_are_kept_are_asked_for() {
        use crate::budget::{Share, reserve};
        let text = format!("{{\"{}\":", "n".repeat(1 << 16));
        let spent = reserve(Share::Bodies, Share::Bodies.most() - (1 << 15)).unwrap();
        let judged = Pieces::new(Limits::GENEROUS).more(text.as_bytes(), &mut ());
        assert_eq!(judged, Err(Fault::Memory));
        drop(spent);
        let judged = Pieces::new(Limits::GENEROUS).more(text.as_bytes(), &mut ());
        assert_eq!(judged, Ok(text.len()));
    }

    #[test]
    fn only_what_may_go_on_is_left() {
        for (text, left) in [
            ("[1, 23", "23"),
            ("[1, 23 ", ""),
            (r#"[1, "ab"#, "\"ab"),
            (r#"{"ab": 1, "c" "#, r#""c" "#),
            (r#"{"ab": "#, ""),
            ("[1, [ ", "[ "),
            ("[1, fals", "fals"),
            ("[1, {}", ""),
        ] {
            let done = Pieces::new(Limits::GENEROUS).more(text.as_bytes(), &mut ());
            assert_eq!(text.get(done.unwrap()..), Some(left), "{text}");
        }
    }
}
