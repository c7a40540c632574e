//! Routes for any version beside one that is for some versions and asks for more.

use super::document::first_segments;
use super::problem::Quoted;
use super::uneven::{OTHERWISE, Versioned, enforced};
use crate::engine::{Mode, Route, Step};
use portcullis_exchange::route::{HeldRequests, PathIndex};
use portcullis_exchange::section::Section;
use portcullis_exchange::versions::VersionScheme;
use portcullis_policies::versions::Versions;

/// How many pairs of routes are compared: a document may have many thousands of routes.
const MOST_PAIRS: usize = 200_000;

/// Notes on routes to which requests come that a route of another version would hold to more. `groups` are routes for
/// the same requests but for their version, and `segment` the one of the path that may name it.
pub(super) fn notes<'r>(
    routes: &'r [Route],
    groups: impl Iterator<Item = &'r Versioned<'r>> + Clone,
    segment: Option<usize>,
    versions: Option<&Versions>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if groups.clone().next().is_none() {
        return notes;
    }
    let index = PathIndex::new(routes.iter().map(first_segments));
    let mut pairs: usize = 0;
    for group in groups {
        for (place, route, of) in group {
            let path: String = first_segments(route)
                .flat_map(|segment| ["/", segment])
                .collect();
            let by_match = route.matcher.version_scheme().map(|scheme| &**scheme);
            let scheme = by_match.or_else(|| Some(&*versions?.0));
            let search = Search {
                group,
                place: *place,
                route,
                segment: segment.filter(|_| by_match.is_none()),
                scheme,
            };
            for other in index.candidates(&path) {
                pairs = pairs.saturating_add(1);
                if pairs > MOST_PAIRS {
                    return notes;
                }
                let Some(around) = routes.get(other) else {
                    continue;
                };
                match search.look(other, around) {
                    Found::Weaker { asked, lacking } => {
                        notes.push(format!(
                            "/routes/{other}: the route {} lacks {lacking}, which {} has for version {}: a client that asks for {asked} comes here on the same paths, and is not held to it; add it, or let {} be for every version",
                            Quoted(&around.name),
                            Quoted(&route.name),
                            of.join(", "),
                            Quoted(&route.name),
                        ));
                        break;
                    }
                    Found::Stronger(lacking) => {
                        notes.push(format!(
                            "/routes/{place}: the route {} lacks {lacking}, which {} has on the same paths for other versions: a client that asks for version {} is not held to it; add it",
                            Quoted(&route.name),
                            Quoted(&around.name),
                            of.join(", "),
                        ));
                        break;
                    }
                    Found::TakesAll => break,
                    Found::Nothing => {}
                }
            }
        }
    }
    notes
}

/// A route of some versions, around which others are looked for.
struct Search<'s> {
    group: &'s Versioned<'s>,
    place: usize,
    route: &'s Route,
    /// The segment of its path that names the version, if that does.
    segment: Option<usize>,
    scheme: Option<&'s VersionScheme>,
}

/// What another route is to the requests of a route, were they for another version.
enum Found {
    /// It takes them, or some, and asks for less.
    Weaker { asked: String, lacking: String },
    /// It takes them all and no others, and asks for more.
    Stronger(String),
    /// It takes them all, and asks for as much.
    TakesAll,
    /// It takes none, or not all.
    Nothing,
}

impl Search<'_> {
    fn look(&self, place: usize, other: &Route) -> Found {
        let mut group = self.group.iter();
        let is_compared = group.any(|(of_group, ..)| *of_group == place);
        // Such a route takes those of this version too: that is told where it is looked for.
        let hides = place < self.place && other.matcher.holds_all_of(&self.route.matcher);
        let is_open = |segment| other.matcher.leaves_open(segment);
        if is_compared || hides || !self.segment.is_none_or(is_open) {
            return Found::Nothing;
        }
        let held = other.matcher.holds_whatever_version(&self.route.matcher);
        let asked = match held {
            HeldRequests::Nothing => None,
            HeldRequests::All | HeldRequests::SomeMethods => self.asked(other),
        };
        let Some(asked) = asked else {
            return Found::Nothing;
        };
        let takes_all = held == HeldRequests::All && other.matcher.versions().next().is_none();
        let ends = |step: &Step| step.declared.ends_chain && step.is_always_enforced();
        if other.chain.steps.iter().any(ends) {
            return match takes_all {
                true => Found::TakesAll,
                false => Found::Nothing,
            };
        }
        let is_there = |name: &str| enforced(other).any(|own| own == name);
        let mut lacking: Vec<String> = Vec::new();
        for name in enforced(self.route).filter(|name| !OTHERWISE.contains(name)) {
            let quoted = format!("`{name}`");
            if !is_there(name) && !lacking.contains(&quoted) {
                lacking.push(quoted);
            }
        }
        if lacking.is_empty()
            && takes_all
            && let Some(less) = self.asks_for_less(other)
        {
            return less;
        }
        match lacking.as_slice() {
            [] if takes_all => Found::TakesAll,
            [] => Found::Nothing,
            _ => Found::Weaker {
                asked,
                lacking: lacking.join(", "),
            },
        }
    }

    /// What another has that takes all of these requests, and no others but for their version.
    fn asks_for_less(&self, other: &Route) -> Option<Found> {
        if self.segment.is_some()
            || self.route.matcher.holds_whatever_version(&other.matcher) != HeldRequests::All
        {
            return None;
        }
        let mut lacking: Vec<String> = Vec::new();
        for name in enforced(other).filter(|name| !OTHERWISE.contains(name)) {
            let quoted = format!("`{name}`");
            if !enforced(self.route).any(|own| own == name) && !lacking.contains(&quoted) {
                lacking.push(quoted);
            }
        }
        (!lacking.is_empty()).then(|| Found::Stronger(lacking.join(", ")))
    }

    /// A version that requests may name and with which they come to a route, and to none of the group.
    fn asked(&self, other: &Route) -> Option<String> {
        let is_in_group = |name: &str| {
            let mut group = self.group.iter();
            group.any(|(_, _, of)| of.contains(&name))
        };
        let mut steps = other.chain.steps.iter();
        let is_judged = steps.any(|step| step.name == Versions::NAME && step.mode == Mode::Enforce);
        let mut own = other.matcher.versions().peekable();
        if own.peek().is_some() {
            let mut own = own.filter(|name| !is_in_group(name));
            return own.next().map(str::to_owned);
        }
        if !is_judged {
            return Some("another version, or for none,".to_owned());
        }
        let known = self.scheme?.known.iter();
        let mut known = known.filter(|version| !version.lifecycle.is_removed);
        let found = known.find(|version| !is_in_group(&version.name));
        found.map(|version| (*version.name).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::Engine;

    const DENY: &str = r#""deny_patterns": {"mode": "enforce", "classes": ["files"]}"#;

    fn notes(places: &str, known: &str, routes: &str) -> Vec<String> {
        let document = format!(
            r#"{{"version": 1, "versions": {{"in": {places}, "default": "v2", "known": {known}}}, "routes": [{routes}]}}"#
        );
        let engine = Engine::compile(document.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let notes = engine.notes().iter();
        notes
            .filter(|note| note.contains(" lacks `"))
            .cloned()
            .collect()
    }

    const HEADER: &str = r#"[{"header": "api-version"}]"#;
    const SEGMENT: &str = r#"[{"path_segment": 1}]"#;
    const BOTH: &str = r#"{"v1": {}, "v2": {}}"#;

    fn route(name: &str, matched: &str, more: &str) -> String {
        format!(r#"{{"name": "{name}", "match": {{{matched}}}, "open": true{more}}}"#)
    }

    #[test]
    fn a_route_for_any_version_that_asks_for_less_is_noted() {
        let more = format!(", {DENY}");
        let strong = route(
            "strong",
            r#""version": ["v2"], "path": {"prefix": "/orders"}"#,
            &more,
        );
        for rest in [
            r#""path": {"prefix": "/"}"#,
            r#""path": {"prefix": "/orders"}"#,
            r#""path": {"prefix": "/orders"}, "methods": ["GET"]"#,
            r#""path": {"prefix": "/"}, "version": ["v1"]"#,
            "",
        ] {
            let weak = route("weak", rest, "");
            let found = notes(HEADER, BOTH, &format!("{strong}, {weak}"));
            let [note] = &found[..] else {
                panic!("{rest}: {found:?}");
            };
            let wanted = "/routes/1: the route \"weak\" lacks `deny_patterns`, which \"strong\" has for version v2: a client that asks for v1 comes here";
            assert!(note.starts_with(wanted), "{note}");
        }
        let by_path = route("strong", r#""path": {"prefix": "/v2/orders"}"#, &more);
        let weak = route("weak", r#""path": {"prefix": "/"}"#, "");
        let found = notes(SEGMENT, BOTH, &format!("{by_path}, {weak}"));
        assert_eq!(found.len(), 1, "{found:?}");
        let off = route("weak", "", r#", "versions": "off""#);
        let both = route("strong", r#""version": ["v1", "v2"]"#, &more);
        let found = notes(HEADER, BOTH, &format!("{both}, {off}"));
        assert!(
            matches!(&found[..], [note] if note.contains("another version, or for none,")),
            "{found:?}"
        );
    }

    #[test]
    fn a_route_of_one_version_that_asks_for_less_is_noted() {
        let more = format!(", {DENY}");
        let weak = route(
            "weak",
            r#""version": ["v1"], "path": {"prefix": "/orders"}"#,
            "",
        );
        let strong = route("strong", r#""path": {"prefix": "/orders"}"#, &more);
        let found = notes(HEADER, BOTH, &format!("{weak}, {strong}"));
        let [note] = &found[..] else {
            panic!("{found:?}");
        };
        let wanted = "/routes/0: the route \"weak\" lacks `deny_patterns`, which \"strong\" has on the same paths for other versions: a client that asks for version v1 is";
        assert!(note.starts_with(wanted), "{note}");
        let wider = route("strong", r#""path": {"prefix": "/"}"#, &more);
        let found = notes(HEADER, BOTH, &format!("{weak}, {wider}"));
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_route_that_takes_no_other_version_there_is_not() {
        let more = format!(", {DENY}");
        let strong = route(
            "strong",
            r#""version": ["v2"], "path": {"prefix": "/orders"}"#,
            &more,
        );
        let same = route(
            "same",
            r#""version": ["v1"], "path": {"prefix": "/orders"}"#,
            &more,
        );
        let rest = |more: &str| route("rest", "", more);
        let elsewhere = route("elsewhere", r#""path": {"prefix": "/other"}"#, "");
        let posts = route("strong", r#""version": ["v2"], "methods": ["POST"]"#, &more);
        let gets = route("gets", r#""methods": ["GET"]"#, "");
        for (known, routes) in [
            (BOTH, format!("{strong}, {same}, {}", rest(""))),
            (BOTH, format!("{strong}, {}", rest(&more))),
            (BOTH, format!("{strong}, {elsewhere}")),
            (BOTH, format!("{posts}, {gets}")),
            (
                BOTH,
                format!("{strong}, {}", rest(r#", "respond": {"status": 404}"#)),
            ),
            (
                r#"{"v1": {"removed": true}, "v2": {}}"#,
                format!("{strong}, {}", rest("")),
            ),
            (r#"{"v2": {}}"#, format!("{strong}, {}", rest(""))),
        ] {
            assert_eq!(notes(HEADER, known, &routes), [""; 0], "{routes}");
        }
        let of_path = route("strong", r#""path": {"prefix": "/v2/orders"}"#, &more);
        let of_v2 = route("all-of-v2", r#""path": {"prefix": "/v2"}"#, "");
        assert_eq!(
            notes(SEGMENT, BOTH, &format!("{of_path}, {of_v2}")),
            [""; 0]
        );
    }

    #[test]
    fn hundreds_of_versioned_routes_are_compared_in_no_time() {
        let more = format!(", {DENY}");
        let one = |at: usize| {
            let matched = format!(r#""hosts": ["h{at}.example"], "version": ["v2"]"#);
            route(&format!("r{at}"), &matched, &more)
        };
        let routes: Vec<String> = (0..500).map(one).collect();
        assert_eq!(notes(HEADER, BOTH, &routes.join(",")), [""; 0]);
    }
}
