//! The walk over a text, token by token.

use super::chars::{AMPERSAND, BRACKET, HYPHEN, LESS, ODD, find, is, is_blank, is_character};
use super::reference::{self, Reference};
use super::scope::Scope;
use super::{XmlError, XmlFault, XmlLimits, XmlText, XmlWatch};

/// Judges one XML text while it comes. It comes to the same as [`super::watch`] of all of it.
#[derive(Debug)]
pub struct XmlPieces {
    limits: XmlLimits,
    inside: Inside,
    scope: Scope,
    /// How many elements have begun.
    elements: usize,
    /// How many bytes of text have come since the last tag.
    run: usize,
    /// How many bytes stand before what is at hand.
    before: u64,
}

/// Where the walk has got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// Nothing has been read.
    Nothing,
    /// Where markup may begin.
    Content,
    Comment,
    Verbatim,
}

/// What is at hand of a text, and how far it may be believed.
#[derive(Clone, Copy)]
pub(super) struct Hand<'t> {
    /// As far as it is UTF-8.
    pub(super) text: &'t str,
    pub(super) limits: &'t XmlLimits,
}

/// A fault, and where it shows in what is at hand.
pub(super) type At<T> = Result<T, (XmlFault, usize)>;

/// A token that goes on behind what is at hand.
pub(super) const CUT_OFF: At<Option<usize>> = Ok(None);

impl XmlPieces {
    /// Before the first byte.
    #[must_use]
    pub fn new(limits: XmlLimits) -> Self {
        Self {
            limits,
            inside: Inside::Nothing,
            scope: Scope::default(),
            elements: 0,
            run: 0,
            before: 0,
        }
    }

    /// Judges what is at hand; how much of it is done with. The rest is to be at hand again, with what follows
    /// it. It is never more than one tag, or the beginning of something of a few bytes.
    ///
    /// # Errors
    /// The first [`XmlError`]. Then there is nothing more to be judged.
    pub fn more(&mut self, text: &[u8], watch: &mut dyn XmlWatch) -> Result<usize, XmlError> {
        self.walk(text, false, watch)
    }

    /// Judges what is left.
    ///
    /// # Errors
    /// The first [`XmlError`].
    pub fn last(mut self, text: &[u8], watch: &mut dyn XmlWatch) -> Result<(), XmlError> {
        self.walk(text, true, watch).map(|_| ())
    }

    #[inline(never)]
    fn walk(
        &mut self,
        bytes: &[u8],
        is_last: bool,
        watch: &mut dyn XmlWatch,
    ) -> Result<usize, XmlError> {
        let before = self.before;
        let error = |(fault, at): (XmlFault, usize)| XmlError {
            fault,
            at: before.saturating_add(at as u64),
        };
        let (text, is_broken) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(broken) => {
                let valid = bytes.get(..broken.valid_up_to()).unwrap_or_default();
                let is_broken = broken.error_len().is_some() || is_last;
                (std::str::from_utf8(valid).unwrap_or_default(), is_broken)
            }
        };
        let mut at = 0;
        if self.inside == Inside::Nothing {
            /// So many bytes tell another encoding, or a declaration.
            const TELLING: usize = 6;
            if bytes.len() < TELLING && !is_last {
                return Ok(0);
            }
            if is_other_encoding(bytes) {
                return Err(error((XmlFault::Encoding, 0)));
            }
        }
        let limits = self.limits;
        let hand = Hand {
            text,
            limits: &limits,
        };
        loop {
            let next = match self.inside {
                Inside::Nothing => hand.declaration(),
                Inside::Content => match hand.byte(at) {
                    None => break,
                    Some(b'<') => self.markup(hand, at, watch),
                    Some(_) => self.content(hand, at, watch),
                },
                Inside::Comment | Inside::Verbatim => self.section(hand, at, watch),
            };
            match next.map_err(error)? {
                Some(next) => at = next,
                None => break,
            }
            if self.inside == Inside::Nothing {
                self.inside = Inside::Content;
            }
        }
        if is_broken {
            return Err(error((XmlFault::Utf8, text.len())));
        }
        let is_whole = at == text.len()
            && self.inside == Inside::Content
            && self.scope.depth() == 0
            && self.elements > 0;
        if is_last && !is_whole {
            return Err(error((XmlFault::Syntax, text.len())));
        }
        self.before = before.saturating_add(at as u64);
        Ok(at)
    }

    /// Goes over what begins with `<`.
    fn markup(&mut self, hand: Hand<'_>, at: usize, watch: &mut dyn XmlWatch) -> At<Option<usize>> {
        let rest = hand.rest(at);
        let is_inside = self.scope.depth() > 0;
        match rest.get(1) {
            None => CUT_OFF,
            Some(b'?') => Err((XmlFault::ProcessingInstruction, at)),
            Some(b'/') => {
                self.run = 0;
                self.scope.end_tag(hand, at, watch)
            }
            Some(b'!') => {
                let sections: [(&[u8], _); 3] = [
                    (b"<!--", Ok(Inside::Comment)),
                    (b"<![CDATA[", Ok(Inside::Verbatim)),
                    (b"<!DOCTYPE", Err(XmlFault::Doctype)),
                ];
                for (start, meaning) in sections {
                    if !rest.starts_with(start) {
                        if start.starts_with(rest) {
                            return CUT_OFF;
                        }
                        continue;
                    }
                    let inside = meaning.map_err(|fault| (fault, at))?;
                    if inside == Inside::Comment && !self.limits.comments {
                        return Err((XmlFault::Comment, at));
                    }
                    if inside == Inside::Verbatim && !is_inside {
                        break;
                    }
                    self.inside = inside;
                    return Ok(Some(at.saturating_add(start.len())));
                }
                Err((XmlFault::Syntax, at))
            }
            Some(_) if !is_inside && self.elements > 0 => Err((XmlFault::Syntax, at)),
            Some(_) if self.scope.depth() >= self.limits.depth => Err((XmlFault::Depth, at)),
            Some(_) if self.elements >= self.limits.elements => Err((XmlFault::Elements, at)),
            Some(_) => {
                let end = self.scope.start_tag(hand, at, watch)?;
                if end.is_some() {
                    self.elements = self.elements.saturating_add(1);
                    self.run = 0;
                }
                Ok(end)
            }
        }
    }

    /// Goes over text between tags.
    fn content(
        &mut self,
        hand: Hand<'_>,
        at: usize,
        watch: &mut dyn XmlWatch,
    ) -> At<Option<usize>> {
        let depth = self.scope.depth();
        if depth == 0 {
            // Around the outermost element there are blanks.
            let end = hand.skip_blanks(at);
            let is_blank = hand.byte(end).is_none_or(|byte| byte == b'<');
            return if is_blank {
                Ok(Some(end))
            } else {
                Err((XmlFault::Syntax, end))
            };
        }
        let mut here = at;
        let fault = loop {
            here = find(hand.bytes(), here, LESS | AMPERSAND | BRACKET | ODD);
            if let Some(fault) = self.exceeds(hand, at, &mut here) {
                break Some(fault);
            }
            let rest = hand.rest(here);
            let next = match rest.first() {
                None | Some(b'<') => CUT_OFF,
                Some(b'&') => hand.reference(here),
                Some(b']') if rest.starts_with(b"]]>") => Err((XmlFault::Syntax, here)),
                Some(b']') if b"]]>".starts_with(rest) => CUT_OFF,
                Some(b']') => Ok(Some(here.saturating_add(1))),
                Some(_) => hand.character(here).map(Some),
            };
            match next {
                Ok(Some(next)) => here = next,
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
        };
        // What stands before a fault is told first, in pieces and in one.
        self.tell(XmlText::Content(hand.between(at, here)), at, watch)?;
        fault.map_or(Ok((here > at).then_some(here)), Err)
    }

    /// Goes over what stands in a comment or in `<![CDATA[`.
    fn section(
        &mut self,
        hand: Hand<'_>,
        at: usize,
        watch: &mut dyn XmlWatch,
    ) -> At<Option<usize>> {
        let is_comment = self.inside == Inside::Comment;
        let (end, stops): (&[u8], _) = match is_comment {
            true => (b"-->", HYPHEN | ODD),
            false => (b"]]>", BRACKET | ODD),
        };
        let (mut here, mut is_closed) = (at, false);
        let fault = loop {
            here = find(hand.bytes(), here, stops);
            if !is_comment && let Some(fault) = self.exceeds(hand, at, &mut here) {
                break Some(fault);
            }
            let rest = hand.rest(here);
            let next = match rest.first() {
                None => CUT_OFF,
                Some(byte) if is(*byte, ODD) => hand.character(here).map(Some),
                Some(_) if rest.starts_with(end) => {
                    is_closed = true;
                    break None;
                }
                Some(_) if end.starts_with(rest) => CUT_OFF,
                Some(_) if is_comment && rest.starts_with(b"--") => Err((XmlFault::Syntax, here)),
                Some(_) => Ok(Some(here.saturating_add(1))),
            };
            match next {
                Ok(Some(next)) => here = next,
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
        };
        if !is_comment {
            self.tell(XmlText::Verbatim(hand.between(at, here)), at, watch)?;
        }
        if is_closed {
            self.inside = Inside::Content;
            here = here.saturating_add(end.len());
        }
        fault.map_or(Ok((here > at).then_some(here)), Err)
    }

    /// Whether text goes on for too long from one place to the other, which is then where it may go on to.
    fn exceeds(&self, hand: Hand<'_>, from: usize, to: &mut usize) -> Option<(XmlFault, usize)> {
        let room = self.limits.text_bytes.saturating_sub(self.run);
        let most = from.saturating_add(room);
        if *to <= most {
            return None;
        }
        *to = hand.text.floor_char_boundary(most);
        Some((XmlFault::TextBytes, most))
    }

    fn tell(&mut self, text: XmlText<'_>, at: usize, watch: &mut dyn XmlWatch) -> At<()> {
        let length = text.raw().len();
        if length == 0 {
            return Ok(());
        }
        self.run = self.run.saturating_add(length);
        // The place is that of the first character that is no blank, wherever the text is parted.
        let blanks = text
            .raw()
            .iter()
            .take_while(|byte| is_blank(**byte))
            .count();
        watch
            .text(self.scope.depth(), text)
            .map_err(|fault| (fault, at.saturating_add(blanks)))
    }
}

/// Whether a text begins like UTF-16 or UTF-32, with a mark or without.
fn is_other_encoding(bytes: &[u8]) -> bool {
    let start = bytes.get(..4).unwrap_or(bytes);
    start.starts_with(b"\xfe\xff") || start.starts_with(b"\xff\xfe") || start.contains(&0)
}

impl<'t> Hand<'t> {
    #[inline(always)]
    pub(super) fn bytes(self) -> &'t [u8] {
        self.text.as_bytes()
    }

    #[inline(always)]
    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    #[inline(always)]
    pub(super) fn rest(self, at: usize) -> &'t [u8] {
        self.bytes().get(at..).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn between(self, from: usize, to: usize) -> &'t [u8] {
        self.bytes().get(from..to).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn skip_blanks(self, at: usize) -> usize {
        let mut at = at;
        while self.byte(at).is_some_and(is_blank) {
            at = at.wrapping_add(1);
        }
        at
    }

    /// Where a reference ends; none if it is cut off.
    pub(super) fn reference(self, at: usize) -> At<Option<usize>> {
        match reference::read(self.rest(at)) {
            Ok(Reference::To(_, length)) => Ok(Some(at.saturating_add(length))),
            Ok(Reference::CutOff) => CUT_OFF,
            Err(fault) => Err((fault, at)),
        }
    }

    /// Where a character ends that had to be looked at.
    pub(super) fn character(self, at: usize) -> At<usize> {
        let character = self.character_at(at);
        match character.filter(|character| is_character(*character)) {
            Some(character) => Ok(at.saturating_add(character.len_utf8())),
            None => Err((XmlFault::Syntax, at)),
        }
    }

    pub(super) fn character_at(self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next()
    }
}
