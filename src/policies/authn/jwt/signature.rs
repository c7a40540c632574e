//! Signature algorithms and the keys that check them.
//!
//! Keys are read by jwt-simple, with its checks of size and form; so are HMAC tags made. Comparing a
//! signature with the signed bytes is left to others, for its `verify_token` also reads the claims,
//! more leniently than we may: to the crates for curves that it builds on, and where those are slow
//! in wasm to [`super::rsa`] and [`super::ed25519`].

use jwt_simple::algorithms::{HS256Key, HS384Key, HS512Key, MACLike};
use jwt_simple::reexports::ct_codecs;

use super::algorithm::{CHECKS_SIGNATURES, SignatureAlgorithm};
use super::ec::{self, EcKey};
use super::ed25519::Ed25519Key;
use super::rsa::RsaKey;
use crate::authn::secret::EnvironmentSecret;
use portcullis_exchange::host::{Hash, Host, HostScheme, HostVerdict, SignatureCheck};
use portcullis_exchange::meter::Event;

/// What a key can check. The key fixes the family, so that no token can choose it.
pub(super) enum VerifyingKey {
    Secret(Vec<u8>),
    Environment(EnvironmentSecret),
    Rsa(Box<RsaKey>),
    Ec(Box<EcKey>),
    Ed25519(Box<Ed25519Key>),
}

/// Whose code checks signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) enum SignatureBackend {
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

impl From<bool> for SignatureResult {
    fn from(fits: bool) -> Self {
        if fits {
            SignatureResult::Valid
        } else {
            SignatureResult::Invalid
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
                HostVerdict::Unavailable
                    if checker == SignatureBackend::Proxy || !self.is_checked_here() =>
                {
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

    /// Whether this build checks signatures by such keys itself.
    fn is_checked_here(&self) -> bool {
        CHECKS_SIGNATURES || self.class() == KeyClass::Secret
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
                public_key: key.spki(),
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
            _ if !CHECKS_SIGNATURES => false,
            VerifyingKey::Rsa(key) => key.verify(algorithm, signed, signature),
            VerifyingKey::Ec(key) => key.verify(signed, signature),
            VerifyingKey::Ed25519(key) => key.verify(signed, signature),
        }
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
