//! The tests of the library inside Envoy's own `jwt_authn`.

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde_json::{Value, json};

use super::{Suite, list, read, text};
use crate::conformance::{CLOCK, Question, Says, Vector};
use crate::tokens::{self, SigningKey};

pub(super) const TOKENS: Suite = Suite {
    name: "jwt-verify-lib",
    title: "jwt_verify_lib, tokens",
    vectors: tokens,
    why: |_, _| None,
};

pub(super) const TIMES: Suite = Suite {
    name: "jwt-verify-lib-times",
    title: "jwt_verify_lib, times",
    vectors: times,
    why: |_, _| None,
};

fn tokens() -> Vec<Vector> {
    let suite = read("jwt-verify-lib/verify_cases.json");
    list(&suite["cases"]).iter().map(token).collect()
}

fn token(case: &Value) -> Vector {
    let audiences = match list(&case["audiences"]) {
        [] => json!("any"),
        some => json!(some),
    };
    let mut provider = json!({
        "issuer": "any", "audiences": audiences, "require_expiration": false,
    });
    match case["jwks_format"].as_str() {
        Some("JWKS") => {
            let set: Value = serde_json::from_str(text(&case["jwks"])).expect("a set");
            provider["jwks"] = json!({ "inline": set });
        }
        Some("PEM") => provider["pem"] = json!([pem(case)]),
        // The test fails before it needs a key.
        _ => provider["jwks"] = json!({ "inline": { "keys": [SigningKey::named("rsa").jwk()] } }),
    }
    let token = text(&case["token"]);
    let source = text(&case["source"]).rsplit('/').next().unwrap_or_default();
    Vector {
        id: format!("{} {source}", text(&case["id"])),
        says: expected(case),
        question: Question::Token {
            provider,
            token: token.to_owned(),
            at: clock(case, token),
        },
    }
}

fn pem(case: &Value) -> Value {
    let mut item = json!({ "key": case["jwks"] });
    let sets_algorithm =
        |flag: &Value| text(flag).starts_with("the test sets alg of the key to one that does not");
    if list(&case["flags"]).iter().any(sets_algorithm) {
        item["alg"] = "RS256".into();
    }
    item
}

/// The time that a case names, but not before the token was issued: the library does not look at
/// `iat`, and the filter does.
fn clock(case: &Value, token: &str) -> u64 {
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = Base64UrlSafeNoPadding::decode_to_vec(payload, None).expect("base64url");
    let claims: Value = serde_json::from_slice(&payload).expect("claims");
    let named = case["clock"].as_u64().or(case["now"].as_u64());
    let issued = claims["iat"].as_u64().unwrap_or_default();
    named.unwrap_or(CLOCK).max(issued)
}

fn times() -> Vec<Vector> {
    let suite = read("jwt-verify-lib/time_cases.json");
    let key = SigningKey::named("ed25519");
    let vector = |case: &Value| {
        let named = text(&case["claims"]);
        let mut claims = json!({});
        for name in ["exp", "nbf"] {
            if named.contains(name) {
                claims[name] = suite[name].clone();
            }
        }
        Vector {
            id: format!("{named}, skew {}, at {}", case["skew"], case["now"]),
            says: expected(case),
            question: Question::Token {
                provider: json!({
                    "issuer": "any", "audiences": "any", "require_expiration": false,
                    "clock_skew": format!("{}s", case["skew"]),
                    "jwks": { "inline": { "keys": [key.jwk()] } },
                }),
                token: tokens::mint_with(&key, &json!({ "claims": claims }), 0),
                at: case["now"].as_u64().expect("a time"),
            },
        }
    };
    list(&suite["cases"]).iter().map(vector).collect()
}

fn expected(case: &Value) -> Says {
    match text(&case["expect"]) {
        "accept" => Says::Valid,
        _ => Says::Invalid,
    }
}
