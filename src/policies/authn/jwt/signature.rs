//! Signature algorithms and the keys that check them.
//!
//! Keys are jwt-simple's, with its checks of size and form; so are HMAC tags and the choice of
//! hash and padding. Only the last step, comparing a signature with the signed bytes, goes to the
//! crates that jwt-simple itself builds on: its own `verify_token` also reads the claims, more
//! leniently than we may.

use jwt_simple::algorithms::{
    Ed25519PublicKey, EdDSAPublicKeyLike, HS256Key, HS384Key, HS512Key, MACLike, PS256PublicKey,
    PS384PublicKey, PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey,
    RSAPublicKeyLike,
};
use jwt_simple::reexports::ct_codecs;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier;

use super::ec::{self, EcKey};
use super::secret::EnvironmentSecret;
use portcullis_exchange::host::{Hash, Host, HostScheme, HostVerdict, SignatureCheck};
use portcullis_exchange::meter::Event;

/// A JWS signature algorithm that we check, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
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
    Es512,
    Es256k,
    EdDsa,
}

/// What a key can check. The key fixes the family, so that no token can choose it.
pub(super) enum VerifyingKey {
    Secret(Vec<u8>),
    Environment(EnvironmentSecret),
    Rsa(Box<RsaKey>),
    Ec(Box<EcKey>),
    Ed25519(Ed25519PublicKey),
}

/// An RSA key of the size and exponent that jwt-simple demands: 2048 to 4096 bits, 65537.
pub(super) struct RsaKey {
    key: PKey<Public>,
    modulus_bits: usize,
    spki: Vec<u8>,
}

/// Whose code checks signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureBackend {
    /// The proxy's where it has shown that it can, else the filter's.
    Auto,
    /// The proxy's and no other; where it cannot, tokens are refused.
    Proxy,
    /// The filter's.
    Filter,
}

/// What came of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureResult {
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

/// Every algorithm with its names in RFC 7518, RFC 8037, RFC 8812 and RFC 9864.
pub(super) const ALGORITHMS: [(&str, SignatureAlgorithm); 15] = [
    ("HS256", SignatureAlgorithm::Hs256),
    ("HS384", SignatureAlgorithm::Hs384),
    ("HS512", SignatureAlgorithm::Hs512),
    ("RS256", SignatureAlgorithm::Rs256),
    ("RS384", SignatureAlgorithm::Rs384),
    ("RS512", SignatureAlgorithm::Rs512),
    ("PS256", SignatureAlgorithm::Ps256),
    ("PS384", SignatureAlgorithm::Ps384),
    ("PS512", SignatureAlgorithm::Ps512),
    ("ES256", SignatureAlgorithm::Es256),
    ("ES384", SignatureAlgorithm::Es384),
    ("ES512", SignatureAlgorithm::Es512),
    ("ES256K", SignatureAlgorithm::Es256k),
    ("EdDSA", SignatureAlgorithm::EdDsa),
    ("Ed25519", SignatureAlgorithm::EdDsa),
];

impl From<bool> for SignatureResult {
    fn from(fits: bool) -> Self {
        if fits {
            SignatureResult::Valid
        } else {
            SignatureResult::Invalid
        }
    }
}

impl SignatureAlgorithm {
    /// By its exact name; RFC 7515 §4.1.1: case counts.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALGORITHMS
            .iter()
            .find(|(each, _)| *each == name)
            .map(|(_, algorithm)| *algorithm)
    }

    /// Whether the proxy's `verify_signature` has what it takes: no PSS, no Ed25519, no HMAC.
    pub(super) fn suits_proxy(self) -> bool {
        use SignatureAlgorithm::{Es256, Es384, Es512, Rs256, Rs384, Rs512};
        matches!(self, Rs256 | Rs384 | Rs512 | Es256 | Es384 | Es512)
    }

    /// RFC 7518 §3.2: an HMAC secret is at least as long as the hash.
    pub(super) fn least_secret(self) -> usize {
        match self {
            SignatureAlgorithm::Hs384 => 48,
            SignatureAlgorithm::Hs512 => 64,
            _ => 32,
        }
    }
}

impl VerifyingKey {
    /// Whether the key and the algorithm belong together.
    pub(super) fn allows(&self, algorithm: SignatureAlgorithm) -> bool {
        use SignatureAlgorithm::{EdDsa, Hs256, Hs384, Hs512};
        use SignatureAlgorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            VerifyingKey::Secret(secret) => {
                matches!(algorithm, Hs256 | Hs384 | Hs512)
                    && secret.len() >= algorithm.least_secret()
            }
            VerifyingKey::Environment(_) => matches!(algorithm, Hs256 | Hs384 | Hs512),
            VerifyingKey::Rsa(_) => {
                matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
            }
            VerifyingKey::Ec(key) => algorithm == key.curve().algorithm(),
            VerifyingKey::Ed25519(_) => algorithm == EdDsa,
        }
    }

    /// The variable of the VM's environment that it needs.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            VerifyingKey::Environment(secret) => Some(secret.variable()),
            _ => None,
        }
    }

    pub(super) fn class(&self) -> KeyClass {
        match self {
            VerifyingKey::Secret(_) | VerifyingKey::Environment(_) => KeyClass::Secret,
            _ => KeyClass::Public,
        }
    }

    /// Whether `signature` is one of `signed` by this key.
    pub(super) fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        signed: &[u8],
        signature: &[u8],
        checker: SignatureBackend,
        host: &dyn Host,
    ) -> SignatureResult {
        if !self.allows(algorithm) {
            return SignatureResult::Invalid;
        }
        if checker != SignatureBackend::Filter {
            let verdict = self.ask_host(algorithm, signed, signature, host);
            if verdict != HostVerdict::Unavailable {
                host.count(Event::SignatureByProxy.counter());
            }
            match verdict {
                HostVerdict::Valid => return SignatureResult::Valid,
                HostVerdict::Invalid => return SignatureResult::Invalid,
                HostVerdict::Unavailable if checker == SignatureBackend::Proxy => {
                    return SignatureResult::Impossible;
                }
                HostVerdict::Unavailable => {}
            }
        }
        host.count(Event::SignatureByFilter.counter());
        if let VerifyingKey::Environment(secret) = self {
            let secret = secret.value(host);
            let secret = secret.filter(|secret| secret.len() >= algorithm.least_secret());
            return match secret {
                None => SignatureResult::Impossible,
                Some(secret) => verify_mac(secret, algorithm, signed, signature).into(),
            };
        }
        self.verify_here(algorithm, signed, signature).into()
    }

    fn ask_host(
        &self,
        algorithm: SignatureAlgorithm,
        signed: &[u8],
        signature: &[u8],
        host: &dyn Host,
    ) -> HostVerdict {
        let rsa = |key: &RsaKey, hash| {
            host.verify_signature(SignatureCheck {
                scheme: HostScheme::RsaPkcs1,
                hash,
                public_key: &key.spki,
                signature,
                signed,
            })
        };
        match (self, algorithm) {
            (VerifyingKey::Rsa(key), SignatureAlgorithm::Rs256) => rsa(key, Hash::Sha256),
            (VerifyingKey::Rsa(key), SignatureAlgorithm::Rs384) => rsa(key, Hash::Sha384),
            (VerifyingKey::Rsa(key), SignatureAlgorithm::Rs512) => rsa(key, Hash::Sha512),
            (VerifyingKey::Ec(key), _) => {
                let Some((scheme, hash)) = key.curve().host_scheme() else {
                    return HostVerdict::Unavailable;
                };
                let Some(der) = ec::signature_to_der(key.curve(), signature) else {
                    return HostVerdict::Invalid;
                };
                host.verify_signature(SignatureCheck {
                    scheme,
                    hash,
                    public_key: key.spki(),
                    signature: &der,
                    signed,
                })
            }
            _ => HostVerdict::Unavailable,
        }
    }

    fn verify_here(&self, algorithm: SignatureAlgorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            VerifyingKey::Secret(secret) => verify_mac(secret, algorithm, signed, signature),
            VerifyingKey::Environment(_) => false,
            VerifyingKey::Rsa(key) => verify_rsa(key, algorithm, signed, signature) == Some(true),
            VerifyingKey::Ec(key) => key.verify(signed, signature),
            VerifyingKey::Ed25519(key) => {
                let signature = ed25519_compact::Signature::from_slice(signature);
                let key = key.public_key().as_ref();
                signature.is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
        }
    }
}

impl RsaKey {
    /// Big-endian modulus and exponent. `None` when jwt-simple refuses them.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let key = RS256PublicKey::from_components(modulus, exponent).ok()?;
        let significant: Vec<u8> = modulus.iter().copied().skip_while(|b| *b == 0).collect();
        let unused = significant.first()?.leading_zeros() as usize;
        Some(Self {
            spki: key.to_der().ok()?,
            key: PKey::from_rsa(key.public_key().as_ref().clone()).ok()?,
            modulus_bits: significant.len().checked_mul(8)?.checked_sub(unused)?,
        })
    }

    /// The size of the modulus.
    pub(super) fn modulus_bits(&self) -> usize {
        self.modulus_bits
    }
}

fn verify_mac(secret: &[u8], algorithm: SignatureAlgorithm, signed: &[u8], tag: &[u8]) -> bool {
    let expected = match algorithm {
        SignatureAlgorithm::Hs256 => HS256Key::from_bytes(secret).authentication_tag(signed),
        SignatureAlgorithm::Hs384 => HS384Key::from_bytes(secret).authentication_tag(signed),
        SignatureAlgorithm::Hs512 => HS512Key::from_bytes(secret).authentication_tag(signed),
        _ => return false,
    };
    ct_codecs::verify(&expected, tag)
}

fn verify_rsa(
    key: &RsaKey,
    algorithm: SignatureAlgorithm,
    signed: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let (hash, padding) = match algorithm {
        SignatureAlgorithm::Rs256 => (RS256PublicKey::hash(), Padding::PKCS1),
        SignatureAlgorithm::Rs384 => (RS384PublicKey::hash(), Padding::PKCS1),
        SignatureAlgorithm::Rs512 => (RS512PublicKey::hash(), Padding::PKCS1),
        SignatureAlgorithm::Ps256 => (PS256PublicKey::hash(), Padding::PKCS1_PSS),
        SignatureAlgorithm::Ps384 => (PS384PublicKey::hash(), Padding::PKCS1_PSS),
        SignatureAlgorithm::Ps512 => (PS512PublicKey::hash(), Padding::PKCS1_PSS),
        _ => return None,
    };
    // RFC 8017 §8.1.2 and §8.2.2: as long as the modulus, no other length.
    if signature.len() != key.modulus_bits.div_ceil(8) {
        return None;
    }
    let mut verifier = Verifier::new(hash, &key.key).ok()?;
    verifier.set_rsa_padding(padding).ok()?;
    verifier.update(signed).ok()?;
    verifier.verify(signature).ok()
}
