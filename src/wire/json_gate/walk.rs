//! The walk over a text: what it is made of, in the order of the text.

use super::keys::{Keys, Names, word};
use super::{Fault, Limits, Text, number, text};

/// Who is told what stands in a text.
pub trait Watch<'t> {
    /// The name of the member whose value comes next.
    fn name(&mut self, _name: Name<'t>) {}
    /// A string.
    fn string(&mut self, _text: Text<'t>) {}
    /// A number, as it is written.
    fn number(&mut self, _written: &'t [u8]) {}
    /// `null`, `true` or `false`.
    fn word(&mut self, _word: Word) {}
    /// An array or object that has nothing in it.
    fn empty(&mut self, _kind: Kind) {}
    /// Another one begins; what to call it when it ends.
    ///
    /// # Errors
    /// What ends the walk.
    fn begins(&mut self, _kind: Kind) -> Result<usize, Fault> {
        Ok(0)
    }
    /// It has so many values.
    fn ends(&mut self, _place: usize, _length: usize, _kind: Kind) {}
}

/// What holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Elements.
    Array,
    /// Members.
    Object,
}

/// A value that is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
}

/// The name of a member.
#[derive(Clone, Copy, Debug)]
pub struct Name<'t> {
    /// The name.
    pub text: Text<'t>,
    /// Its first eight bytes as sent, the first one lowest, with zeros for those that it does not have.
    pub word: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Holds {
    Text,
    Elements,
    Members,
}

/// What is walked over.
///
/// Whatever changes on the way is apart from it, each thing in a place of its own, so that the compiler
/// can keep it at hand.
#[derive(Clone, Copy)]
struct Walker<'t, 'l> {
    text: &'t [u8],
    limits: &'l Limits,
}

/// An array or object that has begun, or what is around the text.
///
/// All fields are words: what is put on the stack in pieces, and taken from it as a whole, has to wait.
struct Frame {
    holds: Holds,
    /// What the watcher calls it.
    place: usize,
    /// How many values have begun in it.
    length: usize,
    names: Names,
}

/// Walks over a text.
pub(super) fn run<'t>(
    text: &'t [u8],
    limits: &Limits,
    watch: &mut impl Watch<'t>,
) -> Result<(), Fault> {
    let walker = Walker { text, limits };
    let (mut open, mut keys) = (Vec::new(), Keys::default());
    let mut here = Frame {
        holds: Holds::Text,
        place: 0,
        length: 0,
        names: Names::none(&keys),
    };
    let mut at = 0;
    let mut values = limits.values;
    loop {
        if here.holds == Holds::Members {
            at = walker.name(at, &mut here, &mut keys, watch)?;
        }
        values = values.checked_sub(1).ok_or(Fault::Values)?;
        at = skip_blanks(text, at);
        let after = at.wrapping_add(1);
        let kind = match text.get(at) {
            Some(b'"') => {
                at = walker.string(after, watch)?;
                None
            }
            Some(b'-' | b'0'..=b'9') => {
                let end = number::read(text, at, limits)?;
                watch.number(text.get(at..end).unwrap_or_default());
                at = end;
                None
            }
            Some(b'{') => Some(Kind::Object),
            Some(b'[') => Some(Kind::Array),
            Some(b't') => {
                at = walker.word(at, Word::True, watch)?;
                None
            }
            Some(b'f') => {
                at = walker.word(at, Word::False, watch)?;
                None
            }
            Some(b'n') => {
                at = walker.word(at, Word::Null, watch)?;
                None
            }
            _ => return Err(Fault::Syntax),
        };
        if let Some(kind) = kind {
            if open.len() >= limits.depth {
                return Err(Fault::Depth);
            }
            at = skip_blanks(text, after);
            let end = match kind {
                Kind::Array => b']',
                Kind::Object => b'}',
            };
            if text.get(at) != Some(&end) {
                let inner = walker.begin(kind, &keys, watch)?;
                open.push(std::mem::replace(&mut here, inner));
                continue;
            }
            watch.empty(kind);
            at = at.wrapping_add(1);
        }
        // On after a value: out of the containers that end here, to the next value.
        loop {
            at = skip_blanks(text, at);
            let Some(byte) = text.get(at) else {
                return match here.holds {
                    Holds::Text => Ok(()),
                    _ => Err(Fault::Syntax),
                };
            };
            at = at.wrapping_add(1);
            match (byte, here.holds) {
                (b',', Holds::Members) => break,
                (b',', Holds::Elements) => {
                    if here.length >= limits.elements {
                        return Err(Fault::Elements);
                    }
                    here.length = here.length.wrapping_add(1);
                    break;
                }
                (b'}', Holds::Members) => {
                    watch.ends(here.place, here.length, Kind::Object);
                    keys.close(here.names)?;
                }
                (b']', Holds::Elements) => watch.ends(here.place, here.length, Kind::Array),
                _ => return Err(Fault::Syntax),
            }
            match open.pop() {
                Some(outer) => here = outer,
                None => return Err(Fault::Syntax),
            }
        }
    }
}

impl<'t> Walker<'t, '_> {
    #[inline(always)]
    fn string(self, at: usize, watch: &mut impl Watch<'t>) -> Result<usize, Fault> {
        let (string, after) = text::read_at(self.text, at)?;
        if string.raw().len() > self.limits.string_bytes {
            return Err(Fault::StringBytes);
        }
        watch.string(string);
        Ok(after)
    }

    #[inline(always)]
    fn word(self, at: usize, word: Word, watch: &mut impl Watch<'t>) -> Result<usize, Fault> {
        let written = match word {
            Word::Null => &b"null"[..],
            Word::True => b"true",
            Word::False => b"false",
        };
        let after = at.wrapping_add(written.len());
        if self.text.get(at..after) != Some(written) {
            return Err(Fault::Syntax);
        }
        watch.word(word);
        Ok(after)
    }

    /// Begins an array or object that is not empty.
    #[inline(always)]
    fn begin(
        self,
        kind: Kind,
        keys: &Keys<'t>,
        watch: &mut impl Watch<'t>,
    ) -> Result<Frame, Fault> {
        if kind == Kind::Array && self.limits.elements == 0 {
            return Err(Fault::Elements);
        }
        Ok(Frame {
            holds: match kind {
                Kind::Array => Holds::Elements,
                Kind::Object => Holds::Members,
            },
            place: watch.begins(kind)?,
            // Members are counted by their names.
            length: usize::from(kind == Kind::Array),
            names: Names::none(keys),
        })
    }

    /// A name and its colon.
    #[inline(always)]
    fn name(
        self,
        at: usize,
        here: &mut Frame,
        keys: &mut Keys<'t>,
        watch: &mut impl Watch<'t>,
    ) -> Result<usize, Fault> {
        let text = self.text;
        let at = skip_blanks(text, at);
        if text.get(at) != Some(&b'"') {
            return Err(Fault::Syntax);
        }
        let at = at.wrapping_add(1);
        let (name, after) = text::read_at(text, at)?;
        if name.raw().len() > self.limits.key_bytes {
            return Err(Fault::KeyBytes);
        }
        let word = word(text, at, name.raw().len());
        let name = Name { text: name, word };
        watch.name(name);
        keys.push(&mut here.names, name)?;
        here.length = here.length.wrapping_add(1);
        if here.length > self.limits.members {
            return Err(Fault::Members);
        }
        let after = skip_blanks(text, after);
        if text.get(after) != Some(&b':') {
            return Err(Fault::Syntax);
        }
        Ok(after.wrapping_add(1))
    }
}

#[inline(always)]
fn skip_blanks(text: &[u8], at: usize) -> usize {
    // Texts for machines have none.
    match text.get(at) {
        Some(0..=b' ') => skip_run_of_blanks(text, at),
        _ => at,
    }
}

/// Texts for people have them in runs.
#[inline(never)]
fn skip_run_of_blanks(text: &[u8], at: usize) -> usize {
    const EIGHT_SPACES: [u8; 8] = [b' '; 8];
    let mut rest = text.get(at..).unwrap_or_default();
    while let [b' ' | b'\n' | b'\r' | b'\t', after @ ..] = rest {
        rest = after;
        while let Some((&EIGHT_SPACES, after)) = rest.split_first_chunk::<8>() {
            rest = after;
        }
    }
    text.len().saturating_sub(rest.len())
}
