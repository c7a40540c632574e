//! `local_ratelimit`: token buckets, for all requests or by descriptors.

use serde_json::{Map, Value, json};

use super::blocks::percent;
use super::reading::{
    Report, boolean, choice, duration, entries, items, member, number, rest, text,
};
use portcullis_cases::tree::Tree;

/// A limit as the top of a document has it, with its name.
pub(super) type NamedLimit = (String, Value);

const KNOWN: [&str; 15] = [
    "stat_prefix",
    "status",
    "token_bucket",
    "filter_enabled",
    "filter_enforced",
    "request_headers_to_add_when_not_enforced",
    "response_headers_to_add",
    "descriptors",
    "stage",
    "local_rate_limit_per_downstream_connection",
    "enable_x_ratelimit_headers",
    "vh_rate_limits",
    "always_consume_default_token_bucket",
    "rate_limited_as_resource_exhausted",
    "rate_limits",
];

/// Whether all fields of a `LocalRateLimit` are read; what is not is reported.
pub(super) fn is_read(config: &Tree, report: &mut Report) -> bool {
    rest(config, &KNOWN, "local_ratelimit", report)
}

/// The limits of a `LocalRateLimit`. `actions`: the `rate_limits` of the route that it is for.
pub(super) fn limits(
    config: &Tree,
    name: &str,
    actions: &[&Tree],
    report: &mut Report,
) -> Vec<NamedLimit> {
    is_read(config, report);
    let enabled = percent(member(config, "filter_enabled"), 0, report);
    let enforced = percent(member(config, "filter_enforced"), 0, report);
    if enabled == 0 {
        if member(config, "token_bucket").is_some() || member(config, "descriptors").is_some() {
            report.note(
                &config.at,
                "`filter_enabled` is 0: nothing is limited, and nothing is taken",
            );
        }
        return Vec::new();
    }
    if enabled < 100 && enforced > 0 {
        report.lost(
            &config.at,
            "a limit that counts a share of requests: here all are counted, and it is enforced for the share",
        );
    }
    if boolean(config, "local_rate_limit_per_downstream_connection") {
        report.lost(
            &config.at,
            "a bucket for each connection has no counterpart: all have one together; use `key: [\"client_address\"]`",
        );
    }
    for unwritten in [
        "response_headers_to_add",
        "request_headers_to_add_when_not_enforced",
        "status",
    ] {
        if let Some(tree) = member(config, unwritten) {
            report.note(
                &tree.at,
                format!("`{unwritten}`: a refusal is 429 `rate_limited`, and has `Retry-After`"),
            );
        }
    }
    let mut fields = Map::new();
    let kinds = ["OFF", "DRAFT_VERSION_03"];
    match choice(config, "enable_x_ratelimit_headers", &kinds) {
        Ok(None | Some("OFF")) => {}
        Ok(Some(_)) => {
            fields.insert("headers".into(), "x_ratelimit".into());
        }
        Err(()) => report.lost(
            &config.at,
            "`enable_x_ratelimit_headers` is none of OFF and DRAFT_VERSION_03: no headers are sent",
        ),
    }
    match enabled.min(enforced) {
        0 => {
            fields.insert("mode".into(), "shadow".into());
            fields.remove("headers");
        }
        100 => {}
        share => {
            fields.insert("percent".into(), share.into());
            fields.insert("percent_by".into(), "request".into());
        }
    }
    let mut limits = Vec::new();
    let own = items(config, "rate_limits");
    let actions = if own.is_empty() {
        actions
    } else {
        own.as_slice()
    };
    for (place, descriptor) in items(config, "descriptors").into_iter().enumerate() {
        let Some(bucket) = member(descriptor, "token_bucket").and_then(|tree| bucket(tree, report))
        else {
            continue;
        };
        let mut limit = fields.clone();
        let of_all = || Descriptor {
            key: json!([]),
            unless: None,
        };
        let said = of(descriptor, actions).unwrap_or_else(|| {
            report.lost(
                &descriptor.at,
                "a descriptor that cannot be said as a key: all requests count together in its bucket; write a `key` for it",
            );
            of_all()
        });
        limit.insert("key".into(), said.key);
        limit.insert("missing".into(), "skip".into());
        if let Some(unless) = said.unless {
            limit.insert(
                "tiers".into(),
                json!([{ "when": unless, "unlimited": true }]),
            );
        }
        limit.insert("token_bucket".into(), bucket);
        limits.push((format!("{name}-{}", place + 1), limit.into()));
    }
    if let Some(bucket) = member(config, "token_bucket").and_then(|tree| bucket(tree, report)) {
        let is_for_others = member(config, "always_consume_default_token_bucket")
            .is_some_and(|tree| tree.json() == false);
        if is_for_others && !limits.is_empty() {
            report.lost(
                &config.at,
                "the default bucket counts requests with a descriptor too here",
            );
        }
        let mut limit = fields;
        limit.insert("key".into(), json!([]));
        limit.insert("token_bucket".into(), bucket);
        limits.push((name.to_owned(), limit.into()));
    }
    if !limits.is_empty() {
        report.took(format!("the limits {name:?} of local_ratelimit"));
    }
    limits
}

/// Whom a descriptor is for.
struct Descriptor {
    key: Value,
    /// For whom it is not.
    unless: Option<Value>,
}

/// A `TokenBucket`.
fn bucket(tree: &Tree, report: &mut Report) -> Option<Value> {
    let most = number(tree, "max_tokens").filter(|most| *most > 0);
    let interval = member(tree, "fill_interval").and_then(duration);
    let (Some(most), Some(interval)) = (most, interval) else {
        report.lost(&tree.at, "a bucket without tokens or without time has no counterpart: write `deny: true` for the routes that it closes");
        return None;
    };
    let fill = number(tree, "tokens_per_fill").unwrap_or(1);
    Some(json!({ "max_tokens": most, "tokens_per_fill": fill, "fill_interval": interval }))
}

/// A descriptor of one entry, by the action of a route that makes it.
fn of(descriptor: &Tree, actions: &[&Tree]) -> Option<Descriptor> {
    let all = items(descriptor, "entries");
    let [entry] = all.as_slice() else { return None };
    let (key, value) = (
        text(entry, "key")?,
        text(entry, "value").filter(|value| !value.is_empty()),
    );
    let mut found = None;
    for action in actions {
        let steps = items(action, "actions");
        let [step] = steps.as_slice() else { continue };
        let members = entries(step);
        let [(kind, inner)] = members.as_slice() else {
            continue;
        };
        let said = match *kind {
            "remote_address" | "remoteAddress" if key == "remote_address" && value.is_none() => {
                Descriptor {
                    key: json!(["client_address"]),
                    unless: None,
                }
            }
            "request_headers" | "requestHeaders" if text(inner, "descriptor_key") == Some(key) => {
                let header = text(inner, "header_name")?.to_ascii_lowercase();
                match value {
                    // A pseudo-header is a part of its own.
                    _ if header == ":method" && value.is_none() => Descriptor {
                        key: json!(["method"]),
                        unless: None,
                    },
                    _ if header.starts_with(':') => return None,
                    None => Descriptor {
                        key: json!([{ "header": header }]),
                        unless: None,
                    },
                    Some(value) => Descriptor {
                        key: json!([]),
                        unless: Some(json!({ "not": { "header": header, "exact": value } })),
                    },
                }
            }
            "generic_key" | "genericKey" => {
                let made = text(inner, "descriptor_key").unwrap_or("generic_key");
                let is_it = made == key && text(inner, "descriptor_value") == value;
                match is_it {
                    true => Descriptor {
                        key: json!([]),
                        unless: None,
                    },
                    false => continue,
                }
            }
            _ => continue,
        };
        // Two actions with one descriptor would count twice.
        if found.replace(said).is_some() {
            return None;
        }
    }
    found
}
