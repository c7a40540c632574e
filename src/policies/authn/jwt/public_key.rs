//! Public keys of the document for signatures that are no token's: one key, and the one algorithm that it has.

use std::fmt;

use super::algorithm::SignatureAlgorithm;
use super::jwk::Jwk;
use super::signature::{KeyClass, SignatureBackend, SignatureResult, VerifyingKey};
use portcullis_document::{LeftOut, Node, Problems};
use portcullis_exchange::host::Host;

/// A public key that checks signatures by one algorithm.
pub(in crate::authn) struct PublicKey {
    verifying: VerifyingKey,
    algorithm: SignatureAlgorithm,
}

/// What came of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) enum KeyVerdict {
    Valid,
    Invalid,
    /// Neither the proxy nor this build can check it.
    Unavailable,
}

impl PublicKey {
    /// Reads a JWK for the algorithm of that name in RFC 7518 and RFC 8037.
    pub(in crate::authn) fn read(
        node: &Node<'_>,
        algorithm: &str,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Jwk {
            algorithm: own,
            verifying,
            ..
        } = Jwk::read(node, problems)?;
        let algorithm = SignatureAlgorithm::named(algorithm)?;
        if !algorithm.is_available() {
            node.report(problems, LeftOut::SIGNATURES);
            return None;
        }
        let fits = verifying.allows(algorithm) && own.is_none_or(|own| own == algorithm);
        if !fits || verifying.class() == KeyClass::Secret {
            node.report(problems, "is not a public key for that `algorithm`");
            return None;
        }
        Some(Self {
            verifying,
            algorithm,
        })
    }

    /// Whether a signature is this key's.
    pub(in crate::authn) fn verify(
        &self,
        signed: &[u8],
        signature: &[u8],
        host: &dyn Host,
    ) -> KeyVerdict {
        let backend = SignatureBackend::Auto;
        let checked = self
            .verifying
            .verify(self.algorithm, signed, signature, backend, host);
        match checked {
            SignatureResult::Valid => KeyVerdict::Valid,
            SignatureResult::Invalid => KeyVerdict::Invalid,
            SignatureResult::Impossible => KeyVerdict::Unavailable,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}
