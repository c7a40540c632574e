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

use crate::host::{Hash, Host, HostScheme, HostVerdict, SignatureCheck};
use crate::metrics::Event;

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
    P256(EcKey<ES256PublicKey>),
    P384(EcKey<ES384PublicKey>),
    Ed25519(Ed25519PublicKey),
}

/// An RSA key of the size and exponent that jwt-simple demands: 2048 to 4096 bits, 65537.
pub(super) struct RsaKey {
    key: PKey<Public>,
    modulus_bytes: usize,
    spki: Vec<u8>,
}

/// A point on a curve, as a key and as DER.
pub(super) struct EcKey<K> {
    key: K,
    spki: Vec<u8>,
}

/// Whose code checks signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checker {
    /// The proxy's where it has shown that it can, else the filter's.
    Auto,
    /// The proxy's and no other; where it cannot, tokens are refused.
    Proxy,
    /// The filter's.
    Filter,
}

/// What came of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Valid,
    Invalid,
    /// Nothing that may check it can.
    Impossible,
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

    /// Whether the proxy's `verify_signature` has what it takes: no PSS, no Ed25519, no HMAC.
    pub(super) fn suits_proxy(self) -> bool {
        use Algorithm::{Es256, Es384, Rs256, Rs384, Rs512};
        matches!(self, Rs256 | Rs384 | Rs512 | Es256 | Es384)
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
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
        checker: Checker,
        host: &dyn Host,
    ) -> Checked {
        if !self.allows(algorithm) {
            return Checked::Invalid;
        }
        if checker != Checker::Filter {
            let verdict = self.ask_host(algorithm, signed, signature, host);
            if verdict != HostVerdict::Unavailable {
                host.count(Event::SignatureByProxy.counter());
            }
            match verdict {
                HostVerdict::Valid => return Checked::Valid,
                HostVerdict::Invalid => return Checked::Invalid,
                HostVerdict::Unavailable if checker == Checker::Proxy => {
                    return Checked::Impossible;
                }
                HostVerdict::Unavailable => {}
            }
        }
        host.count(Event::SignatureByFilter.counter());
        if self.verify_here(algorithm, signed, signature) {
            Checked::Valid
        } else {
            Checked::Invalid
        }
    }

    fn ask_host(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
        host: &dyn Host,
    ) -> HostVerdict {
        use HostScheme::{EcdsaP256, EcdsaP384, RsaPkcs1};
        let (scheme, hash, spki) = match (self, algorithm) {
            (VerifyingKey::Rsa(key), Algorithm::Rs256) => (RsaPkcs1, Hash::Sha256, &key.spki),
            (VerifyingKey::Rsa(key), Algorithm::Rs384) => (RsaPkcs1, Hash::Sha384, &key.spki),
            (VerifyingKey::Rsa(key), Algorithm::Rs512) => (RsaPkcs1, Hash::Sha512, &key.spki),
            (VerifyingKey::P256(key), Algorithm::Es256) => (EcdsaP256, Hash::Sha256, &key.spki),
            (VerifyingKey::P384(key), Algorithm::Es384) => (EcdsaP384, Hash::Sha384, &key.spki),
            _ => return HostVerdict::Unavailable,
        };
        let der;
        let signature = match scheme {
            RsaPkcs1 => signature,
            EcdsaP256 | EcdsaP384 => {
                let full = if scheme == EcdsaP256 { 64 } else { 96 };
                match ecdsa_der(signature).filter(|_| signature.len() == full) {
                    Some(encoded) => {
                        der = encoded;
                        &der
                    }
                    None => return HostVerdict::Invalid,
                }
            }
        };
        host.verify_signature(SignatureCheck {
            scheme,
            hash,
            public_key: spki,
            signature,
            signed,
        })
    }

    fn verify_here(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            VerifyingKey::Secret(secret) => verify_mac(secret, algorithm, signed, signature),
            VerifyingKey::Rsa(key) => verify_rsa(key, algorithm, signed, signature) == Some(true),
            VerifyingKey::P256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature);
                let key = key.key.public_key().as_ref();
                signature.is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
            VerifyingKey::P384(key) => {
                let signature = p384::ecdsa::Signature::from_slice(signature);
                let key = key.key.public_key().as_ref();
                signature.is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
            VerifyingKey::Ed25519(key) => {
                let signature = ed25519_compact::Signature::from_slice(signature);
                let key = key.public_key().as_ref();
                signature.is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
        }
    }
}

/// JOSE's `r‖s` (RFC 7518 §3.4) as the `ECDSA-Sig-Value` of RFC 3279 §2.2.3. At most 96 bytes
/// of numbers, so that every length fits one byte.
fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    const LONGEST: usize = 96;
    if signature.len() > LONGEST || signature.is_empty() || !signature.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = signature.split_at_checked(signature.len() / 2)?;
    let body = [der_integer(r), der_integer(s)].concat();
    let length = u8::try_from(body.len())
        .ok()
        .filter(|length| *length < 0x80)?;
    Some([&[0x30, length][..], &body].concat())
}

/// X.690 §8.3: the shortest form, and positive.
fn der_integer(number: &[u8]) -> Vec<u8> {
    let significant: Vec<u8> = number.iter().copied().skip_while(|b| *b == 0).collect();
    let padding: &[u8] = match significant.first() {
        Some(first) if *first < 0x80 => &[],
        _ => &[0],
    };
    let length = significant.len().saturating_add(padding.len());
    [
        &[0x02, u8::try_from(length).unwrap_or(u8::MAX)][..],
        padding,
        &significant,
    ]
    .concat()
}

impl EcKey<ES256PublicKey> {
    /// An uncompressed point, if it is on the curve.
    pub(super) fn p256(point: &[u8]) -> Option<Self> {
        let key = ES256PublicKey::from_bytes(point).ok()?;
        Some(Self {
            spki: key.to_der().ok()?,
            key,
        })
    }
}

impl EcKey<ES384PublicKey> {
    /// An uncompressed point, if it is on the curve.
    pub(super) fn p384(point: &[u8]) -> Option<Self> {
        let key = ES384PublicKey::from_bytes(point).ok()?;
        Some(Self {
            spki: key.to_der().ok()?,
            key,
        })
    }
}

impl RsaKey {
    /// Big-endian modulus and exponent. `None` when jwt-simple refuses them.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let key = RS256PublicKey::from_components(modulus, exponent).ok()?;
        let significant = modulus.iter().skip_while(|b| **b == 0).count();
        Some(Self {
            spki: key.to_der().ok()?,
            key: PKey::from_rsa(key.public_key().as_ref().clone()).ok()?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_become_der() {
        assert_eq!(ecdsa_der(&[1, 2]).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 2]);
        assert_eq!(
            ecdsa_der(&[0, 0x80, 0, 0]).unwrap(),
            [0x30, 7, 2, 2, 0, 0x80, 2, 1, 0]
        );
        assert_eq!(ecdsa_der(&[0xff; 96]).unwrap().len(), 104);
        for wrong in [&[][..], &[1], &[1, 2, 3], &[1; 98]] {
            assert_eq!(ecdsa_der(wrong), None);
        }
    }
}
