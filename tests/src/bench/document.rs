//! The documents that the module is configured with.

use serde_json::{Map, Value, json};

use super::chain::{AUDIENCE, Bucket, CACHED_TOKENS, HEADERS, ISSUER, ORIGIN, SPIFFE_ID, jwks};
use super::proofs::SEEN_AS;

/// Token, limit, CORS, response headers and access log, as the native chain does them. The record
/// goes to Envoy's own logger, as the native chain's does.
pub(super) fn whole() -> Value {
    let set: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    let mut document = token_only();
    document["defaults"] = json!({
        "security_headers": { "preset": "none", "set": set },
        "cors": cors(),
        "rate_limits": [{
            "name": "all", "key": [], "token_bucket": bucket(Bucket::Ample), "headers": "x_ratelimit",
        }],
    });
    document["access_log"] = json!({ "sinks": ["filter_state"] });
    document
}

/// [`whole`] with a limit that is spent.
pub(super) fn spent() -> Value {
    let mut document = whole();
    document["defaults"]["rate_limits"][0]["token_bucket"] = bucket(Bucket::Spent);
    document
}

/// [`whole`] with the preset `api`.
pub(super) fn with_preset() -> Value {
    let mut document = whole();
    document["defaults"]["security_headers"] = json!({ "preset": "api" });
    document
}

/// [`whole`] with records in the proxy's own log.
pub(super) fn with_envoy_log() -> Value {
    let mut document = whole();
    document["access_log"] = json!({});
    document
}

/// [`whole`] without its access log, to show what that costs.
pub(super) fn without_log() -> Value {
    let mut document = whole();
    document["access_log"] = "off".into();
    document
}

/// Limits by the client's address and nothing else, that no load reaches.
pub(super) fn limits(count: usize) -> Value {
    let limits: Vec<Value> = (0..count)
        .map(|number| limit(&format!("l{number}"), &["client_address"]))
        .collect();
    open(json!({ "rate_limits": limits }))
}

/// One limit for all callers together.
pub(super) fn limit_for_all() -> Value {
    open(json!({ "rate_limits": [limit("all", &[])] }))
}

/// A limit that delays, whose bucket no load empties.
pub(super) fn throttle() -> Value {
    let mut limit = limit("all", &[]);
    limit["on_limit"] = json!({ "delay": { "max": "2s", "queue": 100 } });
    open(json!({ "rate_limits": [limit] }))
}

/// A limit that delays, under so few requests in a second that all connections wait for their turn.
pub(super) fn waiting() -> Value {
    let mut document = throttle();
    document["defaults"]["rate_limits"][0]["token_bucket"] =
        json!({ "max_tokens": 5, "tokens_per_fill": 5, "fill_interval": "5ms" });
    document
}

/// How many requests are under way at once, and nothing else.
pub(super) fn concurrency(key: &[&str]) -> Value {
    open(json!({ "concurrency": { "key": key, "max": 100_000 } }))
}

fn limit(name: &str, key: &[&str]) -> Value {
    json!({
        "name": name, "key": key, "token_bucket": bucket(Bucket::Ample), "headers": "x_ratelimit",
    })
}

/// CORS and the preset `web`.
pub(super) fn browser() -> Value {
    open(json!({ "cors": cors(), "security_headers": { "preset": "web" } }))
}

/// The access log alone, in these sinks.
pub(super) fn log_only(sinks: &[&str]) -> Value {
    let mut document = open(json!({}));
    document["access_log"] = match sinks {
        [] => "off".into(),
        sinks => json!({ "sinks": sinks }),
    };
    document
}

fn open(defaults: Value) -> Value {
    json!({
        "version": 1,
        "defaults": defaults,
        "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "open": true }],
    })
}

fn cors() -> Value {
    json!({ "allow_origins": [{ "exact": ORIGIN }], "allow_methods": ["GET", "POST"] })
}

fn bucket(bucket: Bucket) -> Value {
    let (tokens, interval) = match bucket {
        Bucket::Ample => (1_000_000, "1s"),
        Bucket::Spent => (1, "1h"),
    };
    json!({ "max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": interval })
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

/// So many rules for a method, a path and an address, of which the last is for what is asked for.
pub(super) fn rules(count: usize) -> Value {
    let rule = |name: String, prefix: &str| {
        json!({
            "name": name, "action": "allow",
            "from": { "addresses": ["127.0.0.0/8"] },
            "to": { "methods": ["GET"], "paths": [{ "prefix": prefix }] },
        })
    };
    let others = (1..count).map(|number| rule(format!("r{number}"), &kind(number)));
    let rules: Vec<Value> = others.chain([rule("own".to_owned(), "/orders")]).collect();
    let mut document = open(json!({ "access": { "rules": rules } }));
    document["access_log"] = "off".into();
    document
}

/// A token, and a rule on its scope.
pub(super) fn token_and_rule() -> Value {
    let mut document = token_only();
    document["routes"][1]["access"] = json!({ "rules": [{
        "name": "readers", "action": "allow",
        "from": { "scopes": ["orders.read"] }, "to": { "methods": ["GET"] },
    }] });
    document
}

/// Nothing but a token that is bound to a key, and its proof. All proofs of a round have a place among those that are
/// remembered.
pub(super) fn proof_only() -> Value {
    let mut document = token_only();
    let provider = &mut document["providers"]["bench"];
    provider["clock_skew"] = "0s".into();
    provider["bound"] = json!({ "dpop": {
        "mode": "required", "origins": [SEEN_AS], "proof_lifetime": "30s", "max_proofs": 1_000_000,
    } });
    document
}

/// An API key and nothing else; the upstream learns the client.
pub(super) fn api_key_only() -> Value {
    let key = |id: &str, hash: &str| json!({ "id": id, "hash": hash, "client": id });
    json!({
        "version": 1,
        "api_key_stores": { "bench": {
            "keys": [
                key("globex", "ae448ac86c4e8e4dec645729708ef41873ae79c6dff84eff73360989487f08e5"),
                key("acme", "7721bf97493a400e77e27c0624f7b29936903953a78e34721adcc2d8f6c24dc5"),
            ],
            "claim_to_headers": [{ "header_name": "x-client", "claim_name": "client" }],
        } },
        "routes": [{ "name": "orders", "match": { "path": { "prefix": "/orders" } }, "api_key": { "store": "bench" } }],
    })
}

/// A token that its issuer is asked about, and nothing else; once a minute, or each time.
pub(super) fn introspection_only(is_remembered: bool) -> Value {
    let mut server = json!({
        "cluster": "upstream",
        "uri": "http://id.bench.test/introspect",
        "authentication": "none",
        "audiences": [AUDIENCE],
        "claim_to_headers": [{ "header_name": "x-client", "claim_name": "sub" }],
    });
    if !is_remembered {
        server["introspection_cache"] = "off".into();
    }
    json!({
        "version": 1,
        "introspection_servers": { "bench": server },
        "routes": [{ "name": "orders", "match": { "path": { "prefix": "/orders" } }, "introspection": { "server": "bench" } }],
    })
}

/// A certificate that a proxy in front tells of, and nothing else.
pub(super) fn certificate_only() -> Value {
    json!({
        "version": 1,
        "certificates": { "bench": {
            "source": { "x_forwarded_client_cert": {} },
            "clients": [{ "spiffe": { "exact": SPIFFE_ID }, "client": "orders" }],
            "forward": true,
        } },
        "routes": [{ "name": "orders", "match": { "path": { "prefix": "/orders" } }, "certificate": { "set": "bench" } }],
    })
}

/// [`whole`] behind `count` other routes.
pub(super) fn behind_routes(count: usize) -> Value {
    let mut document = whole();
    let others = (0..count).map(|number| guarded(&format!("r{number}"), &kind(number)));
    let mut routes: Vec<Value> = others.collect();
    if let Some(own) = document["routes"].as_array() {
        routes.extend(own.iter().cloned());
    }
    document["routes"] = routes.into();
    document
}

/// The path of one of many routes. Half of them begin like the one that is asked for.
pub(super) fn kind(number: usize) -> String {
    match number % 2 {
        0 => format!("/orders/kind-{number}"),
        _ => format!("/kind-{number}/orders"),
    }
}

/// [`whole`] with 50 more providers and 200 schemas.
pub(super) fn among_others() -> Value {
    let mut document = whole();
    add_providers(&mut document, 50);
    add_schemas(&mut document, 200);
    document
}

/// Like [`with_routes`], with two routes and `count` providers.
pub(super) fn with_providers(count: usize, mark: usize) -> Value {
    let mut document = with_routes(2, mark);
    add_providers(&mut document, count);
    document
}

fn add_providers(document: &mut Value, count: usize) {
    for number in 0..count {
        let issuer = format!("https://id-{number}.bench.test/");
        document["providers"][format!("other-{number}")] = json!({
            "issuer": issuer, "audiences": [AUDIENCE], "jwks": { "inline": jwks() },
        });
    }
}

/// Like [`with_routes`], with two routes and `count` schemas of twenty members each.
pub(super) fn with_schemas(count: usize, mark: usize) -> Value {
    let mut document = with_routes(2, mark);
    add_schemas(&mut document, count);
    document
}

fn add_schemas(document: &mut Value, count: usize) {
    for number in 0..count {
        let members: Map<String, Value> = (0..20)
            .map(|member| {
                let text = json!({ "type": "string", "pattern": "^[a-z]+$", "maxLength": 40 });
                (format!("member-{member}"), text)
            })
            .collect();
        document["schemas"][format!("s{number}")] =
            json!({ "type": "object", "properties": members, "required": ["member-1"] });
    }
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
