//! What the routes of a document reach together.

use super::document::first_segments;
use super::problem::Quoted;
use crate::engine::{Route, Step};
use portcullis_exchange::route::{PathIndex, RequestMatcher};
use portcullis_exchange::target::{LetterCase, PathRules, fold_case};

/// Where to look for the routes of folded paths, if there are any.
pub(super) fn any_case_paths(routes: &[Route], rules: PathRules) -> PathIndex {
    if rules.letter_case == LetterCase::Significant {
        return PathIndex::default();
    }
    let segments =
        |route: &Route| -> Vec<String> { first_segments(route).map(fold_case).collect() };
    let folded: Vec<Vec<String>> = routes.iter().map(segments).collect();
    PathIndex::new(folded.iter().map(|each| each.iter().map(String::as_str)))
}

/// Notes an open route for all that guarded ones leave: a path or host that a service takes for a guarded one
/// and the filter does not, comes to it.
pub(super) fn open_rest(routes: &[Route], rules: PathRules) -> Option<String> {
    // What is answered here reaches no service.
    let ends = |step: &Step| step.declared.ends_chain && step.is_always_enforced();
    let rest = |route: &Route| {
        route.is_open && route.matcher.is_for_all_paths() && !route.chain.steps.iter().any(ends)
    };
    let at = routes.iter().position(rest)?;
    let route = routes.get(at)?;
    let names = |guarded: &RequestMatcher| {
        guarded.names_paths() || (guarded.names_hosts() && !route.matcher.names_hosts())
    };
    // A service of other hosts knows nothing of these paths.
    let shares =
        |guarded: &RequestMatcher| !guarded.names_paths() || guarded.meets_hosts_of(&route.matcher);
    let guarded =
        |route: &&Route| !route.is_open && names(&route.matcher) && shares(&route.matcher);
    let guarded = routes.iter().take(at).find(guarded)?;
    let (what, cure) = match (guarded.matcher.names_paths(), rules.letter_case) {
        (false, _) => ("host", "; name its hosts"),
        (true, LetterCase::SameRoute) => ("path", "; name its paths"),
        (true, LetterCase::Significant) => (
            "path",
            "; name its paths, or, if the service takes `/Admin` for `/admin`, say `paths: {\"letter_case\": \"same_route\"}`",
        ),
    };
    Some(format!(
        "/routes/{at}: the route {} is open to every {what} that no route before it is for, so what the service takes for a {what} of {} and this filter does not comes here{cure}",
        Quoted(&route.name),
        Quoted(&guarded.name),
    ))
}

#[cfg(test)]
mod tests {
    use crate::engine::Engine;

    /// The notes on a document with these routes, behind a guarded `/admin`.
    fn notes(more: &str, rest: &str) -> Vec<String> {
        notes_behind(r#"{"path": {"prefix": "/admin"}}"#, more, rest)
    }

    /// The same behind another guarded route.
    fn notes_behind(guarded: &str, more: &str, rest: &str) -> Vec<String> {
        let document = format!(
            r#"{{
                "version": 1, {more}
                "providers": {{"corp": {{
                    "issuer": "https://id.example.com/", "audiences": ["api"], "jwks": {{"inline": {{"keys": [{{
                        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1",
                        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
                    }}]}}}}
                }}}},
                "routes": [
                    {{"name": "admin", "match": {guarded}, "jwt": {{"provider": "corp"}}}},
                    {rest}
                ]
            }}"#
        );
        let engine = Engine::compile(document.as_bytes()).unwrap();
        let notes = engine.notes().iter();
        notes
            .filter(|note| note.contains("is open to every"))
            .cloned()
            .collect()
    }

    #[test]
    fn an_open_rest_behind_a_guarded_route_is_noted() {
        for rest in [
            r#"{"name": "rest", "match": {}, "open": true}"#,
            r#"{"name": "rest", "match": {"path": {"prefix": "/"}}, "open": true}"#,
            r#"{"name": "rest", "match": {"path": {"template": "/{rest=**}"}}, "open": true}"#,
            r#"{"name": "rest", "match": {"hosts": ["a.example"]}, "open": true}"#,
        ] {
            let [note] = &notes("", rest)[..] else {
                panic!("{rest}: {:?}", notes("", rest));
            };
            assert!(
                note.starts_with("/routes/1: the route \"rest\" is open"),
                "{note}"
            );
            assert!(note.contains("letter_case"), "{note}");
            let told = notes(r#""paths": {"letter_case": "same_route"},"#, rest);
            assert!(
                !told.iter().any(|note| note.contains("letter_case")),
                "{told:?}"
            );
        }
        let hosts = r#"{"hosts": ["a.example"]}"#;
        let open = r#"{"name": "rest", "match": {}, "open": true}"#;
        let [note] = &notes_behind(hosts, "", open)[..] else {
            panic!("{:?}", notes_behind(hosts, "", open));
        };
        assert!(note.ends_with("; name its hosts"), "{note}");
        let named = r#"{"name": "rest", "match": {"hosts": ["b.example"]}, "open": true}"#;
        assert_eq!(notes_behind(hosts, "", named), [""; 0]);
        for rest in [
            r#"{"name": "rest", "match": {"path": {"prefix": "/open"}}, "open": true}"#,
            r#"{"name": "rest", "match": {"methods": ["OPTIONS"]}, "open": true}"#,
            r#"{"name": "rest", "match": {}, "jwt": {"provider": "corp"}}"#,
        ] {
            assert_eq!(notes("", rest), [""; 0], "{rest}");
        }
    }
}
