//! `rbac`: permissions and principals.

use serde_json::{Value, json};

use super::expression::{Action, Expression, Leaf};
use super::headers::{Before, header};
use super::jwt::{Providers, condition, text_item};
use super::paths::{PathSet, of_template, of_test, string_matcher};
use super::reading::{Report, boolean, choice, entries, items, member, number, path, rest, text};
use portcullis_cases::tree::Tree;

/// What is known of the rest of the chain.
pub(super) struct Known<'k> {
    pub(super) providers: &'k Providers,
    /// Of whom all have to be accepted, in that order; none if one is enough.
    pub(super) all_of: Vec<&'k str>,
    /// Whether the address of the connection is that of the client.
    pub(super) is_direct: bool,
    /// What filters in front do.
    pub(super) before: Before,
}

/// The rules of one filter: what is done where one of the policies holds, each with its name.
pub(super) struct Policies {
    pub(super) action: Action,
    pub(super) all: Vec<(String, Expression)>,
}

/// The rules of an `RBAC` message under `rules` or `shadow_rules`; none if there are none. What is only logged is no
/// rule.
///
/// # Errors
/// If nobody can say what they do, which has been reported.
pub(super) fn policies(
    rules: &Tree,
    known: &Known<'_>,
    report: &mut Report,
) -> Result<Option<Policies>, ()> {
    let is_read = rest(
        rules,
        &["action", "policies", "audit_logging_options"],
        "rules of rbac",
        report,
    );
    if !is_read {
        return Err(());
    }
    let action = match choice(rules, "action", &["ALLOW", "DENY", "LOG"]) {
        Ok(None | Some("ALLOW")) => Action::Allow,
        Ok(Some("DENY")) => Action::Deny,
        Ok(_) => {
            report.note(&rules.at, "rules that only log are left out");
            return Ok(None);
        }
        Err(()) => {
            report.lost(
                &rules.at,
                "an `action` that is none of rbac: the route refuses all; write ALLOW, DENY or LOG",
            );
            return Err(());
        }
    };
    let all = member(rules, "policies").map(entries).unwrap_or_default();
    let all = all.into_iter().map(|(name, policy)| {
        report.took(format!("the policy {name:?} of rbac"));
        let permissions = listed(policy, "permissions", |tree| permission(tree, known));
        let principals = listed(policy, "principals", |tree| principal(tree, known));
        let mut parts = vec![Expression::any(permissions), Expression::any(principals)];
        // A condition of CEL, or something new.
        let is_read = |(name, _): &(&str, &Tree)| ["permissions", "principals"].contains(name);
        if !entries(policy).iter().all(is_read) {
            parts.push(Expression::Unknown);
        }
        (name.to_owned(), Expression::all(parts))
    });
    Ok(Some(Policies {
        action,
        all: all.collect(),
    }))
}

/// What a list says. Of one that has nothing, nobody can say it.
fn listed(tree: &Tree, name: &str, read: impl Fn(&Tree) -> Expression) -> Vec<Expression> {
    let all: Vec<Expression> = items(tree, name).into_iter().map(read).collect();
    match all.is_empty() {
        true => vec![Expression::Unknown],
        false => all,
    }
}

/// A `Permission`.
fn permission(tree: &Tree, known: &Known<'_>) -> Expression {
    let all = entries(tree);
    let [(kind, inner)] = all.as_slice() else {
        return Expression::Unknown;
    };
    match *kind {
        "and_rules" | "andRules" => {
            Expression::all(listed(inner, "rules", |tree| permission(tree, known)))
        }
        "or_rules" | "orRules" => {
            Expression::any(listed(inner, "rules", |tree| permission(tree, known)))
        }
        "not_rule" | "notRule" => permission(inner, known).not(),
        "any" => Expression::Const(true),
        "header" => header(inner, &known.before),
        "url_path" | "urlPath" => url_path(inner, known),
        "uri_template" | "uriTemplate" if !known.before.changes(":path") => {
            let template = path(inner, &["typed_config", "path_template"]).and_then(Tree::text);
            let set = template.and_then(of_template).map(PathSet::Regex);
            paths(set.and_then(|set| set.usable(false)))
        }
        _ => Expression::Unknown,
    }
}

fn url_path(tree: &Tree, known: &Known<'_>) -> Expression {
    if known.before.changes(":path") {
        return Expression::Unknown;
    }
    let matcher = member(tree, "path").and_then(string_matcher);
    let set = matcher.and_then(|(kind, value, ignores_case)| of_test(kind, &value, ignores_case));
    paths(set)
}

/// One of these paths; unknown if there is no set.
pub(super) fn paths(set: Option<PathSet>) -> Expression {
    match set {
        Some(PathSet::Any) => Expression::Const(true),
        Some(set) => Expression::Is(Leaf::To("paths", vec![set.item()])),
        None => Expression::Unknown,
    }
}

/// A `Principal`.
fn principal(tree: &Tree, known: &Known<'_>) -> Expression {
    let all = entries(tree);
    let [(kind, inner)] = all.as_slice() else {
        return Expression::Unknown;
    };
    let each = |name| listed(inner, name, |tree| principal(tree, known));
    match *kind {
        "and_ids" | "andIds" => Expression::all(each("ids")),
        "or_ids" | "orIds" => Expression::any(each("ids")),
        "not_id" | "notId" => principal(inner, known).not(),
        "any" => Expression::Const(true),
        "authenticated" => match member(inner, "principal_name") {
            // Of several names of a certificate one decides here.
            Some(name) => match text_item(name) {
                Some(item) => Expression::Under(Leaf::From("certificates", vec![item])),
                None => Expression::Unknown,
            },
            None => Expression::Under(Leaf::From("certificates", vec![json!({ "regex": ".+" })])),
        },
        "remote_ip" | "remoteIp" => address(inner),
        "source_ip" | "sourceIp" | "direct_remote_ip" | "directRemoteIp" if known.is_direct => {
            address(inner)
        }
        "header" => header(inner, &known.before),
        "url_path" | "urlPath" => url_path(inner, known),
        "metadata" => metadata(inner, known).unwrap_or(Expression::Unknown),
        _ => Expression::Unknown,
    }
}

fn address(range: &Tree) -> Expression {
    let Some(prefix) = text(range, "address_prefix") else {
        return Expression::Unknown;
    };
    let written = match number(range, "prefix_len") {
        Some(length) => format!("{prefix}/{length}"),
        None => format!("{prefix}/0"),
    };
    addresses(&written)
}

/// Whether the client is there; unknown if that is no network.
pub(super) fn addresses(written: &str) -> Expression {
    let is_network = portcullis::address::Range::parse(written).is_some();
    match is_network {
        true => Expression::Is(Leaf::From("addresses", vec![written.into()])),
        false => Expression::Unknown,
    }
}

/// Claims that `jwt_authn` has left in its metadata.
fn metadata(tree: &Tree, known: &Known<'_>) -> Option<Expression> {
    if text(tree, "filter")? != "envoy.filters.http.jwt_authn" {
        return None;
    }
    let names = items(tree, "path")
        .into_iter()
        .map(|each| text(each, "key"));
    let names: Vec<&str> = names.collect::<Option<_>>()?;
    let (key, claim) = names.split_first()?;
    let taken = &known.providers.taken;
    let names = known.providers.metadata.get(*key)?.iter();
    let names: Vec<&str> = names
        .map(String::as_str)
        .filter(|name| taken.contains_key(*name))
        .collect();
    // Conditions on claims are asked of the first of several tokens.
    let is_asked = match known.all_of.split_first() {
        Some((first, others)) => {
            names.contains(first) && !others.iter().any(|name| names.contains(name))
        }
        None => !names.is_empty(),
    };
    if !is_asked {
        return None;
    }
    let pointer = match claim {
        [] => return None,
        [one] if !one.starts_with('/') => (*one).to_owned(),
        several => several.iter().fold(String::new(), |all, name| {
            format!("{all}/{}", name.replace('~', "~0").replace('/', "~1"))
        }),
    };
    let condition: Value = condition(&pointer, member(tree, "value")?)?.into();
    let mut parts = vec![Expression::Is(Leaf::Claim(condition))];
    if names.len() < taken.len() {
        let names = names.into_iter().map(Value::from).collect();
        parts.push(Expression::Is(Leaf::From("authorities", names)));
    }
    Some(Expression::all(parts).inverted(boolean(tree, "invert")))
}
