//! The tables of the page.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::requests::{
    ATTACKS, Count, Judges, Naughty, RuleRequest, as_comment, as_name, as_text, paragraphs, pieces,
    rule_set, sentences,
};
use crate::tokens::repository;
use crate::wire::Request;

/// What stands before the tables in the page.
pub const TABLES_BEGIN: &str = "<!-- tables of make detection -->\n";
/// What stands behind them.
pub const TABLES_END: &str = "<!-- end -->";

/// What the sets of patterns found that were here before, and how much of it was refused by something else.
const BEFORE: [(&str, usize, usize, usize); 10] = [
    ("SQL injection", 438, 114, 0),
    ("cross-site scripting", 97, 54, 0),
    ("local files", 28, 6, 0),
    ("remote files", 15, 3, 0),
    ("commands of a shell", 351, 22, 0),
    ("PHP", 170, 31, 0),
    ("Node.js, Ruby, Perl, templates and others", 109, 33, 3),
    ("Java", 566, 13, 0),
    (HARMLESS, 500, 32, 6),
    (NAUGHTY, 515, 244, 0),
];
const HARMLESS: &str = "CRS, harmless";
const NAUGHTY: &str = "BLNS, in a query";

/// The page.
pub fn page() -> PathBuf {
    repository().join("docs/policies/deny_patterns.md")
}

/// All tables.
pub fn tables() -> String {
    let judges = Judges::new();
    let (rules, naughty) = (rule_set(), Naughty::read());
    assert!(rules.len() > 2000);
    let of_rules = |of: &dyn Fn(&RuleRequest) -> bool| {
        let some = rules.iter().filter(|each| of(each));
        judges.count(some.map(|each| &each.request))
    };
    let halves = |of: &dyn Fn(&RuleRequest) -> bool| {
        [true, false].map(|is_tuned| of_rules(&|each| each.is_tuned == is_tuned && of(each)))
    };
    let harmless = halves(&|each| !each.is_attack);
    let in_queries = judges.count(&naughty.queries());
    let mut now: Vec<(&str, Count)> = Vec::new();
    let mut text = String::new();
    text += "\n| attacks | paranoia level | looked at: in all | low | medium | high | not looked at: in all | low | medium | high | refused before |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    let mut all = Vec::new();
    for (part, name) in ATTACKS {
        let mut of_part = [Count::default(); 2];
        for level in [Some(1), Some(2), Some(3), Some(4), None] {
            let both = halves(&|each| {
                each.is_attack && each.file.contains(part) && each.paranoia == level
            });
            if both.iter().all(|count| count.all == 0) {
                continue;
            }
            let level = level.map_or("not known".to_owned(), |level| level.to_string());
            attack_row(&mut text, name, &level, both);
            of_part = sums(of_part, both);
            all.push((name, level, both[1]));
        }
        now.push((name, sum(of_part[0], of_part[1])));
    }
    text += "\n| aim, on rules that were not looked at, at `medium` | in all | found | share |\n";
    text += "| --- | --- | --- | --- |\n";
    for (aim, names, level) in AIMS {
        let of_aim = all.iter().filter(|(name, of_level, _)| {
            names.contains(name) && level.is_none_or(|level| level == of_level)
        });
        let count = of_aim.fold(Count::default(), |all, (.., count)| sum(all, *count));
        let found = count.found[1];
        let _ = writeln!(
            text,
            "| {aim} | {} | {found} | {} |",
            count.all,
            share(found, count.all)
        );
    }
    text += "\n| harmless | in all | low | medium | high | share at medium |\n";
    text += "| --- | --- | --- | --- | --- | --- |\n";
    for (name, count) in [
        ("CRS, rules that were looked at", harmless[0]),
        ("CRS, rules that were not looked at", harmless[1]),
    ] {
        harmless_row(&mut text, name, count);
    }
    let mut ordinary = Count::default();
    for (name, requests) in ordinary_requests(&naughty) {
        let count = judges.count(&requests);
        ordinary = sum(ordinary, count);
        harmless_row(&mut text, name, count);
    }
    harmless_row(&mut text, "all but CRS", ordinary);
    now.push((HARMLESS, sum(harmless[0], harmless[1])));
    now.push((NAUGHTY, in_queries));
    text += "\n| requests | in all | found by nothing | by the sets of patterns before | now, at `medium` |\n";
    text += "| --- | --- | --- | --- | --- |\n";
    for ((name, all, before, refused), (now_name, now)) in BEFORE.iter().zip(&now) {
        assert_eq!(
            (name, *all, *refused),
            (now_name, now.all, now.before),
            "{name}"
        );
        let _ = writeln!(text, "| {name} | {all} | 0 | {before} | {} |", now.found[1]);
    }
    text += "\n";
    text
}

/// What the detector is to reach: parts of the rule set, and a paranoia level.
const AIMS: [(&str, &[&str], Option<&str>); 3] = [
    (
        "SQL and scripts of paranoia level 1: 85 %",
        &["SQL injection", "cross-site scripting"],
        Some("1"),
    ),
    (
        "shell, PHP, Java and local files of paranoia level 1: 70 %",
        &["commands of a shell", "PHP", "Java", "local files"],
        Some("1"),
    ),
    (
        "the same of all levels",
        &["commands of a shell", "PHP", "Java", "local files"],
        None,
    ),
];

/// What people send, and what this project's own readers would call so.
fn ordinary_requests(naughty: &Naughty) -> Vec<(&'static str, Vec<Request>)> {
    let (_, plain) = naughty.attacks();
    let texts = |texts: Vec<String>| texts.iter().map(|text| as_text(text)).collect::<Vec<_>>();
    let licences = [
        "wycheproof",
        "istio-crds",
        "json-test-suite",
        "crs-regression",
        "blns",
    ];
    let licences = licences
        .iter()
        .flat_map(|folder| paragraphs(&format!("{folder}/LICENSE")));
    vec![
        (
            "BLNS without what it calls injection, as names",
            plain.iter().map(|text| as_name(text)).collect(),
        ),
        (
            "the same, in comments",
            plain.iter().map(|text| as_comment(text)).collect(),
        ),
        ("licences, by paragraph", texts(licences.collect())),
        (
            "descriptions of an API",
            texts(sentences("openapi-adyen/LegalEntityService-v4.json")),
        ),
        (
            "descriptions of log fields",
            texts(sentences("ecs/http_fields.json")),
        ),
        (
            "release notes and manuals, by paragraph",
            texts(paragraphs("harmless/prose.txt")),
        ),
        (
            "Rust, twenty lines each",
            texts(pieces("harmless/code-rust.txt")),
        ),
        (
            "Python, twenty lines each",
            texts(pieces("harmless/code-python.txt")),
        ),
        (
            "scripts of a shell, twenty lines each",
            texts(pieces("harmless/code-shell.txt")),
        ),
        (
            "log lines, twenty each",
            texts(pieces("harmless/log-dpkg.txt")),
        ),
    ]
}

fn attack_row(text: &mut String, name: &str, level: &str, [tuned, other]: [Count; 2]) {
    let cells = |Count {
                     all,
                     found: [low, medium, high],
                     ..
                 }: Count| format!("{all} | {low} | {medium} | {high}");
    let before = tuned.before + other.before;
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        text,
        "| {name} | {level} | {} | {} | {before} |",
        cells(tuned),
        cells(other)
    );
}

fn harmless_row(text: &mut String, name: &str, count: Count) {
    let Count {
        all,
        found: [low, medium, high],
        ..
    } = count;
    let _ = writeln!(
        text,
        "| {name} | {all} | {low} | {medium} | {high} | {} |",
        share(medium, all)
    );
}

fn share(some: usize, all: usize) -> String {
    let tenths = (some * 1000 + all / 2).checked_div(all).unwrap_or_default();
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn sums(one: [Count; 2], other: [Count; 2]) -> [Count; 2] {
    [sum(one[0], other[0]), sum(one[1], other[1])]
}

fn sum(one: Count, other: Count) -> Count {
    let [a, b, c] = one.found;
    let [x, y, z] = other.found;
    Count {
        all: one.all + other.all,
        found: [a + x, b + y, c + z],
        before: one.before + other.before,
    }
}
