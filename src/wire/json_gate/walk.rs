//! The walk over a text: what it is made of, in the order of the text.

use super::keys::{Keys, Names, word};
use super::list::List;
use super::{Fault, Limits, Text, number, text};

/// Who is told what stands in a text.
pub trait Watch<'t> {
    /// The name of the member whose value comes next.
    fn name(&mut self, _name: MemberName<'t>) {}
    /// A string.
    fn string(&mut self, _text: Text<'t>) {}
    /// A number.
    fn number(&mut self, _number: Written<'t>) {}
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

/// A number, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'t> {
    /// Its text.
    pub written: &'t [u8],
    /// Whether it has no exponent, and fewer than sixteen digits before its point.
    pub is_plain: bool,
}

/// The name of a member.
#[derive(Clone, Copy, Debug)]
pub struct MemberName<'t> {
    /// The name.
    pub text: Text<'t>,
    /// Its first eight bytes as sent, the first one lowest, with zeros for those that it does not have.
    pub word: u64,
}

impl Frame {
    /// Field by field: read in larger pieces than it was written in, it would have to wait as well.
    #[inline(always)]
    fn copied(&self) -> Self {
        Self {
            holds: self.holds,
            place: self.place,
            length: self.length,
            names: self.names,
        }
    }
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
    /// What is at hand of it.
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

/// Where a walk over a text that comes in pieces has got to.
pub(super) struct WalkState {
    open: List<Frame>,
    keys: Keys,
    here: Frame,
    /// How many values there may still be.
    values: usize,
    next: Next,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    /// The name of a member.
    Name,
    /// What follows a value.
    Separator,
}

/// How much there is of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// More may follow what is at hand.
    Piece,
    /// Nothing follows.
    Rest,
}

impl WalkState {
    /// Before the first byte.
    pub(super) fn new(limits: &Limits) -> Self {
        let keys = Keys::default();
        let here = Frame {
            holds: Holds::Text,
            place: 0,
            length: 0,
            names: Names::none(&keys),
        };
        Self {
            open: List::default(),
            keys,
            here,
            values: limits.values,
            next: Next::Value,
        }
    }

    /// Walks on over what is at hand of a text: how much of it is done with. The rest of it is to be at
    /// hand again, with what follows: it is one name, value or separator that may go on there, or blanks.
    ///
    /// After a fault there is nowhere to go on from.
    ///
    /// There is one of it for each watch, and not another for each extent: that would be no quicker.
    #[inline(never)]
    pub(super) fn walk<'t>(
        &mut self,
        text: &'t [u8],
        extent: Extent,
        limits: &Limits,
        watch: &mut impl Watch<'t>,
    ) -> Result<usize, Fault> {
        let walker = Walker { text, limits };
        let (mut open, mut keys) = (
            std::mem::take(&mut self.open),
            std::mem::take(&mut self.keys),
        );
        let (mut here, mut values) = (self.here.copied(), self.values);
        let mut at = 0;
        // Whether the name of a member comes next.
        let mut is_name = self.next == Next::Name;
        let mut is_behind_value = self.next == Next::Separator;
        let is_piece = extent == Extent::Piece;
        let next = 'values: loop {
            if is_name {
                let byte = next_byte(text, &mut at);
                if byte != b'"' {
                    if is_piece && at >= text.len() {
                        break Next::Name;
                    }
                    return Err(Fault::Syntax);
                }
                let start = at.wrapping_add(1);
                let (string, mut end) = match text::read_at(text, start) {
                    Ok(read) => read,
                    Err(broken) if is_piece && broken.may_be_cut_off() => break Next::Name,
                    Err(broken) => return Err(broken.fault),
                };
                let is_colon = next_byte(text, &mut end) == b':';
                if !is_colon && is_piece && end >= text.len() {
                    break Next::Name;
                }
                walker.name(start, string, &mut here, &mut keys, watch)?;
                if !is_colon {
                    return Err(Fault::Syntax);
                }
                at = end.wrapping_add(1);
                is_name = false;
            }
            if !std::mem::take(&mut is_behind_value) {
                let byte = next_byte(text, &mut at);
                if values == 0 {
                    return Err(Fault::Values);
                }
                let is_cut_off = 'value: {
                    if byte == b'"' {
                        let (string, end) = match text::read_at(text, at.wrapping_add(1)) {
                            Ok(read) => read,
                            Err(broken) if is_piece && broken.may_be_cut_off() => {
                                break 'value true;
                            }
                            Err(broken) => return Err(broken.fault),
                        };
                        if string.raw().len() > limits.string_bytes {
                            return Err(Fault::StringBytes);
                        }
                        watch.string(string);
                        at = end;
                        break 'value false;
                    }
                    if is_numeric(byte) {
                        let read = number::read(text, at, limits);
                        if is_piece && number::may_go_on(text, at, read) {
                            break 'value true;
                        }
                        let (end, is_plain) = read?;
                        let written = text.get(at..end).unwrap_or_default();
                        watch.number(Written { written, is_plain });
                        at = end;
                        break 'value false;
                    }
                    match byte {
                        b'{' | b'[' => {
                            let kind = match byte {
                                b'{' => Kind::Object,
                                _ => Kind::Array,
                            };
                            if open.len() >= limits.depth {
                                return Err(Fault::Depth);
                            }
                            let mut inside = at.wrapping_add(1);
                            let first = next_byte(text, &mut inside);
                            let end = match kind {
                                Kind::Array => b']',
                                Kind::Object => b'}',
                            };
                            if first != end {
                                if is_piece && inside >= text.len() {
                                    break 'value true;
                                }
                                at = inside;
                                let inner = walker.begin(kind, &keys, watch)?;
                                open.push(std::mem::replace(&mut here, inner))?;
                                is_name = kind == Kind::Object;
                                values = values.wrapping_sub(1);
                                continue 'values;
                            }
                            watch.empty(kind);
                            at = inside.wrapping_add(1);
                        }
                        _ => {
                            let word = match byte {
                                b't' => Word::True,
                                b'f' => Word::False,
                                b'n' => Word::Null,
                                _ if is_piece && at >= text.len() => break 'value true,
                                _ => return Err(Fault::Syntax),
                            };
                            at = match walker.word(at, word) {
                                Some(end) => end,
                                None if is_piece && walker.is_near_end(at) => break 'value true,
                                None => return Err(Fault::Syntax),
                            };
                            watch.word(word);
                        }
                    }
                    false
                };
                if is_cut_off {
                    // Nothing has been said of it.
                    break Next::Value;
                }
                values = values.wrapping_sub(1);
            }
            // On after a value: out of the containers that end here, to the next value.
            let is_end = loop {
                let byte = next_byte(text, &mut at);
                match (byte, here.holds) {
                    (b',', Holds::Members) => {
                        is_name = true;
                        break false;
                    }
                    (b',', Holds::Elements) => {
                        if here.length >= limits.elements {
                            return Err(Fault::Elements);
                        }
                        here.length = here.length.wrapping_add(1);
                        break false;
                    }
                    (b'}', Holds::Members) => {
                        watch.ends(here.place, here.length, Kind::Object);
                        keys.close(here.names, text)?;
                    }
                    (b']', Holds::Elements) => watch.ends(here.place, here.length, Kind::Array),
                    _ if at >= text.len() => break true,
                    _ => return Err(Fault::Syntax),
                }
                at = at.wrapping_add(1);
                let Some(outer) = open.as_slice().last() else {
                    return Err(Fault::Syntax);
                };
                here = outer.copied();
                open.truncate(open.len().wrapping_sub(1));
            };
            if is_end {
                break Next::Separator;
            }
            at = at.wrapping_add(1);
        };
        if !is_piece {
            return match (next, here.holds) {
                (Next::Separator, Holds::Text) => Ok(at),
                _ => Err(Fault::Syntax),
            };
        }
        keys.keep(text)?;
        *self = Self {
            open,
            keys,
            here,
            values,
            next,
        };
        Ok(at)
    }
}

impl<'t> Walker<'t, '_> {
    /// Where that word ends, if it stands there.
    #[inline(always)]
    fn word(self, at: usize, word: Word) -> Option<usize> {
        let written = match word {
            Word::Null => &b"null"[..],
            Word::True => b"true",
            Word::False => b"false",
        };
        let after = at.wrapping_add(written.len());
        (self.text.get(at..after) == Some(written)).then_some(after)
    }

    /// Whether there may be more of a word than there is of the text.
    fn is_near_end(self, at: usize) -> bool {
        const LONGEST_WORD: usize = 5;
        self.text.len().saturating_sub(at) < LONGEST_WORD
    }

    /// Begins an array or object that is not empty.
    #[inline(always)]
    fn begin(self, kind: Kind, keys: &Keys, watch: &mut impl Watch<'t>) -> Result<Frame, Fault> {
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

    /// Takes in a name that begins there.
    #[inline(always)]
    fn name(
        self,
        start: usize,
        text: Text<'t>,
        here: &mut Frame,
        keys: &mut Keys,
        watch: &mut impl Watch<'t>,
    ) -> Result<(), Fault> {
        let length = text.raw().len();
        if length > self.limits.key_bytes {
            return Err(Fault::KeyBytes);
        }
        let word = word(self.text, start, length);
        let name = MemberName { text, word };
        watch.name(name);
        keys.push(&mut here.names, start, name)?;
        here.length = here.length.wrapping_add(1);
        if here.length > self.limits.members {
            return Err(Fault::Members);
        }
        Ok(())
    }
}

/// Whether a number begins with it.
#[inline(always)]
fn is_numeric(byte: u8) -> bool {
    // No branch of its own: most values that are no strings are numbers.
    byte.is_ascii_digit() | (byte == b'-')
}

/// The first byte from there on that is no blank, where `at` is then; 0 behind the end.
#[inline(always)]
fn next_byte(text: &[u8], at: &mut usize) -> u8 {
    if let Some(byte) = text.get(*at)
        && *byte > b' '
    {
        return *byte;
    }
    *at = skip_blanks(text, *at);
    text.get(*at).copied().unwrap_or_default()
}

/// Texts for machines have none, and texts for people have them in runs.
#[inline(never)]
fn skip_blanks(text: &[u8], at: usize) -> usize {
    const EIGHT_SPACES: [u8; 8] = [b' '; 8];
    let mut at = at;
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at = at.wrapping_add(1);
        while text.get(at..).and_then(<[u8]>::first_chunk) == Some(&EIGHT_SPACES) {
            at = at.wrapping_add(8);
        }
    }
    at
}
