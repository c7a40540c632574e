//! Exemptions that are none: those that anybody meets, and those that nobody can.

use portcullis_document::{DidYouMean, Problems, Quoted};
use portcullis_exchange::policy::RouteCredentials;
use portcullis_exchange::route::PathPattern;
use portcullis_wire::address::Range;
use portcullis_wire::networks::{NetworkSet, NetworkSetBuilder};

use super::rule::{AccessRule, FieldTest, Group, Need, Values};

/// Reports an exemption that anybody meets, and notes one that leaves out only some callers.
pub(super) fn check_anybody(rule: &AccessRule, notes: &mut Vec<String>, problems: &mut Problems) {
    let open = |groups: &[Group]| {
        let is_open = |group: &&Group| group.tests.iter().all(is_of_anybody);
        let found = groups.iter().find(is_open);
        found
            .and_then(|group| group.tests.first())
            .map(|test| test.at.clone())
    };
    let (from, to) = (open(&rule.from), open(&rule.to));
    let is_open = (rule.from.is_empty() || from.is_some()) && (rule.to.is_empty() || to.is_some());
    if let (true, Some(at)) = (is_open, from.or(to)) {
        problems.report(
            &at,
            "holds for anybody, so nobody would be held up; name whom or what is to be let through",
        );
        return;
    }
    let leaves_out = |test: &FieldTest| test.is_negated && test.values.need() == Need::Identity;
    let is_of_others = |group: &&Group| group.tests.iter().all(leaves_out);
    if let Some(test) = rule
        .from
        .iter()
        .find(is_of_others)
        .and_then(|group| group.tests.first())
    {
        notes.push(format!(
            "{}: lets everybody through but those that it names; to let through those alone, leave out the `not_`",
            test.at
        ));
    }
}

/// Whether anybody meets it, or can.
fn is_of_anybody(test: &FieldTest) -> bool {
    if test.is_negated {
        return false;
    }
    match &test.values {
        Values::Addresses(addresses) => has_all(addresses),
        Values::Networks(lists) => lists.iter().any(|list| list.written().is_some_and(has_all)),
        Values::Paths(paths) => {
            let all = PathPattern::Prefix(String::new());
            paths.iter().any(|path| path.holds_all_of(&all))
        }
        // Anybody can leave out their credentials.
        Values::Authenticated(is_known) => !is_known,
        _ => false,
    }
}

/// Whether all addresses of IPv4, or all of IPv6, are in it.
fn has_all(networks: &NetworkSet) -> bool {
    ["0.0.0.0/0", "::/0"].iter().any(|written| {
        let mut all = NetworkSetBuilder::default();
        if let Some(range) = Range::parse(written) {
            all.add(&range);
        }
        networks.holds_all_of(&all.finish())
    })
}

/// Exemptions for roles that nobody has on a route.
pub(super) fn unknown_roles(
    rules: &[&AccessRule],
    credentials: &RouteCredentials<'_>,
) -> Vec<String> {
    // Without any, nobody is known, or it is not known who; that is reported.
    if credentials.guard.is_none() || credentials.asked.is_empty() {
        return Vec::new();
    }
    let asked = || credentials.asked.iter();
    let sources: Vec<_> = asked().flat_map(|asked| &asked.roles).collect();
    let vouchers: Vec<String> = asked()
        .flat_map(|asked| &asked.authorities)
        .map(|(_, name)| Quoted(name).to_string())
        .collect();
    let tests = rules.iter().flat_map(|rule| rule.tests());
    let mut unknown = Vec::new();
    for test in tests.filter(|test| !test.is_negated) {
        let Values::Roles(texts) = &test.values else {
            continue;
        };
        if sources.is_empty() {
            unknown.push(format!(
                "{}: nobody has a role on this route, so nobody is let through: {} vouches for callers, and has no `roles`; say there which claims are roles, as in `roles: {{\"from\": [\"groups\"]}}`, or go by `subjects` or `clients`",
                test.at,
                vouchers.join(" or ")
            ));
            continue;
        }
        for role in &texts.exact {
            if sources.iter().any(|source| source.can_give(role)) {
                continue;
            }
            let names = sources.iter().flat_map(|source| source.names());
            let names: Vec<&str> = names.collect();
            let near = DidYouMean(role, names.iter().copied());
            unknown.push(format!(
                "{}: nobody has the role {} on this route: no `roles` of {} gives it{near}",
                test.at,
                Quoted(role),
                vouchers.join(" or ")
            ));
        }
    }
    unknown
}
