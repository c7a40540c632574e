//! Requests by hosts and routes, as far as filters judge them differently.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::super::expression::{Expression, Leaf};
use super::super::headers::host_name;
use super::super::paths::{Common, PathSet};
use super::super::reading::{Report, entries, items, member, path, text, texts};
use super::chain::{Chain, Effective, conditions, path_of};
use portcullis_cases::tree::Tree;

/// Requests for which one configuration is in effect.
pub(super) struct Area<'t> {
    pub(super) name: String,
    /// None: any.
    pub(super) hosts: Vec<String>,
    pub(super) matching: Match,
    pub(super) effective: Effective<'t>,
    /// What makes descriptors of requests.
    pub(super) actions: Vec<&'t Tree>,
    /// Whether nobody can say which requests it is for: then all that it may be for are refused.
    pub(super) is_unknown: bool,
    pub(super) at: Range<usize>,
}

/// What a route is for, but for its hosts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Match {
    pub(super) path: PathSet,
    conditions: Conditions,
}

/// Conditions on methods and other header fields, which all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conditions {
    methods: Option<Vec<String>>,
    headers: Vec<Value>,
}

impl Conditions {
    /// Adds one; none if a route cannot have it.
    pub(super) fn add(&mut self, expression: &Expression) -> Option<()> {
        match expression {
            Expression::Const(true) => Some(()),
            Expression::And(all) => {
                // `GET` is written so that it stands for itself. Alone, that it is not `HEAD` cannot be said.
                let is_get_alone = all.iter().any(|each| match each {
                    Expression::Is(Leaf::To("methods", methods)) => {
                        let has = |name: &str| methods.iter().any(|method| method == name);
                        has("GET") && !has("HEAD")
                    }
                    _ => false,
                });
                let mut all = all.iter();
                all.try_for_each(|each| match is_get_alone && is_not_head(each) {
                    true => Some(()),
                    false => self.add(each),
                })
            }
            Expression::Is(Leaf::To("methods", methods)) => {
                let methods = methods.iter().filter_map(Value::as_str);
                let methods = methods.map(str::to_owned).collect();
                self.methods = common_methods(self.methods.as_ref(), Some(&methods));
                Some(())
            }
            Expression::Is(Leaf::When(condition)) => {
                self.headers.push(of_route(condition)?);
                Some(())
            }
            Expression::Not(inner) => match &**inner {
                Expression::Is(Leaf::When(condition)) => {
                    self.headers.push(json!({ "not": of_route(condition)? }));
                    Some(())
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_not_head(expression: &Expression) -> bool {
    let head = || Expression::Is(Leaf::To("methods", vec!["HEAD".into()]));
    matches!(expression, Expression::Not(inner) if **inner == head())
}

/// A condition as routes have it: with `name` for `header`.
fn of_route(condition: &Value) -> Option<Value> {
    let mut condition = condition.as_object()?.clone();
    let name = condition.remove("header")?;
    condition.insert("name".into(), name);
    Some(condition.into())
}

fn common_methods(one: Option<&Vec<String>>, other: Option<&Vec<String>>) -> Option<Vec<String>> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let both = one.iter().filter(|method| other.contains(method));
            Some(both.cloned().collect())
        }
        (one, other) => one.or(other).cloned(),
    }
}

impl Match {
    pub(super) fn any() -> Self {
        Self {
            path: PathSet::Any,
            conditions: Conditions::default(),
        }
    }

    /// A `RouteMatch`; none if it cannot be said.
    pub(super) fn read(tree: &Tree) -> Option<Self> {
        const KNOWN: [&str; 9] = [
            "path",
            "prefix",
            "safe_regex",
            "safeRegex",
            "path_separated_prefix",
            "pathSeparatedPrefix",
            "case_sensitive",
            "caseSensitive",
            "headers",
        ];
        let is_known = |name: &str| {
            KNOWN.contains(&name) || ["path_match_policy", "pathMatchPolicy"].contains(&name)
        };
        if !entries(tree).iter().all(|(name, _)| is_known(name)) {
            return None;
        }
        Some(Self {
            path: path_of(tree)?,
            conditions: conditions(tree)?,
        })
    }

    pub(super) fn common(&self, other: &Self) -> Common {
        let methods = common_methods(
            self.conditions.methods.as_ref(),
            other.conditions.methods.as_ref(),
        );
        if methods.is_some_and(|methods| methods.is_empty()) {
            return Common::Nothing;
        }
        self.path.common(&other.path)
    }

    /// What is for both, where their paths have that in common.
    pub(super) fn with(&self, other: &Self, path: PathSet) -> Self {
        let (one, other) = (&self.conditions, &other.conditions);
        let mut headers = one.headers.clone();
        headers.extend(
            other
                .headers
                .iter()
                .filter(|each| !one.headers.contains(each))
                .cloned(),
        );
        Self {
            path,
            conditions: Conditions {
                methods: common_methods(one.methods.as_ref(), other.methods.as_ref()),
                headers,
            },
        }
    }

    /// As `match` of a route.
    pub(super) fn json(&self, hosts: &[String]) -> Value {
        let mut matching = Map::new();
        if !hosts.is_empty() {
            matching.insert("hosts".into(), json!(hosts));
        }
        if let Some(path) = self.path.json() {
            matching.insert("path".into(), path);
        }
        if let Some(methods) = &self.conditions.methods {
            let has = |name: &str| methods.iter().any(|method| method == name);
            if has("GET") && !has("HEAD") {
                matching.insert("head".into(), false.into());
            }
            matching.insert("methods".into(), json!(methods));
        }
        if !self.conditions.headers.is_empty() {
            matching.insert("headers".into(), json!(self.conditions.headers));
        }
        matching.into()
    }
}

/// Where hosts stand: those of one port refuse before all others, for nobody can tell them from the others here; then come
/// exact names, ends from the longest, and all.
const OF_A_PORT: u8 = 0;
const EXACT: u8 = 1;
const BELOW: u8 = 2;
const ALL: u8 = 3;

/// Hosts of one rank: all that Envoy looks for first come first.
struct Hosts<'t> {
    rank: (u8, std::cmp::Reverse<usize>),
    tree: &'t Tree,
    names: Vec<String>,
    is_unknown: bool,
}

/// The areas of a connection manager, in the order in which they are asked.
pub(super) fn areas<'t>(
    manager: &'t Tree,
    chain: &Chain<'t>,
    report: &mut Report,
) -> Vec<Area<'t>> {
    let config = member(manager, "route_config").unwrap_or(manager);
    let mut hosts = Vec::new();
    for tree in items(config, "virtual_hosts") {
        ranks(tree, &mut hosts, report);
    }
    if hosts.is_empty() {
        return vec![Area {
            name: "all".to_owned(),
            hosts: Vec::new(),
            matching: Match::any(),
            effective: chain.effective(&[config]),
            actions: Vec::new(),
            is_unknown: false,
            at: manager.at.clone(),
        }];
    }
    hosts.sort_by_key(|hosts| hosts.rank);
    let mut all = Vec::new();
    for hosts in &hosts {
        of_hosts(hosts, config, chain, &mut all, report);
    }
    all
}

/// Whether filters differ by the cluster that a route chooses.
fn is_split(route: &Tree, chain: &Chain<'_>) -> bool {
    let clusters = path(route, &["route", "weighted_clusters"]);
    let clusters = clusters.map(|all| items(all, "clusters"));
    let mut clusters = clusters.unwrap_or_default().into_iter();
    clusters.any(|cluster| chain.is_overridden(cluster))
}

/// Whether filters may differ in this virtual host from what they are elsewhere.
pub(super) fn is_of_its_own(host: &Tree, chain: &Chain<'_>) -> bool {
    let differs = |route: &Tree| chain.is_overridden(route) || is_split(route, chain);
    chain.is_overridden(host)
        || member(host, "matcher").is_some()
        || items(host, "routes").into_iter().any(differs)
}

fn ranks<'t>(tree: &'t Tree, hosts: &mut Vec<Hosts<'t>>, report: &mut Report) {
    let reverse = std::cmp::Reverse;
    let domains = texts(tree, "domains");
    let mut exact = Vec::new();
    for domain in &domains {
        let mut push = |rank, names: Vec<String>, is_unknown| {
            hosts.push(Hosts {
                rank,
                tree,
                names,
                is_unknown,
            });
        };
        if domain == "*" {
            push((ALL, reverse(0)), Vec::new(), false);
            continue;
        }
        let Some(name) = host_name(domain) else {
            report.lost(
                &tree.at,
                format!(
                    "the domain {domain:?} cannot be said: what Envoy asks after it is refused"
                ),
            );
            push((BELOW, reverse(domain.len())), Vec::new(), true);
            continue;
        };
        let has_port = name.len() < domain.len();
        if has_port {
            if !domains.contains(&name) {
                report.lost(&tree.at, format!("the domain {domain:?} is for one port, and hosts have none here: all requests for the host are refused; name it without its port"));
                push((OF_A_PORT, reverse(0)), vec![name], true);
            }
        } else if name.starts_with("*.") {
            push((BELOW, reverse(name.len())), vec![name], false);
        } else if !exact.contains(&name) {
            exact.push(name);
        }
    }
    if !exact.is_empty() {
        hosts.push(Hosts {
            rank: (EXACT, reverse(0)),
            tree,
            names: exact,
            is_unknown: false,
        });
    }
}

fn of_hosts<'t>(
    hosts: &Hosts<'t>,
    config: &'t Tree,
    chain: &Chain<'t>,
    all: &mut Vec<Area<'t>>,
    report: &mut Report,
) {
    let tree = hosts.tree;
    let name = text(tree, "name").unwrap_or("hosts");
    let own = items(tree, "rate_limits");
    let mut area =
        |name: String, matching: Match, levels: &[&'t Tree], is_unknown, at: &Range<usize>| {
            let mut actions = own.clone();
            if let [route, _, _] = levels {
                let of_route = path(route, &["route", "rate_limits"]);
                actions.extend(of_route.map(Tree::children).unwrap_or_default());
            }
            all.push(Area {
                name,
                hosts: hosts.names.clone(),
                matching,
                effective: chain.effective(levels),
                actions,
                is_unknown,
                at: at.clone(),
            });
        };
    if hosts.is_unknown {
        area(
            name.to_owned(),
            Match::any(),
            &[tree, config],
            true,
            &tree.at,
        );
        return;
    }
    if member(tree, "matcher").is_some() {
        report.lost(
            &tree.at,
            "routes by `matcher` are not read: all requests for these hosts are refused",
        );
        area(
            name.to_owned(),
            Match::any(),
            &[tree, config],
            true,
            &tree.at,
        );
        return;
    }
    let routes = items(tree, "routes");
    // Routes behind the last that says something of filters are judged like the rest.
    let last = routes
        .iter()
        .rposition(|route| chain.is_overridden(route) || is_split(route, chain));
    let told = last.map_or(0, |last| last + 1);
    for (place, route) in routes.iter().enumerate().take(told) {
        let own = text(route, "name").filter(|name| !name.is_empty());
        let name = match own {
            Some(own) => own.to_owned(),
            None => format!("{name}-{}", place + 1),
        };
        let matching = member(route, "match").and_then(Match::read);
        if matching.is_none() {
            report.lost(&route.at, "a route whose match cannot be said: all requests that come to it are refused; write a `match` for it");
        }
        let is_split = is_split(route, chain);
        if is_split {
            report.lost(&route.at, "filters that differ by weighted clusters have no counterpart: the route refuses all");
        }
        let is_unknown = matching.is_none() || is_split;
        let matching = matching.unwrap_or_else(|| Match {
            path: member(route, "match")
                .and_then(path_of)
                .unwrap_or(PathSet::Any),
            conditions: Conditions::default(),
        });
        area(
            name,
            matching,
            &[route, tree, config],
            is_unknown,
            &route.at,
        );
    }
    area(
        name.to_owned(),
        Match::any(),
        &[tree, config],
        false,
        &tree.at,
    );
}
