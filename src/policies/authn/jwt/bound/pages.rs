//! What pages of other origins need to send proofs and to read nonces: RFC 9449 §8.

use super::authority::TokenAuthority;
use portcullis_document::{Node, Quoted};
use portcullis_wire::json::Json;

/// What an operator should know of an authority whose proofs need nonces: of the first route on which `cors` lets
/// pages in that cannot read them.
pub(super) fn note_unexposed(authority: &TokenAuthority, document: &Node<'_>) -> Option<String> {
    let defaults = document.json().step("defaults");
    let Some(Json::Array(routes)) = document.json().step("routes") else {
        return None;
    };
    let is_blind = |route: &&Json| {
        let cors = route.step("cors").or_else(|| defaults?.step("cors"));
        let cors = cors.filter(|cors| cors.as_object().is_some());
        let exposes = |cors: &Json| match cors.step("expose_headers") {
            Some(Json::Array(names)) => names.iter().any(|name| {
                let name = name.as_str().unwrap_or_default();
                name.eq_ignore_ascii_case("dpop-nonce")
            }),
            _ => false,
        };
        authority.is_asked_by(route, defaults) && cors.is_some_and(|cors| !exposes(cors))
    };
    let route = routes.iter().find(is_blind)?;
    let name = route.step("name").and_then(Json::as_str)?;
    Some(format!(
        "{authority}: pages of other origins cannot read its nonces on route {}; add \"dpop-nonce\" to `expose_headers` of its `cors`, and \"dpop\" to `allow_headers`",
        Quoted(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_whose_pages_cannot_read_nonces_are_named() {
        let note = |defaults: &str, route: &str| {
            let text = format!(r#"{{"defaults":{{{defaults}}},"routes":[{{"name":"r"{route}}}]}}"#);
            let json = Json::parse(text.as_bytes(), 8).unwrap();
            note_unexposed(&TokenAuthority::Provider("corp".into()), &Node::root(&json)).is_some()
        };
        let jwt = r#""jwt":{"provider":"corp"}"#;
        let cors = r#""cors":{"allow_origins":["https://a.example"]}"#;
        let exposing = r#""cors":{"expose_headers":["etag","DPoP-Nonce"]}"#;
        assert!(note(jwt, &format!(",{cors}")));
        assert!(note(&format!("{jwt},{cors}"), ""));
        let beside =
            r#","credentials":{"any_of":[{"api_key":{"store":"a"}},{"jwt":{"provider":"corp"}}]}"#;
        assert!(note(cors, beside));
        assert!(!note(cors, &beside.replace("corp", "other")));
        assert!(note(cors, &format!(",{jwt}")));
        assert!(!note(jwt, &format!(",{exposing}")));
        assert!(!note(&format!("{jwt},{cors}"), &format!(",{exposing}")));
        assert!(!note(jwt, ""));
        assert!(!note(&format!("{jwt},{cors}"), r#","cors":"off""#));
        assert!(!note(cors, r#","jwt":{"provider":"other"}"#));
        assert!(!note(cors, r#","open":true"#));
    }
}
