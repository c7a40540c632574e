//! What stands for a token in a table: a keyed hash of all its bytes.
//!
//! A token that was accepted is known again by it, so no other may have the same. It is SipHash-2-4 with
//! 128 bits, which was made to authenticate what strangers send, under a key that is drawn for each table
//! and never leaves it; nor does any hash, so that who presents a token learns no more than whether it is
//! there. One that is not meets one of a hundred thousand that are by a chance of 2^-111, which is no more than
//! that of guessing a signature.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// A token's hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u64; 2]);

/// What hashes the tokens of one table.
pub(super) struct Fingerprints(SipHasher24);

/// Fingerprints are spread evenly already, and nobody who does not know the key can choose them.
pub(super) type ByFingerprint = BuildHasherDefault<Part>;

/// A part of a fingerprint.
#[derive(Default)]
pub(super) struct Part(u64);

impl Fingerprints {
    pub(super) fn of(&self, token: &[u8]) -> Fingerprint {
        let mut hasher = self.0;
        hasher.write(token);
        let hash = hasher.finish128();
        Fingerprint([hash.h1, hash.h2])
    }
}

impl Default for Fingerprints {
    /// With a key that nobody knows: the standard library's, which it draws for each thread and changes for
    /// each table, shows none of its own.
    fn default() -> Self {
        let drawn = RandomState::new();
        let [one, other] = [0_u8, 1].map(|number| drawn.hash_one(number));
        Self(SipHasher24::new_with_keys(one, other))
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [part, _] = self.0;
        state.write_u64(part);
    }
}

impl Hasher for Part {
    fn write_u64(&mut self, part: u64) {
        self.0 = part;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| {
            sum.rotate_left(8).wrapping_add(u64::from(*byte))
        });
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its key is a secret.
        f.write_str("Fingerprints")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_byte_counts_and_so_does_each_table() {
        let token: Vec<u8> = (0..700).map(|number| b'A' + (number % 26) as u8).collect();
        let table = Fingerprints::default();
        let mut seen = HashSet::from([table.of(&token).0]);
        for place in 0..token.len() {
            for bit in 0..8 {
                let mut other = token.clone();
                other[place] ^= 1 << bit;
                assert!(seen.insert(table.of(&other).0), "{place}");
            }
            assert!(seen.insert(table.of(&token[..place]).0), "{place}");
        }
        assert!(seen.insert(table.of(&[&token[..], b"\0"].concat()).0));
        assert!(table.of(&token) == table.of(&token));
        assert!(seen.insert(Fingerprints::default().of(&token).0));
    }

    #[test]
    fn both_halves_tell_tokens_apart() {
        let (one, other) = (Fingerprint([1, 2]), Fingerprint([1, 3]));
        assert!(one != other && one != Fingerprint([0, 2]));
        let hash = |of: Fingerprint| ByFingerprint::default().hash_one(of);
        assert_eq!([one, other].map(hash), [1, 1]);
    }

    /// The vectors of the algorithm's authors for 128 bits, of no byte and of 0 to 14.
    #[test]
    fn it_is_siphash() {
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        let known = Fingerprints(SipHasher24::new_with_key(&key));
        let bytes: Vec<u8> = (0..15).collect();
        let hex = |of: Fingerprint| {
            let bytes = of.0.map(u64::to_le_bytes).concat();
            bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()
        };
        assert_eq!(hex(known.of(b"")), "a3817f04ba25a8e66df67214c7550293");
        assert_eq!(hex(known.of(&bytes)), "5493e99933b0a8117e08ec0f97cfc3d9");
    }
}
