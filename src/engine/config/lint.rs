//! Notes on documents that are valid and do not mean what they seem to.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::problem::Quoted;
use super::reach::open_rest;
use crate::engine::{Mode, Route, Step};
use portcullis_exchange::policy::{EvadableLimit, Role, Stage};
use portcullis_exchange::route::PathIndex;
use portcullis_exchange::target::PathRules;
use portcullis_policies as policy;

/// How many pairs of routes are compared: a document may have many thousands of routes.
const MOST_PAIRS: usize = 200_000;

/// What an operator should know of routes.
pub(super) fn of_routes(routes: &[Route], paths: PathRules) -> Vec<String> {
    let mut notes = unreached(routes);
    notes.extend(note_unclaimed(routes));
    notes.extend(note_late(routes));
    notes.extend(note_evadable(routes));
    notes.extend(note_unruled(routes));
    notes.extend(open_rest(routes, paths));
    notes.extend(note_seen(routes));
    notes.extend(note_tried_security(routes));
    let mut steps = routes.iter().flat_map(|route| &route.chain.steps);
    if !steps.any(|step| authenticates(step) || step.declared.asks_for_certificate) {
        notes.push(
            "/routes: every route is open: nobody is asked who they are; add `jwt` to routes that are not for everybody".to_owned(),
        );
    }
    notes
}

/// Notes on routes that no request reaches, since one before them takes all of theirs.
fn unreached(routes: &[Route]) -> Vec<String> {
    let segments = |route: &Route| -> Vec<String> {
        let first = route.matcher.first_segments().into_iter();
        first.map(str::to_owned).collect()
    };
    let segments: Vec<Vec<String>> = routes.iter().map(segments).collect();
    let index = PathIndex::new(segments.iter().map(|each| each.iter().map(String::as_str)));
    let mut notes = Vec::new();
    let mut pairs: usize = 0;
    for (place, route) in routes.iter().enumerate() {
        let path: String = segments
            .get(place)
            .into_iter()
            .flatten()
            .flat_map(|segment| ["/", segment])
            .collect();
        // One that takes all of its requests stands on the way of their paths.
        for earlier in index
            .candidates(&path)
            .take_while(|earlier| *earlier < place)
        {
            pairs = pairs.saturating_add(1);
            if pairs > MOST_PAIRS {
                return notes;
            }
            let Some(other) = routes.get(earlier) else {
                continue;
            };
            if !other.matcher.holds_all_of(&route.matcher) {
                continue;
            }
            let same = route.matcher.holds_all_of(&other.matcher);
            let how = match same {
                true => "has the same match and comes first",
                false => "comes first and takes them all",
            };
            let cure = match (same, is_guarded(route) && !is_guarded(other)) {
                (_, true) => {
                    "it asks for no credentials, and this one would: put this one before it"
                }
                (true, false) => "remove one of them, or let them differ",
                (false, false) => "put this one before it, or remove it",
            };
            notes.push(format!(
                "/routes/{place}: no request reaches it: {} {how}; {cure}",
                Quoted(&other.name)
            ));
            break;
        }
    }
    notes
}

/// Whether callers are asked for credentials there, and refused without.
fn is_guarded(route: &Route) -> bool {
    let mut steps = route.chain.steps.iter();
    route.rollout.is_none() && steps.any(|step| authenticates(step) && step.is_always_enforced())
}

/// Whether it asks for credentials.
pub(super) fn authenticates(step: &Step) -> bool {
    let kind = policy::LIST.get(step.kind);
    kind.is_some_and(|kind| kind.role.asks_for_credentials())
}

/// A note on routes with limits that go by what a token claims, where there is to be no token.
fn note_unclaimed(routes: &[Route]) -> Option<String> {
    let counts = |route: &&Route| {
        let mut steps = route.chain.steps.iter();
        route.chain.claimants.is_none() && steps.any(|step| step.declared.counts_claimants)
    };
    let first = routes.iter().find(counts)?;
    let many = routes.iter().filter(counts).count();
    Some(format!(
        "routes that ask for no token and yet count by `claimed_subject`: {many}, the first is {}; their requests have no such key",
        Quoted(&first.name)
    ))
}

/// A note on routes with limits that go by who calls, where that is known too late for them.
fn note_late(routes: &[Route]) -> Option<String> {
    let role = |step: &Step| policy::LIST.get(step.kind).map(|kind| kind.role);
    let is_late = |route: &&Route| {
        let steps = &route.chain.steps;
        let is_named = steps
            .iter()
            .any(|step| role(step) == Some(Role::Authenticates));
        let is_named_late = steps.iter().any(|step| step.declared.names_caller_late);
        let limits = |step: &Step| step.name == "rate_limits" && step.stage == Stage::Identity;
        is_named_late && !is_named && steps.iter().any(limits)
    };
    let first = routes.iter().find(is_late)?;
    let many = routes.iter().filter(is_late).count();
    Some(format!(
        "routes with limits by subject or claims whose callers are known at the end of a body alone: {many}, the first is {}; requests with bodies have no such key, so all of them share one: count by `client_address` or `route`",
        Quoted(&first.name)
    ))
}

/// Notes on limits that clients can evade by what they send, on a route where no other bounds them.
fn note_evadable(routes: &[Route]) -> Vec<String> {
    const MOST: usize = 32;
    let mut told = BTreeSet::new();
    let is_bound = |route: &&Route| {
        let mut steps = route.chain.steps.iter();
        steps.any(|step| step.declared.bounds_clients && step.is_always_enforced())
    };
    let steps = routes.iter().filter(|route| !is_bound(route));
    let steps = steps.flat_map(|route| &route.chain.steps);
    // A limit may stand on many routes.
    let evadable = steps.flat_map(|step| &step.declared.evadable);
    let evadable = evadable.filter(|each| told.insert(Rc::clone(&each.place)));
    let notes = evadable.map(|EvadableLimit { place, how }| {
        format!(
            "{place}: {how}; have a limit by \"client_address\", \"subject\" or \"route\" beside it, unless a proxy in front says what it is"
        )
    });
    notes.take(MOST).collect()
}

/// A note on routes that any caller with a token may use in every way, where others have rules.
fn note_unruled(routes: &[Route]) -> Option<String> {
    let has_rules = |route: &Route| {
        let is_block = |step: &Step| step.name == "access" && step.stage == Stage::Access;
        route.chain.steps.iter().any(is_block)
    };
    let is_unruled = |route: &&Route| {
        let steps = &route.chain.steps;
        route.matcher.methods().is_empty()
            && steps.iter().any(|step| step.declared.admits_any_token)
            && !steps.iter().any(|step| step.name == "openapi")
            && !has_rules(route)
    };
    routes.iter().find(|route| has_rules(route))?;
    let first = routes.iter().find(is_unruled)?;
    let many = routes.iter().filter(is_unruled).count();
    Some(format!(
        "routes that any token of their issuer may use with every method, beside others with rules: {many}, the first is {}; say what callers may do in `require`, in `access`, or in `methods` of `match`",
        Quoted(&first.name)
    ))
}

/// Notes on routes that are to look as if they were not there, and that tell of themselves by 401 or 405.
fn note_seen(routes: &[Route]) -> Vec<String> {
    let conceals = |route: &&Route| {
        let mut steps = route.chain.steps.iter();
        steps.any(|step| step.declared.conceals && step.mode == Mode::Enforce)
    };
    let asks = |step: &Step| {
        let asked = step.declared.asks_for.as_ref();
        step.mode == Mode::Enforce && asked.is_some_and(|asked| !asked.is_optional)
    };
    let asks = |route: &&Route| route.chain.steps.iter().any(asks);
    let lists = |route: &&Route| !route.matcher.methods().is_empty();
    let concealed = routes.iter().filter(conceals);
    let asking: Vec<&Route> = concealed.clone().filter(asks).collect();
    let listing: Vec<&Route> = concealed.filter(lists).collect();
    let told = |found: &[&Route], what: &str| {
        let first = found.first()?;
        let (many, first) = (found.len(), Quoted(&first.name));
        Some(format!(
            "routes with `conceal` that {what}: {many}, the first is {first}; "
        ))
    };
    let asking = told(&asking, "answer 401 where credentials lack").map(|note| {
        note + "write `optional: true` into the block that asks for them, and `authenticated: true` into rules"
    });
    let listing = told(
        &listing,
        "answer 405 for methods that `match` does not list",
    )
    .map(|note| note + "list none there, and say in rules which methods are for whom");
    asking.into_iter().chain(listing).collect()
}

/// A note on routes whose API says who may call, where that is only tried.
fn note_tried_security(routes: &[Route]) -> Option<String> {
    let tries = |route: &&Route| {
        let mut steps = route.chain.steps.iter();
        steps.any(|step| step.declared.checks_security && step.mode == Mode::Shadow)
    };
    let first = routes.iter().find(tries)?;
    let many = routes.iter().filter(tries).count();
    Some(format!(
        "routes with `security` of an API in an `openapi` block in shadow mode: {many}, the first is {}; it is not enforced: whoever the route itself lets in may call every operation",
        Quoted(&first.name)
    ))
}

#[cfg(test)]
mod tests {
    use crate::engine::Engine;

    fn notes(routes: &str) -> Vec<String> {
        let document = format!(
            r#"{{ "version": 1,
            "providers": {{ "corp": {{ "issuer": "https://id.example.com/", "audiences": ["a"],
                "jwks": {{ "inline": {{ "keys": [{{ "kty": "EC", "crv": "P-256", "alg": "ES256",
                    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }}] }} }} }} }},
            {routes} }}"#
        );
        let engine = Engine::compile(document.as_bytes());
        engine
            .unwrap_or_else(|error| panic!("{error}"))
            .notes()
            .to_vec()
    }

    #[test]
    fn routes_that_no_request_reaches_are_noted() {
        let found = notes(
            r#""routes": [
                { "name": "a", "match": { "path": { "prefix": "/a" } }, "open": true },
                { "name": "b", "match": { "path": { "prefix": "/b" } }, "jwt": { "provider": "corp" } },
                { "name": "a-b", "match": { "path": { "exact": "/a/b" } }, "jwt": { "provider": "corp" } },
                { "name": "a-c", "match": { "path": { "exact": "/a/c" } }, "open": true },
                { "name": "b-too", "match": { "path": { "prefix": "/b/" } }, "jwt": { "provider": "corp" } },
                { "name": "c", "match": { "path": { "prefix": "/c" }, "methods": ["GET"] }, "open": true },
                { "name": "c-rest", "match": { "path": { "prefix": "/c" } }, "open": true }
            ]"#,
        );
        assert_eq!(
            found,
            [
                "/routes/2: no request reaches it: \"a\" comes first and takes them all; it asks for no credentials, and this one would: put this one before it",
                "/routes/3: no request reaches it: \"a\" comes first and takes them all; put this one before it, or remove it",
                "/routes/4: no request reaches it: \"b\" has the same match and comes first; remove one of them, or let them differ",
            ]
        );
    }

    #[test]
    fn routes_without_rules_beside_others_and_rules_that_say_nothing_are_noted() {
        let found = notes(
            r#""access_rules": {
                "get": { "action": "allow", "to": { "methods": ["GET"] } },
                "alice": { "action": "deny", "from": { "subjects": ["alice"] } },
                "unused": { "action": "deny" }
            },
            "routes": [
                { "name": "a", "match": { "path": { "prefix": "/a" } }, "open": true, "access": { "rules": ["get", "alice",
                    { "name": "more", "action": "allow", "to": { "methods": ["GET"], "paths": ["/a"] } }] } },
                { "name": "b", "match": { "path": { "prefix": "/b" } }, "jwt": { "provider": "corp" } },
                { "name": "c", "match": { "path": { "prefix": "/c" }, "methods": ["GET"] }, "jwt": { "provider": "corp" } }
            ]"#,
        );
        assert_eq!(
            found,
            [
                "/routes/0/access/rules/2: says nothing: \"get\" is for all of its requests, and says the same; remove it, or let them differ",
                "access rule \"unused\" is used by nothing: name it in `rules` of an `access` block, or remove it",
                "/access_rules/alice: never matches: it asks who calls, and no route with it asks for credentials",
                "routes that any token of their issuer may use with every method, beside others with rules: 1, the first is \"b\"; say what callers may do in `require`, in `access`, or in `methods` of `match`",
            ]
        );
    }

    #[test]
    fn rules_that_lie_outside_of_their_routes_are_noted() {
        let found = notes(
            r#""access_rules": {
                "delete": { "action": "deny", "to": { "methods": ["DELETE"] } },
                "internal": { "action": "deny", "to": [{ "hosts": ["*.internal.example"] }, { "hosts": ["a.example"], "methods": ["PUT"] }] },
                "trace": { "action": "deny", "everywhere": true, "to": { "not_methods": ["GET", "POST"] } }
            },
            "routes": [
                { "name": "a", "match": { "hosts": ["a.example"], "path": { "prefix": "/a" }, "methods": ["GET", "POST"] }, "jwt": { "provider": "corp" },
                    "access": { "rules": ["delete", "internal",
                        { "name": "post", "action": "allow", "to": { "hosts": ["*.example"], "methods": ["PATCH", "POST"] } }] } },
                { "name": "b", "match": { "hosts": ["*.b.example"], "methods": ["DELETE"] }, "jwt": { "provider": "corp" },
                    "access": { "rules": [
                        { "name": "b", "action": "allow", "to": { "hosts": ["b.example"] } },
                        { "name": "all", "action": "allow" }, "internal"] } }
            ]"#,
        );
        let outside = |place: &str| {
            let mut all = found.iter();
            all.any(|note| note.starts_with(place) && note.contains("by its `match`"))
        };
        assert!(outside("/access_rules/delete: never matches"), "{found:?}");
        assert!(
            outside("/access_rules/internal: never matches"),
            "{found:?}"
        );
        assert!(
            outside("/routes/1/access/rules/0: never matches"),
            "{found:?}"
        );
        let many = found.iter().filter(|note| note.contains("by its `match`"));
        assert_eq!(many.count(), 3, "{found:?}");
    }

    #[test]
    fn tiers_by_a_role_that_nobody_has_are_noted() {
        let found = notes(
            r#""api_key_stores": { "s": { "keys": [{ "id": "a", "client": "a", "attributes": { "r": ["partner"] },
                "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }],
                "roles": { "from": ["r"], "map": { "partner": "partner" } } } },
            "defaults": { "rate_limits": [{ "name": "l", "key": ["subject"], "token_bucket": { "max_tokens": 1, "fill_interval": "1s" },
                "tiers": [{ "when": { "role": ["partner", "partnr"] }, "unlimited": true }] }] },
            "routes": [{ "name": "a", "match": {}, "api_key": { "store": "s" } }]"#,
        );
        let told = found
            .iter()
            .filter(|note| note.contains("has a tier by the role"));
        let told: Vec<&String> = told.collect();
        assert!(
            matches!(told[..], [one] if one.contains("\"partnr\"") && one.contains("did you mean \"partner\"")),
            "{found:?}"
        );
    }

    #[test]
    fn security_that_is_only_tried_is_noted() {
        let of = |mode: &str| {
            notes(&format!(
                r#""apis": {{ "o": {{ "openapi": "3.1.0", "info": {{ "title": "o", "version": "1" }},
                    "components": {{ "securitySchemes": {{ "corp": {{ "type": "oauth2" }} }} }}, "security": [{{ "corp": [] }}],
                    "paths": {{ "/o": {{ "get": {{ "responses": {{ "200": {{ "description": "o" }} }} }} }} }} }} }},
                "routes": [{{ "name": "a", "match": {{ "path": {{ "prefix": "/" }} }}, "jwt": {{ "provider": "corp" }},
                    "openapi": {{ "api": "o", "max_bytes": 1, "mode": "{mode}", "security": {{ "corp": {{ "provider": "corp" }} }} }} }}]"#
            ))
        };
        let is_told =
            |notes: &[String]| notes.iter().any(|note| note.contains("it is not enforced"));
        assert!(is_told(&of("shadow")), "{:?}", of("shadow"));
        assert!(!is_told(&of("enforce")));
    }

    #[test]
    fn routes_that_are_to_be_concealed_and_tell_of_themselves_are_noted() {
        let found = notes(
            r#""access_rules": {
                "known": { "action": "allow", "from": { "authenticated": true } }
            },
            "defaults": { "access": { "rules": ["known"], "conceal": true } },
            "routes": [
                { "name": "a", "match": { "path": { "prefix": "/a" } }, "jwt": { "provider": "corp" } },
                { "name": "b", "match": { "path": { "prefix": "/b" } }, "jwt": { "provider": "corp", "optional": true } },
                { "name": "c", "match": { "path": { "prefix": "/c" }, "methods": ["GET"] }, "jwt": { "provider": "corp", "mode": "shadow" } },
                { "name": "d", "match": { "path": { "prefix": "/d" }, "methods": ["GET"] }, "jwt": { "provider": "corp" },
                    "access": { "rules": ["known"] } },
                { "name": "e", "match": { "path": { "prefix": "/e" }, "methods": ["GET"] }, "jwt": { "provider": "corp" },
                    "access": { "rules": ["known"], "conceal": true, "mode": "shadow" } }
            ]"#,
        );
        assert_eq!(
            found,
            [
                "routes with `conceal` that answer 401 where credentials lack: 1, the first is \"a\"; write `optional: true` into the block that asks for them, and `authenticated: true` into rules",
                "routes with `conceal` that answer 405 for methods that `match` does not list: 1, the first is \"c\"; list none there, and say in rules which methods are for whom",
            ]
        );
    }

    #[test]
    fn documents_whose_rules_ask_for_certificates_are_not_open() {
        let open = |from: &str| {
            let found = notes(&format!(
                r#""routes": [{{ "name": "a", "match": {{ "path": {{ "prefix": "/a" }} }}, "open": true,
                    "access": {{ "rules": [{{ "name": "peers", "action": "allow", "from": {from} }}] }} }}]"#
            ));
            found
                .iter()
                .any(|note| note.contains("every route is open"))
        };
        assert!(open(r#"{ "addresses": ["192.0.2.0/24"] }"#));
        assert!(!open(
            r#"{ "certificates": ["spiffe://prod.example/orders"] }"#
        ));
    }

    #[test]
    fn expressions_with_one_anchor_and_defaults_without_a_route_are_noted() {
        let found = notes(
            r#""defaults": { "jwt": { "provider": "corp" }, "payload": { "max_bytes": 1 }, "security_headers": { "preset": "api" } },
            "routes": [
                { "name": "a", "match": { "path": { "regex": "^/admin/" } }, "open": true, "payload": "off" }
            ]"#,
        );
        for (place, told) in [
            (
                "/routes/0/match/path/regex: ",
                "end it with `.*` if that is meant, else with `$`",
            ),
            ("/defaults/jwt: ", "no route uses it"),
            ("/defaults/payload: ", "no route uses it"),
            ("/routes: ", "every route is open"),
        ] {
            let is_told = |note: &&String| note.starts_with(place) && note.contains(told);
            assert_eq!(found.iter().filter(is_told).count(), 1, "{place} {found:?}");
        }
        assert!(
            !found.iter().any(|note| note.contains("security_headers")),
            "{found:?}"
        );
    }

    #[test]
    fn a_thousand_routes_of_one_host_each_are_compared_in_no_time() {
        let route = |number: usize| {
            format!(
                r#"{{ "name": "r{number}", "match": {{ "hosts": ["h{number}.example"] }}, "open": true }}"#
            )
        };
        let routes: Vec<String> = (0..1000).map(route).collect();
        let found = notes(&format!(r#""routes": [{}]"#, routes.join(",")));
        assert!(
            found
                .iter()
                .all(|note| !note.contains("no request reaches")),
            "{found:?}"
        );
    }
}
