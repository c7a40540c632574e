//! The requests, and what comes of them.

use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;

use portcullis::engine::Engine;
use serde_json::{Value, json};

use crate::case;
use crate::tokens::repository;
use crate::wire::{Request, Response, Version};

/// How much it may take to be found, from the least to the most that is found.
pub(super) const SENSITIVITIES: [&str; 3] = ["low", "medium", "high"];

/// The parts of the OWASP Core Rule Set whose requests are attacks on what stands behind the proxy.
pub(super) const ATTACKS: [(&str, &str); 8] = [
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

/// What has become of some requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) all: usize,
    /// Found, at each sensitivity.
    pub(super) found: [usize; 3],
    /// Refused by something else.
    pub(super) before: usize,
}

/// A request of the rule set.
pub(super) struct RuleRequest {
    /// The folder and file of its test.
    pub(super) file: String,
    pub(super) is_attack: bool,
    /// Whether its rule was looked at while the detector was made: the sum of the digits of its number is even.
    pub(super) is_tuned: bool,
    /// The paranoia level of its rule, as far as that is known.
    pub(super) paranoia: Option<u64>,
    pub(super) request: Request,
}

/// Engines, one for each sensitivity.
pub(super) struct Judges([Rc<Engine>; 3]);

impl Judges {
    pub(super) fn new() -> Self {
        Self(SENSITIVITIES.map(|sensitivity| {
            let document = json!({
                "version": 1,
                "routes": [{
                    "name": "all",
                    "match": {},
                    "open": true,
                    "deny_patterns": {
                        "mode": "enforce",
                        "max_bytes": "1MiB",
                        "sensitivity": sensitivity,
                    },
                }],
            });
            let engine = Engine::compile(document.to_string().as_bytes());
            Rc::new(engine.expect("the document is valid"))
        }))
    }

    /// Judges a request at each sensitivity.
    pub(super) fn judge(&self, request: &Request, count: &mut Count) {
        let upstream = Response {
            status: 200,
            ..Response::default()
        };
        count.all += 1;
        let mut before = false;
        for (engine, found) in self.0.iter().zip(&mut count.found) {
            let answer = case::answer_by(engine, request, &upstream);
            let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            match problem["code"].as_str() {
                Some("pattern_denied") => *found += 1,
                Some(_) => before = true,
                None => assert_eq!(answer.status, 200),
            }
        }
        count.before += usize::from(before);
    }

    pub(super) fn count<'r>(&self, requests: impl IntoIterator<Item = &'r Request>) -> Count {
        let mut count = Count::default();
        for request in requests {
            self.judge(request, &mut count);
        }
        count
    }
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

/// A JSON text.
fn post(body: &Value) -> Request {
    Request {
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        body: Some(vec![body.to_string().into_bytes()]),
        ..request("POST", "/comments")
    }
}

fn read(path: &str) -> String {
    let path = repository().join("tests/vectors").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each request of the rule set that is one kind or the other.
pub(super) fn rule_set() -> Vec<RuleRequest> {
    let rules: BTreeMap<String, Value> =
        serde_json::from_str(&read("crs-regression/rules.json")).expect("the rules are JSON");
    let text = read("crs-regression/requests.jsonl");
    let mut all = Vec::new();
    for line in text.lines().map(serde_json::from_str::<Value>) {
        let line = line.expect("a line is JSON");
        let listed = |name: &str| {
            let ids = line["crs"][name].as_array();
            ids.is_some_and(|ids| !ids.is_empty())
        };
        let (is_attack, harmless) = (listed("expect_ids"), listed("no_expect_ids"));
        if is_attack == harmless || line["encoded_request"].is_string() {
            continue;
        }
        let rule = line["rule"].to_string();
        let digits = rule.bytes().filter(u8::is_ascii_digit);
        let sum: u32 = digits.map(|digit| u32::from(digit - b'0')).sum();
        all.push(RuleRequest {
            file: line["file"].as_str().unwrap_or_default().to_owned(),
            is_attack,
            is_tuned: sum.is_multiple_of(2),
            paranoia: rules.get(&rule).and_then(|rule| rule["paranoia"].as_u64()),
            request: as_sent(&line),
        });
    }
    all
}

fn as_sent(line: &Value) -> Request {
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
    let mut names = request.headers.iter().map(|(name, _)| name);
    let typed = names.any(|name| name == b"content-type");
    if line["data"].is_string() && !typed {
        // As the rule set's own client does.
        let form = b"application/x-www-form-urlencoded".to_vec();
        request.headers.push((b"content-type".to_vec(), form));
    }
    request.body = line["data"]
        .as_str()
        .map(|data| vec![data.as_bytes().to_vec()]);
    request
}

/// The texts of the Big List of Naughty Strings.
pub(super) struct Naughty {
    all: Vec<String>,
}

impl Naughty {
    pub(super) fn read() -> Self {
        let all = serde_json::from_str(&read("blns/blns.json")).expect("the list is JSON");
        Self { all }
    }

    /// All of them, each in a query.
    pub(super) fn queries(&self) -> Vec<Request> {
        let query = |text: &String| {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            request("GET", &format!("/?q={encoded}"))
        };
        self.all.iter().map(query).collect()
    }

    /// Those that it calls attacks or not: from its section on injection of scripts to that on file inclusion.
    pub(super) fn attacks(&self) -> (&[String], Vec<&String>) {
        let begin = self
            .all
            .iter()
            .position(|text| text.starts_with("<script>"));
        let end = self.all.iter().position(|text| text == "CON");
        let (begin, end) = begin.zip(end).expect("the list has its sections");
        let others = self.all[..begin].iter().chain(&self.all[end..]);
        (&self.all[begin..end], others.collect())
    }
}

/// As somebody's name.
pub(super) fn as_name(text: &str) -> Request {
    post(&json!({ "id": 7, "name": text }))
}

/// In a comment.
pub(super) fn as_comment(text: &str) -> Request {
    post(&json!({ "stars": 4, "comment": format!("I typed {text} and it worked.") }))
}

/// A text as people send it.
pub(super) fn as_text(text: &str) -> Request {
    post(&json!({ "title": "A note", "text": text }))
}

/// The paragraphs of a text.
pub(super) fn paragraphs(path: &str) -> Vec<String> {
    let text = read(path);
    let paragraphs = text.split("\n\n").map(str::trim);
    paragraphs
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A text in pieces of twenty lines.
pub(super) fn pieces(path: &str) -> Vec<String> {
    let text = read(path);
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks(20).map(|lines| lines.join("\n")).collect()
}

/// All strings of a JSON text with blanks in them: what somebody wrote for others to read.
pub(super) fn sentences(path: &str) -> Vec<String> {
    fn gather(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.contains(' ') => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
            Value::Object(members) => members.values().for_each(|item| gather(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    gather(
        &serde_json::from_str(&read(path)).expect("it is JSON"),
        &mut found,
    );
    found
}
