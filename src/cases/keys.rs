//! Keys that the tokens of cases are signed with.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use p256::ecdsa::signature::Signer as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};

use crate::tokens::base64url;

/// A key that signs.
pub trait Key {
    /// The public part as a JWK, or the secret as one; without `alg` and `kid`.
    fn jwk(&self) -> Value;
    /// The algorithm that fits when none is named.
    fn usual_algorithm(&self) -> &'static str;
    /// Signs, whether or not the algorithm and the key belong together: an algorithm of another kind of key is
    /// what forgers write into the header.
    ///
    /// # Errors
    /// If the key cannot sign.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, String>;
}

/// Where keys of cases are found by name, and what else all cases share.
pub trait KeyRing {
    /// A key.
    ///
    /// # Errors
    /// If there is none of that name, or it is none that can sign.
    fn key(&self, case: &Path, name: &str) -> Result<Box<dyn Key>, String>;
    /// A key that is that secret.
    fn secret(&self, secret: &[u8]) -> Box<dyn Key>;
    /// The environment of the VM that a case runs in, but for what it says itself.
    ///
    /// # Errors
    /// If it cannot be read.
    fn environment(&self, case: &Path) -> Result<BTreeMap<String, String>, String>;
}

/// The key of whoever issues tokens on this machine, which takes the place of keys that a proxy would fetch.
pub const LOCAL: &str = "local";

/// Its file in a folder of keys: variables by name.
const ENVIRONMENT: &str = "environment.json";

/// Keys in the folder `keys` that stands beside a case, or beside a folder around it; and keys of this run, named
/// `local` and `local-…`.
#[derive(Default)]
pub struct FoundKeys {
    /// The folder, in place of the one that is looked for.
    folder: Option<PathBuf>,
    /// A private key in PEM that is `local`, in place of one of this run.
    local: Option<PathBuf>,
    made: OnceCell<[u8; 32]>,
}

impl FoundKeys {
    /// With the folder and the file of `local`, if these are given.
    pub fn new(folder: Option<PathBuf>, local: Option<PathBuf>) -> Self {
        Self {
            folder,
            local,
            made: OnceCell::new(),
        }
    }

    /// The first file of that name in a folder of keys.
    fn file(&self, case: &Path, name: &str) -> Option<PathBuf> {
        if let Some(folder) = &self.folder {
            return Some(folder.join(name)).filter(|file| file.is_file());
        }
        let case = fs::canonicalize(case).ok()?;
        let mut around = case.ancestors().skip(1);
        around.find_map(|folder| Some(folder.join("keys").join(name)).filter(|file| file.is_file()))
    }

    /// A key of this run: each name has its own, and it is the same until the run ends.
    fn made(&self, name: &str) -> Result<SigningKey, String> {
        let seed = match self.made.get() {
            Some(seed) => *seed,
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|error| format!("no random bytes: {error}"))?;
                *self.made.get_or_init(|| seed)
            }
        };
        let secret = hmac_sha256::HMAC::mac(name.as_bytes(), seed);
        let key = p256::ecdsa::SigningKey::from_slice(&secret);
        key.map(SigningKey::P256).map_err(|error| error.to_string())
    }
}

impl KeyRing for FoundKeys {
    fn key(&self, case: &Path, name: &str) -> Result<Box<dyn Key>, String> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) {
            return Err(format!("{name:?} is no name of a key"));
        }
        if let (LOCAL, Some(file)) = (name, &self.local) {
            return Ok(Box::new(SigningKey::read(file)?));
        }
        if let Some(file) = self.file(case, &format!("{name}.txt")) {
            let secret = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            return Ok(Box::new(SigningKey::Secret(secret)));
        }
        if let Some(file) = self.file(case, &format!("{name}.pem")) {
            return Ok(Box::new(SigningKey::read(&file)?));
        }
        if name == LOCAL || name.starts_with("local-") {
            return Ok(Box::new(self.made(name)?));
        }
        Err(format!(
            "no key is named `{name}`: it would be keys/{name}.pem or keys/{name}.txt beside the case or a folder \
             around it; `local` and names that begin with `local-` need no file"
        ))
    }

    fn secret(&self, secret: &[u8]) -> Box<dyn Key> {
        Box::new(SigningKey::Secret(secret.to_vec()))
    }

    fn environment(&self, case: &Path) -> Result<BTreeMap<String, String>, String> {
        match self.file(case, ENVIRONMENT) {
            None => Ok(BTreeMap::new()),
            Some(file) => read_environment(&file),
        }
    }
}

/// The environment that a folder of keys has for its cases: an object of texts.
///
/// # Errors
/// If the file is something else.
pub fn read_environment(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let told = |reason: &dyn std::fmt::Display| format!("{}: {reason}", file.display());
    let text = fs::read_to_string(file).map_err(|error| told(&error))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| told(&error))?;
    variables(&value).ok_or_else(|| told(&"must be an object of strings"))
}

/// Variables by name.
pub(crate) fn variables(value: &Value) -> Option<BTreeMap<String, String>> {
    let variables = value.as_object()?.iter();
    variables
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A private key or a secret.
pub enum SigningKey {
    /// RSA; signs RS* and PS*.
    Rsa(Box<RsaPrivateKey>),
    /// Signs ES256.
    P256(p256::ecdsa::SigningKey),
    /// Signs ES384.
    P384(p384::ecdsa::SigningKey),
    /// Signs ES512.
    P521(Box<p521::ecdsa::SigningKey>),
    /// Signs ES256K.
    Secp256k1(Box<k256::ecdsa::SigningKey>),
    /// Signs EdDSA.
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// A shared secret; signs HS*.
    Secret(Vec<u8>),
}

impl SigningKey {
    /// A private key in PEM (PKCS #8).
    ///
    /// # Errors
    /// If the file cannot be read, or has no key that can sign.
    pub fn read(file: &Path) -> Result<Self, String> {
        let told = |reason: &dyn std::fmt::Display| format!("{}: {reason}", file.display());
        let pem = fs::read_to_string(file).map_err(|error| told(&error))?;
        Self::from_pem(&pem).ok_or_else(|| {
            told(&"is no private key in PEM (PKCS #8) of RSA, P-256, P-384, P-521, secp256k1 or Ed25519")
        })
    }

    fn from_pem(pem: &str) -> Option<Self> {
        let p256 = || {
            Some(Self::P256(
                p256::ecdsa::SigningKey::from_pkcs8_pem(pem).ok()?,
            ))
        };
        let p384 = || {
            Some(Self::P384(
                p384::ecdsa::SigningKey::from_pkcs8_pem(pem).ok()?,
            ))
        };
        let p521 = || {
            let key = p521::SecretKey::from_pkcs8_pem(pem).ok()?;
            Some(Self::P521(Box::new(key.into())))
        };
        let secp256k1 = || {
            let key = k256::SecretKey::from_pkcs8_pem(pem).ok()?;
            Some(Self::Secp256k1(Box::new(key.into())))
        };
        let ed25519 = || {
            let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem).ok()?;
            Some(Self::Ed25519(Box::new(key)))
        };
        let rsa = || {
            Some(Self::Rsa(Box::new(
                RsaPrivateKey::from_pkcs8_pem(pem).ok()?,
            )))
        };
        p256()
            .or_else(p384)
            .or_else(ed25519)
            .or_else(p521)
            .or_else(secp256k1)
            .or_else(rsa)
    }
}

impl Key for SigningKey {
    fn jwk(&self) -> Value {
        match self {
            Self::Rsa(key) => {
                let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
                json!({ "kty": "RSA", "n": base64url(&n), "e": base64url(&e) })
            }
            Self::P256(key) => ec_jwk("P-256", key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::P384(key) => ec_jwk("P-384", key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::P521(key) => ec_jwk("P-521", key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::Secp256k1(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                ec_jwk("secp256k1", point.as_bytes())
            }
            Self::Ed25519(key) => {
                let public = key.verifying_key();
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(public.as_bytes()) })
            }
            Self::Secret(secret) => json!({ "kty": "oct", "k": base64url(secret) }),
        }
    }

    fn usual_algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::P521(_) => "ES512",
            Self::Secp256k1(_) => "ES256K",
            Self::Ed25519(_) => "EdDSA",
            Self::Secret(_) => "HS256",
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(match self {
            Self::Rsa(key) => rsa(key, algorithm, message).map_err(|error| error.to_string())?,
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::Secp256k1(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::Secret(secret) => match algorithm {
                "HS384" => hmac_sha512::sha384::HMAC::mac(message, secret).to_vec(),
                "HS512" => hmac_sha512::HMAC::mac(message, secret).to_vec(),
                _ => hmac_sha256::HMAC::mac(message, secret).to_vec(),
            },
        })
    }
}

fn rsa(key: &RsaPrivateKey, algorithm: &str, message: &[u8]) -> rsa::Result<Vec<u8>> {
    use rsa::sha2::Digest as _;
    let mut random = rsa::rand_core::OsRng;
    let of_256 = || Sha256::digest(message);
    match algorithm {
        "RS384" => key.sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
        "RS512" => key.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
        "PS256" => key.sign_with_rng(&mut random, Pss::new::<Sha256>(), &of_256()),
        "PS384" => key.sign_with_rng(&mut random, Pss::new::<Sha384>(), &Sha384::digest(message)),
        "PS512" => key.sign_with_rng(&mut random, Pss::new::<Sha512>(), &Sha512::digest(message)),
        _ => key.sign(Pkcs1v15Sign::new::<Sha256>(), &of_256()),
    }
}

/// An uncompressed point as a JWK.
fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    // Behind the byte that says that it is not compressed.
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}
