//! Fields of Envoy and Istio under their own names: what each is called here.

use super::problem::Quoted;

/// What a field of others is here.
struct Foreign {
    /// Its names there, in snake case: Istio's are in camel case, and Envoy takes both.
    names: &'static [&'static str],
    /// The fields of which it takes the place: it is they that lack then.
    means: &'static [&'static str],
    /// What it is called where that field is known; empty if it is none.
    here: &'static str,
    /// What to write, where that field is not known at that place.
    instead: &'static str,
}

const fn named(names: &'static [&'static str], here: &'static str) -> Foreign {
    Foreign {
        names,
        means: &[],
        here,
        instead: "",
    }
}

const fn said(names: &'static [&'static str], instead: &'static str) -> Foreign {
    means(names, &[], instead)
}

const fn means(
    names: &'static [&'static str],
    means: &'static [&'static str],
    instead: &'static str,
) -> Foreign {
    Foreign {
        names,
        means,
        here: "",
        instead,
    }
}

const FOREIGN: &[Foreign] = &[
    // Envoy's jwt_authn, Istio's RequestAuthentication.
    means(
        &["remote_jwks", "jwks_uri", "http_uri", "jwks_resolver"],
        &["jwks", "uri"],
        "keys that are fetched are `jwks: {\"remote\": {\"uri\": …, \"cluster\": …}}` of a provider",
    ),
    means(
        &["local_jwks", "inline_string", "inline_bytes"],
        &["jwks"],
        "keys in the document are `jwks: {\"inline\": {\"keys\": […]}}` of a provider",
    ),
    said(
        &["filename", "environment_variable"],
        "a filter reads no files; keys stand in the document, and secrets in the VM's environment: `hmac: [{\"env\": …}]`",
    ),
    named(&["jwt_rules"], "providers"),
    named(&["api_keys"], "api_key_stores"),
    named(&["rules", "http"], "routes"),
    named(&["endpoint", "url"], "uri"),
    named(&["environment", "env_name", "env_var"], "env"),
    means(
        &["api_version", "kind", "metadata", "spec"],
        &["version", "routes"],
        "that is a resource of Kubernetes; what stands here is the policy alone, as in `pluginConfig` of a `WasmPlugin`",
    ),
    // Of `deny_patterns`, and of firewalls for web applications.
    named(&["sets", "rule_sets", "rulesets"], "classes"),
    named(
        &["paranoia_level", "paranoia", "anomaly_threshold"],
        "sensitivity",
    ),
    named(&["ignore_headers", "exclusions", "exclude"], "except"),
    // What others call what this project has a word for.
    means(
        &["basic", "basic_auth"],
        &["api_key"],
        "passwords of machines are a store of `api_key_stores` with `from_headers: [{\"name\": \"authorization\", \"value_prefix\": \"Basic \"}]`, which `api_key` names",
    ),
    named(
        &["expires", "expires_at", "expiry", "expiration"],
        "not_after",
    ),
    named(&["owner", "client_id", "azp"], "client"),
    named(&["spiffe_id"], "spiffe"),
    named(&["mtls"], "certificate"),
    named(&["subject"], "sub"),
    named(&["refresh", "refresh_interval"], "cache_duration"),
    named(&["provider_name", "providers_name"], "provider"),
    means(
        &["provider_and_audiences"],
        &["provider"],
        "the audiences stand in the provider; for others, write another provider and name it in `provider`",
    ),
    means(
        &[
            "requires",
            "requirement_name",
            "requirement_map",
            "request_authentication",
        ],
        &["jwt"],
        "what a route asks for is its block `jwt`",
    ),
    named(&["requires_any", "require_any"], "any_of"),
    named(&["requires_all", "require_all"], "all_of"),
    said(
        &["allow_missing", "allow_missing_or_failed"],
        "write `optional: true` in `jwt`; a token that is there and bad is refused all the same",
    ),
    Foreign {
        names: &["clock_skew_seconds"],
        means: &[],
        here: "clock_skew",
        instead: "it is `clock_skew` of a provider, a duration",
    },
    Foreign {
        names: &["forward_original_token", "forward_jwt"],
        means: &[],
        here: "forward",
        instead: "it is `forward` of a provider",
    },
    named(
        &["output_payload_to_header", "forward_payload_to_header"],
        "forward_payload_header",
    ),
    named(&["output_claim_to_headers"], "claim_to_headers"),
    said(
        &[
            "payload_in_metadata",
            "header_in_metadata",
            "failed_status_in_metadata",
        ],
        "claims go to other filters by `claim_to_filter_state` of a provider",
    ),
    named(&["jwt_cache_config"], "jwt_cache"),
    named(&["jwt_cache_size"], "jwt_cache"),
    named(&["prefix"], "value_prefix"),
    named(&["header"], "header_name"),
    named(&["claim"], "claim_name"),
    said(
        &["async_fetch", "fast_listener", "retry_policy"],
        "leave it out: keys are fetched ahead and tried again in any case",
    ),
    // Routes, and Istio's AuthorizationPolicy.
    named(&["domains", "authority", "not_hosts"], "hosts"),
    named(&["method"], "methods"),
    named(&["uri", "paths"], "path"),
    named(
        &[
            "safe_regex",
            "safe_regex_match",
            "google_re2",
            "regex_match",
            "regular_expression",
        ],
        "regex",
    ),
    named(&["exact_match", "equals", "equal_to", "value"], "exact"),
    named(&["prefix_match", "path_separated_prefix"], "prefix"),
    named(&["suffix_match"], "suffix"),
    named(&["contains_match"], "contains"),
    named(&["present_match"], "present"),
    named(
        &["path_template", "uri_template", "path_match_policy"],
        "template",
    ),
    means(
        &["string_match"],
        &["exact"],
        "the string match stands in the object itself: `exact`, `prefix`, `suffix`, `contains` or `regex`",
    ),
    said(
        &["invert_match"],
        "a condition is inverted by `not` around it: {\"not\": {…}}",
    ),
    said(
        &["not_paths", "not_methods"],
        "paths and methods are not inverted; put a route for the other requests before this one",
    ),
    named(&["range_match"], "range"),
    Foreign {
        names: &["case_sensitive", "ignore_uri_case"],
        means: &[],
        here: "ignore_case",
        instead: "paths are compared as they are written",
    },
    named(&["query_parameters"], "parameters"),
    means(
        &["append", "append_action"],
        &[],
        "a second field of a name is not added: `set` writes one in place of any, `add_if_absent` where there is none",
    ),
    // CORS and CSRF.
    named(
        &[
            "allow_origin_string_match",
            "allow_origin",
            "allow_origin_regex",
            "allowed_origins",
        ],
        "allow_origins",
    ),
    named(&["allowed_methods"], "allow_methods"),
    named(&["allowed_headers"], "allow_headers"),
    named(&["exposed_headers"], "expose_headers"),
    said(
        &["forward_not_matching_preflights"],
        "the filter answers preflights itself; without a block `cors` they are forwarded",
    ),
    said(
        &[
            "enforce",
            "enforced",
            "enabled",
            "dry_run",
            "filter_enabled",
            "filter_enforced",
            "shadow_enabled",
            "runtime_fraction",
            "default_value",
        ],
        "whether a block refuses is its `mode`: \"enforce\" or \"shadow\"",
    ),
    // Envoy's rbac, Istio's AuthorizationPolicy.
    means(
        &["principals", "principal_name"],
        &["certificates"],
        "here it is `certificates` of `from`, with `spiffe://` in front: \"spiffe://cluster.local/ns/…/sa/…\"",
    ),
    means(
        &["not_principals"],
        &["not_certificates"],
        "here it is `not_certificates` of `from`, with `spiffe://` in front: \"spiffe://cluster.local/ns/…/sa/…\"",
    ),
    means(
        &["request_principals"],
        &["subjects"],
        "issuer and subject are two fields of `from`: \"ISS/SUB\" is `issuers: [\"ISS\"]` and `subjects: [\"SUB\"]`; any token is `authenticated: true`",
    ),
    means(
        &["not_request_principals"],
        &["not_subjects"],
        "issuer and subject are two fields of `from`, and what is not both is two objects: [{\"not_issuers\": [\"ISS\"]}, {\"not_subjects\": [\"SUB\"]}]; no token is `authenticated: false`",
    ),
    named(&["not_ip_blocks", "not_remote_ip_blocks"], "not_addresses"),
    said(
        &[
            "namespaces",
            "not_namespaces",
            "service_accounts",
            "not_service_accounts",
        ],
        "a workload is known by its SPIFFE ID: `certificates: [{\"prefix\": \"spiffe://…/ns/…/\"}]` of `from`",
    ),
    said(
        &[
            "and_rules",
            "or_rules",
            "not_rule",
            "and_ids",
            "or_ids",
            "not_id",
        ],
        "all fields of an object of `from` or `to` have to hold, a list of objects is for any of them, and each field has a form with `not_`",
    ),
    means(
        &[
            "rbac",
            "authorization",
            "authorization_policy",
            "authorization_policies",
        ],
        &["access"],
        "rules on who may do what are the block `access` of a route or of `defaults`, and `access_rules` of the document",
    ),
    said(
        &["source"],
        "Istio's `source`: its fields stand in the object of `from` itself",
    ),
    said(
        &["operation"],
        "Istio's `operation`: its fields stand in the object of `to` itself",
    ),
    said(
        &["ports", "not_ports", "destination_port"],
        "ports are not looked at: they are what the proxy listens on, whatever a client says",
    ),
    means(
        &["values"],
        &["in"],
        "Istio's `values`: write `in`, or `includes_any` where the claim is a list",
    ),
    means(
        &["not_values"],
        &["in"],
        "Istio's `notValues`: write {\"not\": {…}} around the condition, with `in`, or with `includes_any` where the claim is a list",
    ),
    Foreign {
        names: &["xff_num_trusted_hops"],
        means: &[],
        here: "trusted_hops",
        instead: "it is `trusted_hops` of `client_address`",
    },
    named(&["time_zone", "timezone"], "utc_offset"),
    // Limits.
    Foreign {
        names: &[
            "remote_ip",
            "remote_address",
            "remote_ip_blocks",
            "ip_blocks",
            "source_ip",
        ],
        means: &["client_address"],
        here: "addresses",
        instead: "the client's address is `client_address`, in `key` and in `tiers` of `rate_limits`",
    },
    said(
        &["request_headers", "header_value_match"],
        "in `match` it is `headers`; in a `key` of `rate_limits`, {\"header\": …}",
    ),
    named(
        &[
            "descriptors",
            "descriptor",
            "descriptor_key",
            "entries",
            "actions",
        ],
        "key",
    ),
    named(&["generic_key"], "constant"),
    said(
        &["local_rate_limit", "local_rate_limits"],
        "limits are the list `rate_limits` of a route or of `defaults`",
    ),
    named(&["requests_per_unit"], "requests"),
    named(&["unit"], "per"),
    named(&["hits_addend"], "cost"),
    Foreign {
        names: &["enable_x_ratelimit_headers"],
        means: &[],
        here: "headers",
        instead: "it is `headers: \"x_ratelimit\"` of a limit",
    },
    named(&["failure_mode_deny", "failure_mode_allow"], "on_error"),
    said(
        &["stat_prefix", "stats_prefix"],
        "leave it out: counters are named by policy, route and limit",
    ),
    // The rest.
    said(
        &["request_headers_to_add"],
        "the filter adds claims alone to requests: `claim_to_headers` of a provider",
    ),
    said(
        &["response_headers_to_add"],
        "it is `set` of `security_headers`",
    ),
    said(
        &["response_headers_to_remove"],
        "it is `remove` of `security_headers`",
    ),
    Foreign {
        names: &["max_request_bytes"],
        means: &[],
        here: "max_bytes",
        instead: "it is `max_bytes` of `payload`",
    },
    said(
        &[
            "typed_config",
            "@type",
            "vm_config",
            "plugin_config",
            "virtual_hosts",
        ],
        "that is Envoy's own configuration; what stands here is the policy alone",
    ),
    said(
        &["shadow"],
        "a block that is tried stands in the block of a policy, or in a route; of limits, each has a `mode`: add one to the list with `mode: \"shadow\"`",
    ),
];

/// What a field that is not known here is called, or what to write in its place; `known` are the
/// fields that are.
pub fn cure(written: &str, known: &[&str]) -> Option<String> {
    let snake = snake_case(written);
    let own = known.iter().find(|name| **name == snake);
    if let (Some(own), true) = (own, snake != written) {
        return Some(format!("did you mean {}?", Quoted(own)));
    }
    let rows = FOREIGN.iter().filter(|row| row.names.contains(&&*snake));
    for Foreign { here, instead, .. } in rows {
        if known.contains(here) {
            return Some(format!("here it is called {}", Quoted(here)));
        }
        if !instead.is_empty() {
            return Some((*instead).to_owned());
        }
    }
    None
}

/// Whether a field has a name that others have for something that is not here, however near it is to another.
pub fn is_word_of_others(written: &str) -> bool {
    matches!(
        &*snake_case(written),
        "ports" | "not_ports" | "source" | "operation"
    )
}

/// Whether a field of that name would be understood as the field `here` under another name.
pub fn stands_for(written: &str, here: &str) -> bool {
    let snake = snake_case(written);
    let is_foreign = |row: &Foreign| {
        row.names.contains(&&*snake) && (row.here == here || row.means.contains(&here))
    };
    (snake == here && written != here) || FOREIGN.iter().any(is_foreign)
}

/// `jwksUri` as `jwks_uri`.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for c in name.chars().take(80) {
        if c.is_ascii_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.push(match c {
            '-' => '_',
            c => c.to_ascii_lowercase(),
        });
    }
    snake
}

#[cfg(test)]
mod tests;
