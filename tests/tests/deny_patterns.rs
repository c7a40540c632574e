//! How much of what others call attacks the built-in patterns catch, and how much of what they call
//! harmless: the table of the reference, computed anew.

use std::fs;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis_tests::case;
use portcullis_tests::tokens::repository;
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

const HEAD: &str = "| requests | in all | refused by patterns | refused before | pass |";

/// The parts of the OWASP Core Rule Set whose requests are attacks on what stands behind the proxy.
const ATTACKS: [(&str, &str); 8] = [
    ("942-APPLICATION-ATTACK-SQLI", "SQL injection"),
    ("941-APPLICATION-ATTACK-XSS", "cross-site scripting"),
    ("930-APPLICATION-ATTACK-LFI", "local files"),
    ("931-APPLICATION-ATTACK-RFI", "remote files"),
    ("932-APPLICATION-ATTACK-RCE", "commands of a shell"),
    ("933-APPLICATION-ATTACK-PHP", "PHP"),
    (
        "934-APPLICATION-ATTACK-GENERIC",
        "Node.js, Ruby, Perl, templates and others",
    ),
    ("944-APPLICATION-ATTACK-JAVA", "Java"),
];

#[derive(Default)]
struct Row {
    all: usize,
    by_patterns: usize,
    before: usize,
}

impl Row {
    fn add(&mut self, answer: &Response) {
        self.all += 1;
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match problem["code"].as_str() {
            Some("pattern_denied") => self.by_patterns += 1,
            Some(_) => self.before += 1,
            None => assert_eq!(answer.status, 200),
        }
    }

    fn write(&self, what: &str) -> String {
        let Row {
            all,
            by_patterns,
            before,
        } = self;
        let pass = all - by_patterns - before;
        format!("| {what} | {all} | {by_patterns} | {before} | {pass} |")
    }
}

fn engine() -> Rc<Engine> {
    let document = json!({
        "version": 1,
        "routes": [{
            "name": "all",
            "match": {},
            "open": true,
            "deny_patterns": { "mode": "enforce", "max_bytes": "1MiB" },
        }],
    });
    Rc::new(Engine::compile(document.to_string().as_bytes()).expect("the document is valid"))
}

fn request(method: &str, path: &str) -> Request {
    Request {
        version: Version::Http2,
        method: method.into(),
        path: path.into(),
        authority: b"api.example.com".to_vec(),
        headers: Vec::new(),
        body: None,
        trailers: Vec::new(),
    }
}

fn judge(engine: &Rc<Engine>, request: &Request) -> Response {
    let upstream = Response {
        status: 200,
        ..Response::default()
    };
    case::answer_by(engine, request, &upstream)
}

/// Each request of the rule set, whether it is an attack, and where it comes from.
fn rule_set() -> Vec<(String, bool, Request)> {
    let path = repository().join("tests/vectors/crs-regression/requests.jsonl");
    let text = fs::read_to_string(path).expect("the suite is there");
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let mut all = Vec::new();
    for line in lines {
        let line = line.expect("a line is JSON");
        let listed = |name: &str| {
            line["crs"][name]
                .as_array()
                .is_some_and(|ids| !ids.is_empty())
        };
        let (attack, harmless) = (listed("expect_ids"), listed("no_expect_ids"));
        if attack == harmless || line["encoded_request"].is_string() {
            continue;
        }
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        let mut request = request(text("method"), text("uri"));
        let headers = line["headers"].as_object().into_iter().flatten();
        request.headers = headers
            .filter_map(|(name, value)| {
                let name = name.to_ascii_lowercase().into_bytes();
                Some((name, value.as_str()?.as_bytes().to_vec()))
            })
            .filter(|(name, _)| !matches!(name.as_slice(), b"host" | b"content-length"))
            .collect();
        let typed = request
            .headers
            .iter()
            .any(|(name, _)| name == b"content-type");
        if line["data"].is_string() && !typed {
            // As the rule set's own client does.
            let form = b"application/x-www-form-urlencoded".to_vec();
            request.headers.push((b"content-type".to_vec(), form));
        }
        request.body = line["data"]
            .as_str()
            .map(|data| vec![data.as_bytes().to_vec()]);
        all.push((text("file").to_owned(), attack, request));
    }
    all
}

/// Everything encoded, so that a value arrives as it is.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn the_reference_says_what_the_patterns_catch() {
    let engine = engine();
    let rule_set = rule_set();
    let mut table = vec![
        HEAD.to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    for (part, name) in ATTACKS {
        let mut row = Row::default();
        let of_part = rule_set
            .iter()
            .filter(|(file, attack, _)| *attack && file.contains(part));
        of_part.for_each(|(_, _, request)| row.add(&judge(&engine, request)));
        table.push(row.write(&format!("CRS, attacks: {name}")));
    }
    let mut harmless = Row::default();
    for (_, _, request) in rule_set.iter().filter(|(_, attack, _)| !attack) {
        harmless.add(&judge(&engine, request));
    }
    table.push(harmless.write("CRS, harmless"));
    let blns = fs::read(repository().join("tests/vectors/blns/blns.json"));
    let blns: Vec<String> = serde_json::from_slice(&blns.expect("the list is there")).unwrap();
    let mut row = Row::default();
    for text in &blns {
        row.add(&judge(
            &engine,
            &request("GET", &format!("/?q={}", encoded(text))),
        ));
    }
    table.push(row.write("BLNS, in a query"));
    assert!(rule_set.len() > 2000 && blns.len() > 500);
    let page = fs::read_to_string(repository().join("docs/policies/deny_patterns.md"));
    let page = page.expect("the reference is there");
    let table = table.join("\n");
    assert!(page.contains(&table), "the reference should have\n{table}");
}
