//! A proxy that believes every signature and keeps cells, and the whole chain in front of it: for
//! what is measured on the engine alone.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::headers::Headers;
use portcullis::host::{HostVerdict, Property};
use portcullis::memory_host::MemoryHost;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::tokens::{self, SigningKey};

/// The time, in seconds since the epoch.
pub const NOW: u64 = 2_000_000_000;

/// A proxy that believes every signature.
pub fn believing() -> MemoryHost {
    MemoryHost::new()
        .at_second(NOW)
        .with_signatures(|_| HostVerdict::Valid)
        .with_client("192.0.2.1:40000")
        .with_number(Property::ResponseStatus, 200)
}

/// Token, limit, CORS, the preset `api` and a record, behind `others` other routes.
pub fn whole_chain(others: usize) -> Rc<Engine> {
    let engine = Engine::compile(whole_document(others).to_string().as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

/// The same for tokens that are bound to a key.
pub fn bound_chain() -> Rc<Engine> {
    let mut document = whole_document(0);
    document["providers"]["corp"]["bound"] = json!({ "dpop": {
        "mode": "required", "origins": ["https://api.example.com"], "max_proofs": 1_000_000,
    } });
    let engine = Engine::compile(document.to_string().as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

/// The same with the plans of its routes.
pub fn planned_chain() -> Rc<Engine> {
    let engine = Engine::compile(whole_document(0).to_string().as_bytes());
    Rc::new(
        engine
            .unwrap_or_else(|error| panic!("{error}"))
            .with_plans(),
    )
}

/// The document of [`whole_chain`].
pub fn whole_document(others: usize) -> Value {
    let route = |name: String, prefix: String| json!({ "name": name, "match": { "path": { "prefix": prefix } }, "jwt": { "provider": "corp" } });
    let others =
        (0..others).map(|number| route(format!("r{number}"), format!("/orders/kind-{number}")));
    let routes: Vec<_> = others
        .chain([route("all".to_owned(), "/".to_owned())])
        .collect();
    json!({
        "version": 1,
        "access_log": { "sinks": ["filter_state"] },
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "defaults": {
            "security_headers": { "preset": "api", "remove_revealing": false },
            "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] },
            "rate_limits": [{
                "name": "all", "key": [], "headers": "x_ratelimit",
                "token_bucket": { "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" },
            }],
        },
        "routes": routes,
    })
}

/// A request that the whole chain lets pass.
pub fn good_request(subject: &str) -> Headers {
    let claims = claims_of(subject);
    let token = tokens::mint(&json!({ "key": "p256", "claims": claims }), NOW);
    with_fields(&[("authorization", &format!("Bearer {token}"))])
}

/// So many requests that [`bound_chain`] lets pass: one token, with a proof of its own each.
pub fn proven_requests(many: usize) -> Vec<Headers> {
    let key = SigningKey::named("p256-other");
    let jwk = key.jwk();
    let mut claims = claims_of("a");
    claims["cnf"] = json!({ "jkt": tokens::thumbprint(&jwk) });
    let token = tokens::mint(&json!({ "key": "p256", "claims": claims }), NOW);
    let hash = tokens::base64url(digest(&SHA256, token.as_bytes()).as_ref());
    let proof = |number: usize| {
        let description = json!({
            "header": { "typ": "dpop+jwt", "jwk": jwk },
            "claims": {
                "jti": format!("6f1c2f0e-9b0f-4f3a-8f57-{number:012}"), "htm": "GET",
                "htu": "https://api.example.com/orders/1", "iat": NOW, "ath": hash,
            },
        });
        tokens::mint_with(&key, &description, NOW)
    };
    let request = |number: usize| {
        let authorization = format!("DPoP {token}");
        with_fields(&[("authorization", &authorization), ("dpop", &proof(number))])
    };
    (0..many).map(request).collect()
}

fn claims_of(subject: &str) -> Value {
    json!({ "iss": "https://id.example.com/", "aud": "orders-api", "sub": subject, "exp": NOW + 60 })
}

fn with_fields(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    let usual = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.example.com"),
        (":path", "/orders/1?page=2"),
        ("user-agent", "test"),
        ("origin", "https://app.example.com"),
        ("x-request-id", "6f1f6f0e-7a0e-4f0a-9a5d-0a4a0c0a0b0c"),
    ];
    for (name, value) in usual.iter().chain(fields) {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}
