//! RSA keys, and signatures by them: RFC 8017 §8.1.2 and §8.2.2.

mod encoding;
mod modulus;
#[cfg(test)]
mod tests;

use sha2::{Sha256, Sha384, Sha512};

use self::encoding::{SHA256, SHA384, SHA512};
use self::modulus::{MOST_BYTES, Modulus};
use super::algorithm::SignatureAlgorithm;
use super::spki::{self, significant};

/// The one exponent that is taken, 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// An RSA key of 2048 to 4096 bits, whose exponent is 65537.
pub(super) struct RsaKey {
    modulus: Modulus,
    spki: Vec<u8>,
}

impl RsaKey {
    /// Big-endian modulus and exponent. `None` when they are not those of such a key.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let exponent = significant(exponent);
        let key = Self {
            modulus: Modulus::new(modulus)?,
            spki: spki::of_rsa(significant(modulus), exponent),
        };
        (exponent == EXPONENT).then_some(key)
    }

    /// The size of the modulus.
    pub(super) fn modulus_bits(&self) -> usize {
        self.modulus.bits()
    }

    /// The key as an X.509 `SubjectPublicKeyInfo`.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether `signature` is one of `signed`.
    pub(super) fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        let mut encoded = [0; MOST_BYTES];
        // As long as the modulus, no other length.
        let length = self.modulus.bits().div_ceil(8);
        let Some(encoded) = encoded.get_mut(..length) else {
            return false;
        };
        if signature.len() != length || self.modulus.public_operation(signature, encoded).is_none()
        {
            return false;
        }
        let bits = self.modulus.bits();
        match algorithm {
            SignatureAlgorithm::Rs256 => encoding::is_pkcs1::<Sha256>(encoded, signed, &SHA256),
            SignatureAlgorithm::Rs384 => encoding::is_pkcs1::<Sha384>(encoded, signed, &SHA384),
            SignatureAlgorithm::Rs512 => encoding::is_pkcs1::<Sha512>(encoded, signed, &SHA512),
            SignatureAlgorithm::Ps256 => {
                encoding::is_pss::<Sha256>(encoded, signed, bits) == Some(true)
            }
            SignatureAlgorithm::Ps384 => {
                encoding::is_pss::<Sha384>(encoded, signed, bits) == Some(true)
            }
            SignatureAlgorithm::Ps512 => {
                encoding::is_pss::<Sha512>(encoded, signed, bits) == Some(true)
            }
            _ => false,
        }
    }
}
