//! `portcullis test`, and what its page shows.

use std::fs;

use portcullis_cases::CASE_MEMBERS;
use serde_json::{Value, json};

use super::{Scratch, blocks, repository, run, text};

/// The page about tests.
pub(crate) fn page() -> String {
    fs::read_to_string(repository().join("docs/testing.md")).unwrap()
}

impl Scratch {
    /// The policy and the case of the page about tests.
    pub(crate) fn of_page(name: &str) -> Self {
        let scratch = Self::with_cases(name);
        scratch.write("policy.yaml", &blocks(&page(), "yaml")[0]);
        scratch.write("cases/orders.json", &blocks(&page(), "json")[0]);
        scratch
    }

    fn with_cases(name: &str) -> Self {
        let scratch = Self::new(name);
        fs::create_dir_all(scratch.0.join("cases")).unwrap();
        scratch
    }

    /// What is printed, and the exit status.
    pub(crate) fn printed(&self, arguments: &[&str]) -> (String, i32) {
        let output = run(&self.0, arguments);
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        (printed + &errors, output.status.code().unwrap())
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let output = run(&self.0, arguments);
        let (text, status) = (text(&output.stdout), output.status.code().unwrap());
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        (value, status)
    }
}

#[test]
fn the_first_case_of_the_page_passes_and_says_why_when_it_does_not() {
    let scratch = Scratch::of_page("first-case");
    let (text, status) = scratch.printed(&["test", "cases"]);
    assert_eq!(status, 0, "{text}");
    assert!(
        text.starts_with("3 exchanges in 1 file, 0 failed, "),
        "{text}"
    );
    let wrong = blocks(&page(), "json")[0].replacen("\"status\": 401", "\"status\": 200", 1);
    scratch.write("cases/orders.json", &wrong);
    let (text, status) = scratch.printed(&["test", "cases"]);
    assert_eq!(status, 1, "{text}");
    let shown = blocks(&page(), "text");
    let plain = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.ends_with(" ms"));
        let without_time = |line: &str| line.split("; us=").next().unwrap().to_owned();
        lines.map(without_time).collect()
    };
    assert_eq!(plain(&text), plain(&shown[0]));
    // No colour in a pipe.
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn every_field_of_a_case_is_on_the_page_and_no_other() {
    let page = page();
    let sections = [
        ("file", "### The file"),
        ("token", "### tokens"),
        ("server", "### Servers"),
        ("exchange", "### An exchange"),
        ("request", "#### request"),
        ("upstream", "#### upstream"),
        ("expect", "#### expect"),
    ];
    for (part, fields) in CASE_MEMBERS {
        let Some((_, heading)) = sections.iter().find(|(name, _)| name == part) else {
            // It is a sentence and no table.
            let sentence = page
                .lines()
                .find(|line| line.starts_with("| an object |"))
                .unwrap();
            for field in *fields {
                assert!(sentence.contains(&format!("`{field}`")), "{part}: {field}");
            }
            continue;
        };
        let section = page.split(&format!("\n{heading}\n")).nth(1).unwrap();
        let table = section.split("| member |").nth(1).unwrap();
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let mut written: Vec<&str> = rows
            .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
            .collect();
        let mut read = fields.to_vec();
        written.sort_unstable();
        read.sort_unstable();
        assert_eq!(written, read, "{part}");
    }
}

#[test]
fn formats_say_the_same() {
    let scratch = Scratch::of_page("formats");
    let wrong = blocks(&page(), "json")[0]
        .replacen("\"status\": 401", "\"status\": 200", 1)
        .replacen("without the scope", "a \\\"<scope>\\\" & none", 1);
    scratch.write("cases/orders.json", &wrong);
    let (all, status) = scratch.json(&["test", "cases", "--format", "json"]);
    assert_eq!(status, 1);
    assert_eq!((&all["exchanges"], &all["failed"]), (&json!(3), &json!(1)));
    let failed = &all["results"][2];
    let line = failed["differences"][0]["line"].as_u64().unwrap();
    let source = wrong
        .lines()
        .nth(usize::try_from(line).unwrap() - 1)
        .unwrap();
    assert!(
        source.contains("\"status\": 200, \"code\": \"jwt_missing\""),
        "{source}"
    );
    assert_eq!(failed["differences"][0]["field"], "status");
    assert!(
        failed["explanation"][0]
            .as_str()
            .unwrap()
            .contains("route=orders")
    );

    let (xml, status) = scratch.printed(&["test", "cases", "--format", "junit"]);
    assert_eq!(status, 1);
    assert!(
        xml.contains("<testsuites name=\"portcullis\" tests=\"3\" failures=\"1\" errors=\"0\""),
        "{xml}"
    );
    assert!(
        xml.contains("name=\"a &quot;&lt;scope&gt;&quot; &amp; none\""),
        "{xml}"
    );
    assert!(
        xml.contains("<failure message=\"status: expected 200, found 401\">"),
        "{xml}"
    );
    assert_eq!(xml.matches("<testcase ").count(), 3, "{xml}");

    let (commands, status) = scratch.printed(&["test", "cases", "--format", "github"]);
    assert_eq!(status, 1);
    let start = format!("::error file=cases/orders.json,line={line},col=");
    assert!(commands.starts_with(&start), "{commands}");
    assert_eq!(commands.lines().count(), 1, "{commands}");
}

#[test]
fn a_filter_runs_what_comes_before() {
    let scratch = Scratch::with_cases("filter");
    scratch.write("policy.json", r#"{"version": 1, "routes": [{"name": "all", "match": {"path": {"prefix": "/"}}, "open": true,
        "rate_limits": [{"name": "few", "key": ["client_address"], "sliding_window": {"requests": 1, "per": "60s"}}]}]}"#);
    scratch.write(
        "cases/few.json",
        r#"{"about": "One a minute.", "document": "../policy.json", "exchanges": [
        {"name": "the first", "request": {}, "expect": {"status": 404}},
        {"name": "the second", "request": {}, "expect": {"status": 429}}]}"#,
    );
    let (text, status) = scratch.printed(&["test", "cases"]);
    assert_eq!(status, 1, "{text}");
    let (text, status) = scratch.printed(&["test", "cases", "--filter", "second"]);
    assert_eq!(
        (status, text.starts_with("1 exchange in 1 file, 0 failed")),
        (0, true),
        "{text}"
    );
    let (text, status) = scratch.printed(&["test", "cases", "--filter", "third"]);
    assert_eq!(status, 2, "{text}");
}

#[test]
fn what_cannot_be_judged_is_told_with_its_place() {
    let scratch = Scratch::of_page("faults");
    let case = &blocks(&page(), "json")[0];
    for (change, by, line, told) in [
        (
            "\"expect\": { \"status\": 403",
            "\"expekt\": { \"status\": 403",
            23,
            "no field `expekt`",
        ),
        (
            "{{token:other}}",
            "{{token:nobody}}",
            23,
            "no token is named `nobody`",
        ),
        (
            "\"key\": \"local\",\n      \"claims\": {\n",
            "\"key\": \"nosuch\",\n      \"claims\": {\n",
            5,
            "no key is named `nosuch`",
        ),
        ("../policy.yaml", "../nothing.yaml", 3, "nothing.yaml"),
    ] {
        let changed = case.replacen(change, by, 1);
        assert_ne!(&changed, case, "{change}");
        scratch.write("cases/orders.json", &changed);
        let (text, status) = scratch.printed(&["test", "cases"]);
        assert_eq!(status, 2, "{text}");
        assert!(
            text.starts_with(&format!("cases/orders.json:{line}:")),
            "{line}: {text}"
        );
        assert!(text.contains(told), "{told}: {text}");
    }
    // A document with problems is no document that ships.
    scratch.write("cases/orders.json", case);
    let policy = blocks(&page(), "yaml")[0].replace("audiences", "audience");
    scratch.write("policy.yaml", &policy);
    let (text, status) = scratch.printed(&["test", "cases"]);
    assert_eq!(status, 2, "{text}");
    assert!(
        text.contains("cases/orders.json:3:") && text.contains("/providers/corp/audience"),
        "{text}"
    );
    let (text, status) = scratch.printed(&["test", "nowhere"]);
    assert_eq!(status, 2, "{text}");
}

#[test]
fn a_plugin_of_a_mesh_is_tested_and_its_keys_are_local() {
    let scratch = Scratch::of_page("plugin");
    let policy = &blocks(&page(), "yaml")[0];
    let indented: String = policy.lines().map(|line| format!("    {line}\n")).collect();
    let head = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: { name: guard }\nspec:\n  pluginConfig:\n";
    scratch.write("policy.yaml", &format!("{head}{indented}"));
    let (text, status) = scratch.printed(&["test", "cases"]);
    assert_eq!(status, 0, "{text}");
    // A forger's key, and one that the case gives the provider.
    let case =
        blocks(&page(), "json")[0].replacen("\"key\": \"local\"", "\"key\": \"local-forger\"", 1);
    scratch.write("cases/orders.json", &case);
    let (text, status) = scratch.printed(&["test", "cases"]);
    assert_eq!(status, 1);
    assert!(text.contains("expected 200, found 401"), "{text}");
    let given = case.replacen(
        "\"tokens\"",
        "\"keys\": {\"corp\": [{\"$jwk\": \"local-forger\"}, {\"$jwk\": \"local\"}]}, \"tokens\"",
        1,
    );
    scratch.write("cases/orders.json", &given);
    let (text, status) = scratch.printed(&["test", "cases"]);
    assert_eq!(status, 0, "{text}");
}

#[test]
fn coverage_lists_what_no_case_reaches() {
    let scratch = Scratch::of_page("coverage");
    let (text, status) = scratch.printed(&["test", "cases", "--coverage", "--coverage-min", "100"]);
    assert_eq!(status, 0, "{text}");
    assert!(
        text.contains("policy.yaml: 2 of 2 routes, rules and limits"),
        "{text}"
    );
    let policy = blocks(&page(), "yaml")[0].clone()
        + "- name: admin\n  match: { path: { prefix: /admin } }\n  deny: true\n  rate_limits:\n  - { name: few, key: [client_address], sliding_window: { requests: 1, per: 60s } }\n";
    scratch.write("policy.yaml", &policy);
    let (all, status) =
        scratch.json(&["test", "cases", "--format", "json", "--coverage-min", "50"]);
    assert_eq!(status, 1);
    let document = &all["coverage"]["documents"][0];
    assert_eq!(
        (&document["all"], &document["reached"]),
        (&json!(5), &json!(2))
    );
    let missing = document["not_reached"].as_array().unwrap();
    let kinds: Vec<(&str, &str, u64)> = missing
        .iter()
        .map(|each| {
            (
                each["kind"].as_str().unwrap(),
                each["pointer"].as_str().unwrap(),
                each["line"].as_u64().unwrap(),
            )
        })
        .filter(|(kind, ..)| *kind != "code")
        .collect();
    assert_eq!(
        kinds,
        [
            ("route", "/routes/1", 11),
            ("rule", "/routes/1/deny", 13),
            ("limit", "/routes/1/rate_limits/0", 15)
        ]
    );
    let codes: Vec<&str> = missing
        .iter()
        .filter(|each| each["kind"] == "code")
        .map(|each| each["message"].as_str().unwrap())
        .collect();
    assert!(
        codes.contains(&"`jwt` never refuses with jwt_expired"),
        "{codes:?}"
    );
    assert!(
        !codes.iter().any(|code| code.ends_with(" jwt_missing")),
        "{codes:?}"
    );
}

#[test]
fn the_cases_of_the_repository_come_to_what_they_expect() {
    let scratch = Scratch::with_cases("repository");
    let folder = repository().join("tests/cases");
    let (all, status) = scratch.json(&["test", folder.to_str().unwrap(), "--format", "json"]);
    let results = all["results"].as_array().unwrap();
    let failed: Vec<&Value> = results
        .iter()
        .filter(|result| result["passed"] == false)
        .collect();
    assert!(
        failed.is_empty() && status == 0,
        "{failed:#?} {:#?}",
        all["faults"]
    );
    assert!(
        all["exchanges"].as_u64().unwrap() > 4000,
        "{}",
        all["exchanges"]
    );
}
