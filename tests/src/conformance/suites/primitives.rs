//! Wycheproof's signatures and tags without tokens around them, for the algorithms of JOSE.

use serde_json::{Value, json};

use super::wycheproof::says;
use super::{Suite, list, read, text, unhex};
use crate::conformance::{Outcome, Question, Vector};
use crate::tokens::base64url;

pub(super) const SUITE: Suite = Suite {
    name: "wycheproof-primitives",
    title: "Wycheproof, signatures and tags",
    vectors,
    why,
};

/// Each file with the algorithm of JOSE that it is about.
const FILES: [(&str, &str); 7] = [
    ("ecdsa_secp256r1_sha256_p1363_test", "ES256"),
    ("ecdsa_secp384r1_sha384_p1363_test", "ES384"),
    ("ecdsa_secp521r1_sha512_p1363_test", "ES512"),
    ("ed25519_test", "EdDSA"),
    ("hmac_sha256_test", "HS256"),
    ("rsa_pss_2048_sha256_mgf1_32_test", "PS256"),
    ("rsa_signature_2048_sha256_test", "RS256"),
];

const SHORT_SECRET: &str = "a secret shorter than the hash is refused (RFC 7518 §3.2)";
const ODD_EXPONENT: &str =
    "an RSA key has the exponent 65537: small ones have a history of forgeries";
const CUT_TAG: &str = "JWS has no shortened tags: one is as long as the hash (RFC 7518 §3.2)";

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (file, algorithm) in FILES {
        let suite = read(&format!("wycheproof/primitives/{file}.json"));
        for group in list(&suite["testGroups"]) {
            for test in list(&group["tests"]) {
                vectors.push(Vector {
                    id: format!("{file} {}", test["tcId"]),
                    says: says(&test["result"]),
                    question: question(group, test, algorithm),
                });
            }
        }
    }
    vectors
}

fn question(group: &Value, test: &Value, algorithm: &'static str) -> Question {
    let key = match test["key"].as_str() {
        Some(secret) => json!({ "kty": "oct", "k": base64url(&unhex(secret)) }),
        None => public_key(group),
    };
    let signature = test.get("sig").unwrap_or(&test["tag"]);
    Question::Signature {
        jwks: json!({ "keys": [key] }),
        algorithm,
        signed: unhex(text(&test["msg"])),
        signature: unhex(text(signature)),
    }
}

fn public_key(group: &Value) -> Value {
    for name in ["publicKeyJwk", "keyJwk"] {
        if let Some(key) = group.get(name) {
            return key.clone();
        }
    }
    // Wycheproof leaves the JWK out where a coordinate has leading zeros.
    let curve = match text(&group["publicKey"]["curve"]) {
        "secp256r1" => "P-256",
        "secp384r1" => "P-384",
        "secp521r1" => "P-521",
        other => panic!("`{other}` has no name in JOSE"),
    };
    let point = unhex(text(&group["publicKey"]["uncompressed"]));
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

fn why(vector: &Vector, outcome: &Outcome) -> Option<&'static str> {
    let Question::Signature { signature, .. } = &vector.question else {
        return None;
    };
    match outcome {
        Outcome::KeyRefused(reason) if reason.starts_with("the secret is shorter") => {
            Some(SHORT_SECRET)
        }
        Outcome::KeyRefused(reason) if reason.starts_with("not an RSA key") => Some(ODD_EXPONENT),
        Outcome::Unfit if vector.id.starts_with("hmac_sha256") && signature.len() < 32 => {
            Some(CUT_TAG)
        }
        _ => None,
    }
}
