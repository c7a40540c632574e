//! `AuthorizationPolicy`: one rule as an expression.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::super::expression::{Action, Expression, Leaf};
use super::super::headers::{exists, host_is, item};
use super::super::jwt::Providers;
use super::super::paths::{PathSet, escaped, of_template, of_test};
use super::super::rbac::{addresses, paths};
use super::super::reading::{Report, entries, member, rest, scalar, text};
use portcullis_cases::tree::{Content, Tree};

/// What one value of a condition asks; `None` if it has no counterpart.
type Judge<'k> = Box<dyn Fn(&str) -> Option<Expression> + 'k>;

/// A value of Istio: all, a text, or its beginning or end.
enum Pattern<'v> {
    Present,
    Exact(&'v str),
    Prefix(&'v str),
    Suffix(&'v str),
}

impl<'v> Pattern<'v> {
    fn of(value: &'v str) -> Self {
        match value {
            "*" => Self::Present,
            value => match (value.strip_prefix('*'), value.strip_suffix('*')) {
                (Some(end), _) => Self::Suffix(end),
                (_, Some(begin)) => Self::Prefix(begin),
                _ => Self::Exact(value),
            },
        }
    }

    /// As a test of texts.
    fn test(&self) -> Option<Map<String, Value>> {
        let test = match self {
            Self::Present => return None,
            Self::Exact(text) => json!({ "exact": text }),
            Self::Prefix(text) => json!({ "prefix": text }),
            Self::Suffix(text) => json!({ "suffix": text }),
        };
        test.as_object().cloned()
    }
}

/// A rule: one of its sources, one of its operations, and all conditions.
pub(super) fn rule(
    tree: &Tree,
    providers: &Providers,
    action: Action,
    report: &mut Report,
) -> Expression {
    const KNOWN: [&str; 3] = ["from", "to", "when"];
    rest(tree, &KNOWN, "a rule", report);
    if !has_only(tree, &KNOWN) {
        return Expression::Unknown;
    }
    let mut parts = Vec::new();
    for (name, inner) in [("from", "source"), ("to", "operation")] {
        let Some(list) = member(tree, name) else {
            continue;
        };
        let Some(all) = filled(list) else {
            return Expression::Unknown;
        };
        let all = all.iter().map(|each| match member(each, inner) {
            Some(fields) if has_only(each, &[inner]) => {
                of_fields(fields, providers, action, report)
            }
            _ => Expression::Unknown,
        });
        parts.push(Expression::Or(all.collect()));
    }
    if let Some(list) = member(tree, "when") {
        let Some(conditions) = filled(list) else {
            return Expression::Unknown;
        };
        let conditions = conditions.iter();
        parts.extend(conditions.map(|each| condition(each, providers, action, report)));
    }
    Expression::all(parts)
}

/// Whether an object has no other members than these.
fn has_only(tree: &Tree, known: &[&str]) -> bool {
    matches!(tree.content, Content::Object(_))
        && entries(tree).iter().all(|(name, _)| known.contains(name))
}

/// The items of a list that has some.
fn filled(tree: &Tree) -> Option<&[Tree]> {
    match &tree.content {
        Content::List(items) if !items.is_empty() => Some(items),
        _ => None,
    }
}

/// The texts of a list that has some, and nothing else.
fn values(list: &Tree) -> Option<Vec<String>> {
    let values = filled(list)?.iter().map(scalar);
    let values: Vec<String> = values.collect::<Option<_>>()?;
    (!values.iter().any(String::is_empty)).then_some(values)
}

/// One of `when`.
fn condition(
    tree: &Tree,
    providers: &Providers,
    action: Action,
    report: &mut Report,
) -> Expression {
    let Some(key) = text(tree, "key") else {
        return Expression::Unknown;
    };
    if !has_only(tree, &["key", "values", "notValues"]) {
        return Expression::Unknown;
    }
    let mut parts = Vec::new();
    for (name, holds) in [("values", true), ("notValues", false)] {
        let Some(list) = member(tree, name) else {
            continue;
        };
        let expression = match values(list) {
            Some(values) => of_key(key, &values, providers, action, &tree.at, report),
            None => Expression::Unknown,
        };
        parts.push(expression.inverted(!holds));
    }
    match parts.is_empty() {
        true => Expression::Unknown,
        false => Expression::all(parts),
    }
}

/// A source or an operation: all of its fields hold.
fn of_fields(
    tree: &Tree,
    providers: &Providers,
    action: Action,
    report: &mut Report,
) -> Expression {
    let fields = entries(tree);
    if fields.is_empty() {
        return Expression::Unknown;
    }
    let mut parts = Vec::new();
    for (name, list) in fields {
        let Some(values) = values(list) else {
            parts.push(Expression::Unknown);
            continue;
        };
        let (field, holds) = match name.strip_prefix("not") {
            Some(rest) => {
                let mut letters = rest.chars();
                let first = letters.next().map(|c| c.to_ascii_lowercase());
                (first.into_iter().chain(letters).collect(), false)
            }
            None => (name.to_owned(), true),
        };
        let key = match field.as_str() {
            "principals" => "source.principal",
            "requestPrincipals" => "request.auth.principal",
            "namespaces" => "source.namespace",
            "serviceAccounts" => "source.serviceAccount",
            "ipBlocks" => "source.ip",
            "remoteIpBlocks" => "remote.ip",
            other => other,
        };
        let expression = of_key(key, &values, providers, action, &list.at, report);
        parts.push(expression.inverted(!holds));
    }
    Expression::all(parts)
}

/// Whether a key has one of these values.
fn of_key(
    key: &str,
    values: &[String],
    providers: &Providers,
    action: Action,
    at: &Range<usize>,
    report: &mut Report,
) -> Expression {
    if key == "methods" && !values.iter().any(|value| value.contains('*')) {
        return Expression::methods(values.to_vec());
    }
    let inner = |prefix: &str| key.strip_prefix(prefix)?.strip_suffix(']');
    let each: Judge<'_> = match key {
        "source.principal" => Box::new(certificate),
        "source.namespace" => {
            Box::new(|value| named_certificate(&format!(".*/ns/{}/.*", plain(value)?)))
        }
        "source.serviceAccount" => Box::new(|value| {
            let (namespace, account) = value.split_once('/')?;
            named_certificate(&format!(
                ".*/ns/{}/sa/{}",
                plain(namespace)?,
                plain(account)?
            ))
        }),
        "request.auth.principal" => Box::new(|value| request_principal(value, providers)),
        "request.auth.presenter" | "request.auth.audiences" => {
            return claims(key, values, action, at, report);
        }
        "remote.ip" => Box::new(|value| Some(addresses(value))),
        "hosts" => Box::new(|value| host(value, values)),
        "methods" => Box::new(|value| match Pattern::of(value) {
            Pattern::Present => Some(Expression::Const(true)),
            Pattern::Exact(method) => Some(Expression::methods(vec![method.to_owned()])),
            _ => None,
        }),
        "paths" => Box::new(path),
        _ => match (inner("request.headers["), inner("request.auth.claims[")) {
            (Some(header), _) => Box::new(move |value| of_header(header, value)),
            (_, Some("scope")) => Box::new(|value| match Pattern::of(value) {
                Pattern::Exact(scope) => {
                    Some(Expression::Is(Leaf::From("scopes", vec![scope.into()])))
                }
                _ => None,
            }),
            (_, Some(_)) => return claims(key, values, action, at, report),
            _ => Box::new(|_| None),
        },
    };
    let all = values
        .iter()
        .map(|value| each(value).unwrap_or(Expression::Unknown));
    Expression::any(all.collect::<Vec<_>>())
}

/// A text without a star, as an expression.
fn plain(value: &str) -> Option<String> {
    (!value.contains('*')).then(|| escaped(value))
}

fn certificate(value: &str) -> Option<Expression> {
    let item = match Pattern::of(value) {
        Pattern::Present => json!({ "regex": ".+" }),
        Pattern::Exact(name) => json!(format!("spiffe://{name}")),
        Pattern::Prefix(begin) => json!({ "prefix": format!("spiffe://{begin}") }),
        Pattern::Suffix(end) => json!({ "regex": format!("spiffe://.*{}", escaped(end)) }),
    };
    Some(Expression::Is(Leaf::From("certificates", vec![item])))
}

fn named_certificate(regex: &str) -> Option<Expression> {
    let item = json!({ "regex": regex });
    Some(Expression::Is(Leaf::From("certificates", vec![item])))
}

/// `issuer/subject`.
fn request_principal(value: &str, providers: &Providers) -> Option<Expression> {
    let issuer_is = |issuer: &str| Expression::Is(Leaf::From("issuers", vec![issuer.into()]));
    let subject_is =
        |test: Map<String, Value>| Expression::Is(Leaf::From("subjects", vec![item(test)]));
    let known = || {
        providers
            .taken
            .values()
            .filter_map(|provider| provider.get("issuer")?.as_str())
    };
    // A token without `sub` has no principal.
    let has_subject = || {
        let test = json!({ "regex": ".+" });
        Expression::Is(Leaf::From("subjects", vec![test]))
    };
    match Pattern::of(value) {
        Pattern::Present => Some(Expression::all([
            Expression::Is(Leaf::Authenticated),
            has_subject(),
        ])),
        Pattern::Exact(value) => {
            // An issuer has slashes itself.
            let pairs = known().filter_map(|issuer| {
                let subject = value.strip_prefix(issuer)?.strip_prefix('/')?;
                let test = json!({ "exact": subject }).as_object()?.clone();
                Some(Expression::all([issuer_is(issuer), subject_is(test)]))
            });
            let pairs: Vec<Expression> = pairs.collect();
            // Tokens of others are not accepted.
            Some(Expression::Or(pairs))
        }
        Pattern::Prefix(begin) => {
            let pairs = known().filter_map(|issuer| {
                let whole = format!("{issuer}/");
                if whole.starts_with(begin) {
                    return Some(Expression::all([issuer_is(issuer), has_subject()]));
                }
                let subject = begin.strip_prefix(whole.as_str())?;
                let test = json!({ "prefix": subject }).as_object()?.clone();
                Some(Expression::all([issuer_is(issuer), subject_is(test)]))
            });
            let pairs: Vec<Expression> = pairs.collect();
            Some(Expression::Or(pairs))
        }
        Pattern::Suffix(end) => {
            let subject = end
                .strip_prefix('/')
                .filter(|subject| !subject.contains('/'))?;
            let exact = json!({ "exact": subject }).as_object()?.clone();
            let suffix = json!({ "suffix": end }).as_object()?.clone();
            Some(Expression::any([subject_is(exact), subject_is(suffix)]))
        }
    }
}

/// A host. `name` is for requests without a port; `all` may have `name:*` beside it.
fn host(value: &str, all: &[String]) -> Option<Expression> {
    let has = |wanted: &str| all.iter().any(|value| value == wanted);
    match Pattern::of(value) {
        Pattern::Present => Some(Expression::Const(true)),
        Pattern::Exact(name) => host_is(name, false),
        // That is said by the name.
        Pattern::Prefix(begin) if begin.strip_suffix(':').is_some_and(has) => {
            Some(Expression::Const(false))
        }
        Pattern::Suffix(end) if end.starts_with('.') => host_is(&format!("*{end}"), false),
        Pattern::Suffix(_) | Pattern::Prefix(_) => None,
    }
}

fn path(value: &str) -> Option<Expression> {
    if value.contains('{') {
        let set = of_template(value).map(PathSet::Regex);
        return Some(paths(set.and_then(|set| set.usable(false))));
    }
    let set = match Pattern::of(value) {
        Pattern::Present => return Some(Expression::Const(true)),
        Pattern::Exact(path) => of_test("exact", path, false),
        Pattern::Prefix(begin) => of_test("prefix", begin, false),
        Pattern::Suffix(end) => of_test("suffix", end, false),
    };
    Some(paths(set))
}

fn of_header(header: &str, value: &str) -> Option<Expression> {
    let header = header.to_ascii_lowercase();
    if header.starts_with(':') {
        return None;
    }
    match Pattern::of(value) {
        Pattern::Present => Some(exists(&header)),
        pattern => {
            let mut condition = pattern.test()?;
            condition.insert("header".into(), header.into());
            Some(Expression::Is(Leaf::When(condition.into())))
        }
    }
}

/// A claim that is one of these texts, or a list with one of them.
fn claims(
    key: &str,
    values: &[String],
    action: Action,
    at: &Range<usize>,
    report: &mut Report,
) -> Expression {
    let name = match key {
        "request.auth.presenter" => "azp".to_owned(),
        "request.auth.audiences" => "aud".to_owned(),
        key => {
            let names = key.strip_prefix("request.auth.claims[");
            let names = names.and_then(|rest| rest.strip_suffix(']'));
            let names: Vec<&str> = names.unwrap_or_default().split("][").collect();
            match names.as_slice() {
                [one] if !one.starts_with('/') => (*one).to_owned(),
                several => several.iter().fold(String::new(), |all, name| {
                    format!("{all}/{}", name.replace('~', "~0").replace('/', "~1"))
                }),
            }
        }
    };
    // Of lists no item is looked into by its beginning, and of no list is it asked whether it has items.
    if values.iter().any(|value| value.contains('*')) {
        return Expression::Unknown;
    }
    if action == Action::Deny {
        report.lost(
            at,
            "a claim may be a text or a list, and a denial has to know: of the rules for both, take out the one that is not for your tokens, which refuses whoever has the claim",
        );
    }
    let is = |test: &str| {
        let value: Value = match (test, values) {
            ("exact" | "includes", [one]) => one.as_str().into(),
            _ => values.into(),
        };
        Expression::Is(Leaf::Claim(json!({ "claim": name, test: value })))
    };
    match values {
        [_] => Expression::Or(vec![is("exact"), is("includes")]),
        _ => Expression::Or(vec![is("in"), is("includes_any")]),
    }
}
