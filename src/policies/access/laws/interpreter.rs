//! A plain interpreter of generated rules, which shares nothing with the one that requests meet.

use super::super::decision::Fallback;
use super::generated::{CallerSpec, FieldSpec, PATHS, PATTERNS, RequestSpec, RuleSpec};

/// What is known, to the interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Holds,
    Fails,
    Open,
    AtTheEnd,
}

/// Whether a path is for a pattern of that place.
pub(super) fn fits(pattern: &str, path: &str, any_case: bool) -> bool {
    let folded = |text: &str| match any_case {
        true => text.to_lowercase(),
        false => text.to_owned(),
    };
    let path = folded(path);
    let is_below = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}/"));
    let segments: Vec<&str> = path.split('/').collect();
    let place = PATTERNS.iter().position(|each| *each == pattern).unwrap();
    match place {
        0 => path == "/a",
        1 => path == "/a/b",
        2 => path == "/b",
        3 => is_below("/a"),
        4 => is_below(&folded("/A")),
        5 => true,
        6 => segments.len() == 3 && segments[1] == "a" && !segments[2].is_empty(),
        7 => segments.len() == 3 && segments[2] == "b" && !segments[1].is_empty(),
        _ => path.ends_with('b'),
    }
}

/// Whether one of the texts of a caller is among values.
pub(super) fn text_is_in(values: &[&str], text: &str) -> bool {
    values.iter().any(|value| match value.contains("prefix") {
        true => text.starts_with('a'),
        false => *value == format!("\"{text}\""),
    })
}

pub(super) fn plain(holds: bool) -> Plain {
    match holds {
        true => Plain::Holds,
        false => Plain::Fails,
    }
}

pub(super) fn field_of(spec: &FieldSpec, request: &RequestSpec, any_case: bool) -> Plain {
    let values = &spec.values[..];
    let found = match (spec.name, request.caller) {
        ("methods", _) => {
            let names = |method: &str| values.contains(&&*format!("\"{method}\""));
            plain(names(request.method) || request.method == "HEAD" && names("GET"))
        }
        ("paths", _) => {
            let (_, readings) = PATHS.iter().find(|path| path.0 == request.path).unwrap();
            let fits_one = |path: &str, any| values.iter().any(|each| fits(each, path, any));
            let mut all: Vec<bool> = readings.iter().map(|path| fits_one(path, false)).collect();
            if any_case {
                all.extend(readings.iter().map(|path| fits_one(path, true)));
            }
            match (all.contains(&true), all.contains(&false)) {
                (true, true) => Plain::Open,
                (holds, _) => plain(holds),
            }
        }
        (_, CallerSpec::AtTheEnd) => Plain::AtTheEnd,
        ("authenticated", CallerSpec::Nobody) => plain(values[0] == "false"),
        (_, CallerSpec::Nobody) => Plain::Fails,
        ("authenticated", _) => plain(values[0] == "true"),
        (
            name,
            CallerSpec::Known {
                client,
                odd_subject,
                subject,
                roles,
                scope,
            },
        ) => match name {
            "clients" => plain(client.is_some_and(|client| text_is_in(values, client))),
            "subjects" if odd_subject => Plain::Open,
            "subjects" => plain(text_is_in(values, subject)),
            "roles" => plain(roles.iter().any(|role| text_is_in(values, role))),
            _ => plain(scope.iter().any(|scope| text_is_in(values, scope))),
        },
    };
    let is_negated = spec.is_negated && spec.name != "authenticated";
    match found {
        Plain::Holds if is_negated => Plain::Fails,
        Plain::Fails if is_negated => Plain::Holds,
        found => found,
    }
}

pub(super) fn all_hold(parts: &[Plain]) -> Plain {
    [Plain::Fails, Plain::Open, Plain::AtTheEnd]
        .into_iter()
        .find(|part| parts.contains(part))
        .unwrap_or(Plain::Holds)
}

pub(super) fn one_holds(parts: &[Plain]) -> Plain {
    let found = [Plain::Holds, Plain::AtTheEnd, Plain::Open]
        .into_iter()
        .find(|part| parts.contains(part));
    match parts.is_empty() {
        true => Plain::Holds,
        false => found.unwrap_or(Plain::Fails),
    }
}

pub(super) fn rule_of(rule: &RuleSpec, request: &RequestSpec, any_case: bool) -> Plain {
    let of_groups = |groups: &[Vec<FieldSpec>]| {
        let groups = groups.iter().map(|group| {
            let fields = group.iter().map(|field| field_of(field, request, any_case));
            all_hold(&fields.collect::<Vec<_>>())
        });
        one_holds(&groups.collect::<Vec<_>>())
    };
    let mut parts = vec![of_groups(&rule.from), of_groups(&rule.to)];
    for name in &rule.when {
        let sent = request.headers.iter().filter(|header| header.0 == *name);
        let sent: Vec<&str> = sent.map(|header| header.1).collect();
        parts.push(match sent[..] {
            [] => Plain::Fails,
            [value] => plain(value == "1"),
            _ => Plain::Open,
        });
    }
    all_hold(&parts)
}

/// What rules come to, with the name of the one that decides.
pub(super) fn interpreted(
    rules: &[RuleSpec],
    fallback: Fallback,
    request: &RequestSpec,
    any_case: bool,
) -> (&'static str, Option<String>) {
    let in_force = |rule: &&RuleSpec| !rule.in_shadow && rule.percent != Some(0);
    let first = |allows: bool, wanted: Plain| {
        let rules = rules.iter().filter(in_force);
        let mut rules = rules.filter(|rule| rule.allows == allows);
        rules.find(|rule| rule_of(rule, request, any_case) == wanted)
    };
    let name = |rule: &RuleSpec| Some(rule.name.clone());
    if let Some(rule) = first(false, Plain::Holds) {
        return ("denied", name(rule));
    }
    if let Some(rule) = first(false, Plain::Open) {
        return ("undecidable", name(rule));
    }
    if first(false, Plain::AtTheEnd).is_some() {
        return ("later", None);
    }
    if fallback == Fallback::Allow {
        return ("allowed", None);
    }
    if let Some(rule) = first(true, Plain::Holds) {
        return ("allowed", name(rule));
    }
    if first(true, Plain::AtTheEnd).is_some() {
        return ("later", None);
    }
    match first(true, Plain::Open) {
        Some(rule) => ("undecidable", name(rule)),
        None => ("no rule", None),
    }
}
