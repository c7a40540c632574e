//! The form of a key that this project makes: `PREFIX_`, 160 random bits in base62 (27 characters), and in
//! 6 more the CRC-32 of all that stands before them.
//!
//! The beginning tells scanners and people whose key it is, and the checksum tells a key from what
//! only looks like one, and a key with a typing error from one that was guessed, without a look-up.
//! It protects nothing: whoever makes up a key can make up its checksum.

use crate::authn::exposed::{CHECKSUM_DIGITS, RANDOM_DIGITS};
pub use crate::authn::exposed::{LONGEST_PREFIX, is_prefix};

/// How many random bytes a key has.
pub const RANDOM_BYTES: usize = 20;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The key with that beginning and those random bytes.
pub fn key(prefix: &str, random: &[u8; RANDOM_BYTES]) -> String {
    let mut key = format!("{prefix}_");
    push_base62(&mut key, random, RANDOM_DIGITS);
    let checksum = crc32(key.as_bytes());
    push_base62(&mut key, &checksum.to_be_bytes(), CHECKSUM_DIGITS);
    key
}

/// Whether it begins with that and has the right checksum.
pub(super) fn is_well_formed(key: &[u8], prefix: &str) -> bool {
    let shape = || {
        let rest = key.strip_prefix(prefix.as_bytes())?;
        let digits = rest.strip_prefix(b"_")?;
        let plain = digits.iter().all(u8::is_ascii_alphanumeric);
        let long = digits.len() == RANDOM_DIGITS + CHECKSUM_DIGITS;
        let start = key.len().checked_sub(CHECKSUM_DIGITS)?;
        (plain && long).then_some(key.split_at_checked(start)?)
    };
    shape().is_some_and(|(body, checksum)| {
        let mut expected = String::with_capacity(CHECKSUM_DIGITS);
        push_base62(&mut expected, &crc32(body).to_be_bytes(), CHECKSUM_DIGITS);
        expected.as_bytes() == checksum
    })
}

/// Writes a number of so many bytes, the most significant first, in so many digits.
fn push_base62(out: &mut String, number: &[u8], digits: usize) {
    const BASE: u32 = 62;
    let mut rest = number.to_vec();
    let mut reversed: Vec<u8> = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut remainder = 0_u32;
        for byte in &mut rest {
            let value = (remainder << 8) | u32::from(*byte);
            // A remainder is less than 62, so the quotient fits into a byte.
            *byte = u8::try_from(value / BASE).unwrap_or_default();
            remainder = value % BASE;
        }
        let digit = usize::try_from(remainder).ok();
        reversed.extend(digit.and_then(|digit| DIGITS.get(digit)));
    }
    out.extend(reversed.iter().rev().copied().map(char::from));
}

/// The CRC-32 of IEEE 802.3, bit by bit: for forty bytes a table is not worth its kilobyte.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let bits = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    };
    !bytes.iter().fold(u32::MAX, bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::exposed::has_shape;

    #[test]
    fn the_checksum_is_that_of_ieee() {
        // The check value of the catalogue of CRCs, and others of zlib.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"a"), 0xe8b7_be43);
    }

    #[test]
    fn a_key_has_its_form() {
        let made = key("pk_live", &[0xff; RANDOM_BYTES]);
        assert_eq!(made.len(), "pk_live_".len() + 33);
        assert!(is_well_formed(made.as_bytes(), "pk_live"), "{made}");
        assert!(has_shape(&made));
        let none = key("a", &[0; RANDOM_BYTES]);
        assert!(none.starts_with(&format!("a_{}", "0".repeat(27))), "{none}");
        // 2^160 - 1 in base 62.
        assert!(
            made.starts_with("pk_live_aWgEPTl1tmebfsQzFP4bxwgy80V"),
            "{made}"
        );
    }

    #[test]
    fn another_character_anywhere_is_seen() {
        let made = key("pk", &[7; RANDOM_BYTES]);
        for place in 0..made.len() {
            for other in [b'0', b'Z', b'z', b'_', b' ', 0xff] {
                let mut changed = made.clone().into_bytes();
                if std::mem::replace(&mut changed[place], other) != other {
                    assert!(!is_well_formed(&changed, "pk"), "{place}");
                }
            }
            let mut shorter = made.clone().into_bytes();
            shorter.remove(place);
            assert!(!is_well_formed(&shorter, "pk"));
            assert!(!is_well_formed(&made.as_bytes()[..place], "pk"));
        }
        assert!(!is_well_formed(made.as_bytes(), "p"));
        assert!(!is_well_formed(b"", ""));
    }

    #[test]
    fn what_may_begin_a_key() {
        for fine in ["pk", "pk_live", "a1_b2_c3", "x"] {
            assert!(is_prefix(fine), "{fine}");
        }
        let long = "a".repeat(33);
        for wrong in [
            "", "_", "pk_", "_pk", "a__b", "PK", "1a", "a-b", "\u{e9}", &long,
        ] {
            assert!(!is_prefix(wrong), "{wrong}");
        }
    }
}
