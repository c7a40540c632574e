//! Credentials that stand in a document, where everybody can read them: told by their form.

/// How many digits of a key that this project makes are random: 62^27 is more than 2^160.
pub(super) const RANDOM_DIGITS: usize = 27;
/// How many are its checksum: 62^6 is more than 2^32.
pub(super) const CHECKSUM_DIGITS: usize = 6;

/// The longest beginning of a key.
pub const LONGEST_PREFIX: usize = 32;

/// Whether a text can be the beginning of keys: lower-case letters and digits, in words that `_` parts.
pub fn is_prefix(text: &str) -> bool {
    let mut words = text.split('_');
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= LONGEST_PREFIX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && words.all(|word| !word.is_empty() && word.bytes().all(plain))
}

/// Whether a text is a key of this form, whatever its beginning, but for its checksum.
pub(super) fn has_shape(text: &str) -> bool {
    let parts = text.rsplit_once('_');
    let digits = |digits: &str| {
        digits.len() == RANDOM_DIGITS + CHECKSUM_DIGITS
            && digits.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    parts.is_some_and(|(prefix, rest)| is_prefix(prefix) && digits(rest))
}

/// Whether a text is a token in compact form, signed or encrypted (RFC 7515 §7.1, RFC 7516 §7.1): a header that is
/// a JSON object, and two or four parts more.
pub(super) fn is_token(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let dots = text.bytes().filter(|b| *b == b'.').count();
    text.starts_with("eyJ") && (dots == 2 || dots == 4) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_names() {
        for token in ["eyJhbGciOiJub25lIn0.e30.", "eyJh.eyJz.c2ln", "eyJh.a.b.c.d"] {
            assert!(is_token(token), "{token}");
        }
        for name in ["eyJ", "eyJ.a", "a.b.c", "urn:eyJ.a.b", "eyJ a.b.c"] {
            assert!(!is_token(name), "{name}");
        }
    }
}
