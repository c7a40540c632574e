//! The examples of RFC 7515 and RFC 8037.

use serde_json::{Value, json};

use super::{NO_CLAIMS, Suite, list, read, text, undemanding};
use crate::conformance::{CLOCK, Outcome, Question, Says, Vector};

pub(super) const SUITE: Suite = Suite {
    name: "jose-rfc",
    title: "RFC 7515 and RFC 8037",
    vectors,
    why,
};

/// Shortly before the examples expire.
const THEN: u64 = 1_300_819_000;

fn vectors() -> Vec<Vector> {
    let suite = read("jose-rfc/rfc7515_rfc8037.json");
    let cases = list(&suite["cases"]);
    let at = |at, name: &'static str| move |case| vector(case, at, name);
    let then = cases.iter().map(at(THEN, "in 2011"));
    then.chain(cases.iter().map(at(CLOCK, "now"))).collect()
}

fn vector(case: &Value, at: u64, name: &str) -> Vector {
    let any_key = json!({ "kty": "oct", "k": "A".repeat(86) });
    let keys = case.get("jwks").filter(|keys| !keys.is_null());
    // The examples have no issuer to ask for, but an `exp`.
    let mut provider = undemanding(keys.unwrap_or(&any_key));
    provider["require_expiration"] = true.into();
    let good = case["signature_valid"] == true;
    let expired = at != THEN && case["expect"]["at_1300819000"] == "accept";
    Vector {
        id: format!("{} {name}", text(&case["id"])),
        says: if good && !expired {
            Says::Valid
        } else {
            Says::Invalid
        },
        question: Question::Token {
            provider,
            token: text(&case["token"]).replace(['\n', '\r'], ""),
            at,
        },
    }
}

fn why(_: &Vector, outcome: &Outcome) -> Option<&'static str> {
    let no_claims = *outcome == Outcome::Refused("jwt_invalid.claims".to_owned());
    no_claims.then_some(NO_CLAIMS)
}
