//! What a text may begin with: a byte order mark, and the declaration of XML 1.0 §2.8.

use super::XmlFault;
use super::chars::is_blank;
use super::walk::{At, CUT_OFF, Hand};

const MARK: &str = "\u{feff}";
const OPENING: &[u8] = b"<?xml";

/// What a declaration may say, in this order.
const PARTS: [&[u8]; 3] = [b"version", b"encoding", b"standalone"];

impl Hand<'_> {
    /// Where it goes on behind the declaration, if there is one.
    pub(super) fn declaration(self) -> At<Option<usize>> {
        let start = if self.text.starts_with(MARK) {
            MARK.len()
        } else {
            0
        };
        let rest = self.rest(start);
        if !rest.starts_with(OPENING) {
            let is_cut_off = OPENING.starts_with(rest);
            return if is_cut_off { CUT_OFF } else { Ok(Some(start)) };
        }
        let mut here = start.saturating_add(OPENING.len());
        match self.byte(here) {
            None => return CUT_OFF,
            Some(byte) if is_blank(byte) || byte == b'?' => {}
            // Another target, of which it is the beginning.
            Some(_) => return Err((XmlFault::ProcessingInstruction, start)),
        }
        let mut said = 0;
        loop {
            let next = self.skip_blanks(here);
            let rest = self.rest(next);
            if said > 0 && rest.starts_with(b"?>") {
                return Ok(Some(next.saturating_add(2)));
            }
            if b"?>".starts_with(rest) {
                return CUT_OFF;
            }
            if next == here {
                return Err((XmlFault::Syntax, here));
            }
            let Some(end) = self.part(next, &mut said)? else {
                return CUT_OFF;
            };
            here = end;
        }
    }

    /// Reads one thing that it says.
    fn part(self, at: usize, said: &mut usize) -> At<Option<usize>> {
        let rest = self.rest(at);
        let wrong = |fault| Err((fault, at));
        let mut parts = PARTS.iter().enumerate().skip(*said);
        let Some((place, name)) = parts.find(|(_, name)| rest.starts_with(name)) else {
            let is_cut_off = PARTS.iter().any(|name| name.starts_with(rest));
            return if is_cut_off {
                CUT_OFF
            } else {
                wrong(XmlFault::Syntax)
            };
        };
        if place > 0 && *said == 0 {
            return wrong(XmlFault::Syntax);
        }
        *said = place.saturating_add(1);
        let Some(start) = self.quote(at.saturating_add(name.len()))? else {
            return CUT_OFF;
        };
        let quote = self.byte(start.wrapping_sub(1));
        let rest = self.rest(start);
        let Some(length) = rest.iter().position(|byte| Some(*byte) == quote) else {
            return CUT_OFF;
        };
        let value = rest.get(..length).unwrap_or_default();
        let fault = match place {
            0 if value != b"1.0" => XmlFault::Version,
            1 if !value.eq_ignore_ascii_case(b"utf-8") => XmlFault::Encoding,
            2 if value != b"yes" && value != b"no" => XmlFault::Syntax,
            _ => return Ok(Some(start.saturating_add(length).saturating_add(1))),
        };
        wrong(fault)
    }

    /// Where a value begins, behind `=` and a quote.
    pub(super) fn quote(self, at: usize) -> At<Option<usize>> {
        let equals = self.skip_blanks(at);
        match self.byte(equals) {
            None => return CUT_OFF,
            Some(b'=') => {}
            Some(_) => return Err((XmlFault::Syntax, equals)),
        }
        let quote = self.skip_blanks(equals.saturating_add(1));
        match self.byte(quote) {
            None => CUT_OFF,
            Some(b'"' | b'\'') => Ok(Some(quote.saturating_add(1))),
            Some(_) => Err((XmlFault::Syntax, quote)),
        }
    }
}
