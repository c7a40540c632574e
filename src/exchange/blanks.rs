//! Blanks around the values of header fields.

/// A value without the blanks around it: they are not part of it (RFC 9110 §5.5). Over HTTP/1 the proxy takes them
/// away; over HTTP/2 they come, and whoever is behind the proxy takes them away.
pub fn without_blanks(value: &[u8]) -> &[u8] {
    let is_letter = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let end = value.iter().rposition(is_letter);
    let end = end.map_or(0, |last| last.saturating_add(1));
    let start = value.iter().position(is_letter).unwrap_or(end);
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_around_is_taken_away() {
        for (written, value) in [
            ("a", "a"),
            (" a\t", "a"),
            ("\t a b ", "a b"),
            ("", ""),
            (" \t ", ""),
            ("\u{a0}a", "\u{a0}a"),
        ] {
            assert_eq!(without_blanks(written.as_bytes()), value.as_bytes());
        }
    }
}
