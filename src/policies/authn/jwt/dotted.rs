//! Names of claims that look like paths. A claim's name may hold dots, so such a name is no error;
//! but who writes `realm_access.roles` mostly means a claim within another, and that is a pointer.

use portcullis_document::{Node, Quoted};
use portcullis_wire::json::Json;

/// How many places are named.
const MOST: usize = 8;

/// The blocks of a route that name claims.
const POLICIES: [&str; 8] = [
    "jwt",
    "api_key",
    "certificate",
    "introspection",
    "credentials",
    "signed_request",
    "access",
    "rate_limits",
];

/// A note on each name of a claim in a document that looks like a path.
pub(super) fn note_dotted(document: &Node<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for section in [
        "providers",
        "introspection_servers",
        "rate_limits",
        "access_rules",
        "access_log",
    ] {
        if let Some(node) = document.member(section) {
            walk(&node, &mut found);
        }
    }
    // What else an entry of these has is of clients, and not of claims.
    for section in ["api_key_stores", "certificates", "signers"] {
        let section = document.member(section);
        for entry in section.iter().flat_map(members) {
            for field in ["claim_to_headers", "claim_to_filter_state"] {
                entry
                    .member(field)
                    .iter()
                    .for_each(|node| walk(node, &mut found));
            }
            let roles = entry.member("roles");
            roles.iter().for_each(|roles| note_roles(roles, &mut found));
        }
    }
    let routes = document.member("routes");
    let routes = routes.iter().flat_map(items);
    for blocks in routes.chain(document.member("defaults")) {
        // What is tried beside them has blocks of the same names.
        for blocks in [blocks.member("shadow"), Some(blocks)]
            .into_iter()
            .flatten()
        {
            for policy in POLICIES {
                if let Some(node) = blocks.member(policy) {
                    walk(&node, &mut found);
                }
            }
        }
    }
    if let Some(more) = found.len().checked_sub(MOST).filter(|more| *more > 0) {
        found.truncate(MOST);
        found.push(format!(
            "{more} more names of claims have dots in them and no `/` in front"
        ));
    }
    found
}

/// The items of an array, each with its place.
fn items<'d>(node: &Node<'d>) -> impl Iterator<Item = Node<'d>> + use<'d> {
    let items = match node.json() {
        Json::Array(items) => &items[..],
        _ => &[],
    };
    let place = node.pointer().clone();
    let items = items.iter().enumerate();
    items.map(move |(index, item)| Node::at(item, place.item(index)))
}

/// The members of an object, each with its place.
fn members<'d>(node: &Node<'d>) -> impl Iterator<Item = Node<'d>> + use<'d> {
    let place = node.pointer().clone();
    let members = node.json().as_object().into_iter().flat_map(|o| o.iter());
    members.map(move |(name, json)| Node::at(json, place.member(name)))
}

fn walk(node: &Node<'_>, found: &mut Vec<String>) {
    items(node).for_each(|item| walk(&item, found));
    for (name, json) in node.json().as_object().into_iter().flat_map(|o| o.iter()) {
        let member = Node::at(json, node.pointer().member(name));
        match name {
            "claim" | "claim_name" => note(&member, found),
            "claims" => items(&member).for_each(|item| note(&item, found)),
            "roles" => note_roles(&member, found),
            _ => {}
        }
        walk(&member, found);
    }
}

/// Notes where roles stand, by the rules of an authority.
fn note_roles(rules: &Node<'_>, found: &mut Vec<String>) {
    let from = rules.member("from");
    let named = from.iter().flat_map(items);
    named.for_each(|item| note(&item, found));
}

fn note(node: &Node<'_>, found: &mut Vec<String>) {
    let Some(name) = node.json().as_str().filter(|name| looks_like_path(name)) else {
        return;
    };
    let pointer = format!("/{}", name.replace('.', "/"));
    found.push(format!(
        "{}: is the claim whose whole name is {}; if one within another is meant, write {}",
        node.pointer(),
        Quoted(name),
        Quoted(&pointer)
    ));
}

/// Words with dots between them. Names that are URIs have other characters.
fn looks_like_path(name: &str) -> bool {
    let word = |word: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        !word.is_empty() && word.bytes().all(plain)
    };
    name.contains('.') && name.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_are_noted_where_claims_are_named() {
        let document = r#"{
            "providers": {"p": {"claim_to_headers": [{"header_name": "x", "claim_name": "a.b"}],
                "roles": {"from": ["realm_access.roles", "/a/b"]}}},
            "rate_limits": {"l": {"key": [{"claim": "a.b.c"}]}},
            "access_log": {"claims": ["x.y", "/x/y", "z"]},
            "defaults": {"jwt": {"require": {"claims": [{"not": {"claim": "r.s", "exists": true}}]}}},
            "routes": [
                {"jwt": {"any_of": [{"require": {"claims": [
                    {"claim": "realm_access.roles", "includes": "a.b"},
                    {"claim": "/realm_access/roles"}, {"claim": "https://a.example/b.c"},
                    {"claim": "a..b"}, {"claim": ".a"}, {"claim": "plain"}, {"claim": 7}
                ]}}]}},
                {"json_schema": {"claim": "a.b"}, "shadow": {"jwt": {"claim": "t.u"}}}
            ]
        }"#;
        let json = Json::parse(document.as_bytes(), 16).unwrap();
        let notes = note_dotted(&Node::root(&json));
        let places: Vec<&str> = notes.iter().filter_map(|n| n.split(':').next()).collect();
        assert_eq!(
            places,
            [
                "/providers/p/claim_to_headers/0/claim_name",
                "/providers/p/roles/from/0",
                "/rate_limits/l/key/0/claim",
                "/access_log/claims/0",
                "/routes/0/jwt/any_of/0/require/claims/0/claim",
                "/routes/1/shadow/jwt/claim",
                "/defaults/jwt/require/claims/0/not/claim",
            ]
        );
        assert!(
            notes[4].ends_with(
                "whole name is \"realm_access.roles\"; if one within another is meant, write \"/realm_access/roles\""
            ),
            "{}",
            notes[4]
        );
    }

    #[test]
    fn so_are_those_of_other_credentials_than_tokens() {
        let document = r#"{
            "access_rules": {"r": {"when": [{"claim": "a.b", "exact": "c"}]}},
            "api_key_stores": {"s": {"keys": [{"attributes": {"claim": "x.y"}}],
                "claim_to_headers": [{"header_name": "x", "claim_name": "c.d"}]}},
            "certificates": {"mesh": {"clients": [{"attributes": {"claim": "x.y"}}], "roles": {"from": ["e.f"]}}},
            "routes": [{
                "credentials": {"any_of": [{"jwt": {"require": {"claims": [{"claim": "g.h", "exact": "i"}]}}}]},
                "access": {"rules": [{"when": [{"claim": "j.k", "exact": "l"}]}]}
            }]
        }"#;
        let json = Json::parse(document.as_bytes(), 16).unwrap();
        let notes = note_dotted(&Node::root(&json));
        let places: Vec<&str> = notes.iter().filter_map(|n| n.split(':').next()).collect();
        assert_eq!(
            places,
            [
                "/access_rules/r/when/0/claim",
                "/api_key_stores/s/claim_to_headers/0/claim_name",
                "/certificates/mesh/roles/from/0",
                "/routes/0/credentials/any_of/0/jwt/require/claims/0/claim",
                "/routes/0/access/rules/0/when/0/claim",
            ]
        );
    }

    #[test]
    fn there_are_few_notes() {
        let many = vec![r#"{"claim": "a.b"}"#; 20].join(",");
        let document = format!(r#"{{"rate_limits": [{many}]}}"#);
        let json = Json::parse(document.as_bytes(), 16).unwrap();
        let notes = note_dotted(&Node::root(&json));
        assert_eq!(notes.len(), MOST + 1);
        assert!(notes[MOST].starts_with("12 more"), "{}", notes[MOST]);
    }
}
