//! Wycheproof's tests of JSON Web Signatures, and its signatures under claims.

use serde_json::{Value, json};

use super::{NO_CLAIMS, Suite, key_set, list, read, text, undemanding};
use crate::conformance::{CLOCK, Outcome, Question, Says, Vector};

pub(super) const TOKENS: Suite = Suite {
    name: "wycheproof-jws",
    title: "Wycheproof, JWS",
    vectors: tokens,
    why,
};

pub(super) const TRANSPLANTED: Suite = Suite {
    name: "wycheproof-transplanted",
    title: "Wycheproof, JWS defects under real claims",
    vectors: transplanted,
    why: |_, _| None,
};

fn tokens() -> Vec<Vector> {
    let suite = read("wycheproof/json_web_signature_test.json");
    let groups = list(&suite["testGroups"]).iter();
    let mut vectors: Vec<Vector> = groups.flat_map(group).collect();
    // A good token of each group's key, with claims: a filter that refuses everything shows.
    let arranged = read("wycheproof/blackbox_jws.json");
    for group in list(&arranged["groups"]) {
        let Some(token) = group["control_token"].as_str() else {
            continue;
        };
        vectors.push(Vector {
            id: format!("control of group {}", group["group"]),
            says: Says::Valid,
            question: Question::Token {
                provider: real(&group["jwks"]),
                token: token.to_owned(),
                at: CLOCK,
            },
        });
    }
    vectors
}

fn group(group: &Value) -> Vec<Vector> {
    let key = group.get("public").unwrap_or(&group["private"]);
    let vector = |test: &Value| Vector {
        id: test["tcId"].to_string(),
        says: says(&test["result"]),
        question: Question::Token {
            provider: undemanding(key),
            token: text(&test["jws"]).to_owned(),
            at: CLOCK,
        },
    };
    list(&group["tests"]).iter().map(vector).collect()
}

pub(super) fn says(result: &Value) -> Says {
    match text(result) {
        "valid" => Says::Valid,
        "invalid" => Says::Invalid,
        "acceptable" => Says::Acceptable,
        other => panic!("`{other}` is no verdict of Wycheproof"),
    }
}

fn real(jwks: &Value) -> Value {
    json!({
        "issuer": "https://wycheproof.test", "audiences": ["wycheproof"],
        "jwks": { "inline": key_set(jwks) },
    })
}

fn transplanted() -> Vec<Vector> {
    let suite = read("wycheproof/blackbox_transplanted.json");
    let provider = real(&suite["jwks"]);
    let vector = |case: &Value| Vector {
        id: case["tcId"].to_string(),
        says: Says::Invalid,
        question: Question::Token {
            provider: provider.clone(),
            token: text(&case["token"]).to_owned(),
            at: CLOCK,
        },
    };
    list(&suite["cases"]).iter().map(vector).collect()
}

fn why(vector: &Vector, outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Refused(details) if details == "jwt_invalid.claims" => Some(NO_CLAIMS),
        Outcome::KeyRefused(reason) if reason.contains("did you mean \"ES512\"?") => {
            Some("the key's `alg` is no registered name: RFC 7518 §3.1 has ES512")
        }
        Outcome::Refused(_) if vector.id == "373" => {
            Some("the payload has a `?`, which is not base64url (RFC 7515 §2)")
        }
        _ => None,
    }
}
