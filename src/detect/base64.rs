//! Texts in Base64, read as leniently as the most lenient of those who read them.

/// The fewest bytes that a text has which was put into Base64 by somebody: what is shorter comes about by chance.
pub const LEAST: usize = 9;

/// So many letters are three bytes.
const LETTERS: usize = 4;

/// The text that another is in Base64, if that is all it is: of either alphabet, with padding or without it, with line
/// ends between, with blanks for `+` as forms make them. A text is UTF-8 without control characters but blanks, and has
/// at least `least` bytes; ids, tokens and images are none.
pub fn text_in_base64(text: &[u8], least: usize) -> Option<Vec<u8>> {
    if text.len() < least.saturating_mul(LETTERS) / 3 {
        return None;
    }
    let letters = text.trim_ascii();
    let end = letters.iter().rposition(|byte| *byte != b'=');
    let (letters, padding) = letters.split_at_checked(end?.saturating_add(1))?;
    if padding.len() > 2 {
        return None;
    }
    let mut decoded = Vec::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in letters {
        let Some(value) = value(*letter) else {
            match letter {
                b'\r' | b'\n' | b'\t' => continue,
                _ => return None,
            }
        };
        (bits, count) = (bits << 6 | u32::from(value), count.saturating_add(6));
        if count < 8 {
            continue;
        }
        count = count.saturating_sub(8);
        // What stands to the left has been taken.
        let byte = u8::try_from(bits >> count & 0xff).unwrap_or_default();
        // Most texts are no Base64, which shows at once.
        if byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7f {
            return None;
        }
        if decoded.is_empty() {
            decoded.reserve_exact(letters.len().saturating_mul(3) / LETTERS);
        }
        decoded.push(byte);
    }
    (decoded.len() >= least && std::str::from_utf8(&decoded).is_ok()).then_some(decoded)
}

fn value(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => letter.checked_sub(b'A'),
        b'a'..=b'z' => letter.checked_sub(b'a' - 26),
        b'0'..=b'9' => letter.checked_add(52 - b'0'),
        b'+' | b'-' | b' ' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: &str) -> Option<String> {
        text_in_base64(of.as_bytes(), LEAST).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn texts_are_read_in_any_spelling() {
        let meant = Some("x' or 1=1 -- >>??".to_owned());
        for spelling in [
            "eCcgb3IgMT0xIC0tID4+Pz8=",
            "eCcgb3IgMT0xIC0tID4+Pz8",
            "eCcgb3IgMT0xIC0tID4-Pz8=",
            "eCcgb3IgMT0xIC0tID4 Pz8=",
            "eCcgb3IgMT0x\r\nIC0tID4+\nPz8=\n",
        ] {
            assert_eq!(text(spelling), meant, "{spelling:?}");
        }
        assert_eq!(
            text("R3LDvMOfZSBhbiBhbGxl").as_deref(),
            Some("Grüße an alle")
        );
    }

    #[test]
    fn what_is_something_else_is_let_alone() {
        for other in [
            "",
            "=",
            "====",
            "short",
            "aWQ7bHM=",
            "please leave it at the door",
            "c2hvcnQ==x",
            "eCcgb3IgMT0xIC0tID4+Pz8===",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk",
            "d41d8cd98f00b204e9800998ecf8427e",
            "9b2f4c1e-7a53-4c7e-9a10-0d1f6a3b9c55",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
            "/images/products/large/chair",
            "////////////////",
            "AAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
    }
}
