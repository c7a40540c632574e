//! A proxy that believes every signature and keeps cells, and the whole chain in front of it: for
//! what is measured on the engine alone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis::headers::Headers;
use portcullis::host::{
    CellUnavailable, Counter, Failure, Host, HostVerdict, Mark, Property, Side, SignatureCheck,
    Swap,
};
use serde_json::json;

use crate::tokens::{self, SigningKey};

/// The time, in seconds since the epoch.
pub const NOW: u64 = 2_000_000_000;

/// A proxy that believes every signature.
#[derive(Default)]
pub struct Believing {
    cells: RefCell<HashMap<String, (Vec<u8>, u32)>>,
}

impl Host for Believing {
    fn wall_clock(&self) -> Duration {
        Duration::from_secs(NOW)
    }

    fn count(&self, _: Counter) {}

    fn environment(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn verify_signature(&self, _: SignatureCheck<'_>) -> HostVerdict {
        HostVerdict::Valid
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        match property {
            Property::ClientAddress => Some(b"192.0.2.1:40000".to_vec()),
            Property::ResponseStatus => Some(200_u64.to_le_bytes().to_vec()),
            _ => None,
        }
    }

    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        let cells = self.cells.borrow();
        let cell = cells.get(key);
        Ok(cell.map(|(value, mark)| (value.clone(), Mark(*mark))))
    }

    fn swap_cell(&self, key: &str, _: Option<Mark>, value: &[u8]) -> Result<Swap, CellUnavailable> {
        let mut cells = self.cells.borrow_mut();
        let mark = cells.get(key).map_or(1, |(_, mark)| mark + 1);
        cells.insert(key.to_owned(), (value.to_vec(), mark));
        Ok(Swap::Written)
    }

    fn random(&self) -> u64 {
        4
    }

    fn body(&self, _: Side, _: usize) -> Result<Vec<u8>, Failure> {
        Err(Failure::HostCall)
    }
}

/// Token, limit, CORS, the preset `api` and a record, behind `others` other routes.
pub fn whole_chain(others: usize) -> Rc<Engine> {
    let route = |name: String, prefix: String| json!({ "name": name, "match": { "path": { "prefix": prefix } }, "jwt": { "provider": "corp" } });
    let others =
        (0..others).map(|number| route(format!("r{number}"), format!("/orders/kind-{number}")));
    let routes: Vec<_> = others
        .chain([route("all".to_owned(), "/".to_owned())])
        .collect();
    let document = json!({
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
    });
    let engine = Engine::compile(document.to_string().as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
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
