//! References to characters, and what a text means.

use super::chars::is_character;
use super::{XmlFault, XmlText};

/// What an `&` begins.
pub(super) enum Reference {
    /// A character, and how many bytes it is written in.
    To(char, usize),
    /// It goes on behind what is at hand.
    CutOff,
}

/// How many bytes a reference may have: a character can be written with any number of zeros in front.
const LONGEST: usize = 32;

/// Reads a reference that begins with the first byte.
pub(super) fn read(text: &[u8]) -> Result<Reference, XmlFault> {
    let inside = text.get(1..).unwrap_or_default();
    let goes_on =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"#_-.:".contains(byte) || !byte.is_ascii();
    let length = inside
        .iter()
        .take(LONGEST)
        .take_while(|byte| goes_on(byte))
        .count();
    let written = inside.get(..length).unwrap_or_default();
    let is_number = written.first() == Some(&b'#');
    match inside.get(length) {
        Some(b';') => {}
        None if length < LONGEST => return Ok(Reference::CutOff),
        // What it is called would be nobody's to know.
        _ if length == LONGEST && !is_number => return Err(XmlFault::Entity),
        _ => return Err(XmlFault::Syntax),
    }
    let character = match written {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"apos" => '\'',
        b"quot" => '"',
        [b'#', b'x', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        [] => return Err(XmlFault::Syntax),
        _ => return Err(XmlFault::Entity),
    };
    Ok(Reference::To(character, length.saturating_add(2)))
}

fn number(digits: &[u8], radix: u32) -> Result<char, XmlFault> {
    let is_digits = digits
        .iter()
        .all(|digit| char::from(*digit).is_digit(radix));
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_digits);
    let code = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
    let character = code
        .and_then(char::from_u32)
        .filter(|each| is_character(*each));
    character.ok_or(XmlFault::Syntax)
}

impl<'t> XmlText<'t> {
    /// As sent.
    pub fn raw(self) -> &'t [u8] {
        match self {
            XmlText::Content(raw) | XmlText::Verbatim(raw) | XmlText::Value(raw) => raw,
        }
    }

    /// Tells what it means, piece by piece: references resolved, and ends of lines, and of values the blanks, as
    /// every reader has them (XML 1.0 §2.11 and §3.3.3).
    pub fn decode(self, see: &mut dyn FnMut(&[u8])) {
        let mut rest = self.raw();
        let is_value = matches!(self, XmlText::Value(_));
        let is_odd = |byte: &u8| match byte {
            b'&' => !matches!(self, XmlText::Verbatim(_)),
            b'\r' => true,
            b'\n' | b'\t' => is_value,
            _ => false,
        };
        while let Some(at) = rest.iter().position(is_odd) {
            let (plain, odd) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            see(plain);
            let blank: &[u8] = if is_value { b" " } else { b"\n" };
            let length = match (odd.first(), read(odd)) {
                (Some(b'&'), Ok(Reference::To(character, length))) => {
                    see(character.encode_utf8(&mut [0; 4]).as_bytes());
                    length
                }
                (Some(b'\r'), _) => {
                    see(blank);
                    1 + usize::from(odd.get(1) == Some(&b'\n'))
                }
                _ => {
                    see(blank);
                    1
                }
            };
            rest = odd.get(length..).unwrap_or_default();
        }
        see(rest);
    }

    /// What it means.
    pub fn decoded(self) -> Vec<u8> {
        let mut decoded = Vec::with_capacity(self.raw().len());
        self.decode(&mut |piece| decoded.extend_from_slice(piece));
        decoded
    }
}
