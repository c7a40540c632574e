//! What is said of versions that are valid and may not be meant.

use crate::engine::Engine;

/// The notes of a document with these versions and what stands on its one route.
fn notes(versions: &str, route: &str) -> Vec<String> {
    let document = format!(
        r#"{{"version":1,"versions":{{"in":[{{"header":"api-version"}}],{versions}}},
            "routes":[{{"name":"a","open":true,{route}}}]}}"#
    );
    let engine = Engine::compile(document.as_bytes());
    let engine = engine.unwrap_or_else(|error| panic!("{document}: {error}"));
    let notes = engine.notes().iter();
    let ours = notes.filter(|note| !note.contains("every route is open"));
    ours.cloned().collect()
}

const ALL: &str = r#""match":{}"#;

#[test]
fn a_default_that_ends_is_noted() {
    let found = notes(
        r#""default":"v1","known":{"v1":{"deprecated":"2029-01-01","sunset":"2030-01-01"},"v2":{}}"#,
        ALL,
    );
    assert!(
        matches!(&found[..], [note] if note.starts_with("/versions/default: \"v1\" is no more from 2030-01-01T00:00:00Z on")),
        "{found:?}"
    );
    let stays = r#""default":"v1","known":{"v1":{"deprecated":"2029-01-01"},"v2":{}}"#;
    assert_eq!(notes(stays, ALL), [""; 0]);
}

#[test]
fn addresses_without_tls_are_noted() {
    let found = notes(
        r#""known":{"v1":{"guide":"http://docs.example.com/","sunset_policy":"https://a.example/","successor_link":"/v2"}}"#,
        ALL,
    );
    assert!(
        matches!(&found[..], [note] if note.starts_with("/versions/known/v1/guide: ") && note.contains("https://")),
        "{found:?}"
    );
}

#[test]
fn what_goes_by_versions_on_a_route_without_is_noted() {
    let known = r#""known":{"v1":{},"v2":{}}"#;
    let off = r#""match":{"version":["v1"]},"versions":"off""#;
    let found = notes(known, off);
    assert!(
        matches!(&found[..], [note] if note.starts_with("/routes/0/match/version: ")),
        "{found:?}"
    );
    let places = |more: &str| {
        let route = format!(r#""match":{{}},"concurrency":{{"key":["version"],"max":1}}{more}"#);
        notes(known, &route)
    };
    let found = places(r#","versions":"off""#);
    assert!(
        matches!(&found[..], [note] if note.starts_with("/routes/0: `concurrency` counts by version")),
        "{found:?}"
    );
    assert_eq!(places(""), [""; 0]);
    let by_header = r#""match":{},"concurrency":{"key":[{"header":"x-tenant"}],"max":1}"#;
    let found = notes(known, by_header);
    assert!(
        matches!(&found[..], [note] if note.starts_with("/routes/0/concurrency/key: clients choose")),
        "{found:?}"
    );
}

#[test]
fn versions_of_which_no_request_passes_are_noted() {
    let found = notes(
        r#""known":{"v1":{"removed":true},"v2":{}}"#,
        r#""match":{"version":["v1"]}"#,
    );
    assert!(
        matches!(&found[..], [note] if note.starts_with("/routes/0/match: every request is refused")),
        "{found:?}"
    );
    let found = notes(r#""known":{"v1":{"successor":"v2"},"v2":{}}"#, ALL);
    assert!(
        matches!(&found[..], [note] if note.starts_with("/versions/known/v1/successor: nobody is told")),
        "{found:?}"
    );
}

#[test]
fn rules_for_versions_that_their_routes_do_not_take_are_noted() {
    let told = |rule: &str| {
        let route = format!(
            r#""match":{{"version":["v2"]}},"access":{{"default":"allow","rules":[{{"name":"r","action":"deny",{rule}}}]}}"#
        );
        notes(r#""known":{"v1":{},"v2":{}}"#, &route)
    };
    for never in [
        r#""to":{"versions":["v1"]}"#,
        r#""when":[{"version":"name","exact":"v1"}]"#,
    ] {
        let found = told(never);
        assert!(
            matches!(&found[..], [note] if note.starts_with("/routes/0/access/rules/0: never matches")),
            "{never}: {found:?}"
        );
    }
    for may in [
        r#""to":{"versions":["v1","v2"]}"#,
        r#""to":{"not_versions":["v1"]}"#,
        r#""when":[{"version":"name","in":["v1","v2"]}]"#,
        r#""when":[{"not":{"version":"name","exact":"v1"}}]"#,
        r#""when":[{"version":"state","exact":"deprecated"}]"#,
    ] {
        assert_eq!(told(may), [""; 0], "{may}");
    }
}
