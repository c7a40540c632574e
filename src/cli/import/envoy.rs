//! `portcullis import envoy`: a chain of Envoy's own filters, with what its routes say of them.

mod areas;
mod chain;
mod checks;

use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use self::areas::{Area, Match, areas};
use self::chain::{Chain, Effective};
use super::assembly::{Access, Assembly, usable_name};
use super::blocks;
use super::jwt::Need;
use super::paths::Common;
use super::rbac::{self, Known};
use super::reading::{Report, boolean, items, member, number, text, texts};
use super::{Output, limits, read};
use portcullis_cases::tree::{Content, Tree};

#[derive(Debug, Args)]
pub(crate) struct EnvoyArguments {
    /// A bootstrap, a listener, a connection manager, or a list of filters; - is standard input
    file: PathBuf,
    /// Which of several chains of filters, from 1 on
    #[arg(long, value_name = "NUMBER")]
    number: Option<usize>,
    #[command(flatten)]
    pub(super) output: Output,
}

impl EnvoyArguments {
    /// The document.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn import(&self, report: &mut Report) -> Result<Value, String> {
        let trees = read(&self.file, report)?;
        let mut managers = Vec::new();
        trees.iter().for_each(|tree| search(tree, &mut managers));
        let told = |reason: &str| format!("{}: {reason}", self.file.display());
        let chosen = match (self.number, managers.as_slice()) {
            (None, [one]) => Some(one),
            (Some(number), all) => number.checked_sub(1).and_then(|at| all.get(at)),
            (None, _) => None,
        };
        let Some(manager) = chosen else {
            return Err(match managers.len() {
                0 => told("has no `http_filters` and is no list of filters"),
                many => told(&format!(
                    "has {many} chains of filters; --number says which"
                )),
            });
        };
        checks::readable(manager).map_err(|reason| told(&reason))?;
        Importer::of(manager, report).import(report)
    }
}

/// Finds what has a chain of filters: connection managers, and a list that is one.
fn search<'t>(tree: &'t Tree, found: &mut Vec<&'t Tree>) {
    let is_filter =
        |item: &&Tree| member(item, "typed_config").is_some() && text(item, "name").is_some();
    let is_list = matches!(&tree.content, Content::List(items) if !items.is_empty() && items.iter().all(|item| is_filter(&item)));
    let is_of_network = tree.children().iter().any(|item| {
        let kind = member(item, "typed_config").and_then(|config| text(config, "@type"));
        kind.is_some_and(|kind| kind.contains(".network."))
    });
    if member(tree, "http_filters").is_some() || (is_list && !is_of_network) {
        found.push(tree);
        return;
    }
    tree.children()
        .into_iter()
        .for_each(|child| search(child, found));
}

/// Says that nobody gets through since a filter that guards may refuse more than is known.
fn unread<T>(at: &Range<usize>, report: &mut Report) -> Option<T> {
    report.lost(
        at,
        "not all of a filter that guards is read: the routes that it is for refuse all",
    );
    None
}

/// Limits that were read.
struct KnownLimits {
    at: Range<usize>,
    /// What makes their descriptors.
    actions: Vec<Range<usize>>,
    names: Vec<String>,
}

struct Importer<'t> {
    manager: &'t Tree,
    chain: Chain<'t>,
    document: Assembly,
    limits: Vec<KnownLimits>,
    /// Stores of keys, by what routes say of them.
    stores: Vec<(Option<Range<usize>>, String)>,
    is_direct: bool,
}

impl<'t> Importer<'t> {
    fn of(manager: &'t Tree, report: &mut Report) -> Self {
        let hops = number(manager, "xff_num_trusted_hops").unwrap_or(0);
        Self {
            manager,
            chain: Chain::read(manager, report),
            document: Assembly::default(),
            limits: Vec::new(),
            stores: Vec::new(),
            is_direct: boolean(manager, "use_remote_address") && hops == 0,
        }
    }

    fn import(mut self, report: &mut Report) -> Result<Value, String> {
        checks::hosts(self.manager, &self.chain, report);
        for area in areas(self.manager, &self.chain, report) {
            self.area(&area, report);
        }
        self.document.providers = self.chain.providers.taken.clone().into_iter().collect();
        let at = self.manager.at.clone();
        let (document, refused) = self.document.document()?;
        for route in refused {
            report.lost(&at, route);
        }
        checks::paths(self.manager, &document, report);
        report.note(
            &at,
            "paths are compared decoded, hosts in any case and without port; what servers read in two ways is refused: see docs/migration.md",
        );
        Ok(document)
    }

    /// The routes of one area.
    fn area(&mut self, area: &Area<'t>, report: &mut Report) {
        if area.is_unknown || self.chain.is_twice {
            self.refuse(area, &area.matching);
            return;
        }
        let pieces = self.chain.needs(&area.effective, report);
        for (piece, need) in pieces {
            let Some(piece) = piece else {
                self.refuse(area, &area.matching);
                return;
            };
            let matching = match area.matching.common(&piece) {
                Common::Nothing => continue,
                Common::Unknown => {
                    report.lost(
                        &area.at,
                        "whether a rule of jwt_authn is for this route cannot be told: the route refuses all",
                    );
                    self.refuse(area, &area.matching);
                    return;
                }
                Common::Set(path) => area.matching.with(&piece, path),
            };
            self.push(area, &matching, &need, report);
            if matching == area.matching {
                return;
            }
        }
        self.push(area, &area.matching, &Need::Nothing, report);
    }

    fn refuse(&mut self, area: &Area<'t>, matching: &Match) {
        let mut blocks = Map::new();
        blocks.insert("deny".into(), true.into());
        self.document
            .route(&area.name, matching.json(&area.hosts), blocks);
    }

    fn push(&mut self, area: &Area<'t>, matching: &Match, need: &Need, report: &mut Report) {
        match self.blocks(area, need, report) {
            Some(blocks) => {
                let matcher = matching.json(&area.hosts);
                self.document.route(&area.name, matcher, blocks);
            }
            None => self.refuse(area, matching),
        }
    }

    /// What is asked of requests of an area; none if nobody gets through.
    fn blocks(
        &mut self,
        area: &Area<'t>,
        need: &Need,
        report: &mut Report,
    ) -> Option<Map<String, Value>> {
        let effective = &area.effective;
        if !effective.is_read(report) {
            return unread(&area.at, report);
        }
        let mut blocks = Map::new();
        let key = match self.api_key(effective, report) {
            Ok(key) => key,
            Err(()) => return None,
        };
        match (need, &key) {
            (Need::Denied, _) => return None,
            (Need::Nothing, None) => {
                blocks.insert("open".into(), true.into());
            }
            (Need::Jwt(jwt), None) => {
                blocks.insert("jwt".into(), jwt.clone());
            }
            (Need::Nothing, Some(key)) => {
                blocks.insert("api_key".into(), key.clone());
            }
            (Need::Jwt(jwt), Some(key)) => {
                let Some(provider) = jwt
                    .get("provider")
                    .filter(|_| jwt.get("optional").is_none())
                else {
                    report.lost(&area.at, "a key and one of several tokens: the route refuses all; write `credentials` for it");
                    return None;
                };
                let both = json!([{ "jwt": { "provider": provider } }, { "api_key": key }]);
                blocks.insert("credentials".into(), json!({ "all_of": both }));
            }
        }
        if let Some(tree) = effective.own("Cors")
            && let Some(cors) = blocks::cors(tree, report)
        {
            blocks.insert("cors".into(), cors);
        }
        if let Some(tree) = effective.of("CsrfPolicy")
            && let Some(csrf) = blocks::csrf(tree, report).ok()?
        {
            blocks.insert("csrf".into(), csrf);
        }
        self.access(area, need, &mut blocks, report)?;
        let names = self.rate_limits(area, report)?;
        if !names.is_empty() {
            let used = names.iter().map(|name| json!({ "use": name }));
            blocks.insert("rate_limits".into(), used.collect());
        }
        if let Some(tree) = effective.of("Buffer")
            && let Some(payload) = blocks::buffer(tree, report)
        {
            blocks.insert("payload".into(), payload);
        }
        let (request, response) =
            blocks::header_mutations(&effective.levels("HeaderMutation"), report);
        for (name, block) in [("request_headers", request), ("response_headers", response)] {
            if let Some(block) = block {
                blocks.insert(name.into(), block);
            }
        }
        Some(blocks)
    }

    /// The rules of all `rbac` filters; none if nobody gets through.
    fn access(
        &mut self,
        area: &Area<'t>,
        need: &Need,
        blocks: &mut Map<String, Value>,
        report: &mut Report,
    ) -> Option<()> {
        let all_of = match need {
            Need::Jwt(jwt) => jwt.get("all_of").and_then(Value::as_array),
            Need::Nothing | Need::Denied => None,
        };
        let all_of = all_of.into_iter().flatten();
        let all_of: Vec<&str> = all_of
            .filter_map(|each| each.get("provider")?.as_str())
            .collect();
        let (mut enforced, mut tried) = (Access::default(), Access::default());
        for (place, tree) in area.effective.placed("RBAC") {
            let is_read = super::reading::rest(
                tree,
                &[
                    "rules",
                    "rules_stat_prefix",
                    "shadow_rules",
                    "shadow_rules_stat_prefix",
                    "track_per_rule_stats",
                ],
                "rbac",
                report,
            );
            if !is_read {
                return unread(&tree.at, report);
            }
            // Without a token there are no claims in the metadata, whatever else is asked for; nor are there any in front of
            // who puts them there.
            let jwt = area.effective.place("JwtAuthentication");
            let is_known = *need != Need::Nothing && jwt.is_some_and(|jwt| jwt < place);
            let mut before = area.effective.before(place);
            before.is_bare = ["strip_any_host_port", "strip_trailing_host_dot"]
                .iter()
                .all(|name| boolean(self.manager, name));
            let known = Known {
                providers: &self.chain.providers,
                all_of: all_of.clone(),
                is_direct: self.is_direct,
                before,
            };
            for (name, access) in [("rules", &mut enforced), ("shadow_rules", &mut tried)] {
                let Some(rules) = member(tree, name) else {
                    continue;
                };
                let Some(policies) = rbac::policies(rules, &known, report).ok()? else {
                    continue;
                };
                let is_allowance = policies.action == super::expression::Action::Allow;
                if is_allowance && access.needs_allowance {
                    report.lost(&rules.at, "two filters that allow: both have to, and one block cannot say that; the route refuses all");
                    return None;
                }
                access.needs_allowance |= is_allowance;
                for (name, expression) in &policies.all {
                    let expression = match is_known {
                        true => expression.clone(),
                        false => expression.of_nobody(),
                    };
                    let found = expression.rules(policies.action);
                    if found.is_stricter {
                        let came = found.came(policies.action);
                        report.lost(&rules.at, format!("the policy {name:?} of rbac has conditions without counterpart, and {came}"));
                    }
                    access.add(name, &found.rules, policies.action, false);
                }
            }
        }
        match enforced.block() {
            Err(()) => {
                report.note(
                    &area.at,
                    format!(
                        "the route {:?} refuses all: nothing is allowed there",
                        area.name
                    ),
                );
                return None;
            }
            Ok(Some(block)) => {
                blocks.insert("access".into(), block);
            }
            Ok(None) => {}
        }
        if let Ok(Some(mut block)) = tried.block() {
            if blocks.contains_key("access") {
                blocks.insert("shadow".into(), json!({ "access": block }));
            } else if let Value::Object(members) = &mut block {
                members.insert("mode".into(), "shadow".into());
                blocks.insert("access".into(), block);
            }
        }
        Some(())
    }

    /// The names of the limits of an area: those of one configuration are shared. None if they cannot be said.
    fn rate_limits(&mut self, area: &Area<'t>, report: &mut Report) -> Option<Vec<String>> {
        let actions: Vec<Range<usize>> = area.actions.iter().map(|each| each.at.clone()).collect();
        let mut all = Vec::new();
        for tree in area.effective.all("LocalRateLimit") {
            if !limits::is_read(tree, report) {
                return unread(&tree.at, report);
            }
            if let Some(known) = self.limits.iter().find(|known| known.at == tree.at) {
                if known.actions != actions && !items(tree, "descriptors").is_empty() {
                    report.lost(
                        &tree.at,
                        "descriptors of one filter that routes make differently: the later routes refuse all; give each a configuration of its own",
                    );
                    return None;
                }
                all.extend(known.names.iter().cloned());
                continue;
            }
            let wanted = usable_name(text(tree, "stat_prefix").unwrap_or("local"));
            let mut names = Vec::new();
            for (name, limit) in limits::limits(tree, &wanted, &area.actions, report) {
                let mut unique = name.clone();
                let mut number = 1;
                while self.document.rate_limits.contains_key(&unique) {
                    number += 1;
                    unique = format!("{name}-{number}");
                }
                self.document.rate_limits.insert(unique.clone(), limit);
                names.push(unique);
            }
            all.extend(names.iter().cloned());
            self.limits.push(KnownLimits {
                at: tree.at.clone(),
                actions: actions.clone(),
                names,
            });
        }
        Some(all)
    }

    /// The `api_key` block. An error: nobody gets through.
    fn api_key(
        &mut self,
        effective: &Effective<'t>,
        report: &mut Report,
    ) -> Result<Option<Value>, ()> {
        let Some(config) = effective.filter("ApiKeyAuth") else {
            return Ok(None);
        };
        let route = effective.own("ApiKeyAuth");
        let at = route.map(|route| route.at.clone());
        let known = self.stores.iter().find(|(known, _)| *known == at);
        let allowed = route
            .map(|route| texts(route, "allowed_clients"))
            .unwrap_or_default();
        let name = match known {
            Some((_, name)) => name.clone(),
            None => {
                let (store, _) = blocks::api_keys(config, route, report).ok_or(())?;
                let name = match self.stores.len() {
                    0 => "keys".to_owned(),
                    many => format!("keys-{}", many + 1),
                };
                self.document.api_key_stores.insert(name.clone(), store);
                self.stores.push((at, name.clone()));
                name
            }
        };
        let mut block = json!({ "store": name });
        if !allowed.is_empty()
            && let Value::Object(members) = &mut block
        {
            let claims = json!([{ "claim": "client", "in": allowed }]);
            members.insert("require".into(), json!({ "claims": claims }));
        }
        Ok(Some(block))
    }
}
