//! What an issuer may sign.

use std::rc::Rc;

use portcullis::engine::Engine;
use ring::hmac;
use serde_json::{Value, json};

use super::{NOW, bearer, judge};
use crate::still::still;
use crate::tokens::{SigningKey, base64url};

const ISSUER: &str = "https://id.example.com/";
const SKEW: f64 = 60.0;

thread_local! {
    static ENGINE: Rc<Engine> = Rc::new(engine());
}

/// `header`, a line break, `payload`: signed as they stand, whatever they say. A token is accepted
/// only if a reader that has nothing in common with the filter's finds in it what the document
/// demands, and refused as expired or not yet valid only if it is.
///
/// # Panics
/// When that does not hold.
pub fn claims(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|b| *b == b'\n') else {
        return false;
    };
    let (header, payload) = (&text[..at], &text[at + 1..]);
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let parsed: Option<Value> = serde_json::from_slice(header).ok();
    let algorithm = parsed.as_ref().and_then(|header| header["alg"].as_str());
    let authorization = format!("Bearer {signed}.{}", base64url(&mac(algorithm, &signed)));
    let judged = ENGINE.with(|engine| {
        let headers = bearer(b"/", authorization.as_bytes());
        judge(engine, headers, &still(NOW))
    });
    let claims: Option<Value> = serde_json::from_slice(payload).ok();
    match judged.refusal.as_deref() {
        None => {
            let header = parsed.expect("a header that is JSON");
            assert_eq!(header_problem(&header), None, "{header}");
            let claims = claims.expect("a payload that is JSON");
            assert_eq!(claims_problem(&claims), None, "{claims}");
        }
        Some("401 portcullis.jwt_expired.expired") => {
            let claims = claims.expect("a payload that is JSON");
            assert!(date(&claims, "exp") + SKEW <= NOW as f64, "{claims}");
        }
        Some("401 portcullis.jwt_not_yet_valid.not_yet_valid") => {
            let claims = claims.expect("a payload that is JSON");
            assert!(date(&claims, "nbf") - SKEW > NOW as f64, "{claims}");
        }
        Some(_) => {}
    }
    judged.passes()
}

fn engine() -> Engine {
    let document = json!({
        "version": 1,
        "access_log": {},
        "providers": { "corp": {
            "issuer": ISSUER, "audiences": ["orders-api", "stock-api"], "jwt_cache": "off",
            "jwks": { "inline": { "keys": [SigningKey::named("hmac").jwk()] } },
            "revoked": { "jti": ["stolen"], "sub": ["mallory"] },
            "claim_to_headers": [
                { "header_name": "x-user", "claim_name": "sub" },
                { "header_name": "x-roles", "claim_name": "/realm/roles" },
            ],
            "forward_payload_header": "x-claims",
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": {
            "provider": "corp", "require": { "scopes": ["orders.read"] },
        } }],
    });
    Engine::compile(document.to_string().as_bytes()).expect("the document is right")
}

fn mac(algorithm: Option<&str>, signed: &str) -> Vec<u8> {
    let algorithm = match algorithm {
        Some("HS384") => hmac::HMAC_SHA384,
        Some("HS512") => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let SigningKey::Secret(secret) = SigningKey::named("hmac") else {
        panic!("a secret");
    };
    let key = hmac::Key::new(algorithm, &secret);
    hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
}

/// What should have kept a token with this header from being accepted.
fn header_problem(header: &Value) -> Option<&'static str> {
    let algorithm = header["alg"].as_str();
    if !matches!(algorithm, Some("HS256" | "HS384" | "HS512")) {
        return Some("alg");
    }
    for name in ["crit", "zip", "enc", "jku", "x5u", "jwk"] {
        if header.get(name).is_some() {
            return Some(name);
        }
    }
    let typ = header.get("typ").map(|typ| typ.as_str().unwrap_or("?"));
    let typ = typ.map(|typ| typ.to_ascii_lowercase().replace("application/", ""));
    if !matches!(typ.as_deref(), None | Some("jwt" | "at+jwt")) {
        return Some("typ");
    }
    header
        .get("kid")
        .is_some_and(|kid| !kid.is_string())
        .then_some("kid")
}

/// What should have kept a token with these claims from being accepted.
fn claims_problem(claims: &Value) -> Option<&'static str> {
    let now = NOW as f64;
    if claims["iss"] != ISSUER {
        return Some("iss");
    }
    let audiences = match &claims["aud"] {
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    };
    if !audiences
        .iter()
        .any(|one| one == "orders-api" || one == "stock-api")
        || !audiences.iter().all(Value::is_string)
    {
        return Some("aud");
    }
    if !claims["exp"].is_number() || date(claims, "exp") + SKEW <= now {
        return Some("exp");
    }
    for name in ["nbf", "iat"] {
        let date = claims.get(name).map(|_| date(claims, name));
        if date.is_some_and(|date| date.is_nan() || date < 0.0 || date - SKEW > now) {
            return Some(name);
        }
    }
    for (name, revoked) in [("sub", "mallory"), ("jti", "stolen")] {
        let value = claims.get(name);
        if value.is_some_and(|value| !value.is_string() || value == revoked) {
            return Some(name);
        }
    }
    let scopes: Vec<&str> = match (&claims["scope"], &claims["scp"]) {
        (Value::String(scopes), _) | (_, Value::String(scopes)) => scopes.split(' ').collect(),
        (Value::Array(scopes), _) | (_, Value::Array(scopes)) => {
            scopes.iter().filter_map(Value::as_str).collect()
        }
        _ => Vec::new(),
    };
    (!scopes.contains(&"orders.read")).then_some("scope")
}

/// Not a number if it is none.
fn date(claims: &Value, name: &str) -> f64 {
    claims[name].as_f64().unwrap_or(f64::NAN)
}
