//! Signature algorithms and the keys that check them.
//!
//! Keys are jwt-simple's, with its checks of size and form; so are HMAC tags and the choice of
//! hash and padding. Only the last step, comparing a signature with the signed bytes, goes to the
//! crates that jwt-simple itself builds on: its own `verify_token` also reads the claims, more
//! leniently than we may.

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey,
    Ed25519PublicKey, EdDSAPublicKeyLike, HS256Key, HS384Key, HS512Key, MACLike, PS256PublicKey,
    PS384PublicKey, PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey,
    RSAPublicKeyLike,
};
use jwt_simple::reexports::ct_codecs;
use p256::ecdsa::signature::Verifier as _;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier;

/// A JWS signature algorithm that we check, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// What a key can check. The key fixes the family, so that no token can choose it.
pub(super) enum VerifyingKey {
    Secret(Vec<u8>),
    Rsa(Box<RsaKey>),
    P256(ES256PublicKey),
    P384(ES384PublicKey),
    Ed25519(Ed25519PublicKey),
}

/// An RSA key of the size and exponent that jwt-simple demands: 2048 to 4096 bits, 65537.
pub(super) struct RsaKey {
    key: PKey<Public>,
    modulus_bytes: usize,
}

/// Whether a key is known to its holder alone, or to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyClass {
    Secret,
    Public,
}

/// Every algorithm with its name in RFC 7518 and RFC 8037.
pub(super) const ALGORITHMS: [(&str, Algorithm); 12] = [
    ("HS256", Algorithm::Hs256),
    ("HS384", Algorithm::Hs384),
    ("HS512", Algorithm::Hs512),
    ("RS256", Algorithm::Rs256),
    ("RS384", Algorithm::Rs384),
    ("RS512", Algorithm::Rs512),
    ("PS256", Algorithm::Ps256),
    ("PS384", Algorithm::Ps384),
    ("PS512", Algorithm::Ps512),
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("EdDSA", Algorithm::EdDsa),
];

impl Algorithm {
    /// By its exact name; RFC 7515 §4.1.1: case counts.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALGORITHMS
            .iter()
            .find(|(each, _)| *each == name)
            .map(|(_, algorithm)| *algorithm)
    }

    /// RFC 7518 §3.2: an HMAC secret is at least as long as the hash.
    fn least_secret(self) -> usize {
        match self {
            Algorithm::Hs384 => 48,
            Algorithm::Hs512 => 64,
            _ => 32,
        }
    }
}

impl VerifyingKey {
    /// Whether the key and the algorithm belong together.
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512};
        use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            VerifyingKey::Secret(secret) => {
                matches!(algorithm, Hs256 | Hs384 | Hs512)
                    && secret.len() >= algorithm.least_secret()
            }
            VerifyingKey::Rsa(_) => {
                matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
            }
            VerifyingKey::P256(_) => algorithm == Es256,
            VerifyingKey::P384(_) => algorithm == Es384,
            VerifyingKey::Ed25519(_) => algorithm == EdDsa,
        }
    }

    pub(super) fn class(&self) -> KeyClass {
        match self {
            VerifyingKey::Secret(_) => KeyClass::Secret,
            _ => KeyClass::Public,
        }
    }

    /// Whether `signature` is one of `signed` by this key.
    pub(super) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if !self.allows(algorithm) {
            return false;
        }
        match self {
            VerifyingKey::Secret(secret) => verify_mac(secret, algorithm, signed, signature),
            VerifyingKey::Rsa(key) => verify_rsa(key, algorithm, signed, signature) == Some(true),
            VerifyingKey::P256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature);
                signature.is_ok_and(|signature| {
                    key.public_key().as_ref().verify(signed, &signature).is_ok()
                })
            }
            VerifyingKey::P384(key) => {
                let signature = p384::ecdsa::Signature::from_slice(signature);
                signature.is_ok_and(|signature| {
                    key.public_key().as_ref().verify(signed, &signature).is_ok()
                })
            }
            VerifyingKey::Ed25519(key) => {
                let signature = ed25519_compact::Signature::from_slice(signature);
                signature.is_ok_and(|signature| {
                    key.public_key().as_ref().verify(signed, &signature).is_ok()
                })
            }
        }
    }
}

impl RsaKey {
    /// Big-endian modulus and exponent. `None` when jwt-simple refuses them.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let key = RS256PublicKey::from_components(modulus, exponent).ok()?;
        let significant = modulus.iter().skip_while(|b| **b == 0).count();
        let key = PKey::from_rsa(key.public_key().as_ref().clone()).ok()?;
        Some(Self {
            key,
            modulus_bytes: significant,
        })
    }
}

fn verify_mac(secret: &[u8], algorithm: Algorithm, signed: &[u8], tag: &[u8]) -> bool {
    let expected = match algorithm {
        Algorithm::Hs256 => HS256Key::from_bytes(secret).authentication_tag(signed),
        Algorithm::Hs384 => HS384Key::from_bytes(secret).authentication_tag(signed),
        Algorithm::Hs512 => HS512Key::from_bytes(secret).authentication_tag(signed),
        _ => return false,
    };
    ct_codecs::verify(&expected, tag)
}

fn verify_rsa(key: &RsaKey, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Option<bool> {
    let (hash, padding) = match algorithm {
        Algorithm::Rs256 => (RS256PublicKey::hash(), Padding::PKCS1),
        Algorithm::Rs384 => (RS384PublicKey::hash(), Padding::PKCS1),
        Algorithm::Rs512 => (RS512PublicKey::hash(), Padding::PKCS1),
        Algorithm::Ps256 => (PS256PublicKey::hash(), Padding::PKCS1_PSS),
        Algorithm::Ps384 => (PS384PublicKey::hash(), Padding::PKCS1_PSS),
        Algorithm::Ps512 => (PS512PublicKey::hash(), Padding::PKCS1_PSS),
        _ => return None,
    };
    // RFC 8017 §8.1.2 and §8.2.2: as long as the modulus, no other length.
    if signature.len() != key.modulus_bytes {
        return None;
    }
    let mut verifier = Verifier::new(hash, &key.key).ok()?;
    verifier.set_rsa_padding(padding).ok()?;
    verifier.update(signed).ok()?;
    verifier.verify(signature).ok()
}
