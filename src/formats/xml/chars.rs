//! Which characters may stand where: XML 1.0, fifth edition, §2.2 and §2.3.

/// It is looked at in a text, a comment or a value: no character, or one of three bytes that may be none.
pub(super) const ODD: u8 = 1;
/// `<`
pub(super) const LESS: u8 = 2;
/// `&`
pub(super) const AMPERSAND: u8 = 4;
/// `]`
pub(super) const BRACKET: u8 = 8;
/// `-`
pub(super) const HYPHEN: u8 = 16;
/// `"`
pub(super) const QUOTE: u8 = 32;
/// `'`
pub(super) const APOSTROPHE: u8 = 64;
/// An ASCII character of a name.
pub(super) const NAME: u8 = 128;

/// What each byte is.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let class = match byte {
            b'\t' | b'\n' | b'\r' => 0,
            0..0x20 | 0xef => ODD,
            b'<' => LESS,
            b'&' => AMPERSAND,
            b']' => BRACKET,
            b'-' => HYPHEN | NAME,
            b'"' => QUOTE,
            b'\'' => APOSTROPHE,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' => NAME,
            _ => 0,
        };
        #[expect(
            clippy::indexing_slicing,
            reason = "done by the compiler, with a byte in a table of all bytes"
        )]
        {
            classes[byte as usize] = class;
        }
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

/// Whether a byte is one of these.
#[inline(always)]
pub(super) fn is(byte: u8, classes: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|class| class & classes != 0)
}

/// Where the first byte stands, from `at` on, that is one of these; else the end.
#[inline(always)]
pub(super) fn find(text: &[u8], at: usize, classes: u8) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let found = rest.iter().position(|byte| is(*byte, classes));
    at.saturating_add(found.unwrap_or(rest.len()))
}

/// What XML takes for blank.
#[inline(always)]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// Whether all of it is.
pub(super) fn is_all_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| is_blank(*byte))
}

/// Whether a text may have that character.
pub(super) fn is_character(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    }
}

/// Beyond ASCII: where names begin.
const STARTS: [(u16, u16); 11] = [
    (0xc0, 0xd6),
    (0xd8, 0xf6),
    (0xf8, 0x2ff),
    (0x370, 0x37d),
    (0x37f, 0x1fff),
    (0x200c, 0x200d),
    (0x2070, 0x218f),
    (0x2c00, 0x2fef),
    (0x3001, 0xd7ff),
    (0xf900, 0xfdcf),
    (0xfdf0, 0xfffd),
];

/// Whether a name may begin with it; a colon has a meaning of its own.
pub(super) fn begins_name(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphabetic() || character == '_';
    }
    let Ok(code) = u16::try_from(u32::from(character)) else {
        return character <= '\u{effff}';
    };
    STARTS
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&code))
}

/// Whether a name may go on with it.
pub(super) fn continues_name(character: char) -> bool {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => is(byte, NAME),
        _ => {
            begins_name(character)
                || matches!(
                    character,
                    '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}'
                )
        }
    }
}
