//! `RequestAuthentication`: who issues tokens.

use serde_json::{Map, Value, json};

use super::super::jwt::{ISTIOS_PLACES, Providers, claim, places};
use super::super::probe::probe;
use super::super::reading::{Report, boolean, duration, items, member, rest, text, texts};
use portcullis_cases::tree::{Content, Tree, of_json};

const KNOWN: [&str; 13] = [
    "issuer",
    "audiences",
    "jwksUri",
    "jwks_uri",
    "jwks",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "forwardOriginalToken",
    "outputClaimToHeaders",
    "timeout",
    "spaceDelimitedClaims",
];

/// Adds the provider of a rule. Whether it could be had.
pub(super) fn provider(rule: &Tree, providers: &mut Providers, report: &mut Report) -> bool {
    rest(rule, &KNOWN, "a rule of RequestAuthentication", report);
    let Some(issuer) = text(rule, "issuer") else {
        report.lost(
            &rule.at,
            "a rule without `issuer`: all requests are refused",
        );
        return false;
    };
    for list in ["audiences", "fromHeaders", "fromParams", "fromCookies"] {
        let is_readable = member(rule, list).is_none_or(|tree| match &tree.content {
            Content::List(items) => items.iter().all(|item| match list {
                "fromHeaders" => text(item, "name").is_some(),
                _ => item.text().is_some(),
            }),
            _ => false,
        });
        if !is_readable {
            report.lost(
                &rule.at,
                format!(
                    "`{list}` of the issuer {issuer:?} cannot be read: all requests are refused"
                ),
            );
            return false;
        }
    }
    let name = name(issuer, providers);
    let mut provider = Map::new();
    provider.insert("issuer".into(), issuer.into());
    let audiences = texts(rule, "audiences");
    let audiences = match audiences.is_empty() {
        true => "any".into(),
        false => Value::from(audiences),
    };
    provider.insert("audiences".into(), audiences);
    provider.insert("require_expiration".into(), false.into());
    if !keys(rule, issuer, &mut provider, report) {
        return false;
    }
    places(rule, ISTIOS_PLACES, &mut provider);
    if boolean(rule, "forwardOriginalToken") {
        provider.insert("forward".into(), true.into());
    }
    if let Some(header) = text(rule, "outputPayloadToHeader") {
        provider.insert("forward_payload_header".into(), header.into());
    }
    let claims = items(rule, "outputClaimToHeaders")
        .into_iter()
        .filter_map(|each| {
            let claim = claim(text(each, "claim")?);
            Some(json!({ "header_name": text(each, "header")?, "claim_name": claim }))
        });
    let claims: Vec<Value> = claims.collect();
    if !claims.is_empty() {
        provider.insert("claim_to_headers".into(), claims.into());
    }
    let provider = Value::from(provider);
    let trial = probe(&json!({
        "version": 1,
        "providers": { name.as_str(): provider },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": name } }],
    }));
    if let Err(problems) = trial {
        report.lost(
            &rule.at,
            format!(
                "the issuer {issuer:?} has no counterpart, and all requests are refused: {problems}"
            ),
        );
        return false;
    }
    report.took(format!("the issuer {issuer:?} as provider {name:?}"));
    report.note(
        &rule.at,
        format!("tokens without `exp` are good for ever, as they were: take `require_expiration: false` out of the provider {name:?} if there are none"),
    );
    providers.taken.insert(name, provider);
    true
}

/// A name by the host of the issuer, that no other provider has.
fn name(issuer: &str, providers: &Providers) -> String {
    let host = issuer.split("://").last().unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let host: String = host.chars().map(plain).take(40).collect();
    let host = match host.as_str() {
        "" => "issuer".to_owned(),
        _ => host,
    };
    let mut name = host.clone();
    let mut number = 1;
    while providers.taken.contains_key(&name) {
        number += 1;
        name = format!("{host}_{number}");
    }
    name
}

/// Where keys are: in the rule, at an address, or where the issuer says.
fn keys(rule: &Tree, issuer: &str, provider: &mut Map<String, Value>, report: &mut Report) -> bool {
    if let Some(written) = text(rule, "jwks") {
        let keys = match of_json(written) {
            Ok(keys) => keys.json(),
            Err(problem) => {
                report.lost(
                    &rule.at,
                    format!(
                        "the keys cannot be read, and all requests are refused: {}",
                        problem.reason
                    ),
                );
                return false;
            }
        };
        provider.insert("jwks".into(), json!({ "inline": keys }));
        return true;
    }
    let uri = text(rule, "jwksUri").or_else(|| text(rule, "jwks_uri"));
    let address = uri.unwrap_or(issuer);
    let Some(cluster) = cluster(address) else {
        report.lost(
            &rule.at,
            format!(
                "{address:?} is no address that keys are fetched from: all requests are refused"
            ),
        );
        return false;
    };
    report.note(
        &rule.at,
        format!("the proxy fetches the keys through its cluster {cluster:?}, which a ServiceEntry for that host makes; Istio's control plane did it before"),
    );
    let mut fetched = Map::new();
    fetched.insert("cluster".into(), cluster.into());
    if let Some(timeout) = member(rule, "timeout").and_then(duration) {
        fetched.insert("timeout".into(), timeout.into());
    }
    let kind = match uri {
        Some(uri) => {
            fetched.insert("uri".into(), uri.into());
            "remote"
        }
        None => "discovery",
    };
    provider.insert("jwks".into(), json!({ kind: fetched }));
    true
}

/// The name that Istio gives to the cluster of a host.
fn cluster(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let usual = match scheme {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, usual));
    (!host.is_empty()).then(|| format!("outbound|{port}||{host}"))
}
