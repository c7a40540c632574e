//! Routes of one version that lack a policy which the same path has in another.

use std::collections::BTreeMap;

use super::catch_all;
use super::problem::Quoted;
use crate::engine::Route;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::versions::VersionPlace;
use portcullis_policies::versions::Versions;

/// The most notes.
const MOST: usize = 32;

/// What a version may have for itself: these ask nothing of a request that another version would be spared.
pub(super) const OTHERWISE: [&str; 7] = [
    "cors",
    "error_pages",
    "maintenance",
    "request_headers",
    "respond",
    "response_headers",
    "versions",
];

/// The same path in several versions.
pub(super) type Versioned<'r> = Vec<(usize, &'r Route, Vec<&'r str>)>;

/// Notes on such routes.
pub(super) fn notes(routes: &[Route], versions: Option<&Versions>) -> Vec<String> {
    let segment = versions.and_then(|versions| {
        let mut places = versions.0.places.iter();
        places.find_map(|place| match place {
            VersionPlace::PathSegment(segment) => Some(*segment),
            _ => None,
        })
    });
    let mut alike: BTreeMap<String, Versioned<'_>> = BTreeMap::new();
    for (place, route) in routes.iter().enumerate() {
        let (shape, literal) = route.matcher.apart_from_version(segment);
        let known = |name: &&str| versions.is_some_and(|all| all.0.position(name).is_some());
        let (of, shape) = match literal.filter(known) {
            Some(name) => (vec![name], shape),
            None => {
                let (shape, _) = route.matcher.apart_from_version(None);
                (route.matcher.versions().collect(), shape)
            }
        };
        if !of.is_empty() {
            alike.entry(shape).or_default().push((place, route, of));
        }
    }
    let several = alike.values().filter(|group| group.len() > 1);
    let own = several.flat_map(of_group);
    let around = catch_all::notes(routes, alike.values(), segment, versions);
    own.chain(around).take(MOST).collect()
}

/// Notes on routes for the same requests, whatever their version.
fn of_group<'r>(group: &'r Versioned<'r>) -> impl Iterator<Item = String> + 'r {
    group.iter().flat_map(move |(place, route, of)| {
        let mut lacking: Vec<(&'static str, &Route)> = Vec::new();
        let others = group.iter().filter(|(_, _, other)| other != of);
        for (_, other, _) in others {
            for name in enforced(other).filter(|name| !OTHERWISE.contains(name)) {
                let is_known = lacking.iter().any(|(each, _)| *each == name);
                if !is_known && !enforced(route).any(|own| own == name) {
                    lacking.push((name, other));
                }
            }
        }
        lacking.into_iter().map(move |(name, other)| {
            format!(
                "/routes/{place}: the route {} of version {} lacks `{name}`, which {} has on the same path: a client that asks for the other version is not held to it; add it to both",
                Quoted(&route.name),
                of.join(", "),
                Quoted(&other.name),
            )
        })
    })
}

/// The names of the policies in force there.
pub(super) fn enforced(route: &Route) -> impl Iterator<Item = &'static str> + '_ {
    let steps = route.chain.steps.iter();
    let steps = steps.filter(|step| step.mode == Mode::Enforce);
    steps.map(|step| step.name)
}

#[cfg(test)]
mod tests {
    use crate::engine::Engine;

    fn notes(places: &str, routes: &str) -> Vec<String> {
        let document = format!(
            r#"{{"version": 1, "versions": {{"in": {places}, "default": "v2", "known": {{"v1": {{}}, "v2": {{}}}}}}, "routes": {routes}}}"#
        );
        let engine = Engine::compile(document.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let notes = engine.notes().iter();
        notes
            .filter(|note| note.contains(" lacks `"))
            .cloned()
            .collect()
    }

    const DENY: &str = r#""deny_patterns": {"mode": "enforce", "classes": ["files"]}"#;

    #[test]
    fn a_version_that_lacks_a_policy_is_noted() {
        let by_path = format!(
            r#"[{{"name": "a1", "match": {{"path": {{"prefix": "/v1/a"}}}}, "open": true}},
                {{"name": "a2", "match": {{"path": {{"prefix": "/v2/a"}}}}, "open": true, {DENY}}},
                {{"name": "b1", "match": {{"path": {{"prefix": "/v1/b"}}}}, "open": true}}]"#
        );
        let found = notes(r#"[{"path_segment": 1}]"#, &by_path);
        let [note] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(
            note.starts_with(
                "/routes/0: the route \"a1\" of version v1 lacks `deny_patterns`, which \"a2\""
            ),
            "{note}"
        );
        let by_header = format!(
            r#"[{{"name": "a1", "match": {{"version": ["v1"], "path": {{"prefix": "/a"}}}}, "open": true, {DENY}}},
                {{"name": "a2", "match": {{"version": ["v2"], "path": {{"prefix": "/a"}}}}, "open": true}}]"#
        );
        let found = notes(r#"[{"header": "api-version"}]"#, &by_header);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("of version v2 lacks"), "{found:?}");
    }

    #[test]
    fn versions_with_the_same_policies_are_not() {
        let same = format!(
            r#"[{{"name": "a1", "match": {{"path": {{"prefix": "/v1/a"}}}}, "open": true, {DENY}}},
                {{"name": "a2", "match": {{"path": {{"prefix": "/v2/a"}}}}, "open": true, {DENY}}}]"#
        );
        assert_eq!(notes(r#"[{"path_segment": 1}]"#, &same), [""; 0]);
    }
}
