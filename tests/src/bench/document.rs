//! The documents that the module is configured with.

use serde_json::{Map, Value, json};

use super::chain::{AUDIENCE, CACHED_TOKENS, HEADERS, ISSUER, jwks};

/// Token, response headers and access log, as the native chain does them.
///
/// The module has neither rate limits nor CORS yet; they belong here once it has.
pub(super) fn whole() -> Value {
    let set: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    let mut document = with_preset();
    document["defaults"]["security_headers"] = json!({ "preset": "none", "set": set });
    document
}

/// The same with the preset `api`: ten response headers over cleartext.
pub(super) fn with_preset() -> Value {
    let mut document = token_only();
    document["defaults"] = json!({ "security_headers": { "preset": "api" } });
    document["access_log"] = json!({});
    document
}

/// [`whole`] without its access log, to show what that costs.
pub(super) fn without_log() -> Value {
    let mut document = whole();
    document["access_log"] = "off".into();
    document
}

/// Like [`whole`], with room for as many tokens as the native cache has.
pub(super) fn with_large_cache() -> Value {
    let mut document = whole();
    document["providers"]["bench"]["jwt_cache"] = json!({ "max_entries": CACHED_TOKENS });
    document
}

/// Nothing but the token.
pub(super) fn token_only() -> Value {
    document(json!([
        { "name": "health", "match": { "path": { "exact": "/healthz" } }, "open": true },
        guarded("orders", "/orders"),
    ]))
}

/// Like [`whole`] with `count` routes. `mark` makes the bytes differ from those of other marks.
pub(super) fn with_routes(count: usize, mark: usize) -> Value {
    let routes: Vec<Value> = (0..count)
        .map(|number| {
            guarded(
                &format!("r{number}-{mark}"),
                &format!("/orders/kind-{number}"),
            )
        })
        .collect();
    let mut document = document(routes.into());
    document["defaults"] = json!({ "security_headers": { "preset": "api" } });
    document["access_log"] = json!({});
    document
}

fn document(routes: Value) -> Value {
    json!({
        "version": 1,
        "providers": {
            "bench": {
                "issuer": ISSUER,
                "audiences": [AUDIENCE],
                "jwks": { "inline": jwks() },
            },
        },
        "routes": routes,
    })
}

fn guarded(name: &str, prefix: &str) -> Value {
    json!({
        "name": name,
        "match": { "path": { "prefix": prefix }, "methods": ["GET", "POST"] },
        "jwt": { "provider": "bench" },
    })
}
