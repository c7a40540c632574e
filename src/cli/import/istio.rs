//! `portcullis import istio`: `RequestAuthentication`, `AuthorizationPolicy`, and limits of an `EnvoyFilter`.

mod authentication;
mod authorization;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::assembly::{Access, Assembly};
use super::expression::Action;
use super::jwt::Providers;
use super::reading::{Report, entries, items, member, path, rest, scalar, text};
use super::{Output, limits, read};
use portcullis_cases::tree::{Content, Tree};

#[derive(Debug, Args)]
pub(crate) struct IstioArguments {
    /// Files with RequestAuthentication, AuthorizationPolicy and EnvoyFilter; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The workload that is to load the document, by its labels: app=orders,version=v1; what selects others is left out
    #[arg(long, value_name = "LABELS")]
    workload: Option<String>,
    /// The namespace of the workload; what is of others is left out
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The root namespace of the mesh, whose policies are for all
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    root_namespace: String,
    #[command(flatten)]
    pub(super) output: Output,
}

/// An object of Kubernetes, and the file that it stands in.
struct Resource<'t> {
    file: usize,
    kind: &'t str,
    name: String,
    tree: &'t Tree,
    spec: Option<&'t Tree>,
}

impl IstioArguments {
    /// The document.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn import(&self, report: &mut Report) -> Result<Value, String> {
        let mut files = Vec::new();
        for file in &self.files {
            files.push(read(file, report)?);
        }
        let mut resources = Vec::new();
        for (file, trees) in files.iter().enumerate() {
            for tree in trees {
                of_tree(tree, file, &mut resources);
            }
        }
        let chosen = self.chosen(resources, report)?;
        if chosen.is_empty() {
            return Err("there is nothing to import: no RequestAuthentication, AuthorizationPolicy or EnvoyFilter for that workload".to_owned());
        }
        document(&chosen, report)
    }

    /// The objects that are for the workload.
    fn chosen<'t>(
        &self,
        resources: Vec<Resource<'t>>,
        report: &mut Report,
    ) -> Result<Vec<Resource<'t>>, String> {
        let labels: Option<BTreeMap<String, String>> = match &self.workload {
            None => None,
            Some(text) => {
                let pairs = text.split(',').map(|pair| pair.split_once('='));
                let pairs =
                    pairs.map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
                let pairs: Option<BTreeMap<_, _>> = pairs.collect();
                Some(pairs.ok_or("--workload: write labels as NAME=VALUE,NAME=VALUE")?)
            }
        };
        let (mut chosen, mut kinds, mut targets) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for resource in resources {
            report.turn_to(resource.file);
            let namespace = path(resource.tree, &["metadata", "namespace"]).and_then(Tree::text);
            let is_of_root = namespace == Some(self.root_namespace.as_str());
            // What says no namespace goes where it is applied: to the one that is asked for, for all that is known.
            let is_here = self.namespace.is_none()
                || namespace.is_none()
                || is_of_root
                || namespace == self.namespace.as_deref();
            let selector = selector(&resource);
            let is_meant = labels.as_ref().is_none_or(|labels| {
                selector
                    .iter()
                    .all(|(name, value)| labels.get(name) == Some(value))
            });
            if !is_here || !is_meant {
                report.note(
                    &resource.tree.at,
                    format!(
                        "{} {} is for another workload, and left out",
                        resource.kind, resource.name
                    ),
                );
                continue;
            }
            if !READ.contains(&resource.kind) {
                unread(&resource, report);
                continue;
            }
            if namespace.is_none() && self.namespace.is_some() {
                report.note(
                    &resource.tree.at,
                    format!(
                        "{} {} names no namespace, and is taken as of this one",
                        resource.kind, resource.name
                    ),
                );
            }
            let named = ["targetRef", "targetRefs"].into_iter();
            let mut named = named.filter_map(|name| member(resource.spec?, name));
            targets.insert(named.next().map(|target| target.json().to_string()));
            let of_namespace = namespace.filter(|_| self.namespace.is_none() && !is_of_root);
            let of_labels =
                (labels.is_none() && !selector.is_empty()).then(|| format!("{selector:?}"));
            kinds.insert((of_namespace.map(str::to_owned), of_labels));
            chosen.push(resource);
        }
        if targets.len() > 1 {
            return Err("these are attached to different targets, and a document is for one proxy: give the files of one `targetRef` alone".to_owned());
        }
        // What is for all goes with what is for some.
        let namespaces: BTreeSet<_> = kinds
            .iter()
            .filter_map(|(namespace, _)| namespace.as_ref())
            .collect();
        let selectors: BTreeSet<_> = kinds
            .iter()
            .filter_map(|(_, labels)| labels.as_ref())
            .collect();
        if namespaces.len() > 1 {
            return Err("these are of several namespaces, and a document is for one workload: --namespace says of which".to_owned());
        }
        let is_mixed = kinds.iter().any(|(_, labels)| labels.is_none()) && !selectors.is_empty();
        if selectors.len() > 1 || (is_mixed && labels.is_none()) {
            return Err("these select different workloads, and a document is for one: --workload says by its labels for which".to_owned());
        }
        Ok(chosen)
    }
}

/// Kinds that are read.
const READ: [&str; 3] = [
    "RequestAuthentication",
    "AuthorizationPolicy",
    "EnvoyFilter",
];

fn of_tree<'t>(tree: &'t Tree, file: usize, found: &mut Vec<Resource<'t>>) {
    if matches!(tree.content, Content::Plain(Value::Null)) {
        return;
    }
    let kind = text(tree, "kind").unwrap_or_default();
    if kind.ends_with("List") && member(tree, "items").is_some() {
        items(tree, "items")
            .into_iter()
            .for_each(|item| of_tree(item, file, found));
        return;
    }
    let name = path(tree, &["metadata", "name"]).and_then(Tree::text);
    found.push(Resource {
        file,
        kind,
        name: name.unwrap_or("unnamed").to_owned(),
        tree,
        spec: member(tree, "spec"),
    });
}

/// Says of an object of another kind that it is not read: what may refuse requests stays, and all else has nothing to do
/// with this.
fn unread(resource: &Resource<'_>, report: &mut Report) {
    const GUARDS: [&str; 3] = ["PeerAuthentication", "WasmPlugin", "NetworkPolicy"];
    let Resource {
        kind, name, tree, ..
    } = resource;
    let version = text(tree, "apiVersion").unwrap_or_default();
    let is_of_guards = ["security.istio.io/", "extensions.istio.io/"];
    let is_of_guards = is_of_guards.iter().any(|group| version.starts_with(group));
    if kind.is_empty() {
        report.lost(&tree.at, "an object without `kind` is not read");
    } else if is_of_guards || GUARDS.contains(kind) {
        report.lost(
            &tree.at,
            format!("{kind} {name} has no counterpart: keep it, it goes on beside this filter"),
        );
    } else {
        report.note(
            &tree.at,
            format!("{kind} {name} is not read, and stays as it is"),
        );
    }
}

/// The labels of the workloads that it is for.
fn selector(resource: &Resource<'_>) -> BTreeMap<String, String> {
    let spec = resource.spec;
    let labels = spec.and_then(|spec| {
        path(spec, &["selector", "matchLabels"])
            .or_else(|| path(spec, &["workloadSelector", "labels"]))
    });
    let labels = labels.map(entries).unwrap_or_default().into_iter();
    labels
        .filter_map(|(name, value)| Some((name.to_owned(), scalar(value)?)))
        .collect()
}

fn document(chosen: &[Resource<'_>], report: &mut Report) -> Result<Value, String> {
    let mut assembly = Assembly::default();
    let mut providers = Providers::default();
    let mut is_refused = false;
    for resource in chosen
        .iter()
        .filter(|each| each.kind == "RequestAuthentication")
    {
        report.turn_to(resource.file);
        let rules = resource.spec.and_then(|spec| member(spec, "jwtRules"));
        if rules.is_some_and(|rules| !matches!(rules.content, Content::List(_))) {
            report.lost(
                &resource.tree.at,
                "`jwtRules` is no list: all requests are refused",
            );
            is_refused = true;
        }
        for rule in rules.map(Tree::children).unwrap_or_default() {
            is_refused |= !authentication::provider(rule, &mut providers, report);
        }
    }
    let mut blocks = Map::new();
    let names: Vec<&String> = providers.taken.keys().collect();
    match names.as_slice() {
        [] => {
            blocks.insert("open".into(), true.into());
        }
        [one] => {
            blocks.insert("jwt".into(), json!({ "provider": one, "optional": true }));
        }
        several => {
            if several.len() > 8 {
                return Err(
                    "there are more than eight issuers, and a `jwt` block has eight at most"
                        .to_owned(),
                );
            }
            let each = several.iter().map(|name| json!({ "provider": name }));
            let each: Vec<Value> = each.collect();
            blocks.insert("jwt".into(), json!({ "any_of": each, "optional": true }));
        }
    }
    let mut access = Access::default();
    for resource in chosen
        .iter()
        .filter(|each| each.kind == "AuthorizationPolicy")
    {
        report.turn_to(resource.file);
        is_refused |= policy(resource, &providers, &mut access, report).is_none();
    }
    let mut used = Vec::new();
    for resource in chosen.iter().filter(|each| each.kind == "EnvoyFilter") {
        report.turn_to(resource.file);
        for (name, limit) in filter_limits(resource, report) {
            used.push(json!({ "use": name }));
            assembly.rate_limits.insert(name, limit);
        }
    }
    if !used.is_empty() {
        blocks.insert("rate_limits".into(), used.into());
    }
    match access.block() {
        Ok(Some(block)) => {
            blocks.insert("access".into(), block);
        }
        Ok(None) => {}
        Err(()) => is_refused = true,
    }
    if is_refused {
        blocks.clear();
        blocks.insert("deny".into(), true.into());
    }
    assembly.providers = providers.taken.into_iter().collect();
    assembly.route("all", json!({}), blocks);
    let (document, refused) = assembly.document()?;
    if let Some(first) = chosen.first() {
        report.turn_to(first.file);
        for route in refused {
            report.lost(&first.tree.at, route);
        }
    }
    Ok(document)
}

/// What a policy does: nothing here, if it goes on beside this filter. None if there is no such action.
fn action(resource: &Resource<'_>, report: &mut Report) -> Option<Option<Action>> {
    let action = resource.spec.and_then(|spec| member(spec, "action"));
    let action = action.map_or(Some("ALLOW".to_owned()), scalar);
    // As protobuf has them, by name or number.
    match action.as_deref() {
        Some("ALLOW" | "0") => Some(Some(Action::Allow)),
        Some("DENY" | "1") => Some(Some(Action::Deny)),
        Some(other @ ("AUDIT" | "2" | "CUSTOM" | "3")) => {
            report.lost(
                &resource.tree.at,
                format!("AuthorizationPolicy {} with action {other} has no counterpart: keep it, it goes on beside this filter", resource.name),
            );
            Some(None)
        }
        _ => {
            report.lost(
                &resource.tree.at,
                format!("AuthorizationPolicy {} has an action that there is not: all requests are refused", resource.name),
            );
            None
        }
    }
}

/// Adds the rules of a policy; none if it cannot be read, so that nobody may get through.
fn policy(
    resource: &Resource<'_>,
    providers: &Providers,
    access: &mut Access,
    report: &mut Report,
) -> Option<()> {
    const KNOWN: [&str; 5] = ["selector", "targetRef", "targetRefs", "action", "rules"];
    let Some(action) = action(resource, report)? else {
        return Some(());
    };
    let dry_run = path(resource.tree, &["metadata", "annotations"]);
    let dry_run = dry_run
        .and_then(|all| all.get("istio.io/dry-run"))
        .and_then(scalar);
    let is_tried = dry_run.as_deref() == Some("true");
    access.needs_allowance |= action == Action::Allow && !is_tried;
    report.took(format!("AuthorizationPolicy {}", resource.name));
    let Some(spec) = resource.spec else {
        return Some(());
    };
    rest(spec, &KNOWN, "an AuthorizationPolicy", report);
    let rules = member(spec, "rules");
    let is_list = rules.is_none_or(|rules| matches!(rules.content, Content::List(_)));
    if !is_list || entries(spec).iter().any(|(name, _)| !KNOWN.contains(name)) {
        report.lost(
            &resource.tree.at,
            format!(
                "AuthorizationPolicy {} cannot be read: all requests are refused",
                resource.name
            ),
        );
        return None;
    }
    for rule in rules.map(Tree::children).unwrap_or_default() {
        let expression = authorization::rule(rule, providers, action, report);
        let expression = match providers.taken.is_empty() {
            true => expression.of_nobody(),
            false => expression,
        };
        let found = expression.rules(action);
        if found.is_stricter {
            let came = found.came(action);
            report.lost(&rule.at, format!("a rule of AuthorizationPolicy {} has conditions without counterpart, and {came}", resource.name));
        }
        access.add(&resource.name, &found.rules, action, is_tried);
    }
    Some(())
}

/// The limits of an `EnvoyFilter` that puts `local_ratelimit` into chains.
fn filter_limits(resource: &Resource<'_>, report: &mut Report) -> Vec<limits::NamedLimit> {
    let mut found = Vec::new();
    let patches = resource
        .spec
        .map(|spec| items(spec, "configPatches"))
        .unwrap_or_default();
    for patch in patches {
        let config = path(patch, &["patch", "value", "typed_config"]);
        let kind =
            config.and_then(|config| text(config, "type_url").or_else(|| text(config, "@type")));
        let is_limit = kind.is_some_and(|kind| kind.ends_with(".LocalRateLimit"));
        let applies = text(patch, "applyTo").unwrap_or_default();
        let Some(config) = config.filter(|_| is_limit && applies == "HTTP_FILTER") else {
            report.lost(
                &patch.at,
                format!(
                    "a patch of EnvoyFilter {} that is not read: keep it",
                    resource.name
                ),
            );
            continue;
        };
        let config = member(config, "value").unwrap_or(config);
        let name = super::assembly::usable_name(&resource.name);
        found.extend(limits::limits(config, &name, &[], report));
    }
    found
}
