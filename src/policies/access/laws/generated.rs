//! Rules and requests, as they are generated.

use std::fmt::Write as _;
use std::rc::Rc;

use portcullis_exchange::target::LetterCase;

use super::super::rule::AccessRule;
use super::super::testing::rules_by;
use crate::rate_limits::random::Random;

/// A list of values of a field, as it is generated.
#[derive(Clone, Debug)]
pub(super) struct FieldSpec {
    pub(super) name: &'static str,
    pub(super) is_negated: bool,
    /// In JSON.
    pub(super) values: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct RuleSpec {
    pub(super) name: String,
    pub(super) allows: bool,
    pub(super) from: Vec<Vec<FieldSpec>>,
    pub(super) to: Vec<Vec<FieldSpec>>,
    /// That a header has the value `1`.
    pub(super) when: Vec<&'static str>,
    /// Of a hundred.
    pub(super) percent: Option<u8>,
    pub(super) in_shadow: bool,
}

/// What a request has. A caller is of one of a few kinds.
#[derive(Clone, Debug)]
pub(super) struct RequestSpec {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) caller: CallerSpec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerSpec {
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

pub(super) const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];
pub(super) const HEADERS: [&str; 2] = ["x-one", "x-two"];
pub(super) const LISTS: [&[&str]; 5] = [&[], &["a"], &["b", "c"], &["d", "a"], &["e"]];

/// Paths, with all that servers may read in them; upper and lower case may be the same.
pub(super) const PATHS: [(&str, &[&str]); 9] = [
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
pub(super) const PATTERNS: [&str; 9] = [
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

pub(super) fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap()
}

pub(super) fn one<T: Copy>(random: &mut Random, items: &[T]) -> T {
    items[below(random, items.len())]
}

pub(super) fn field(random: &mut Random, name: &'static str, values: &[&'static str]) -> FieldSpec {
    let count = 1 + below(random, 2);
    FieldSpec {
        name,
        is_negated: below(random, 4) == 0,
        values: (0..count).map(|_| one(random, values)).collect(),
    }
}

/// Groups of which each has some of the fields, each of them once.
pub(super) fn groups(
    random: &mut Random,
    fields: &[(&'static str, &[&'static str])],
) -> Vec<Vec<FieldSpec>> {
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

pub(super) const TEXTS: [&str; 6] = [
    r#""a""#,
    r#""b""#,
    r#""c""#,
    r#""d""#,
    r#""a""#,
    r#"{"prefix": "a"}"#,
];

pub(super) fn rule(random: &mut Random, number: usize) -> RuleSpec {
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

pub(super) fn request(random: &mut Random) -> RequestSpec {
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

pub(super) fn written(rule: &RuleSpec) -> String {
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

pub(super) fn compiled(specs: &[RuleSpec], letter_case: LetterCase) -> Vec<Rc<AccessRule>> {
    let written: Vec<String> = specs.iter().map(written).collect();
    rules_by(&format!("[{}]", written.join(", ")), letter_case)
}
