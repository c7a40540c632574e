//! What a text may hide: the same text with its escapes undone, as an application behind might undo them.

/// How often escapes are undone: what is hidden more deeply is not reached by what decodes so often.
pub(crate) const ROUNDS: usize = 3;

/// The text with one layer of escapes undone, if there is one: percent signs, HTML entities, backslashes with numbers,
/// letters of other widths, and spellings of ASCII that no writer of UTF-8 makes. It is never longer.
pub(crate) fn undo(text: &[u8]) -> Option<Vec<u8>> {
    let first = text.iter().position(|byte| may_begin(*byte))?;
    let (plain, mut rest) = text.split_at_checked(first)?;
    let mut undone: Option<Vec<u8>> = None;
    // What has been gone over and is as it was, from there on.
    let mut kept = rest;
    while let [byte, after @ ..] = rest {
        let found = match may_begin(*byte) {
            true => escape(*byte, rest, undone.as_deref().unwrap_or(plain).last()),
            false => None,
        };
        let Some((meant, length)) = found else {
            rest = after;
            continue;
        };
        let undone = undone.get_or_insert_with(|| {
            let mut undone = Vec::with_capacity(text.len());
            undone.extend_from_slice(plain);
            undone
        });
        let before = kept.len().saturating_sub(rest.len());
        undone.extend_from_slice(kept.get(..before).unwrap_or_default());
        push(undone, meant);
        rest = rest.get(length..).unwrap_or_default();
        kept = rest;
    }
    if let Some(undone) = &mut undone {
        undone.extend_from_slice(kept);
    }
    undone
}

/// What escapes begin with.
pub(crate) const BEGINNINGS: &[u8] = b"%&\\\xc0\xc1\xc2\xca\xe0\xe3\xef\xf0\xbc\xbe";

fn may_begin(byte: u8) -> bool {
    byte >= 0xbc && BEGINNINGS.contains(&byte) || matches!(byte, b'%' | b'&' | b'\\')
}

/// A number below 256 is a byte, so that bytes that are escaped one by one come together again.
fn push(undone: &mut Vec<u8>, meant: u32) {
    match u8::try_from(meant) {
        Ok(byte) => undone.push(byte),
        Err(_) => {
            let mut buffer = [0; 4];
            let character = char::from_u32(meant).unwrap_or(char::REPLACEMENT_CHARACTER);
            undone.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        }
    }
}

/// What an escape means, and how long it is.
fn escape(first: u8, text: &[u8], before: Option<&u8>) -> Option<(u32, usize)> {
    match (first, text) {
        (b'%', [_, b'u' | b'U', digits @ ..]) => Some((number(digits, 16, 4, 4)?.0, 6)),
        (b'%', [_, digits @ ..]) => Some((number(digits, 16, 2, 2)?.0, 3)),
        (b'&', [_, entity @ ..]) => {
            let (meant, length) = entity_of(entity)?;
            Some((meant, length.saturating_add(1)))
        }
        (b'\\', [_, b'u' | b'U', b'{', digits @ ..]) => {
            let (meant, length) = number(digits, 16, 1, 6)?;
            let closes = digits.get(length) == Some(&b'}');
            closes.then_some((meant, length.saturating_add(4)))
        }
        (b'\\', [_, b'u' | b'U', digits @ ..]) => Some((number(digits, 16, 4, 4)?.0, 6)),
        (b'\\', [_, b'x' | b'X', digits @ ..]) => Some((number(digits, 16, 2, 2)?.0, 4)),
        // Octal, of which two digits are the fewest that are a printable character.
        (b'\\', [_, b'0'..=b'3', ..]) => {
            let (meant, length) = number(text.get(1..)?, 8, 2, 3)?;
            (meant < 0x80).then_some((meant, length.saturating_add(1)))
        }
        _ => wide(text, before),
    }
}

/// A number of at least and at most so many digits, and how many there are.
fn number(text: &[u8], radix: u32, least: usize, most: usize) -> Option<(u32, usize)> {
    let mut value: u32 = 0;
    let mut length: usize = 0;
    for byte in text.iter().take(most) {
        let Some(digit) = char::from(*byte).to_digit(radix) else {
            break;
        };
        value = value.saturating_mul(radix).saturating_add(digit);
        length = length.saturating_add(1);
    }
    (length >= least).then_some((value, length))
}

/// Names of characters that attacks need.
const ENTITIES: [(&[u8], u8); 17] = [
    (b"lt", b'<'),
    (b"gt", b'>'),
    (b"quot", b'"'),
    (b"apos", b'\''),
    (b"amp", b'&'),
    (b"colon", b':'),
    (b"tab", b'\t'),
    (b"newline", b'\n'),
    (b"lpar", b'('),
    (b"rpar", b')'),
    (b"sol", b'/'),
    (b"period", b'.'),
    (b"equals", b'='),
    (b"semi", b';'),
    (b"excl", b'!'),
    (b"num", b'#'),
    (b"nbsp", b' '),
];

/// What an entity behind its `&` means, with or without the semicolon.
fn entity_of(text: &[u8]) -> Option<(u32, usize)> {
    let (meant, length) = match text {
        [b'#', b'x' | b'X', digits @ ..] => {
            let (meant, length) = number(digits, 16, 1, 8)?;
            (meant, length.saturating_add(2))
        }
        [b'#', digits @ ..] => {
            let (meant, length) = number(digits, 10, 1, 8)?;
            (meant, length.saturating_add(1))
        }
        _ => {
            let is_it = |name: &[u8]| {
                let begin = text.get(..name.len());
                begin.is_some_and(|begin| begin.eq_ignore_ascii_case(name))
            };
            let (name, meant) = ENTITIES.iter().find(|(name, _)| is_it(name))?;
            // Without it `&lt` may be the beginning of a longer name.
            if text.get(name.len()) != Some(&b';') {
                return None;
            }
            (u32::from(*meant), name.len())
        }
    };
    let closes = text.get(length) == Some(&b';');
    Some((meant, length.saturating_add(usize::from(closes))))
}

/// ASCII in more bytes than it takes, letters of other widths, quotes that databases take for plain ones, and ASCII
/// with its eighth bit set.
fn wide(text: &[u8], before: Option<&u8>) -> Option<(u32, usize)> {
    let low = |byte: u8| u32::from(byte & 0x3f);
    let high = |byte: u8| u32::from(byte) << 6;
    match text {
        [0xc0, next @ 0x80..=0xbf, ..] => Some((low(*next), 2)),
        [0xc1, next @ 0x80..=0xbf, ..] => Some((0x40 | low(*next), 2)),
        [0xe0, second @ 0x80..=0x81, third @ 0x80..=0xbf, ..] => {
            Some(((high(*second & 0x01)) | low(*third), 3))
        }
        [0xf0, 0x80, second @ 0x80..=0x81, third @ 0x80..=0xbf, ..] => {
            Some(((high(*second & 0x01)) | low(*third), 4))
        }
        // U+FF01 to U+FF5E, full width.
        [0xef, 0xbc, third @ 0x81..=0xbf, ..] => Some((low(*third).saturating_add(0x20), 3)),
        [0xef, 0xbd, third @ 0x80..=0x9e, ..] => Some((low(*third).saturating_add(0x60), 3)),
        // U+FE64, U+FE65: small signs.
        [0xef, 0xb9, 0xa4, ..] => Some((u32::from(b'<'), 3)),
        [0xef, 0xb9, 0xa5, ..] => Some((u32::from(b'>'), 3)),
        [0xc2, 0xa0, ..] => Some((u32::from(b' '), 2)),
        [0xc2, 0xb4, ..] | [0xca, 0xb9 | 0xbb | 0xbc, ..] => Some((u32::from(b'\''), 2)),
        [0xe3, 0x80, 0x80, ..] => Some((u32::from(b' '), 3)),
        [byte @ (0xbc | 0xbe), ..] if before.is_none_or(|before| *before < 0x80) => {
            Some((u32::from(*byte & 0x7f), 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::undo;

    fn undone(text: &[u8]) -> String {
        let undone = undo(text).unwrap_or_else(|| text.to_vec());
        String::from_utf8_lossy(&undone).into_owned()
    }

    #[test]
    fn one_layer_is_undone() {
        assert_eq!(undone(b"%27 %2527 %u0027 100% %zz"), "' %27 ' 100% %zz");
        assert_eq!(
            undone(b"&lt;a&#62;&#x3C;b&#0000062 &lthing; AT&T"),
            "<a><b> &lthing; AT&T"
        );
        assert_eq!(
            undone(br"\u003cscript\x3e \u{3c} \074 \n C:\new"),
            r"<script> < < \n C:\new"
        );
        assert_eq!(
            undone(b"\xc0\xae\xc0\xaf\xe0\x80\xaf\xc1\x81"),
            "../A".replace("./A", "/").replace("..", ".") + "/A"
        );
        assert_eq!(undone("＜script＞ ʼ".as_bytes()), "<script> '");
        assert_eq!(undone(b"\xbcscript\xbe"), "<script>");
        assert_eq!(undone("мир ü".as_bytes()), "мир ü");
    }

    #[test]
    fn what_hides_nothing_is_no_other_form() {
        for text in [
            "",
            "plain",
            "50 % off & more",
            "Grüße, こんにちは",
            r"C:\dir",
            "a\\",
        ] {
            assert_eq!(undo(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nothing_grows() {
        for text in [
            "&#99999999;&#x110000;%u2028",
            "%uffff%uffff",
            "&#8232&#8232",
            "\\u2028",
            "\\u{ffff}",
        ] {
            let undone = undo(text.as_bytes()).unwrap();
            assert!(undone.len() <= text.len(), "{text}");
        }
    }
}
