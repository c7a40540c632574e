//! The suites, each read from its own form.

mod cookbook;
mod interop;
mod jwt_verify_lib;
mod primitives;
mod rfc;
mod wycheproof;

use std::fs;

use serde_json::{Value, json};

use super::{Outcome, Vector};
use crate::tokens::repository;

/// Vectors that belong together.
pub struct Suite {
    /// Its name, and that of the file with its outcomes.
    pub name: &'static str,
    /// Its name for readers.
    pub title: &'static str,
    /// Reads its vectors.
    pub vectors: fn() -> Vec<Vector>,
    /// Why the filter's verdict may differ from the suite's. `None` where it may not.
    pub why: fn(&Vector, &Outcome) -> Option<&'static str>,
}

/// Every suite.
pub const SUITES: &[Suite] = &[
    wycheproof::TOKENS,
    wycheproof::TRANSPLANTED,
    primitives::SUITE,
    cookbook::SUITE,
    rfc::SUITE,
    jwt_verify_lib::TOKENS,
    jwt_verify_lib::TIMES,
    interop::SUITE,
];

/// Why a token is refused though its signature is good.
const NO_CLAIMS: &str = "the payload is not a JSON object of claims; the signature was accepted";

fn read(name: &str) -> Value {
    let path = repository().join("tests/vectors").join(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A set of one key, or the set that it is already.
fn key_set(jwks: &Value) -> Value {
    match jwks.get("keys") {
        Some(_) => jwks.clone(),
        None => json!({ "keys": [jwks] }),
    }
}

/// A provider that asks for nothing but a good signature and claims that can be read.
fn undemanding(keys: &Value) -> Value {
    json!({
        "issuer": "any", "audiences": "any", "require_expiration": false,
        "jwks": { "inline": key_set(keys) },
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(pair).collect()
}
