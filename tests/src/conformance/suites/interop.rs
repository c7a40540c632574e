//! Tokens that libraries of others have made: see `tests/vectors/interop`.

use serde_json::{Value, json};

use super::{Suite, key_set, list, read, text};
use crate::conformance::{CLOCK, Outcome, Question, Says, Vector};

pub(super) const SUITE: Suite = Suite {
    name: "interop",
    title: "Tokens of PyJWT, joserfc, jose and jsonwebtoken",
    vectors,
    why,
};

fn vectors() -> Vec<Vector> {
    let libraries = ["pyjwt", "joserfc", "jose", "jsonwebtoken"];
    libraries.into_iter().flat_map(library).collect()
}

fn library(name: &str) -> Vec<Vector> {
    let file = read(&format!("interop/{name}.json"));
    let vector = |case: &Value| Vector {
        id: format!("{name} {}", text(&case["id"])),
        says: match text(&case["says"]) {
            "valid" => Says::Valid,
            _ => Says::Invalid,
        },
        question: Question::Token {
            provider: json!({
                "issuer": "https://issuer.interop.test/", "audiences": ["orders-api"],
                "jwks": { "inline": key_set(&case["jwk"]) },
            }),
            token: text(&case["token"]).to_owned(),
            at: CLOCK,
        },
    };
    list(&file["cases"]).iter().map(vector).collect()
}

fn why(vector: &Vector, outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::KeyRefused(_) if vector.id.contains("Ed448") => {
            Some("Ed448 is not supported; Ed25519 is")
        }
        Outcome::KeyRefused(_) if vector.id.contains("ES521") => {
            Some("`ES521` is no registered name: RFC 7518 §3.1 has ES512")
        }
        Outcome::Refused(details)
            if vector.id.contains("ES521") && details == "jwt_invalid.algorithm" =>
        {
            Some("`ES521` is no registered name: RFC 7518 §3.1 has ES512")
        }
        Outcome::Refused(details)
            if vector.id.contains("b64") && details == "jwt_invalid.header" =>
        {
            Some("no critical extension is supported (RFC 7515 §4.1.11), RFC 7797 among them")
        }
        _ => None,
    }
}
