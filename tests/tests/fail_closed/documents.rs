//! Documents that guard, and requests that are good or not.

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis::engine::Engine;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::wire::Request;
use serde_json::{Map, Value, json};

pub(crate) const ISSUER: &str = "https://id.example.com/";

/// One guarded route for everything.
pub(crate) fn guarded() -> Value {
    json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": ISSUER,
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp", "realm": "all" } }],
    })
}

/// The same, as another document.
pub(crate) fn guarded_as(realm: &str) -> Value {
    let mut document = guarded();
    document["routes"][0]["jwt"]["realm"] = realm.into();
    document
}

/// The same, with a schema of so many properties, each with a pattern of its own that costs about
/// 1.2 MB compiled where Unicode classes are tables.
pub(crate) fn with_patterns(count: usize, generation: usize) -> Value {
    let mut document = guarded();
    let properties: Map<String, Value> = (0..count)
        .map(|n| {
            let pattern = format!(r"^[\p{{L}}\p{{N}}_ ,.-]{{1,66}}$|x{generation}-{n}");
            (
                format!("p{n}"),
                json!({ "type": "string", "pattern": pattern }),
            )
        })
        .collect();
    document["schemas"] = json!({ "order": { "type": "object", "properties": properties } });
    document["routes"][0]["payload"] = json!({ "max_bytes": "64KiB", "json_schema": "order" });
    document
}

/// The same, with so many schemas that nothing but the first is asked by.
pub(crate) fn with_schemas(count: usize, generation: usize) -> Value {
    let mut document = guarded_as(&format!("schemas-{generation}"));
    let schema = |n: usize| {
        let properties: Map<String, Value> = (0..40)
            .map(|p| {
                let description = format!("{generation}-{n}-{p}");
                let rule = json!({
                    "type": ["string", "null"], "minLength": 1, "maxLength": 80, "title": description,
                });
                (format!("property_{p}"), rule)
            })
            .collect();
        json!({ "type": "object", "properties": properties, "required": ["property_1"] })
    };
    let schemas: Map<String, Value> = (0..count).map(|n| (format!("s{n}"), schema(n))).collect();
    document["schemas"] = schemas.into();
    document["routes"][0]["payload"] = json!({ "max_bytes": "64KiB", "json_schema": "s0" });
    document
}

/// The same, with a schema that lists so many numbers.
pub(crate) fn with_enum(count: usize) -> Value {
    let mut document = guarded();
    let numbers: Vec<usize> = (0..count).collect();
    document["schemas"] = json!({ "one": { "enum": numbers } });
    document["routes"][0]["payload"] = json!({ "max_bytes": "64KiB", "json_schema": "one" });
    document
}

/// The same, with so many routes before the guarded one.
pub(crate) fn with_routes(count: usize) -> Value {
    let mut document = guarded();
    let guarded = document["routes"][0].take();
    let routes = (0..count).map(|n| {
        json!({
            "name": format!("r{n}"), "match": { "path": { "prefix": format!("/a{n}") } },
            "jwt": { "provider": "corp" },
        })
    });
    document["routes"] = routes.chain([guarded]).collect();
    document
}

/// The same, with an API as its publisher describes it, before the guarded route.
pub(crate) fn with_published_api() -> Value {
    let mut document = guarded();
    let folder = tokens::repository().join("tests/vectors/openapi-adyen");
    let text = std::fs::read_to_string(folder.join("LegalEntityService-v4.json")).unwrap();
    let api: Value = serde_json::from_str(&text).unwrap();
    document["apis"] = json!({ "entities": api });
    let guarded = document["routes"][0].take();
    let route = json!({
        "name": "entities", "match": { "path": { "prefix": "/entities" } },
        "jwt": { "provider": "corp" },
        "openapi": { "api": "entities", "base_path": "/entities", "max_bytes": "64KiB" },
    });
    document["routes"] = json!([route, guarded]);
    document
}

/// An open route with a schema for the path `/open`, before the guarded one.
pub(crate) fn with_open_schema(schema: Value, max_bytes: &str) -> Value {
    let mut document = guarded();
    document["schemas"] = json!({ "open": schema });
    let open = json!({
        "name": "open",
        "match": { "path": { "exact": "/open" } },
        "open": true,
        "payload": { "max_bytes": max_bytes, "json_schema": "open" },
    });
    let guarded = document["routes"][0].take();
    document["routes"] = json!([open, guarded]);
    document
}

/// A document that is refused.
pub(crate) fn bad(generation: usize) -> Value {
    json!({ "version": 1, "routs": generation })
}

/// Whether the filter takes the document.
pub(crate) fn is_accepted(document: &Value) -> bool {
    Engine::compile(document.to_string().as_bytes()).is_ok()
}

/// The first that the filter takes.
pub(crate) fn first_accepted<T: Copy>(sizes: &[T], document: impl Fn(T) -> Value) -> (T, Value) {
    sizes
        .iter()
        .map(|size| (*size, document(*size)))
        .find(|(_, document)| is_accepted(document))
        .expect("one of them is accepted")
}

pub(crate) fn get(token: Option<&str>) -> Request {
    let authorization = token.map(|token| {
        (
            b"authorization".to_vec(),
            format!("Bearer {token}").into_bytes(),
        )
    });
    Request {
        method: b"GET".to_vec(),
        path: b"/guarded".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: authorization.into_iter().collect(),
        ..Request::default()
    }
}

/// A JSON body for a path.
pub(crate) fn post(path: &str, body: Vec<u8>) -> Request {
    Request {
        method: b"POST".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        body: Some(vec![body]),
        ..Request::default()
    }
}

/// A token that passes.
pub(crate) fn token() -> String {
    let claims = json!({
        "iss": ISSUER, "aud": "orders-api", "sub": "alice", "exp": "now+3600",
    });
    tokens::mint(&json!({ "key": "p256", "claims": claims }), now())
}

pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
