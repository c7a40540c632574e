//! Mints tokens, good ones and bad ones.
//!
//! Signing is done by ring, so that no code of the filter or of its libraries takes part, except
//! on the two curves that ring lacks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jwt_simple::reexports::ct_codecs::{
    Base64, Base64UrlSafe, Base64UrlSafeNoPadding, Decoder, Encoder,
};
use p521::ecdsa::signature::Signer as _;
use p521::pkcs8::DecodePrivateKey as _;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use ring::{hmac, signature::EcdsaSigningAlgorithm};
use serde_json::{Map, Value, json};

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

/// An uncompressed point as a JWK.
fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    let coordinates = &point[1..];
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

/// Mints what a case file describes:
///
/// - `raw`: the token as it stands, nothing else counts;
/// - `key`: the name of a key in `tests/keys`;
/// - `alg`: the algorithm in the header, and to sign with where the key can;
/// - `header`: members to add to the header; `null` takes one away;
/// - `claims`: the payload; a string `now`, `now+N` or `now-N` becomes that second;
/// - `payload`: the payload as text, in place of `claims`;
/// - `tamper`: `signature` or `payload`, changed after signing;
/// - `padding`: whether base64url is padded, in what is signed too;
/// - `signed`: in place of a token the signature alone of that text, in which `{{now}}`, `{{now+N}}` and
///   `{{now-N}}` become that second; with `secret`, a text, or `key`; `encoding` is `base64`, `base64url` or `hex`.
///
/// # Panics
/// When the description cannot be understood.
pub fn mint(description: &Value, now: u64) -> String {
    mint_beside(description, now, &BTreeMap::new())
}

/// As [`mint`], beside tokens that have been minted. In `header` and `claims`, at any depth,
///
/// - `{"$jwk": NAME}` is the public key of that name;
/// - `{"$jkt": NAME}` is its thumbprint, RFC 7638;
/// - `{"$ath": NAME}` is the hash of the token of that name, RFC 9449 §4.2.
///
/// # Panics
/// When the description cannot be understood.
pub fn mint_beside(description: &Value, now: u64, tokens: &BTreeMap<String, String>) -> String {
    let mut description = description.clone();
    for part in ["header", "claims"] {
        if let Some(members) = description.get_mut(part) {
            *members = derived(members, tokens);
        }
    }
    let description = &description;
    if let Some(raw) = description.get("raw") {
        return raw.as_str().expect("`raw` is a string").to_owned();
    }
    let key = match description.get("secret") {
        Some(secret) => SigningKey::Secret(secret.as_str().expect("`secret` is a string").into()),
        None => SigningKey::named(description["key"].as_str().expect("`key` names a key")),
    };
    match description.get("signed") {
        Some(signed) => signature(&key, description, signed, now),
        None => mint_with(&key, description, now),
    }
}

/// A signature of a text, without a token around it.
fn signature(key: &SigningKey, description: &Value, signed: &Value, now: u64) -> String {
    let signed = at_now(signed.as_str().expect("`signed` is a string"), now);
    let algorithm = description.get("alg").and_then(Value::as_str);
    let algorithm = algorithm.unwrap_or(key.usual_algorithm());
    let signature = key.sign(algorithm, signed.as_bytes());
    match description.get("encoding").and_then(Value::as_str) {
        None | Some("base64") => Base64::encode_to_string(&signature).expect("base64 encodes"),
        Some("base64url") => base64url(&signature),
        Some("hex") => signature.iter().map(|b| format!("{b:02x}")).collect(),
        Some(other) => panic!("`encoding` is `base64`, `base64url` or `hex`, not `{other}`"),
    }
}

/// A text with that second in the place of `{{now}}`, `{{now+N}}` and `{{now-N}}`.
pub fn at_now(text: &str, now: u64) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{now") {
        let (offset, after) = after.split_once("}}").expect("`{{now` without `}}`");
        let offset: i64 = match offset {
            "" => 0,
            offset => offset.parse().expect("`{{now+N}}` has a number"),
        };
        filled.push_str(before);
        filled.push_str(&now.saturating_add_signed(offset).to_string());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// As [`mint`], with this key in place of `key`.
pub fn mint_with(key: &SigningKey, description: &Value, now: u64) -> String {
    let algorithm = description
        .get("alg")
        .map_or(key.usual_algorithm(), |name| {
            name.as_str().expect("`alg` is a string")
        });
    let mut header = Map::new();
    header.insert("alg".into(), algorithm.into());
    header.insert("typ".into(), "JWT".into());
    for (name, value) in description
        .get("header")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match value {
            Value::Null => header.remove(name),
            value => header.insert(name.clone(), value.clone()),
        };
    }
    let payload = match description.get("payload") {
        Some(text) => text.as_str().expect("`payload` is a string").to_owned(),
        None => at(description.get("claims").unwrap_or(&json!({})), now).to_string(),
    };
    let base64url = match description.get("padding") {
        Some(Value::Bool(true)) => padded_base64url,
        _ => base64url,
    };
    let header = base64url(Value::Object(header).to_string().as_bytes());
    let signed = format!("{header}.{}", base64url(payload.as_bytes()));
    let mut signature = key.sign(algorithm, signed.as_bytes());
    match description
        .get("tamper")
        .map(|part| part.as_str().expect("`tamper` is a string"))
    {
        None => {}
        Some("signature") => signature[0] ^= 1,
        Some("payload") => {
            let changed = payload.replacen('}', ",\"admin\":true}", 1);
            let signature = base64url(&signature);
            return format!("{header}.{}.{signature}", base64url(changed.as_bytes()));
        }
        Some(other) => panic!("`tamper` is `signature` or `payload`, not `{other}`"),
    }
    format!("{signed}.{}", base64url(&signature))
}

/// Puts in what comes of keys and of other tokens.
pub fn derived(value: &Value, tokens: &BTreeMap<String, String>) -> Value {
    let Value::Object(members) = value else {
        return match value {
            Value::Array(items) => items.iter().map(|item| derived(item, tokens)).collect(),
            other => other.clone(),
        };
    };
    let name = |member: &str| members.get(member).and_then(Value::as_str);
    match (name("$jwk"), name("$jkt"), name("$ath")) {
        (Some(key), _, _) => {
            let mut jwk = SigningKey::named(key).jwk();
            for (name, value) in members.iter().filter(|(name, _)| *name != "$jwk") {
                jwk[name] = value.clone();
            }
            jwk
        }
        (_, Some(key), _) => thumbprint(&SigningKey::named(key).jwk()).into(),
        (_, _, Some(name)) => {
            let token = tokens.get(name);
            let token = token.unwrap_or_else(|| panic!("no token is named `{name}`"));
            base64url(digest(&SHA256, token.as_bytes()).as_ref()).into()
        }
        _ => members
            .iter()
            .map(|(name, value)| (name.clone(), derived(value, tokens)))
            .collect(),
    }
}

/// The SHA-256 thumbprint of a public key, RFC 7638 §3, in base64url.
pub fn thumbprint(jwk: &Value) -> String {
    // A map of serde_json has its members in the order of their names.
    let needed = ["crv", "e", "kty", "n", "x", "y"];
    let members: Map<String, Value> = needed
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), jwk.get(name)?.clone())))
        .collect();
    let text = Value::Object(members).to_string();
    base64url(digest(&SHA256, text.as_bytes()).as_ref())
}

/// Replaces `now`, `now+N` and `now-N` at any depth.
pub fn at(value: &Value, now: u64) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("now") {
            Some("") => now.into(),
            Some(offset) => match offset.parse::<i64>() {
                Ok(offset) => now.saturating_add_signed(offset).into(),
                Err(_) => text.as_str().into(),
            },
            None => text.as_str().into(),
        },
        Value::Array(items) => items.iter().map(|item| at(item, now)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), at(value, now)))
            .collect(),
        other => other.clone(),
    }
}

/// Base64url with padding.
fn padded_base64url(bytes: &[u8]) -> String {
    Base64UrlSafe::encode_to_string(bytes).expect("base64 of bytes in memory")
}

/// Base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).expect("base64 of bytes in memory")
}
