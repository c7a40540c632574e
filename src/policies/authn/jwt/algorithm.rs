//! The signature algorithms of tokens.

/// Whether this build checks signatures of public keys itself. Where it does not, the proxy does, and the
/// libraries for keys are left out of the module.
pub(super) const CHECKS_SIGNATURES: bool = cfg!(feature = "signatures");

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

    /// Whether who checks such a signature could have made it.
    pub(super) fn is_symmetric(self) -> bool {
        use SignatureAlgorithm::{Hs256, Hs384, Hs512};
        matches!(self, Hs256 | Hs384 | Hs512)
    }

    /// Whether this build can have it checked, by the proxy if need be.
    pub(super) fn is_available(self) -> bool {
        CHECKS_SIGNATURES || self.suits_proxy() || self.is_symmetric()
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
