//! Ed25519 keys, and signatures by them: RFC 8032 §5.1.7.

use ed25519_dalek::{Signature, VerifyingKey};
use jwt_simple::algorithms::Ed25519PublicKey;

/// A point that jwt-simple takes for a key: in its one spelling, and of no small order.
///
/// Of the two equations in RFC 8032 §5.1.7 the stricter is asked, which the proxy's BoringSSL has
/// as well: without the factor of eight. They differ only about signatures that nobody makes but
/// on purpose, with a part of small order in the key or in `R`.
pub(super) struct Ed25519Key(VerifyingKey);

impl Ed25519Key {
    /// The key of 32 bytes. `None` when jwt-simple refuses them.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let key = Ed25519PublicKey::from_bytes(bytes).ok()?;
        VerifyingKey::from_bytes(&key.to_bytes().try_into().ok()?)
            .ok()
            .map(Self)
    }

    /// Whether `signature` is one of `signed`.
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(signed, &signature).is_ok())
    }
}
