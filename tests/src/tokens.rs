//! Mints tokens, good ones and bad ones.
//!
//! Signing is done by ring, so that no code of the filter or of its libraries takes part, except
//! on the two curves that ring lacks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jwt_simple::reexports::ct_codecs::{Base64, Decoder};
use p521::ecdsa::signature::Signer as _;
use p521::pkcs8::DecodePrivateKey as _;
use portcullis_cases::keys::{Key, KeyRing, LOCAL, read_environment};
use portcullis_cases::tokens::Mint;
pub use portcullis_cases::tokens::{at, base64url, thumbprint};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use ring::{hmac, signature::EcdsaSigningAlgorithm};
use serde_json::{Value, json};

/// A key that tests sign with.
pub enum SigningKey {
    /// RSA; signs RS* and PS*.
    Rsa(RsaKeyPair),
    /// P-256 or P-384.
    Ec(EcdsaKeyPair, Curve),
    /// P-521; signs ES512.
    P521(Box<p521::ecdsa::SigningKey>),
    /// secp256k1; signs ES256K.
    Secp256k1(Box<k256::ecdsa::SigningKey>),
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
    /// A shared secret; signs HS*.
    Secret(Vec<u8>),
}

/// The curve of an EC key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, ES256.
    P256,
    /// NIST P-384, ES384.
    P384,
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl SigningKey {
    /// A key of `tests/keys` by its file name without ending.
    pub fn named(name: &str) -> Self {
        let file = |ending| repository().join(format!("tests/keys/{name}.{ending}"));
        match fs::read(file("txt")) {
            Ok(secret) => SigningKey::Secret(secret),
            Err(_) => Self::from_pem_file(&file("pem")),
        }
    }

    /// A private key in PKCS#8 PEM.
    pub fn from_pem_file(path: &Path) -> Self {
        let pem =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let body: String = pem
            .lines()
            .filter(|line| !line.starts_with("---"))
            .collect();
        let der = Base64::decode_to_vec(&body, None).expect("PEM is base64");
        Self::from_pkcs8(&der)
            .unwrap_or_else(|| panic!("{}: no key that tests sign with", path.display()))
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let random = SystemRandom::new();
        let ec = |algorithm: &'static EcdsaSigningAlgorithm, curve| {
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, der, &random).ok()?;
            Some(SigningKey::Ec(pair, curve))
        };
        let p521 = || {
            let key = p521::SecretKey::from_pkcs8_der(der).ok()?;
            Some(SigningKey::P521(Box::new(key.into())))
        };
        let secp256k1 = || {
            let key = k256::SecretKey::from_pkcs8_der(der).ok()?;
            Some(SigningKey::Secp256k1(Box::new(key.into())))
        };
        let rsa = || Some(SigningKey::Rsa(RsaKeyPair::from_pkcs8(der).ok()?));
        let ed25519 = || {
            Some(SigningKey::Ed25519(
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?,
            ))
        };
        ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, Curve::P256)
            .or_else(|| ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, Curve::P384))
            .or_else(ed25519)
            .or_else(p521)
            .or_else(secp256k1)
            .or_else(rsa)
    }

    /// The public part as a JWK, or the secret as one; without `alg` and `kid`.
    pub fn jwk(&self) -> Value {
        match self {
            SigningKey::Rsa(pair) => {
                let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({ "kty": "RSA", "n": base64url(&public.n), "e": base64url(&public.e) })
            }
            SigningKey::Ec(pair, Curve::P256) => ec_jwk("P-256", pair.public_key().as_ref()),
            SigningKey::Ec(pair, Curve::P384) => ec_jwk("P-384", pair.public_key().as_ref()),
            SigningKey::P521(key) => {
                ec_jwk("P-521", key.verifying_key().to_sec1_point(false).as_bytes())
            }
            SigningKey::Secp256k1(key) => ec_jwk(
                "secp256k1",
                key.verifying_key().to_sec1_point(false).as_bytes(),
            ),
            SigningKey::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) })
            }
            SigningKey::Secret(secret) => json!({ "kty": "oct", "k": base64url(secret) }),
        }
    }

    /// The algorithm that fits when none is named.
    fn usual_algorithm(&self) -> &'static str {
        match self {
            SigningKey::Rsa(_) => "RS256",
            SigningKey::Ec(_, Curve::P256) => "ES256",
            SigningKey::Ec(_, Curve::P384) => "ES384",
            SigningKey::P521(_) => "ES512",
            SigningKey::Secp256k1(_) => "ES256K",
            SigningKey::Ed25519(_) => "EdDSA",
            SigningKey::Secret(_) => "HS256",
        }
    }

    /// Signs, whether or not the algorithm and the key belong together: an algorithm of another
    /// kind of key is what forgers write into the header.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            SigningKey::Rsa(pair) => {
                let encoding: &dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .expect("RSA signs");
                signature
            }
            SigningKey::Ec(pair, _) => pair
                .sign(&random, message)
                .expect("ECDSA signs")
                .as_ref()
                .to_vec(),
            SigningKey::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            SigningKey::Secp256k1(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            SigningKey::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            SigningKey::Secret(secret) => {
                let algorithm = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(algorithm, secret), message)
                    .as_ref()
                    .to_vec()
            }
        }
    }
}

impl Key for SigningKey {
    fn jwk(&self) -> Value {
        SigningKey::jwk(self)
    }

    fn usual_algorithm(&self) -> &'static str {
        SigningKey::usual_algorithm(self)
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(SigningKey::sign(self, algorithm, message))
    }
}

/// An uncompressed point as a JWK.
fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    let coordinates = &point[1..];
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

/// The keys of `tests/keys`.
pub struct TestKeys;

impl KeyRing for TestKeys {
    fn key(&self, _: &Path, name: &str) -> Result<Box<dyn Key>, String> {
        // Those who issue tokens for themselves have a key of the repository here.
        let name = match name {
            LOCAL => "p256",
            name if name.starts_with("local-") => "p256-other",
            name => name,
        };
        Ok(Box::new(SigningKey::named(name)))
    }

    fn secret(&self, secret: &[u8]) -> Box<dyn Key> {
        Box::new(SigningKey::Secret(secret.to_vec()))
    }

    fn environment(&self, _: &Path) -> Result<BTreeMap<String, String>, String> {
        read_environment(&repository().join("tests/keys/environment.json"))
    }
}

fn minting(now: u64) -> Mint<'static> {
    Mint {
        keys: &TestKeys,
        case: Path::new(""),
        now,
    }
}

/// Mints what a case file describes, by the keys of `tests/keys`: see [`Mint::token`].
///
/// # Panics
/// When the description cannot be understood.
pub fn mint(description: &Value, now: u64) -> String {
    mint_beside(description, now, &BTreeMap::new())
}

/// As [`mint`], beside tokens that have been minted.
///
/// # Panics
/// When the description cannot be understood.
pub fn mint_beside(description: &Value, now: u64, tokens: &BTreeMap<String, String>) -> String {
    let token = minting(now).token(description, tokens);
    token.unwrap_or_else(|error| panic!("{error}"))
}

/// As [`mint`], with this key in place of `key`.
pub fn mint_with(key: &SigningKey, description: &Value, now: u64) -> String {
    let token = portcullis_cases::tokens::sign(key, description, now);
    token.unwrap_or_else(|error| panic!("{error}"))
}

/// Puts in what comes of keys and of other tokens.
pub fn derived(value: &Value, tokens: &BTreeMap<String, String>) -> Value {
    let derived = minting(0).derived(value, tokens);
    derived.unwrap_or_else(|error| panic!("{error}"))
}

/// A text with that second in the place of `{{now}}`, `{{now+N}}` and `{{now-N}}`.
pub fn at_now(text: &str, now: u64) -> String {
    let filled = portcullis_cases::tokens::at_now(text, now);
    filled.unwrap_or_else(|error| panic!("{error}"))
}
