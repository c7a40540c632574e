//! Which host the proofs of an authority are compared with, where the document does not say how clients see the
//! service: the one that a request names. A route without `hosts` is for any, and whoever sends a request chooses.

use super::authority::TokenAuthority;
use portcullis_document::{Node, Quoted};
use portcullis_wire::json::Json;

/// The first route that asks for its tokens whatever host a request names.
fn open_route<'d>(authority: &TokenAuthority, document: &Node<'d>) -> Option<&'d str> {
    let defaults = document.json().step("defaults");
    let Some(Json::Array(routes)) = document.json().step("routes") else {
        return None;
    };
    let is_open = |route: &&Json| {
        let hosts = route.step("match").and_then(|block| block.step("hosts"));
        hosts.is_none() && authority.is_asked_by(route, defaults)
    };
    routes.iter().find(is_open)?.step("name")?.as_str()
}

/// What is wrong with an authority whose proofs are to be of this service, and of which nothing says its hosts.
pub(super) fn deny_open(authority: &TokenAuthority, document: &Node<'_>) -> Option<String> {
    let route = Quoted(open_route(authority, document)?);
    Some(format!(
        "needs `origins`: route {route} has no `hosts`, so that a client names the host with which proofs are compared, and one made for another service does here; write how clients write this one, such as [\"https://api.example.com\"], or \"any\" if any host is meant"
    ))
}

/// The same, of one that takes proofs and does not demand them.
pub(super) fn note_open(authority: &TokenAuthority, document: &Node<'_>) -> Option<String> {
    let route = Quoted(open_route(authority, document)?);
    Some(format!(
        "{authority}: `dpop` in `bound` has no `origins`, and route {route} no `hosts`: a client names the host with which proofs are compared, and one made for another service does here; write `origins`, or `hosts` in each route"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_for_any_host_are_found() {
        let open = |defaults: &str, routes: &str| {
            let text = format!(r#"{{"defaults":{{{defaults}}},"routes":[{routes}]}}"#);
            let json = Json::parse(text.as_bytes(), 12).unwrap();
            let corp = TokenAuthority::Provider("corp".into());
            open_route(&corp, &Node::root(&json)).map(str::to_owned)
        };
        let jwt = r#""jwt":{"provider":"corp"}"#;
        let hosts = r#""match":{"hosts":["api.example.com"]}"#;
        let found = Some("r".to_owned());
        assert_eq!(open("", &format!(r#"{{"name":"r",{jwt}}}"#)), found);
        assert_eq!(open(jwt, r#"{"name":"r","match":{}}"#), found);
        assert_eq!(open("", &format!(r#"{{"name":"r",{jwt},{hosts}}}"#)), None);
        assert_eq!(open(jwt, &format!(r#"{{"name":"r",{hosts}}}"#)), None);
        assert_eq!(open(jwt, r#"{"name":"r","jwt":"off","open":true}"#), None);
        assert_eq!(open("", r#"{"name":"r","jwt":{"provider":"other"}}"#), None);
        let all = format!(
            r#"{{"name":"a",{jwt},{hosts}}},{{"name":"r","jwt":{{"any_of":[{{"provider":"corp"}}]}}}}"#
        );
        assert_eq!(open("", &all), found);
        let beside = r#"{"name":"r","credentials":{"all_of":[{"jwt":{"provider":"corp"}}]}}"#;
        assert_eq!(open("", beside), found);
    }
}
