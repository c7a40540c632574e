//! Strings: RFC 8259 §7, in UTF-8.

use std::borrow::Cow;

use super::Fault;

/// The inside of a string, checked.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    raw: &'t [u8],
    /// How many escapes are in it. Words alone are copied in one go.
    escapes: usize,
}

/// Where the inside of a string stands in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) length: usize,
    escapes: usize,
}

impl Place {
    /// Whether it means what was sent.
    pub(super) fn is_plain(self) -> bool {
        self.escapes == 0
    }

    /// The string of which this is the place.
    pub(super) fn text(self, text: &[u8]) -> Text<'_> {
        let end = self.start.saturating_add(self.length);
        Text {
            raw: text.get(self.start..end).unwrap_or_default(),
            escapes: self.escapes,
        }
    }
}

impl<'t> Text<'t> {
    /// Its place in the text, where it begins there.
    #[inline(always)]
    pub(super) fn place(self, start: usize) -> Place {
        Place {
            start,
            length: self.raw.len(),
            escapes: self.escapes,
        }
    }

    /// As sent, without the quotes.
    pub fn raw(self) -> &'t [u8] {
        self.raw
    }

    /// What it means, if that is what was sent.
    pub fn plain(self) -> Option<&'t [u8]> {
        (self.escapes == 0).then_some(self.raw)
    }

    /// Whether both mean the same characters.
    pub fn means_the_same(self, other: Self) -> bool {
        match (self.plain(), other.plain()) {
            (Some(one), Some(other)) => one == other,
            _ => self.decoded() == other.decoded(),
        }
    }

    /// What it means: UTF-8, escapes resolved.
    pub fn decoded(self) -> Cow<'t, [u8]> {
        if self.escapes == 0 {
            return Cow::Borrowed(self.raw);
        }
        let mut decoded = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = rest.iter().position(|b| *b == b'\\') {
            let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            decoded.extend_from_slice(plain);
            rest = decode_escape(escape, &mut decoded);
        }
        decoded.extend_from_slice(rest);
        Cow::Owned(decoded)
    }
}

/// Why there is no string to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken {
    pub(super) fault: Fault,
    /// How many bytes there are from where it shows.
    left: usize,
}

impl Broken {
    /// Whether more bytes behind the text could make it another one, or none.
    pub(super) fn may_be_cut_off(self) -> bool {
        /// Two halves of a surrogate pair.
        const LONGEST_ESCAPE: usize = 12;
        self.left < LONGEST_ESCAPE
    }
}

/// Reads from behind the opening quote; the string, and what follows the closing quote.
pub fn read(start: &[u8]) -> Result<(Text<'_>, &[u8]), Fault> {
    let (text, after) = read_at(start, 0).map_err(|broken| broken.fault)?;
    Ok((text, start.get(after..).unwrap_or_default()))
}

/// The same, where what is behind the quote begins at `start`; the string, and where it goes on behind the
/// closing quote.
#[inline(always)]
pub(super) fn read_at(text: &[u8], start: usize) -> Result<(Text<'_>, usize), Broken> {
    let from = text.get(start..).unwrap_or_default();
    let mut rest = from;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        let eight = u64::from_le_bytes(*eight);
        let found = special(eight);
        if found == 0 {
            rest = after;
            continue;
        }
        let bits = found.trailing_zeros() & !7;
        let length = from
            .len()
            .wrapping_sub(rest.len())
            .wrapping_add((bits / 8) as usize);
        if eight.wrapping_shr(bits) & 0xff == u64::from(b'"') {
            let raw = from.get(..length).unwrap_or_default();
            let end = start.wrapping_add(length);
            return Ok((Text { raw, escapes: 0 }, end.wrapping_add(1)));
        }
        return read_on(text, start, start.wrapping_add(length));
    }
    read_on(text, start, text.len().wrapping_sub(rest.len()))
}

/// Reads on where something other than a quote has been found.
#[inline(never)]
fn read_on(text: &[u8], start: usize, at: usize) -> Result<(Text<'_>, usize), Broken> {
    let mut escapes: usize = 0;
    let mut at = at;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let broken = |fault| Broken {
            fault,
            left: rest.len(),
        };
        let rest = match rest {
            [b'"', after @ ..] => {
                let raw = text.get(start..at).unwrap_or_default();
                let after = text.len().saturating_sub(after.len());
                return Ok((Text { raw, escapes }, after));
            }
            [b'\\', after @ ..] => {
                escapes = escapes.wrapping_add(1);
                check_escape(after).map_err(broken)?
            }
            [0x80..=0xff, ..] => skip_wide(rest)?,
            [0x20..=0x7f, after @ ..] => after,
            _ => return Err(broken(Fault::Syntax)),
        };
        at = skip_plain(text, text.len().saturating_sub(rest.len()));
    }
}

/// Eight bytes as one number, the first one lowest.
#[inline(always)]
pub(super) fn eight_at(text: &[u8], at: usize) -> Option<u64> {
    let eight = text.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*eight))
}

/// Skips bytes that mean themselves, eight at a time; fewer than eight may be left of them.
fn skip_plain(text: &[u8], at: usize) -> usize {
    let mut rest = text.get(at..).unwrap_or_default();
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        let found = special(u64::from_le_bytes(*eight));
        if found != 0 {
            let plain = found.trailing_zeros() / 8;
            return text
                .len()
                .wrapping_sub(rest.len())
                .wrapping_add(plain as usize);
        }
        rest = after;
    }
    text.len().wrapping_sub(rest.len())
}

/// Sets the high bit of the first byte, in the order of the text, that is a quote, a backslash, a
/// control character or not ASCII. What it sets above that one means nothing: a borrow may run on.
fn special(eight: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let below_space = eight.wrapping_sub(each(0x20));
    let quote = (eight ^ each(b'"')).wrapping_sub(each(1));
    let backslash = (eight ^ each(b'\\')).wrapping_sub(each(1));
    (eight | below_space | quote | backslash) & each(0x80)
}

/// Skips characters outside ASCII: the well-formed sequences of Unicode 16, table 3-7.
fn skip_wide(mut rest: &[u8]) -> Result<&[u8], Broken> {
    loop {
        rest = match rest {
            [0xc2..=0xdf, 0x80..=0xbf, after @ ..]
            | [0xe0, 0xa0..=0xbf, 0x80..=0xbf, after @ ..]
            | [0xe1..=0xec, 0x80..=0xbf, 0x80..=0xbf, after @ ..]
            | [0xed, 0x80..=0x9f, 0x80..=0xbf, after @ ..]
            | [0xee..=0xef, 0x80..=0xbf, 0x80..=0xbf, after @ ..]
            | [0xf0, 0x90..=0xbf, 0x80..=0xbf, 0x80..=0xbf, after @ ..]
            | [
                0xf1..=0xf3,
                0x80..=0xbf,
                0x80..=0xbf,
                0x80..=0xbf,
                after @ ..,
            ]
            | [0xf4, 0x80..=0x8f, 0x80..=0xbf, 0x80..=0xbf, after @ ..] => after,
            [0x80..=0xff, ..] => {
                return Err(Broken {
                    fault: Fault::Utf8,
                    left: rest.len(),
                });
            }
            _ => return Ok(rest),
        };
    }
}

/// Checks what follows a backslash, and returns what comes after.
fn check_escape(rest: &[u8]) -> Result<&[u8], Fault> {
    match rest {
        [
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
            after @ ..,
        ] => Ok(after),
        [b'u', after @ ..] => {
            let (unit, after) = unit(after).ok_or(Fault::Syntax)?;
            match unit {
                0xd800..=0xdbff => {
                    let low = after.strip_prefix(b"\\u").ok_or(Fault::Surrogate)?;
                    match self::unit(low).ok_or(Fault::Syntax)? {
                        (0xdc00..=0xdfff, after) => Ok(after),
                        _ => Err(Fault::Surrogate),
                    }
                }
                0xdc00..=0xdfff => Err(Fault::Surrogate),
                _ => Ok(after),
            }
        }
        _ => Err(Fault::Syntax),
    }
}

/// Four hexadecimal digits.
fn unit(rest: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    let mut value = 0;
    for digit in digits {
        let digit = u16::try_from(char::from(*digit).to_digit(16)?).ok()?;
        value = value << 4 | digit;
    }
    Some((value, after))
}

/// Decodes an escape that has been checked, from its backslash on; what follows it.
fn decode_escape<'t>(escape: &'t [u8], decoded: &mut Vec<u8>) -> &'t [u8] {
    let [_, kind, after @ ..] = escape else {
        return &[];
    };
    let byte = match kind {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return decode_unit(after, decoded),
        other => *other,
    };
    decoded.push(byte);
    after
}

fn decode_unit<'t>(digits: &'t [u8], decoded: &mut Vec<u8>) -> &'t [u8] {
    let Some((high, after)) = unit(digits) else {
        return &[];
    };
    let low = after.strip_prefix(b"\\u").and_then(unit);
    let pair = low.filter(|_| (0xd800..=0xdbff).contains(&high));
    let (units, after) = match pair {
        Some((low, after)) => ([high, low], after),
        None => ([high, 0], after),
    };
    if let Some(Ok(character)) = char::decode_utf16(units).next() {
        decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(inside: &str) -> Result<String, Fault> {
        let quoted = format!("{inside}\"rest");
        let (text, rest) = read(quoted.as_bytes())?;
        assert_eq!((text.raw(), rest), (inside.as_bytes(), &b"rest"[..]));
        Ok(String::from_utf8(text.decoded().into_owned()).unwrap())
    }

    #[test]
    fn strings_end_at_their_quote_wherever_it_is() {
        for length in 0..40 {
            let inside = "x".repeat(length);
            assert_eq!(decoded(&inside), Ok(inside.clone()));
            let wide = format!("{inside}é{inside}");
            assert_eq!(decoded(&wide), Ok(wide.clone()));
            for control in ["\0", "\n", "\u{1f}"] {
                let broken = format!("{inside}{control}{inside}\"");
                assert_eq!(read(broken.as_bytes()).err(), Some(Fault::Syntax));
            }
            assert_eq!(read(inside.as_bytes()).err(), Some(Fault::Syntax));
        }
    }

    #[test]
    fn escapes_mean_what_the_rfc_says() {
        for (inside, meaning) in [
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u0041\u00e9\u20AC", "Aé€"),
            (r"\ud83d\ude00x", "\u{1f600}x"),
            (r"\u0000", "\0"),
            (r"\uffff", "\u{ffff}"),
            (r"a\\u0041", r"a\u0041"),
        ] {
            assert_eq!(decoded(inside), Ok(meaning.to_owned()));
        }
        for wrong in [r"\x", r"\", r"\u12", r"\u12g4", r"\U0041", r"\'", r"\u-123"] {
            assert_eq!(decoded(wrong), Err(Fault::Syntax), "{wrong}");
        }
        for half in [
            r"\ud83d",
            r"\ud83dx",
            r"\ud83d\u0041",
            r"\ude00",
            r"\ud83d\n",
        ] {
            assert_eq!(decoded(half), Err(Fault::Surrogate), "{half}");
        }
    }

    /// Against the standard library, for all sequences of up to three bytes after a plain one.
    #[test]
    fn utf8_is_what_the_standard_library_says() {
        let agrees = |bytes: &[u8]| {
            let quoted = [b"a", bytes, b"\""].concat();
            let found = read(&quoted).map(|(text, _)| text.raw() == [b"a", bytes].concat());
            match std::str::from_utf8(bytes) {
                Ok(_) => assert_eq!(found, Ok(true), "{bytes:x?}"),
                Err(_) => assert_eq!(found, Err(Fault::Utf8), "{bytes:x?}"),
            }
        };
        for a in 0x80..=0xff {
            agrees(&[a]);
            for b in 0x70..=0xff {
                if b == b'\\' {
                    continue;
                }
                agrees(&[a, b]);
                for c in [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff] {
                    agrees(&[a, b, c]);
                    agrees(&[a, b, c, 0x80]);
                    agrees(&[a, b, c, 0xbf]);
                    agrees(&[a, b, c, 0x41]);
                }
            }
        }
    }
}
