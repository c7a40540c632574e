//! The examples of RFC 7520, and of its continuation for Ed25519.

use serde_json::{Value, json};

use super::{NO_CLAIMS, Suite, read, undemanding};
use crate::conformance::{CLOCK, Outcome, Question, Says, Vector};

pub(super) const SUITE: Suite = Suite {
    name: "jose-cookbook",
    title: "RFC 7520",
    vectors,
    why,
};

const SIGNATURES: [&str; 9] = [
    "curve25519/jws",
    "jws/4_1.rsa_v15_signature",
    "jws/4_2.rsa-pss_signature",
    "jws/4_3.ecdsa_signature",
    "jws/4_4.hmac-sha2_integrity_protection",
    "jws/4_5.signature_with_detached_content",
    "jws/4_6.protecting_specific_header_fields",
    "jws/4_7.protecting_content_only",
    "jws/4_8.multiple_signatures",
];

const KEYS: [(&str, Says); 6] = [
    ("jwk/3_1.ec_public_key", Says::Valid),
    ("jwk/3_2.ec_private_key", Says::Invalid),
    ("jwk/3_3.rsa_public_key", Says::Valid),
    ("jwk/3_4.rsa_private_key", Says::Invalid),
    ("jwk/3_5.symmetric_key_mac_computation", Says::Valid),
    ("jwk/3_6.symmetric_key_encryption", Says::Invalid),
];

fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<Vector> = SIGNATURES.iter().flat_map(|name| signature(name)).collect();
    vectors.extend(KEYS.iter().map(|(name, says)| Vector {
        id: (*name).to_owned(),
        says: *says,
        question: Question::Keys {
            provider: undemanding(&read(&format!("jose-cookbook-rfc7520/{name}.json"))),
        },
    }));
    vectors
}

fn signature(name: &str) -> Vec<Vector> {
    let example = read(&format!("jose-cookbook-rfc7520/{name}.json"));
    let keys: Vec<Value> = match &example["input"]["key"] {
        Value::Array(several) => several.iter().map(public).collect(),
        one => vec![public(one)],
    };
    let forms = ["compact", "json", "json_flat"];
    let written = forms
        .into_iter()
        .filter_map(|form| Some((form, example["output"].get(form)?)));
    written
        .map(|(form, output)| Vector {
            id: format!("{name} {form}"),
            says: Says::Valid,
            question: Question::Token {
                provider: undemanding(&json!({ "keys": each_of_one_class(&keys, name) })),
                token: match output {
                    Value::String(compact) => compact.clone(),
                    json => json.to_string(),
                },
                at: CLOCK,
            },
        })
        .collect()
}

/// The example with several signatures mixes secrets with public keys, which no provider may.
fn each_of_one_class(keys: &[Value], name: &str) -> Vec<Value> {
    let several = name.ends_with("multiple_signatures");
    let public = keys.iter().filter(|key| !several || key["kty"] != "oct");
    public.cloned().collect()
}

/// The public part of a key, or the secret.
fn public(key: &Value) -> Value {
    let mut key = key.clone();
    if let Some(members) = key.as_object_mut() {
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            members.remove(private);
        }
    }
    key
}

fn why(vector: &Vector, outcome: &Outcome) -> Option<&'static str> {
    let (name, form) = vector.id.split_once(' ').unwrap_or((&vector.id, ""));
    let Outcome::Refused(details) = outcome else {
        return None;
    };
    match (form, details.as_str()) {
        ("json" | "json_flat", "jwt_invalid.format" | "jwt_invalid.header") => {
            Some("a JWT has the compact form and no other (RFC 7519 §3)")
        }
        ("compact", "jwt_invalid.signature") if name.contains("detached") => {
            Some("the payload is not in the token, so that the signature does not fit")
        }
        ("compact", "jwt_invalid.claims") => Some(NO_CLAIMS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_folder_is_left_out() {
        let folder = crate::tokens::repository().join("tests/vectors/jose-cookbook-rfc7520");
        let mut found = 0;
        for sub in ["curve25519", "jwk", "jws"] {
            found += std::fs::read_dir(folder.join(sub)).unwrap().count();
        }
        assert_eq!(found, SIGNATURES.len() + KEYS.len());
    }
}
