//! Keys and signatures by themselves, without a token or a document around them: so that what
//! others have collected about both can be put to the very code that judges tokens.
//!
//! Nothing in the filter uses this, and the module that is loaded does not contain it.

use std::rc::Rc;

use super::algorithm::{ALGORITHMS, SignatureAlgorithm};
use super::jwk::{self, Jwk};
use super::remote::{FetchError, read_published};
use super::signature::{SignatureBackend, SignatureResult, VerifyingKey};
use portcullis_document::{ConfigError, Node, Problem, Problems};
use portcullis_exchange::host::Host;
use portcullis_wire::json::Json;

/// Keys that have been accepted.
pub struct KeySet(Rc<[Jwk]>);

/// The facts of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its `kid`.
    pub id: Option<String>,
    /// `oct`, `RSA`, or its curve.
    pub kind: &'static str,
    /// The size of the secret, of the modulus, or of the field.
    pub bits: usize,
    /// The names of the algorithms that it checks.
    pub algorithms: Vec<&'static str>,
}

impl KeySet {
    /// Reads a JWK Set as one that stands in a document: a key that cannot be used is an error.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn written(jwks: &[u8]) -> Result<Self, ConfigError> {
        const MAX_DEPTH: usize = 16;
        let mut problems = Problems::default();
        let set = match Json::parse(jwks, MAX_DEPTH) {
            Ok(json) => jwk::read_set(&Node::root(&json), &mut problems),
            Err(error) => {
                return Err(ConfigError {
                    problems: vec![Problem {
                        pointer: String::new(),
                        reason: error.to_string(),
                    }],
                });
            }
        };
        problems.into_result(set).map(|keys| Self(keys.into()))
    }

    /// Reads a JWK Set as one that a provider publishes: a key that cannot be used is left out.
    ///
    /// # Errors
    /// There is nothing in it that can be used.
    pub fn published(body: &[u8]) -> Result<Self, FetchError> {
        read_published(body, &mut Vec::new()).map(|published| Self(published.keys))
    }

    /// The keys in order.
    pub fn facts(&self) -> Vec<KeyFacts> {
        self.0.iter().map(facts).collect()
    }

    /// Whether one of the keys says that `signature` is one of `signed`, in the proxy's code where
    /// `host` has some. `None` when no key can check that algorithm.
    pub fn verify(
        &self,
        algorithm: &str,
        signed: &[u8],
        signature: &[u8],
        host: &dyn Host,
    ) -> Option<bool> {
        let algorithm = SignatureAlgorithm::named(algorithm)?;
        let mut able = self
            .0
            .iter()
            .filter(|key| key.may_check(algorithm, None))
            .peekable();
        able.peek()?;
        Some(able.any(|key| {
            let checked =
                key.verifying
                    .verify(algorithm, signed, signature, SignatureBackend::Auto, host);
            checked == SignatureResult::Valid
        }))
    }
}

fn facts(key: &Jwk) -> KeyFacts {
    let (kind, bits) = match &key.verifying {
        VerifyingKey::Secret(secret) => ("oct", secret.len().saturating_mul(8)),
        VerifyingKey::Environment(_) => ("oct", 0),
        VerifyingKey::Rsa(key) => ("RSA", key.modulus_bits()),
        VerifyingKey::Ec(key) => (key.curve().name(), key.curve().field_bits()),
        VerifyingKey::Ed25519(_) => ("Ed25519", 255),
    };
    let able = ALGORITHMS
        .iter()
        .filter(|(_, algorithm)| key.may_check(*algorithm, None));
    KeyFacts {
        id: key.id.clone(),
        kind,
        bits,
        algorithms: able.map(|(name, _)| *name).collect(),
    }
}
