//! A chain of filters, and what is in effect of it where routes say otherwise.

use super::super::headers::{Before, header};
use super::super::jwt::{Need, Providers};
use super::super::paths::PathSet;
use super::super::reading::{Report, boolean, entries, items, member, path, rest, text, texts};
use super::areas::Match;
use portcullis_cases::tree::{Content, Tree};

/// Filters in their order, and who issues tokens.
pub(super) struct Chain<'t> {
    pub(super) filters: Vec<Filter<'t>>,
    pub(super) providers: Providers,
    /// Whether a filter of which one is read is there twice: then all is refused.
    pub(super) is_twice: bool,
}

pub(super) struct Filter<'t> {
    name: &'t str,
    /// The last part of its type: `JwtAuthentication`.
    kind: &'static str,
    config: &'t Tree,
    is_disabled: bool,
}

/// What is read here.
const TAKEN: [&str; 8] = [
    "JwtAuthentication",
    "RBAC",
    "Cors",
    "CsrfPolicy",
    "LocalRateLimit",
    "HeaderMutation",
    "Buffer",
    "ApiKeyAuth",
];

/// Filters that judge nobody, and stay where they are.
const STAY: [&str; 12] = [
    "Router",
    "HealthCheck",
    "Compressor",
    "Decompressor",
    "GrpcWeb",
    "GrpcStats",
    "DynamicForwardProxy",
    "HTTPFault",
    "Tap",
    "Geoip",
    "CacheConfig",
    "AlternateProtocolsCache",
];

/// What is read of `JwtAuthentication`.
const JWT: [&str; 7] = [
    "providers",
    "rules",
    "requirement_map",
    "bypass_cors_preflight",
    "strip_failure_response",
    "stat_prefix",
    "filter_state_rules",
];

/// What is in effect somewhere: the filters, and what routes, hosts and the whole configuration say of them, from the most
/// specific.
#[derive(Clone)]
pub(super) struct Effective<'t> {
    filters: Vec<EffectiveFilter<'t>>,
}

#[derive(Clone)]
struct EffectiveFilter<'t> {
    kind: &'static str,
    config: &'t Tree,
    /// From the most specific.
    own: Vec<&'t Tree>,
}

impl<'t> Chain<'t> {
    pub(super) fn read(manager: &'t Tree, report: &mut Report) -> Self {
        let list = match &manager.content {
            Content::List(items) => items.iter().collect(),
            _ => items(manager, "http_filters"),
        };
        let mut chain = Self {
            filters: Vec::new(),
            providers: Providers::default(),
            is_twice: false,
        };
        for each in list {
            let name = text(each, "name").unwrap_or_default();
            let Some(config) = member(each, "typed_config") else {
                report.lost(
                    &each.at,
                    format!("the filter {name:?} says not here what it does: keep it in the chain"),
                );
                continue;
            };
            let kind = text(config, "@type").unwrap_or_default();
            let kind = kind.rsplit('.').next().unwrap_or_default();
            let Some(kind) = TAKEN.iter().find(|taken| **taken == kind) else {
                match STAY.contains(&kind) {
                    true => report.note(
                        &each.at,
                        format!("the filter {name:?} stays in the chain, where it is"),
                    ),
                    false => report.lost(
                        &each.at,
                        format!(
                            "the filter {name:?} has no counterpart here: keep it in the chain"
                        ),
                    ),
                }
                continue;
            };
            if *kind == "JwtAuthentication" {
                rest(config, &JWT, "jwt_authn", report);
                chain.providers.extend(Providers::read(config, report));
            }
            chain.filters.push(Filter {
                name,
                kind,
                config,
                is_disabled: boolean(each, "disabled"),
            });
        }
        // Of these a route has one block each; what two of them ask would have to be both.
        for kind in [
            "JwtAuthentication",
            "Cors",
            "CsrfPolicy",
            "Buffer",
            "ApiKeyAuth",
        ] {
            let mut all = chain.filters.iter().filter(|filter| filter.kind == kind);
            if let Some(second) = all.nth(1) {
                report.lost(
                    &second.config.at,
                    "a second filter of this kind: what both ask cannot be said, and all is refused; make one of them",
                );
                chain.is_twice = true;
            }
        }
        let has = |kind: &str| chain.filters.iter().any(|filter| filter.kind == kind);
        for filter in &chain.filters {
            if boolean(filter.config, "bypass_cors_preflight") && !has("Cors") {
                report.lost(&filter.config.at, "preflights pass without a token there: here they need one, unless `cors` answers them");
            }
        }
        chain
    }

    /// Whether one of these says something of a filter that is taken.
    pub(super) fn is_overridden(&self, level: &Tree) -> bool {
        let mut filters = self.filters.iter();
        filters.any(|filter| of_level(level, filter).is_some())
            || items(level, "rate_limits").len()
                + path(level, &["route", "rate_limits"]).map_or(0, |list| list.children().len())
                > 0
                && self
                    .filters
                    .iter()
                    .any(|filter| filter.kind == "LocalRateLimit")
    }

    /// What is in effect where these levels say what they say, from the most specific.
    pub(super) fn effective(&self, levels: &[&'t Tree]) -> Effective<'t> {
        let filters = self.filters.iter().filter_map(|filter| {
            let said = levels.iter().filter_map(|level| of_level(level, filter));
            let mut is_disabled = filter.is_disabled;
            let mut own = Vec::new();
            for (place, tree) in said.enumerate() {
                let is_wrapper =
                    text(tree, "@type").is_some_and(|kind| kind.ends_with(".FilterConfig"));
                if place == 0 && is_wrapper {
                    is_disabled = boolean(tree, "disabled");
                }
                match (is_wrapper, member(tree, "config")) {
                    (true, Some(config)) => own.push(config),
                    (true, None) => {}
                    (false, _) => {
                        // Whoever says something of a filter that is off puts it on.
                        if place == 0 {
                            is_disabled = false;
                        }
                        own.push(tree);
                    }
                }
            }
            let is_off = is_disabled || own.first().is_some_and(|tree| boolean(tree, "disabled"));
            (!is_off).then_some(EffectiveFilter {
                kind: filter.kind,
                config: filter.config,
                own,
            })
        });
        Effective {
            filters: filters.collect(),
        }
    }

    /// The parts of an area by what `jwt_authn` asks for there, in order; the last has no path of its own if all are asked.
    /// A part of none cannot be told from others.
    pub(super) fn needs(
        &mut self,
        effective: &Effective<'t>,
        report: &mut Report,
    ) -> Vec<(Option<Match>, Need)> {
        let Some(place) = effective.place("JwtAuthentication") else {
            return Vec::new();
        };
        let Some(filter) = effective.filters.get(place) else {
            return Vec::new();
        };
        let config = filter.config;
        let all = [(Some(Match::any()), Need::Denied)];
        if !rest(config, &JWT, "jwt_authn", report) {
            return all.to_vec();
        }
        if member(config, "filter_state_rules").is_some() {
            report.lost(
                &config.at,
                "requirements by filter state have no counterpart: what they are for is refused",
            );
            return all.to_vec();
        }
        let named = |name: &str, at: &Tree, report: &mut Report, providers: &mut Providers| {
            let found = member(config, "requirement_map").and_then(|map| map.get(name));
            match found {
                Some(tree) => providers.need(tree, report),
                None => {
                    report.lost(
                        &at.at,
                        format!("`requirement_map` has no {name:?}: what asks for it is refused"),
                    );
                    Need::Denied
                }
            }
        };
        if let Some(own) = filter.own.first() {
            let known = ["disabled", "requirement_name"];
            let is_read = rest(own, &known, "jwt_authn of a route", report);
            let need = match text(own, "requirement_name") {
                Some(name) if is_read => named(name, own, report, &mut self.providers),
                _ => Need::Denied,
            };
            return vec![(Some(Match::any()), need)];
        }
        let before = effective.before(place);
        let mut pieces = Vec::new();
        for rule in items(config, "rules") {
            let known = ["match", "requires", "requirement_name"];
            let is_read = rest(rule, &known, "a rule of jwt_authn", report);
            let need = match (member(rule, "requires"), text(rule, "requirement_name")) {
                (Some(requires), _) => self.providers.need(requires, report),
                (None, Some(name)) => named(name, rule, report, &mut self.providers),
                (None, None) => Need::Nothing,
            };
            let matching =
                member(rule, "match").filter(|tree| is_read && !is_changed(tree, &before));
            let matching = matching.and_then(Match::read);
            if matching.is_none() {
                report.lost(
                    &rule.at,
                    "a rule of jwt_authn whose match cannot be said: what may be for it is refused",
                );
            }
            let ends = matching.is_none();
            pieces.push((matching, need));
            if ends {
                break;
            }
        }
        pieces
    }
}

/// Whether a match looks at something that filters in front change.
fn is_changed(tree: &Tree, before: &Before) -> bool {
    let headers = items(tree, "headers").into_iter();
    let mut names = headers.map(|each| text(each, "name").unwrap_or_default());
    before.changes(":path") || names.any(|name| before.changes(name))
}

/// What a level says of a filter: under its name in the chain. Under the name that everybody knows it says nothing of one
/// that is called otherwise, as in Envoy itself.
fn of_level<'t>(level: &'t Tree, filter: &Filter<'_>) -> Option<&'t Tree> {
    let per_filter = member(level, "typed_per_filter_config");
    let found = per_filter.and_then(|all| all.get(filter.name));
    // As it was written once.
    let old = || match filter.kind {
        "Cors" => member(level, "cors").or_else(|| path(level, &["route", "cors"])),
        _ => None,
    };
    found.or_else(old)
}

impl<'t> Effective<'t> {
    /// The configuration that counts of the filter of that kind: the most specific one.
    pub(super) fn of(&self, kind: &str) -> Option<&'t Tree> {
        self.all(kind).into_iter().next()
    }

    /// Those of all filters of that kind. Of some, what a route says has the filter's own in it.
    pub(super) fn all(&self, kind: &str) -> Vec<&'t Tree> {
        let all = self.placed(kind).into_iter();
        all.map(|(_, tree)| tree).collect()
    }

    /// The same, with their places among all filters.
    pub(super) fn placed(&self, kind: &str) -> Vec<(usize, &'t Tree)> {
        let filters = self.filters.iter().enumerate();
        let filters = filters.filter(|(_, filter)| filter.kind == kind);
        let most = filters.filter_map(|(place, filter)| {
            let tree = match (kind, filter.own.first()) {
                ("RBAC", Some(own)) => member(own, "rbac")?,
                ("Buffer", Some(own)) => member(own, "buffer")?,
                (_, Some(own)) => own,
                (_, None) => filter.config,
            };
            Some((place, tree))
        });
        most.collect()
    }

    /// The place of the first filter of that kind.
    pub(super) fn place(&self, kind: &str) -> Option<usize> {
        self.filters.iter().position(|filter| filter.kind == kind)
    }

    /// Whether all is read that routes say of filters that guard; what is not is reported.
    pub(super) fn is_read(&self, report: &mut Report) -> bool {
        let mut is_read = true;
        for filter in &self.filters {
            let (known, what): (&[&str], _) = match filter.kind {
                "RBAC" => (&["rbac"], "rbac of a route"),
                "Buffer" => (&["disabled", "buffer"], "buffer of a route"),
                "ApiKeyAuth" => (
                    &["credentials", "key_sources", "allowed_clients"],
                    "api_key_auth of a route",
                ),
                _ => continue,
            };
            if let Some(own) = filter.own.first() {
                is_read &= rest(own, known, what, report);
            }
        }
        is_read
    }

    /// What the filters in front of a place do to the fields of requests.
    pub(super) fn before(&self, place: usize) -> Before {
        let mut before = Before::default();
        for filter in self.filters.iter().take(place) {
            let levels = std::iter::once(filter.config).chain(filter.own.iter().copied());
            match filter.kind {
                "HeaderMutation" => levels.for_each(|level| mutated(level, &mut before)),
                "JwtAuthentication" => {
                    let providers = member(filter.config, "providers").map(entries);
                    for (_, provider) in providers.unwrap_or_default() {
                        of_provider(provider, &mut before);
                    }
                }
                "ApiKeyAuth" => levels.for_each(|level| {
                    for source in items(level, "key_sources") {
                        let header = text(source, "header");
                        header.iter().for_each(|name| before.change(Some(name)));
                    }
                    let header = path(level, &["forwarding", "header"]).and_then(Tree::text);
                    header.iter().for_each(|name| before.change(Some(name)));
                }),
                _ => {}
            }
        }
        before
    }

    /// What a route says of the filter of that kind.
    pub(super) fn own(&self, kind: &str) -> Option<&'t Tree> {
        let mut filters = self.filters.iter();
        let filter = filters.find(|filter| filter.kind == kind)?;
        filter.own.first().copied()
    }

    /// The filter of that kind as it stands in the chain.
    pub(super) fn filter(&self, kind: &str) -> Option<&'t Tree> {
        let mut filters = self.filters.iter();
        let filter = filters.find(|filter| filter.kind == kind)?;
        Some(filter.config)
    }

    /// All configurations of filters of that kind, the most specific last.
    pub(super) fn levels(&self, kind: &str) -> Vec<&'t Tree> {
        let filters = self.filters.iter().filter(|filter| filter.kind == kind);
        let levels = filters.flat_map(|filter| {
            let own = filter.own.iter().rev().copied();
            std::iter::once(filter.config).chain(own)
        });
        levels.collect()
    }
}

/// The fields of requests that a `HeaderMutation` changes.
fn mutated(tree: &Tree, before: &mut Before) {
    let mutations = member(tree, "mutations");
    let all = mutations.map(|mutations| items(mutations, "request_mutations"));
    for each in all.unwrap_or_default() {
        let added = path(each, &["append", "header", "key"]).and_then(Tree::text);
        before.change(text(each, "remove").or(added));
    }
}

/// The fields that `jwt_authn` writes, and those that it takes the token out of.
fn of_provider(tree: &Tree, before: &mut Before) {
    for each in items(tree, "claim_to_headers") {
        before.change(text(each, "header_name"));
    }
    if let Some(name) = text(tree, "forward_payload_header") {
        before.change(Some(name));
    }
    if boolean(tree, "forward") {
        return;
    }
    let places = items(tree, "from_headers");
    for each in &places {
        before.change(text(each, "name"));
    }
    if places.is_empty() {
        before.change(Some("authorization"));
    }
    if !texts(tree, "from_cookies").is_empty() {
        before.change(Some("cookie"));
    }
}

/// The conditions of a match on header fields, as a document has them; none if they cannot be said.
pub(super) fn conditions(tree: &Tree) -> Option<super::areas::Conditions> {
    let mut found = super::areas::Conditions::default();
    for each in items(tree, "headers") {
        found.add(&header(each, &Before::default()))?;
    }
    Some(found)
}

/// The path of a match.
pub(super) fn path_of(tree: &Tree) -> Option<PathSet> {
    PathSet::of_route(tree)
}
