//! `rbac`: permissions and principals.

use serde_json::{Value, json};

use super::expression::{Action, Expression, Leaf};
use super::headers::header;
use super::jwt::{Providers, condition, text_item};
use super::paths::{PathSet, of_template, of_test, string_matcher};
use super::reading::{Report, boolean, entries, items, member, number, path, rest, text};
use portcullis_cases::tree::Tree;

/// What is known of the rest of the chain.
pub(super) struct Known<'k> {
    pub(super) providers: &'k Providers,
    /// Whether the address of the connection is that of the client.
    pub(super) is_direct: bool,
}

/// The rules of one filter: what is done where one of the policies holds, each with its name.
pub(super) struct Policies {
    pub(super) action: Action,
    pub(super) all: Vec<(String, Expression)>,
}

/// The rules of an `RBAC` message under `rules` or `shadow_rules`; none if there are none. What is only logged is no
/// rule.
pub(super) fn policies(rules: &Tree, known: &Known<'_>, report: &mut Report) -> Option<Policies> {
    rest(
        rules,
        &["action", "policies", "audit_logging_options"],
        "rules of rbac",
        report,
    );
    let action = match text(rules, "action").unwrap_or("ALLOW") {
        "ALLOW" => Action::Allow,
        "DENY" => Action::Deny,
        _ => {
            report.note(&rules.at, "rules that only log are left out");
            return None;
        }
    };
    let all = member(rules, "policies").map(entries).unwrap_or_default();
    let all = all.into_iter().map(|(name, policy)| {
        report.took(format!("the policy {name:?} of rbac"));
        let permissions = items(policy, "permissions").into_iter().map(permission);
        let permissions = Expression::any(permissions.collect::<Vec<_>>());
        let principals = items(policy, "principals").into_iter();
        let principals = principals.map(|each| principal(each, known));
        let mut parts = vec![permissions, Expression::any(principals.collect::<Vec<_>>())];
        for name in ["condition", "checked_condition", "cel_config"] {
            if member(policy, name).is_some() {
                parts.push(Expression::Unknown);
            }
        }
        (name.to_owned(), Expression::all(parts))
    });
    Some(Policies {
        action,
        all: all.collect(),
    })
}

/// A `Permission`.
fn permission(tree: &Tree) -> Expression {
    let all = entries(tree);
    let [(kind, inner)] = all.as_slice() else {
        return Expression::Unknown;
    };
    match *kind {
        "and_rules" | "andRules" => {
            Expression::all(items(inner, "rules").into_iter().map(permission))
        }
        "or_rules" | "orRules" => {
            Expression::any(items(inner, "rules").into_iter().map(permission))
        }
        "not_rule" | "notRule" => permission(inner).not(),
        "any" => Expression::Const(true),
        "header" => header(inner),
        "url_path" | "urlPath" => url_path(inner),
        "uri_template" | "uriTemplate" => {
            let template = path(inner, &["typed_config", "path_template"]).and_then(Tree::text);
            let set = template.and_then(of_template).map(PathSet::Regex);
            paths(set.and_then(|set| set.usable(false)))
        }
        _ => Expression::Unknown,
    }
}

fn url_path(tree: &Tree) -> Expression {
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
    let each = |name| {
        items(inner, name)
            .into_iter()
            .map(|tree| principal(tree, known))
    };
    match *kind {
        "and_ids" | "andIds" => Expression::all(each("ids").collect::<Vec<_>>()),
        "or_ids" | "orIds" => Expression::any(each("ids").collect::<Vec<_>>()),
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
        "header" => header(inner),
        "url_path" | "urlPath" => url_path(inner),
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
    let provider = known.providers.metadata.get(*key)?;
    let pointer = match claim {
        [] => return None,
        [one] if !one.starts_with('/') => (*one).to_owned(),
        several => several.iter().fold(String::new(), |all, name| {
            format!("{all}/{}", name.replace('~', "~0").replace('/', "~1"))
        }),
    };
    let condition: Value = condition(&pointer, member(tree, "value")?)?.into();
    let mut parts = vec![Expression::Is(Leaf::Claim(condition))];
    if known.providers.taken.len() > 1 {
        parts.push(Expression::Is(Leaf::From(
            "authorities",
            vec![provider.as_str().into()],
        )));
    }
    Some(Expression::all(parts).inverted(boolean(tree, "invert")))
}
