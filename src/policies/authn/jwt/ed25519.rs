//! Ed25519 keys, and signatures by them: RFC 8032 §5.1.7.

use ed25519_dalek::{Signature, VerifyingKey};

/// A point in its one spelling (RFC 8032 §5.1.3), and of no small order.
///
/// Of the two equations in RFC 8032 §5.1.7 the stricter is asked, which the proxy's BoringSSL has
/// as well: without the factor of eight. They differ only about signatures that nobody makes but
/// on purpose, with a part of small order in the key or in `R`.
pub(super) struct Ed25519Key(VerifyingKey);

impl Ed25519Key {
    /// The key of 32 bytes. `None` when they are not those of such a point.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.try_into().ok()?;
        if !is_reduced(bytes) {
            return None;
        }
        let key = VerifyingKey::from_bytes(bytes).ok()?;
        (!key.is_weak()).then_some(Self(key))
    }

    /// Whether `signature` is one of `signed`.
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(signed, &signature).is_ok())
    }
}

/// Whether the number, whose lowest byte comes first, is less than 2^255 - 19: RFC 8032 §5.1.3, step 1. The highest bit
/// is none of its own.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    let [lowest, between @ .., highest] = bytes;
    *lowest < 0xed || between.iter().any(|byte| *byte != 0xff) || highest & 0x7f != 0x7f
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use jwt_simple::algorithms::Ed25519PublicKey;

    use super::*;

    /// The points of small order in their own spelling: of order 1, 2, 4, 4, 8, 8, 8, 8.
    const SMALL: [&str; 8] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn points_of_small_order_are_neither_keys_nor_signatures() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let ours = Ed25519Key::new(key.verifying_key().as_bytes()).unwrap();
        for small in SMALL {
            assert!(Ed25519Key::new(&bytes(small)).is_none(), "{small}");
            // Whatever is signed: `R` of small order, and nothing else.
            let signature = [bytes(small), vec![0; 32]].concat();
            assert!(!ours.verify(b"portcullis", &signature), "{small}");
        }
        // 1 and 0, each in a second spelling.
        for other in ["ee", "ed"] {
            let other = format!("{other}{}7f", "ff".repeat(30));
            assert!(Ed25519Key::new(&bytes(&other)).is_none(), "{other}");
        }
        for length in [0, 31, 33, 64] {
            assert!(Ed25519Key::new(&vec![9; length]).is_none(), "{length}");
        }
    }

    #[test]
    fn keys_are_those_of_another_library() {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let mut taken = 0;
        for round in 0..4000 {
            // Random ones, and those around the largest number.
            let mut key: Vec<u8> = (0..32).map(|_| next()).collect();
            if round % 2 == 0 {
                key[1..31].fill(0xff);
                key[31] |= 0x7f;
                key[0] = 0xe0 + round as u8 % 32;
            }
            if round % 8 == 1 {
                key[1..].fill(0);
            }
            let ours = Ed25519Key::new(&key).is_some();
            assert_eq!(ours, Ed25519PublicKey::from_bytes(&key).is_ok(), "{key:?}");
            taken += usize::from(ours);
        }
        assert!((500..3500).contains(&taken), "{taken}");
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let ours = Ed25519Key::new(key.verifying_key().as_bytes()).unwrap();
        let signature = key.sign(b"portcullis").to_bytes().to_vec();
        assert!(ours.verify(b"portcullis", &signature));
        assert!(!ours.verify(b"something else", &signature));
        assert!(!ours.verify(b"portcullis", &signature[1..]));
        assert!(!ours.verify(b"portcullis", &[&signature[..], &[0]].concat()));
        for place in 0..signature.len() {
            let mut bad = signature.clone();
            bad[place] ^= 1;
            assert!(!ours.verify(b"portcullis", &bad), "{place}");
        }
        // RFC 8032 §5.1.7: S is less than the order of the group, so S + L is none.
        let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut larger = signature;
        let mut carry = 0;
        for (byte, add) in larger[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry as u8;
            carry >>= 8;
        }
        assert!(!ours.verify(b"portcullis", &larger));
    }
}
