//! Rules and dashboard: with promtool, and with a real Prometheus that scrapes a real Envoy, in
//! normal traffic and under attack.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against real processes need the real clock"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use portcullis::access_log::security::{KINDS, Severity};
use portcullis::metrics;
use portcullis_tests::client::Connection;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::prometheus::{Prometheus, promtool};
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::yaml::read_yaml;
use regex::Regex;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(90);

fn folder() -> PathBuf {
    tokens::repository().join("envoy/observability")
}

fn rules() -> Vec<Value> {
    let groups = read_yaml(&folder().join("portcullis.rules.yaml"))["groups"].clone();
    let groups = groups.as_array().expect("there are groups").clone();
    let of = |group: &Value| {
        group["rules"]
            .as_array()
            .expect("a group has rules")
            .clone()
    };
    groups.iter().flat_map(of).collect()
}

#[test]
fn promtool_is_content() {
    for arguments in [
        ["check", "config", "prometheus.yaml"],
        ["check", "rules", "portcullis.rules.yaml"],
        ["test", "rules", "portcullis.rules.test.yaml"],
    ] {
        let (content, words) = promtool(&arguments, &folder()).unwrap();
        assert!(content, "promtool {arguments:?}: {words}");
    }
}

#[test]
fn the_rules_know_every_code() {
    let mut statuses = BTreeSet::new();
    for rule in rules() {
        let Some(status) = rule["labels"]["status"].as_str() else {
            continue;
        };
        let expression = rule["expr"].as_str().expect("a rule has an expression");
        let list = expression.split('"').nth(1).expect("it names codes");
        let written: BTreeSet<&str> = list.split('|').collect();
        let real: BTreeSet<&str> = metrics::codes()
            .filter(|code| code.status.to_string() == status)
            .map(|code| code.name)
            .collect();
        assert_eq!(written, real, "codes with status {status}");
        statuses.insert(status.to_owned());
    }
    assert_eq!(
        statuses,
        ["400", "401", "403", "404", "405", "410", "429"]
            .map(str::to_owned)
            .into()
    );
}

#[test]
fn the_alert_of_events_names_the_grave_ones() {
    let all = rules();
    let alert = all
        .iter()
        .find(|rule| rule["alert"] == "PortcullisSecurityEvent");
    let expression = alert.and_then(|rule| rule["expr"].as_str()).unwrap();
    let list = expression.split('"').nth(1).expect("it names events");
    let written: BTreeSet<&str> = list.split('|').collect();
    let grave = KINDS.iter().filter(|kind| kind.severity == Severity::High);
    assert_eq!(written, grave.map(|kind| kind.id).collect());
}

/// What Envoy makes of a name: of each tag the second group is the value, and the first goes.
fn labelled(name: &str, tags: &[(String, Regex)]) -> (String, BTreeSet<String>) {
    let mut cuts = Vec::new();
    let mut labels = BTreeSet::new();
    for (tag, regex) in tags {
        if let Some(found) = regex.captures(name) {
            cuts.push(found.get(1).expect("it has two groups").range());
            labels.insert(tag.clone());
        }
    }
    cuts.sort_by_key(|cut| cut.start);
    let mut rest = name.to_owned();
    for cut in cuts.into_iter().rev() {
        rest.replace_range(cut, "");
    }
    let rest = rest.trim_start_matches("wasmcustom.").replace('.', "_");
    (rest, labels)
}

/// The names of counters that stand for others in the reference, with something in each place.
fn names_of_verdicts() -> Vec<String> {
    let page = fs::read_to_string(tokens::repository().join("docs/record.md")).unwrap();
    let quoted = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let verdicts = quoted.filter(|name| name.contains("<policy>") || name.contains("<route>"));
    let filled = verdicts.map(|name| {
        let name = name.replace("<policy>", "jwt").replace("<route>", "all");
        name.replace("<code>", "jwt_invalid")
            .replace("<outcome>", "denied")
    });
    filled.collect()
}

#[test]
fn every_part_of_a_name_becomes_a_label() {
    let shipped = read_yaml(&folder().join("stats-tags.yaml"));
    let tags = shipped["stats_config"]["stats_tags"].as_array().unwrap();
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let tags: Vec<(String, Regex)> = tags
        .iter()
        .map(|tag| {
            (
                text(&tag["tag_name"]),
                Regex::new(&text(&tag["regex"])).unwrap(),
            )
        })
        .collect();
    let page = fs::read_to_string(tokens::repository().join("docs/record.md")).unwrap();
    let table = page
        .split("| metric | labels |")
        .nth(1)
        .expect("there is a table of labels");
    let mut documented: Vec<(String, BTreeSet<String>)> = Vec::new();
    for row in table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = row.split('|').collect();
        let words = |cell: &str| -> Vec<String> {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        let labels: BTreeSet<String> = words(cells[2]).into_iter().collect();
        documented.extend(
            words(cells[1])
                .into_iter()
                .map(|metric| (metric, labels.clone())),
        );
    }
    let closed = metrics::names()
        .into_iter()
        .map(|name| format!("wasmcustom.{name}"));
    let verdicts = names_of_verdicts();
    assert_eq!(verdicts.len(), 5, "{verdicts:?}");
    let mut checked = 0;
    for name in closed.chain(verdicts.clone()) {
        let (metric, labels) = labelled(&name, &tags);
        let row = documented.iter().find(|(known, _)| *known == metric);
        match row {
            Some((_, known)) => assert_eq!(labels, *known, "{name}"),
            // What has no parts that vary has no labels.
            None => {
                let varies = name.contains(".code.") || name.contains(".security_events.");
                let varies = varies || verdicts.contains(&name);
                assert!(labels.is_empty() && !varies, "{name}: {metric}");
            }
        }
        checked += usize::from(!labels.is_empty());
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn the_demo_has_the_labels() {
    let demo = read_yaml(&tokens::repository().join("envoy/envoy.yaml"));
    let shipped = read_yaml(&folder().join("stats-tags.yaml"));
    assert_eq!(demo["stats_config"], shipped["stats_config"]);
}

#[test]
fn each_alert_is_described_and_tested() {
    let page = fs::read_to_string(tokens::repository().join("docs/observability.md")).unwrap();
    let tests = fs::read_to_string(folder().join("portcullis.rules.test.yaml")).unwrap();
    let all = rules();
    let alerts: Vec<&str> = all
        .iter()
        .filter_map(|rule| rule["alert"].as_str())
        .collect();
    assert!(alerts.len() > 10);
    for alert in &alerts {
        assert!(
            page.contains(&format!("| `{alert}` |")),
            "{alert} is not described"
        );
        assert!(tests.contains(alert), "{alert} is not tested");
    }
    assert_eq!(page.matches("\n| `Portcullis").count(), alerts.len());
}

/// Who is woken finds what to do: each alert leads to a place in the page, which says what it means,
/// what to look at and what to do.
#[test]
fn each_alert_has_its_place_in_the_runbook() {
    let page = fs::read_to_string(tokens::repository().join("docs/runbook.md")).unwrap();
    let (_, page) = page.split_once("\n## ").expect("there are sections");
    let sections: Vec<(&str, &str)> = page
        .split("\n## ")
        .map(|section| section.split_once('\n').expect("a section has text"))
        .collect();
    let mut alerts = Vec::new();
    for rule in rules() {
        let Some(alert) = rule["alert"].as_str() else {
            continue;
        };
        let url = rule["annotations"]["runbook_url"].as_str();
        let url = url.unwrap_or_else(|| panic!("{alert} has no runbook_url"));
        let (_, anchor) = url.split_once("/runbook.md#").expect("it is on that page");
        assert_eq!(anchor, alert.to_lowercase());
        for words in ["summary", "description"] {
            assert!(rule["annotations"][words].is_string(), "{alert}: {words}");
        }
        let section = sections.iter().find(|(title, _)| *title == alert);
        let (_, text) = section.unwrap_or_else(|| panic!("nothing is said of {alert}"));
        for part in ["**It means:** ", "**Look at:** ", "**Do:** "] {
            assert!(text.contains(part), "{alert}: {part}");
        }
        alerts.push(alert.to_owned());
    }
    let titles: Vec<&str> = sections.iter().map(|(title, _)| *title).collect();
    assert_eq!(titles, alerts);
}

/// Every metric and event that the runbook sends people to is there.
#[test]
fn the_runbook_names_what_there_is() {
    let page = fs::read_to_string(tokens::repository().join("docs/runbook.md")).unwrap();
    let shown = ["portcullis.rules.yaml", "dashboard.json"]
        .map(|name| fs::read_to_string(folder().join(name)).unwrap())
        .concat();
    let shown: BTreeSet<&str> = shown
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let mut looked_up = 0;
    for name in page.split('`').skip(1).step_by(2) {
        let event = name.strip_prefix("event.code ");
        let is_there = match event {
            Some(event) => KINDS.iter().any(|kind| kind.id == event),
            None if name.starts_with("portcullis_") => shown.contains(name),
            None => continue,
        };
        assert!(is_there, "{name} is nowhere");
        looked_up += 1;
    }
    assert!(looked_up > 15, "{looked_up}");
}

/// Envoy with a document that has something for every query, and labels as we ship them.
fn start() -> (Envoy, Upstream) {
    let upstream = Upstream::start_forgetful().unwrap();
    let mut key = SigningKey::named("p256").jwk();
    key["alg"] = "ES256".into();
    for (path, body) in [
        ("/jwks.json", json!({ "keys": [key] })),
        ("/open/a", json!([])),
    ] {
        let answer = Response {
            status: 200,
            headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
            body: body.to_string().into_bytes(),
            ..Response::default()
        };
        upstream.answer_path(path, Answer::Respond(answer));
    }
    let document = json!({
        "version": 1,
        "metrics": { "by_route": true, "timings": true },
        "security_events": {},
        "versions": { "in": [{ "header": "Api-Version" }], "default": "v2", "known": {
            "v1": { "sunset": "2099-12-31", "brownouts": [{ "from": "2099-12-01", "until": "2099-12-02" }] },
            "v2": {},
        } },
        "otlp_http": { "cluster": "upstream", "uri": "http://collector.example.com/v1/logs" },
        "access_log": { "sinks": ["otlp_http"] },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "remote": { "cluster": "upstream", "uri": "http://id.example.com/jwks.json" } },
        } },
        "routes": [
            { "name": "guarded", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" },
              "concurrency": { "key": [], "max": 100, "on_limit": { "delay": { "max": "1s", "queue": 10 } } },
              "rate_limits": [{ "name": "smooth", "key": [], "token_bucket": { "max_tokens": 1000, "tokens_per_fill": 1000, "fill_interval": "1s" }, "on_limit": { "delay": { "max": "1s", "queue": 10 } } }] },
            { "name": "trial", "match": { "path": { "prefix": "/trial" } }, "jwt": { "provider": "corp", "mode": "shadow" } },
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "open": true,
              "payload": { "max_bytes": 64, "responses": { "json_schema": "list" } },
              "access": { "default": "allow", "rules": [
                  { "name": "no-delete", "action": "deny", "to": { "methods": ["DELETE"] } },
                  { "name": "no-patch", "action": "deny", "mode": "shadow", "to": { "methods": ["PATCH"] } },
              ] } },
        ],
        "schemas": { "list": { "type": "array" } },
    });
    let ours = wasm_filter(
        "portcullis",
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    let clusters = vec![cluster("upstream", upstream.addr())];
    let chain = listener("chain", vec![ours], ListenerOptions::default());
    let mut bootstrap = bootstrap(vec![chain], clusters);
    let tags = read_yaml(&folder().join("stats-tags.yaml"));
    bootstrap["stats_config"] = tags["stats_config"].clone();
    let envoy = Envoy::start(bootstrap, &Options::default()).unwrap();
    (envoy, upstream)
}

/// What we ship, with windows of seconds in place of minutes and hours.
fn quickly(directory: &Path, envoy: &Envoy) {
    let read = |name: &str| fs::read_to_string(folder().join(name)).unwrap();
    let config = read("prometheus.yaml")
        .replace("15s", "1s")
        .replace("envoy:9901", &envoy.admin_addr().to_string());
    let rules = read("portcullis.rules.yaml")
        .replace("[1h] offset 10m", "[10s] offset 6s")
        .replace("[5m]", "[6s]")
        .replace("offset 5m", "offset 6s");
    let rules = Regex::new(r"for: \d+m")
        .unwrap()
        .replace_all(&rules, "for: 0s");
    fs::write(directory.join("prometheus.yaml"), config).unwrap();
    fs::write(directory.join("portcullis.rules.yaml"), &*rules).unwrap();
}

fn request(method: &str, path: &str, authorization: Option<&str>) -> Request {
    let field = |value: &str| (b"authorization".to_vec(), value.as_bytes().to_vec());
    Request {
        method: method.into(),
        path: path.into(),
        authority: b"api.example.com".to_vec(),
        headers: authorization.into_iter().map(field).collect(),
        body: (method == "POST").then(|| vec![b"a body".to_vec()]),
        ..Request::default()
    }
}

fn token(key: &str) -> String {
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": 4_102_444_800_u64,
    });
    let header = json!({ "alg": "ES256" });
    let token = json!({ "key": key, "claims": claims, "header": header });
    format!("Bearer {}", tokens::mint(&token, 0))
}

const NORMAL: u8 = 0;
const ATTACK: u8 = 1;
const OVER: u8 = 2;

/// Sends what clients send: mostly good, now and then without a token. While somebody attacks,
/// forged tokens besides, and paths that are not there.
fn traffic(envoy: &Envoy, phase: &AtomicU8) {
    let mut connection = Connection::new(envoy.listener_addr("chain").unwrap());
    let mut send = |request: &Request| {
        connection.send(request, TIMEOUT).expect("Envoy answers");
    };
    let (good, forged) = (token("p256"), token("p256-other"));
    for round in 0_u32.. {
        match phase.load(Ordering::Relaxed) {
            OVER => return,
            ATTACK => {
                for _ in 0..8 {
                    send(&request("GET", "/guarded/a", Some(&forged)));
                }
                send(&request("GET", "/trial/a", None));
                send(&request("PATCH", "/open/a", None));
                send(&request("GET", &format!("/backup/{round}.sql"), None));
            }
            _ => {}
        }
        send(&request("GET", "/guarded/a", Some(&good)));
        // Less than one in a second, which is no spike however slow the machine was before.
        if round % 50 == 0 {
            send(&request("GET", "/guarded/a", None));
            send(&request("POST", "/open/a", None));
            send(&request("DELETE", "/open/a", None));
        }
        // How busy clients are; nothing waits for it.
        thread::sleep(Duration::from_millis(30));
    }
}

/// Waits until something holds.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn an_attack_is_told_and_normal_traffic_is_quiet() {
    let (envoy, _upstream) = start();
    wait("keys are fetched", || {
        let keys = "wasmcustom.portcullis.provider.corp.jwks_keys";
        envoy.stat(keys).unwrap() == 1
    });
    let directory = envoy.directory().join("prometheus");
    fs::create_dir(&directory).unwrap();
    quickly(&directory, &envoy);
    let phase = AtomicU8::new(NORMAL);
    thread::scope(|scope| {
        scope.spawn(|| traffic(&envoy, &phase));
        let judged = std::panic::catch_unwind(|| watch(&directory, &phase));
        phase.store(OVER, Ordering::Relaxed);
        if let Err(panic) = judged {
            std::panic::resume_unwind(panic);
        }
    });
}

fn watch(directory: &Path, phase: &AtomicU8) {
    let prometheus = Prometheus::start(directory).unwrap();
    let one = |expression: &str| -> f64 {
        let found = prometheus.query(expression);
        let value = found.first().and_then(|sample| sample["value"][1].as_str());
        value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    };
    wait("there is a baseline", || {
        assert_eq!(prometheus.firing(), Vec::<String>::new());
        let scraped = one(r#"count_over_time(up{job="envoy"}[5m])"#);
        let known = one(r#"portcullis:refusals:baseline1h{status="401"}"#);
        scraped >= 20.0 && known > 0.0
    });
    phase.store(ATTACK, Ordering::Relaxed);
    let expected = [
        "PortcullisPathScanningpaths_scanned",
        "PortcullisRefusalSpike401",
        "PortcullisRefusalSpike404",
        "PortcullisSecurityEventtoken_failures_repeated",
        "PortcullisShadowRefusals",
        "PortcullisTokenFailures",
    ];
    let mut fired: BTreeSet<String> = BTreeSet::new();
    wait("the attack is told", || {
        fired.extend(prometheus.firing());
        expected.iter().all(|alert| fired.contains(*alert))
    });
    let others: Vec<_> = fired
        .iter()
        .filter(|alert| !expected.contains(&&***alert))
        .collect();
    assert!(others.is_empty(), "{others:?} fire too");
    each_query_of_the_dashboard_has_an_answer(&prometheus);
    phase.store(NORMAL, Ordering::Relaxed);
    wait("the alerts end with the attack", || {
        prometheus.firing().is_empty()
    });
}

fn each_query_of_the_dashboard_has_an_answer(prometheus: &Prometheus) {
    let text = fs::read_to_string(folder().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let mut asked = 0;
    for target in targets.flatten() {
        let expression = target["expr"].as_str().expect("a target has a query");
        let concrete = expression
            .replace("$__rate_interval", "6s")
            .replace("$job", ".*");
        assert!(
            !prometheus.query(&concrete).is_empty(),
            "nothing for {concrete}"
        );
        asked += 1;
    }
    assert!(asked > 30, "only {asked} queries");
    let annotations = dashboard["annotations"]["list"][0]["expr"]
        .as_str()
        .unwrap();
    assert!(!prometheus.query(annotations).is_empty());
}
