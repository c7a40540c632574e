//! The peer: Envoy's own filters, doing the same work.

use std::path::Path;

use portcullis_tests::envoy::json_filter;
use serde_json::{Value, json};

use super::chain::{API_KEY, AUDIENCE, Bucket, CACHED_TOKENS, ISSUER, ORIGIN, SPIFFE_ID, jwks};
use super::document::kind;

/// Whether `jwt_authn` remembers tokens it has verified; by default it does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenCache {
    On,
    Off,
}

pub(super) fn cors() -> Value {
    json_filter(
        "envoy.filters.http.cors",
        json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors" }),
    )
}

/// What `cors` is told for every route.
pub(super) fn cors_policy() -> Value {
    json!({
        "envoy.filters.http.cors": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
            "allow_origin_string_match": [{ "exact": ORIGIN }],
            "allow_methods": "GET, POST",
        },
    })
}

pub(super) fn jwt_authn(cache: TokenCache) -> Value {
    jwt_authn_behind(cache, &[])
}

/// With rules for other prefixes in front of the one that applies.
pub(super) fn jwt_authn_behind(cache: TokenCache, prefixes: &[String]) -> Value {
    let requires = json!({ "provider_name": "bench" });
    let rule = |prefix: &str| json!({ "match": { "prefix": prefix }, "requires": requires });
    let mut rules: Vec<Value> = prefixes.iter().map(|prefix| rule(prefix)).collect();
    rules.extend([json!({ "match": { "path": "/healthz" } }), rule("/")]);
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "inline_string": jwks().to_string() },
    });
    if cache == TokenCache::On {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": CACHED_TOKENS });
    }
    json_filter(
        "envoy.filters.http.jwt_authn",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "bench": provider },
            "rules": rules,
        }),
    )
}

/// API keys, one of which is that of the requests.
pub(super) fn api_key_auth() -> Value {
    json_filter(
        "envoy.filters.http.api_key_auth",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
            "credentials": [
                { "key": "another", "client": "globex" },
                { "key": API_KEY, "client": "acme" },
            ],
            "key_sources": [{ "header": "x-api-key" }],
            "forwarding": { "header": "x-client", "hide_credentials": true },
        }),
    )
}

/// A certificate's URI, where a proxy in front tells of it: by the end of its field, as far as `rbac` can read one.
pub(super) fn rbac_by_certificate() -> Value {
    json_filter(
        "envoy.filters.http.rbac",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": { "orders": {
                "permissions": [{ "any": true }],
                "principals": [{ "header": {
                    "name": "x-forwarded-client-cert",
                    "string_match": { "suffix": format!(";URI={SPIFFE_ID}") },
                } }],
            } } },
        }),
    )
}

/// So many policies for a method, a path and an address, of which the last in their order is for what is asked for.
pub(super) fn rbac(count: usize) -> Value {
    let policy = |prefix: &str| {
        json!({
            "permissions": [{ "and_rules": { "rules": [
                { "header": { "name": ":method", "string_match": { "exact": "GET" } } },
                { "url_path": { "path": { "prefix": prefix } } },
            ] } }],
            "principals": [{ "direct_remote_ip": { "address_prefix": "127.0.0.0", "prefix_len": 8 } }],
        })
    };
    let others = (1..count).map(|number| (format!("r{number:04}"), policy(&kind(number))));
    let policies = others.chain([("s".to_owned(), policy("/orders"))]);
    rbac_with(policies.collect())
}

/// What `jwt_authn` has found, by one of its scopes.
pub(super) fn rbac_by_scope() -> Value {
    let policy = json!({
        "permissions": [{ "header": { "name": ":method", "string_match": { "exact": "GET" } } }],
        "principals": [{ "metadata": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{ "key": "claims" }, { "key": "scope" }],
            "value": { "string_match": { "contains": "orders.read" } },
        } }],
    });
    rbac_with([("readers".to_owned(), policy)].into_iter().collect())
}

fn rbac_with(policies: serde_json::Map<String, Value>) -> Value {
    json_filter(
        "envoy.filters.http.rbac",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": policies },
        }),
    )
}

/// A token whose claims other filters see.
pub(super) fn jwt_authn_with_metadata(cache: TokenCache) -> Value {
    let mut filter = jwt_authn(cache);
    filter["typed_config"]["providers"]["bench"]["payload_in_metadata"] = "claims".into();
    filter
}

/// One bucket for all, with the `x-ratelimit` fields.
pub(super) fn local_ratelimit(bucket: Bucket) -> Value {
    let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
    json_filter(
        "envoy.filters.http.local_ratelimit",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "bench",
            "token_bucket": token_bucket(bucket),
            "filter_enabled": always,
            "filter_enforced": always,
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        }),
    )
}

/// A bucket for each client's address.
pub(super) fn local_ratelimit_by_address() -> Value {
    let mut filter = local_ratelimit(Bucket::Ample);
    let config = &mut filter["typed_config"];
    config["rate_limits"] = json!([{ "actions": [{ "remote_address": {} }] }]);
    // Without a value it stands for any, with a bucket each.
    config["descriptors"] = json!([{
        "entries": [{ "key": "remote_address" }],
        "token_bucket": token_bucket(Bucket::Ample),
    }]);
    filter
}

/// Sheds load when the upstream fails: what of Envoy's filters is nearest to a number of requests under way.
pub(super) fn admission_control() -> Value {
    json_filter(
        "envoy.filters.http.admission_control",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.admission_control.v3.AdmissionControl",
            "enabled": { "default_value": true, "runtime_key": "admission.enabled" },
            "success_criteria": {
                "http_criteria": { "http_success_status": [{ "start": 200, "end": 500 }] },
                "grpc_criteria": { "grpc_success_status": [0] },
            },
        }),
    )
}

fn token_bucket(bucket: Bucket) -> Value {
    let (tokens, interval) = match bucket {
        Bucket::Ample => (1_000_000_000, "1s"),
        Bucket::Spent => (1, "3600s"),
    };
    json!({ "max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": interval })
}

pub(super) fn header_mutation(fields: &[(&str, &str)]) -> Value {
    let mutations: Vec<Value> = fields
        .iter()
        .map(|(name, value)| {
            json!({ "append": {
                "header": { "key": name, "value": value },
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            } })
        })
        .collect();
    json_filter(
        "envoy.filters.http.header_mutation",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": { "response_mutations": mutations },
        }),
    )
}

/// A file with the record that the module leaves, and nothing else.
pub(super) fn record_log(path: &Path) -> Value {
    json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": { "text_format_source": {
                "inline_string": "%FILTER_STATE(wasm.portcullis.record:PLAIN)%\n",
            } },
        },
    }])
}

/// A line of JSON for each request, with what the module's own line says.
pub(super) fn access_log(path: &Path) -> Value {
    json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": { "json_format": {
                "timestamp": "%START_TIME%",
                "http.request.method": "%REQ(:METHOD)%",
                "url.scheme": "%REQ(:SCHEME)%",
                "server.address": "%REQ(:AUTHORITY)%",
                "url.path": "%REQ(:PATH)%",
                "http.response.status_code": "%RESPONSE_CODE%",
                "client.address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                "user_agent.original": "%REQ(USER-AGENT)%",
                "http.request.header.x-request-id": "%REQ(X-REQUEST-ID)%",
                "route": "%ROUTE_NAME%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "duration": "%DURATION%",
            } },
        },
    }])
}

/// A service is asked about each request, and lets it pass by the status 200.
pub(super) fn ext_authz() -> Value {
    json_filter(
        "envoy.filters.http.ext_authz",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "http_service": {
                "server_uri": { "uri": "http://id.bench.test", "cluster": "upstream", "timeout": "2s" },
                "authorization_request": { "allowed_headers": { "patterns": [{ "exact": "authorization" }] } },
            },
        }),
    )
}
