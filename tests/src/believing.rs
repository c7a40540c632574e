//! A proxy that believes every signature and keeps cells, and the whole chain in front of it: for
//! what is measured on the engine alone.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::headers::Headers;
use portcullis::host::{HostVerdict, Property};
use portcullis::memory_host::MemoryHost;
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
    let claims = json!({ "iss": "https://id.example.com/", "aud": "orders-api", "sub": subject, "exp": NOW + 60 });
    let token = tokens::mint(&json!({ "key": "p256", "claims": claims }), NOW);
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.example.com"),
        (":path", "/orders/1?page=2"),
        ("user-agent", "test"),
        ("origin", "https://app.example.com"),
        ("x-request-id", "6f1f6f0e-7a0e-4f0a-9a5d-0a4a0c0a0b0c"),
        ("authorization", &format!("Bearer {token}")),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}
