//! What holds for all rules and requests: they come to what a plain interpreter of the same rules says, which
//! shares nothing with the one that is asked, and in whatever way they are found.

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use portcullis_exchange::exchange::{Facts, Request};
use portcullis_exchange::policy::RoutePath;
use portcullis_exchange::principal::{CredentialKind, Principal, Roles};
use portcullis_exchange::target::{Ambiguous, Authority, LetterCase, PathRules, Target};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::compact::Compact;

use super::decision::{Decision, Fallback, decide};
use super::index::RuleIndex;
use super::request::{Head, HeadContext};
use super::rule::AccessRule;
use super::share;
use super::testing::rules_by;
use crate::rate_limits::random::Random;

/// What is known, to the interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Holds,
    Fails,
    Open,
    AtTheEnd,
}

/// A list of values of a field, as it is generated.
#[derive(Clone, Debug)]
struct FieldSpec {
    name: &'static str,
    is_negated: bool,
    /// In JSON.
    values: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct RuleSpec {
    name: String,
    allows: bool,
    from: Vec<Vec<FieldSpec>>,
    to: Vec<Vec<FieldSpec>>,
    /// That a header has the value `1`.
    when: Vec<&'static str>,
    /// Of a hundred.
    percent: Option<u8>,
    in_shadow: bool,
}

/// What a request has. A caller is of one of a few kinds.
#[derive(Clone, Debug)]
struct RequestSpec {
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    caller: CallerSpec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallerSpec {
    Nobody,
    AtTheEnd,
    Known {
        client: Option<&'static str>,
        /// A `sub` that is no text.
        odd_subject: bool,
        subject: &'static str,
        roles: &'static [&'static str],
        scope: &'static [&'static str],
    },
}

const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const HEADERS: [&str; 2] = ["x-one", "x-two"];
const LISTS: [&[&str]; 5] = [&[], &["a"], &["b", "c"], &["d", "a"], &["e"]];

/// Paths, with all that servers may read in them; upper and lower case may be the same.
const PATHS: [(&str, &[&str]); 9] = [
    ("/", &["/"]),
    ("/a", &["/a"]),
    ("/a/b", &["/a/b"]),
    ("/A/b", &["/A/b"]),
    ("/a/b/c", &["/a/b/c"]),
    ("/b", &["/b"]),
    ("/ab", &["/ab"]),
    ("/a%2Fb", &["/a%2Fb", "/a/b"]),
    ("/b;x/c", &["/b;x/c", "/b/c", "/b"]),
];

/// How paths are written in rules.
const PATTERNS: [&str; 9] = [
    r#""/a""#,
    r#""/a/b""#,
    r#""/b""#,
    r#"{"prefix": "/a"}"#,
    r#"{"prefix": "/A"}"#,
    r#"{"prefix": "/"}"#,
    r#"{"template": "/a/{x}"}"#,
    r#"{"template": "/{x}/b"}"#,
    r#"{"regex": "/.*b"}"#,
];

/// Whether a path is for a pattern of that place.
fn fits(pattern: &str, path: &str, any_case: bool) -> bool {
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

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap()
}

fn one<T: Copy>(random: &mut Random, items: &[T]) -> T {
    items[below(random, items.len())]
}

fn field(random: &mut Random, name: &'static str, values: &[&'static str]) -> FieldSpec {
    let count = 1 + below(random, 2);
    FieldSpec {
        name,
        is_negated: below(random, 4) == 0,
        values: (0..count).map(|_| one(random, values)).collect(),
    }
}

/// Groups of which each has some of the fields, each of them once.
fn groups(random: &mut Random, fields: &[(&'static str, &[&'static str])]) -> Vec<Vec<FieldSpec>> {
    let count = below(random, 3);
    let mut groups = Vec::new();
    for _ in 0..count {
        let first = below(random, fields.len());
        let second = below(random, fields.len());
        let mut group = vec![field(random, fields[first].0, fields[first].1)];
        if first != second {
            group.push(field(random, fields[second].0, fields[second].1));
        }
        groups.push(group);
    }
    groups
}

const TEXTS: [&str; 6] = [
    r#""a""#,
    r#""b""#,
    r#""c""#,
    r#""d""#,
    r#""a""#,
    r#"{"prefix": "a"}"#,
];

fn rule(random: &mut Random, number: usize) -> RuleSpec {
    let of_caller: [(&str, &[&str]); 5] = [
        ("clients", &TEXTS),
        ("subjects", &TEXTS[..4]),
        ("roles", &TEXTS[..5]),
        ("scopes", &TEXTS),
        ("authenticated", &["true", "false"]),
    ];
    let of_request: [(&str, &[&str]); 2] = [
        ("methods", &[r#""GET""#, r#""POST""#, r#""DELETE""#]),
        ("paths", &PATTERNS),
    ];
    let when = match below(random, 4) {
        0 => vec![one(random, &HEADERS)],
        _ => Vec::new(),
    };
    RuleSpec {
        name: format!("r{number}"),
        allows: below(random, 3) != 0,
        from: groups(random, &of_caller),
        to: groups(random, &of_request),
        when,
        percent: match below(random, 8) {
            0 => Some(0),
            1 => Some(100),
            _ => None,
        },
        in_shadow: false,
    }
}

fn request(random: &mut Random) -> RequestSpec {
    let caller = match below(random, 6) {
        0 => CallerSpec::Nobody,
        1 => CallerSpec::AtTheEnd,
        _ => CallerSpec::Known {
            client: [None, Some("a"), Some("b"), Some("ab")][below(random, 4)],
            odd_subject: below(random, 5) == 0,
            subject: one(random, &NAMES),
            roles: one(random, &LISTS),
            scope: one(random, &LISTS),
        },
    };
    let headers = (0..below(random, 3)).map(|_| (one(random, &HEADERS), one(random, &["1", "2"])));
    RequestSpec {
        headers: headers.collect(),
        method: one(random, &METHODS),
        path: one(random, &PATHS).0,
        caller,
    }
}

fn written(rule: &RuleSpec) -> String {
    let mut text = format!(
        r#"{{"name": "{}", "action": "{}""#,
        rule.name,
        if rule.allows { "allow" } else { "deny" }
    );
    for (name, groups) in [("from", &rule.from), ("to", &rule.to)] {
        if groups.is_empty() {
            continue;
        }
        let groups: Vec<String> = groups
            .iter()
            .map(|group| {
                let fields = group.iter().map(|field| {
                    let values = field.values.join(", ");
                    match (field.name, field.is_negated) {
                        ("authenticated", _) => format!(r#""{}": {}"#, field.name, field.values[0]),
                        (name, true) => format!(r#""not_{name}": [{values}]"#),
                        (name, false) => format!(r#""{name}": [{values}]"#),
                    }
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            })
            .collect();
        let _ = write!(text, r#", "{name}": [{}]"#, groups.join(", "));
    }
    if let [header] = rule.when[..] {
        let _ = write!(
            text,
            r#", "when": [{{"header": "{header}", "exact": "1"}}]"#
        );
    }
    if let Some(percent) = rule.percent {
        let _ = write!(text, r#", "percent": {percent}"#);
    }
    if rule.in_shadow {
        text += r#", "mode": "shadow""#;
    }
    text + "}"
}

fn compiled(specs: &[RuleSpec], letter_case: LetterCase) -> Vec<Rc<AccessRule>> {
    let written: Vec<String> = specs.iter().map(written).collect();
    rules_by(&format!("[{}]", written.join(", ")), letter_case)
}

/// Whether one of the texts of a caller is among values.
fn text_is_in(values: &[&str], text: &str) -> bool {
    values.iter().any(|value| match value.contains("prefix") {
        true => text.starts_with('a'),
        false => *value == format!("\"{text}\""),
    })
}

fn plain(holds: bool) -> Plain {
    match holds {
        true => Plain::Holds,
        false => Plain::Fails,
    }
}

fn field_of(spec: &FieldSpec, request: &RequestSpec, any_case: bool) -> Plain {
    let values = &spec.values[..];
    let found = match (spec.name, request.caller) {
        ("methods", _) => plain(values.contains(&&*format!("\"{}\"", request.method))),
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

fn all_hold(parts: &[Plain]) -> Plain {
    [Plain::Fails, Plain::Open, Plain::AtTheEnd]
        .into_iter()
        .find(|part| parts.contains(part))
        .unwrap_or(Plain::Holds)
}

fn one_holds(parts: &[Plain]) -> Plain {
    let found = [Plain::Holds, Plain::AtTheEnd, Plain::Open]
        .into_iter()
        .find(|part| parts.contains(part));
    match parts.is_empty() {
        true => Plain::Holds,
        false => found.unwrap_or(Plain::Fails),
    }
}

fn rule_of(rule: &RuleSpec, request: &RequestSpec, any_case: bool) -> Plain {
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
fn interpreted(
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

/// Hands the head of a request to `look`.
fn with_head<T>(
    request: &RequestSpec,
    letter_case: LetterCase,
    look: impl FnOnce(&Head<'_>, &Facts) -> T,
) -> T {
    let rules = PathRules {
        semicolons: Ambiguous::SameRoute,
        encoded_slashes: Ambiguous::SameRoute,
        letter_case,
        ..PathRules::default()
    };
    let target = Target::parse_by(request.path.as_bytes(), rules).unwrap();
    let mut headers = Headers::default();
    headers.push(b":method", request.method.as_bytes());
    headers.push(b":path", request.path.as_bytes());
    for (name, value) in &request.headers {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let principal = match request.caller {
        CallerSpec::Nobody | CallerSpec::AtTheEnd => None,
        CallerSpec::Known {
            client,
            odd_subject,
            subject,
            roles,
            scope,
        } => {
            let client = client.map_or(String::new(), |c| format!(r#""client_id": "{c}","#));
            let subject = match odd_subject {
                true => "7".to_owned(),
                false => format!("\"{subject}\""),
            };
            let scope = scope.join(" ");
            let claims = format!(r#"{{{client} "sub": {subject}, "scope": "{scope}"}}"#);
            Some(Principal {
                kind: CredentialKind::Jwt,
                authority: "corp".into(),
                attributes: Compact::parse(claims.as_bytes(), 8).unwrap(),
                roles: Roles::of(roles.iter().copied()).unwrap(),
            })
        }
    };
    let facts = Facts {
        principal,
        ..Facts::default()
    };
    let host = MemoryHost::new();
    let known = HeadContext {
        facts: &facts,
        host: &host,
        now: Duration::from_secs(1_800_000_000),
        names_caller_late: request.caller == CallerSpec::AtTheEnd,
        path: &RoutePath::default(),
        body: None,
    };
    let effort = Effort::new(1_000_000_000);
    let request = Request {
        headers: &headers,
        authority: &Authority::default(),
        target: &target,
        effort: &effort,
    };
    look(&Head::new(request, known), &facts)
}

fn told(decision: Decision<'_>) -> (&'static str, Option<String>) {
    match decision {
        Decision::Allowed(rule) => ("allowed", rule.map(|rule| rule.name.to_string())),
        Decision::Denied(rule) => ("denied", Some(rule.name.to_string())),
        Decision::NoRule => ("no rule", None),
        Decision::Undecidable(rule, _) => ("undecidable", Some(rule.name.to_string())),
        Decision::Later => ("later", None),
    }
}

/// What rules come to where each is asked, and where those are that the index finds.
fn decided(
    rules: &[Rc<AccessRule>],
    index: &RuleIndex,
    fallback: Fallback,
    request: &RequestSpec,
    letter_case: LetterCase,
) -> [(&'static str, Option<String>); 2] {
    with_head(request, letter_case, |head, facts| {
        let host = MemoryHost::new();
        let in_force = |rule: &&AccessRule| share::is_in_force(rule, facts, &host);
        let all = rules.iter().map(|rule| &**rule).filter(in_force);
        let slow = told(decide(all, fallback, head));
        let places = index.candidates(head);
        assert!(places.is_sorted(), "{places:?}");
        let found = places.iter().map(|place| &*rules[*place]).filter(in_force);
        [slow, told(decide(found, fallback, head))]
    })
}

const FALLBACKS: [Fallback; 2] = [Fallback::Deny, Fallback::Allow];
const CASES: [LetterCase; 2] = [LetterCase::Significant, LetterCase::SameRoute];

#[test]
fn rules_come_to_what_a_plain_interpreter_says_however_they_are_found() {
    let mut random = Random(7);
    let mut told = std::collections::BTreeMap::new();
    for round in 0..600 {
        let count = 1 + below(&mut random, if round % 10 == 0 { 40 } else { 7 });
        let specs: Vec<RuleSpec> = (0..count).map(|n| rule(&mut random, n)).collect();
        let letter_case = CASES[round % 2];
        let rules = compiled(&specs, letter_case);
        let index = RuleIndex::new(&rules);
        for _ in 0..40 {
            let request = request(&mut random);
            let fallback = one(&mut random, &FALLBACKS);
            let any_case = letter_case == LetterCase::SameRoute;
            let expected = interpreted(&specs, fallback, &request, any_case);
            for found in decided(&rules, &index, fallback, &request, letter_case) {
                assert_eq!(found, expected, "{specs:#?} {request:?} {fallback:?}");
            }
            *told.entry(expected.0).or_insert(0) += 1;
        }
    }
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.values().all(|count| *count > 200), "{told:?}");
}

#[test]
fn a_denial_more_never_admits_more_and_the_order_says_only_who_is_named() {
    let mut random = Random(8);
    let mut refused = 0;
    for _ in 0..400 {
        let mut specs: Vec<RuleSpec> = (0..6).map(|n| rule(&mut random, n)).collect();
        let denial = RuleSpec {
            allows: false,
            ..rule(&mut random, 6)
        };
        let case = LetterCase::Significant;
        let rules = compiled(&specs, case);
        let mut more = specs.clone();
        more.insert(below(&mut random, 7), denial);
        let more = compiled(&more, case);
        for place in (1..specs.len()).rev() {
            specs.swap(place, below(&mut random, place + 1));
        }
        let mixed = compiled(&specs, case);
        let [index, index_of_more, index_of_mixed] =
            [&rules, &more, &mixed].map(|rules| RuleIndex::new(rules));
        for _ in 0..40 {
            let request = request(&mut random);
            let fallback = one(&mut random, &FALLBACKS);
            let [(what, _), _] = decided(&rules, &index, fallback, &request, case);
            let [(with_more, _), _] = decided(&more, &index_of_more, fallback, &request, case);
            let [(in_order, _), _] = decided(&mixed, &index_of_mixed, fallback, &request, case);
            assert_eq!(what, in_order, "{request:?}");
            if with_more == "allowed" {
                assert_eq!(what, "allowed", "{request:?}");
            }
            refused += usize::from(what == "allowed" && with_more != "allowed");
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn what_is_in_shadow_changes_nothing_and_all_of_a_hundred_is_all() {
    let mut random = Random(9);
    let mut differ = 0;
    for _ in 0..300 {
        let plain = |rule: RuleSpec| RuleSpec {
            percent: None,
            ..rule
        };
        let specs: Vec<RuleSpec> = (0..5).map(|n| plain(rule(&mut random, n))).collect();
        let place = below(&mut random, 5);
        let with = |change: &dyn Fn(&mut RuleSpec)| {
            let mut specs = specs.clone();
            change(&mut specs[place]);
            compiled(&specs, LetterCase::Significant)
        };
        let mut without = specs.clone();
        without.remove(place);
        let without = compiled(&without, LetterCase::Significant);
        let lists = [
            without,
            with(&|rule| rule.in_shadow = true),
            with(&|rule| rule.percent = Some(0)),
            with(&|_| ()),
            with(&|rule| rule.percent = Some(100)),
        ];
        let lists = lists.map(|rules| (RuleIndex::new(&rules), rules));
        for _ in 0..20 {
            let request = request(&mut random);
            let told = lists.each_ref().map(|(index, rules)| {
                let case = LetterCase::Significant;
                decided(rules, index, Fallback::Deny, &request, case)
            });
            let [without, shadow, zero, whole, hundred] = told;
            assert_eq!(without, shadow, "{request:?}");
            assert_eq!(without, zero, "{request:?}");
            assert_eq!(whole, hundred, "{request:?}");
            differ += usize::from(without != whole);
        }
    }
    assert!(differ > 200, "{differ}");
}

#[test]
fn few_of_many_rules_are_asked() {
    let written: Vec<String> = (0..1000)
        .map(|n| match n % 3 {
            0 => format!(r#"{{"name": "r{n}", "action": "allow", "to": {{"methods": ["GET"], "paths": [{{"prefix": "/api/p{n}"}}]}}}}"#),
            1 => format!(r#"{{"name": "r{n}", "action": "allow", "from": {{"roles": ["r{n}"]}}, "to": {{"paths": [{{"prefix": "/api"}}]}}}}"#),
            _ => format!(r#"{{"name": "r{n}", "action": "deny", "from": [{{"clients": ["c{n}"]}}, {{"clients": ["d{n}"]}}]}}"#),
        })
        .collect();
    let rules = rules_by(
        &format!("[{}]", written.join(", ")),
        LetterCase::Significant,
    );
    let index = RuleIndex::new(&rules);
    let request = RequestSpec {
        method: "GET",
        path: "/api/p30/x",
        headers: Vec::new(),
        caller: CallerSpec::Known {
            client: Some("d5"),
            odd_subject: false,
            subject: "a",
            roles: &["r4", "r7"],
            scope: &[],
        },
    };
    let found = with_head(&request, LetterCase::Significant, |head, _| {
        index.candidates(head)
    });
    assert_eq!(found, [4, 5, 7, 30]);
    // What is known at the end alone is found, all of it.
    let request = RequestSpec {
        caller: CallerSpec::AtTheEnd,
        ..request
    };
    let found = with_head(&request, LetterCase::Significant, |head, _| {
        index.candidates(head)
    });
    assert_eq!(found.len(), 667);
}
