//! Versions through time: on a clock that the test sets, and on Envoy, whose clock steps and then runs.
#![allow(
    clippy::disallowed_methods,
    reason = "what is waited for is a real proxy, in real time"
)]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, changes};
use portcullis::headers::Headers;
use portcullis::memory_host::MemoryHost;
use portcullis::stream::{Action, Stream};
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::{find, wait_until};
use portcullis_tests::step_clock::StepClock;
use portcullis_tests::still::still;
use portcullis_tests::tokens;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::yaml::read_yaml;
use serde_json::{Value, json};
use sfv::{BareItem, Item, Parser};

const TIMEOUT: Duration = Duration::from_secs(20);
const DAY: i64 = 86_400;
/// 30 June 2023, 23:59:59 UTC: the example of RFC 9745 §2.1.
const DEPRECATED: u64 = 1_688_169_599;

fn document(known: &Value) -> Value {
    json!({
        "version": 1,
        "versions": { "in": [{ "header": "Api-Version" }], "default": "v9", "known": known },
        "routes": [{ "name": "all", "match": {}, "open": true }],
    })
}

fn engine(document: &Value) -> Rc<Engine> {
    let engine = Engine::compile(document.to_string().as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

/// What a client gets: the status, each field with its values, and the body.
struct Got {
    status: u16,
    fields: BTreeMap<String, Vec<String>>,
    body: Value,
}

impl Got {
    fn one(&self, name: &str) -> &str {
        let values = self.fields.get(name).map(Vec::as_slice);
        let Some([value]) = values else {
            panic!("{name}: {values:?}");
        };
        value
    }

    fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Sends a request for a version through the core; its service says nothing of its age.
fn ask(engine: &Rc<Engine>, proxy: &MemoryHost, version: &str) -> Got {
    let mut head = Headers::default();
    for (name, value) in [
        (":path", "/a"),
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.example.com"),
        ("api-version", version),
    ] {
        head.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let action = stream.on_request_headers(head, BodyState::Complete, proxy);
    if let Action::Reply(reply) = action {
        for (name, value) in &reply.headers {
            let values = fields.entry(name.as_str().to_owned()).or_default();
            values.push(text(value.as_bytes()));
        }
        return Got {
            status: reply.status,
            fields,
            body: serde_json::from_slice(&reply.body).unwrap(),
        };
    }
    let mut answer = Headers::default();
    answer.push(b":status", b"200");
    let shaped = stream.on_response_headers(Some(&answer), BodyState::Complete, proxy);
    for change in changes(&shaped.edits, &answer) {
        if let portcullis::exchange::Change::Add(name, value)
        | portcullis::exchange::Change::Replace(name, value) = change
        {
            let values = fields.entry(name.as_str().to_owned()).or_default();
            values.push(text(value.as_bytes()));
        }
    }
    Got {
        status: 200,
        fields,
        body: Value::Null,
    }
}

/// A date of RFC 9651, as another reads it.
fn structured_date(value: &str) -> i64 {
    let item: Item = Parser::new(value.as_bytes()).parse().unwrap();
    assert!(item.params.is_empty(), "{value}");
    match item.bare_item {
        BareItem::Date(date) => i64::from(date.unix_seconds()),
        other => panic!("{value}: {other:?}"),
    }
}

/// An HTTP-date (RFC 9110 §5.6.7), counted day by day.
fn http_date(value: &str) -> i64 {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let pattern = r"^(\w{3}), (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$"
        .replace(r"\w", "[A-Za-z]");
    let pattern = regex::Regex::new(&pattern.replace(r"\d", "[0-9]")).unwrap();
    let parts = pattern.captures(value).unwrap_or_else(|| panic!("{value}"));
    let number = |at: usize| parts[at].parse::<i64>().unwrap();
    let month = MONTHS.iter().position(|name| *name == &parts[3]).unwrap();
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |year: i64, month: usize| match month {
        1 => 28 + i64::from(leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    let years: i64 = (1970..number(4))
        .map(|year| 365 + i64::from(leap(year)))
        .sum();
    let months: i64 = (0..month).map(|month| length(number(4), month)).sum();
    let days = years + months + number(2) - 1;
    assert_eq!(
        DAYS[usize::try_from(days % 7).unwrap()],
        &parts[1],
        "{value}"
    );
    days * DAY + number(5) * 3600 + number(6) * 60 + number(7)
}

#[test]
fn the_examples_of_the_rfcs_are_read() {
    // RFC 9745 §2.1, and RFC 9110 §5.6.7, of which RFC 8594 takes its date.
    assert_eq!(structured_date("@1688169599"), 1_688_169_599);
    assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784_111_777);
    let engine = engine(&document(&json!({
        "v1": { "deprecated": DEPRECATED, "sunset": "2024-06-30T23:59:59Z" },
        "v2": { "deprecated": "2023-06-30T23:59:59Z", "sunset": "2024-06-30" },
        "v9": {},
    })));
    let told = ask(&engine, &still(DEPRECATED), "v1");
    assert_eq!(told.one("deprecation"), "@1688169599");
    assert_eq!(told.one("sunset"), "Sun, 30 Jun 2024 23:59:59 GMT");
    let told = ask(&engine, &still(DEPRECATED), "v2");
    assert_eq!(structured_date(told.one("deprecation")), 1_688_169_599);
    assert_eq!(told.one("sunset"), "Sun, 30 Jun 2024 00:00:00 GMT");
}

#[test]
fn whatever_the_date_others_read_it_as_it_was_meant() {
    for number in 0..400_u64 {
        // From 1970 to 2106, over ends of months and leap days.
        let deprecated = number * 10_737_419 % (1 << 32);
        let sunset = deprecated.saturating_add(number * 977).min((1 << 32) - 1);
        let engine = engine(&document(&json!({
            "v1": { "deprecated": deprecated, "sunset": sunset }, "v9": {},
        })));
        let told = ask(&engine, &still(0), "v1");
        let [deprecated, sunset] = [deprecated, sunset].map(|date| i64::try_from(date).unwrap());
        assert_eq!(structured_date(told.one("deprecation")), deprecated);
        assert_eq!(http_date(told.one("sunset")), sunset);
    }
}

#[test]
fn a_version_goes_its_way_by_the_clock() {
    let (deprecated, sunset) = (2_000_000_000, 2_000_000_000 + 30 * 86_400);
    let (from, until) = (sunset - 7200, sunset - 3600);
    let engine = engine(&document(&json!({
        "v1": {
            "deprecated": deprecated, "sunset": sunset, "successor": "v9",
            "successor_link": "https://api.example.com/v9", "guide": "https://example.com/guide",
            "brownouts": [{ "from": from, "until": until, "percent": 30 }],
        },
        "v9": {},
    })));
    let proxy = still(deprecated - 1);
    let at = |second: u64| {
        proxy.set_wall_clock(Duration::from_secs(second));
        ask(&engine, &proxy, "v1")
    };
    // Clients are told before they have to go.
    for second in [deprecated - 1, deprecated, from - 1, until, sunset - 1] {
        let got = at(second);
        assert_eq!(got.status, 200, "{second}");
        assert_eq!(structured_date(got.one("deprecation")), 2_000_000_000);
        assert_eq!(http_date(got.one("sunset")), i64::try_from(sunset).unwrap());
        assert_eq!(
            got.fields["link"],
            [
                "<https://example.com/guide>; rel=\"deprecation\"",
                "<https://example.com/guide>; rel=\"sunset\"",
                "<https://api.example.com/v9>; rel=\"successor-version\"",
            ]
        );
    }
    // Of any hundred in the window, thirty.
    let statuses: Vec<u16> = (0..500)
        .map(|number| at(from + number % 3600).status)
        .collect();
    for run in statuses.windows(100) {
        assert_eq!(run.iter().filter(|status| **status == 410).count(), 30);
    }
    for second in [sunset, sunset + 1, u64::from(u32::MAX)] {
        let got = at(second);
        assert_eq!(got.status, 410, "{second}");
        assert_eq!(got.body["code"], "version_gone");
        assert_eq!(got.body["successor"], "v9");
        assert_eq!(got.body["guide"], "https://example.com/guide");
        assert_eq!(got.one("cache-control"), "no-store");
        assert!(got.has("deprecation") && got.has("sunset") && got.has("link"));
    }
    // A clock that steps back switches it on again.
    assert_eq!(at(sunset - 1).status, 200);
    proxy.set_wall_clock(Duration::from_secs(sunset));
    let other = ask(&engine, &proxy, "v9");
    assert_eq!(other.status, 200);
    assert!(!other.has("deprecation") && !other.has("sunset") && !other.has("link"));
    // What is over is not among those that there are.
    let unknown = ask(&engine, &proxy, "v5");
    assert_eq!(unknown.body["versions"], json!(["v9"]));
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn start(document: &Value, clock: &StepClock) -> (Envoy, Upstream) {
    let upstream = Upstream::start_forgetful().unwrap();
    let ours = wasm_filter(
        "ours",
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    let clusters = vec![cluster("upstream", upstream.addr())];
    let listeners = vec![listener("chain", vec![ours], ListenerOptions::default())];
    let mut bootstrap = bootstrap(listeners, clusters);
    let tags = tokens::repository().join("envoy/observability/stats-tags.yaml");
    bootstrap["stats_config"] = read_yaml(&tags)["stats_config"].clone();
    let options = Options {
        environment: clock.environment(),
        concurrency: 1,
        ..Options::default()
    };
    (Envoy::start(bootstrap, &options).unwrap(), upstream)
}

fn send(envoy: &Envoy, version: &str) -> Response {
    let request = Request {
        method: b"GET".to_vec(),
        path: b"/a".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"api-version".to_vec(), version.as_bytes().to_vec())],
        ..Request::default()
    };
    client::send(envoy.listener_addr("chain").unwrap(), &request, TIMEOUT).unwrap()
}

fn fields(response: &Response, name: &str) -> Vec<String> {
    let all = response.headers.iter();
    let all = all.filter(|(each, _)| each == name);
    all.map(|(_, value)| text(value)).collect()
}

/// The samples of one metric by their labels.
fn samples(envoy: &Envoy, name: &str) -> BTreeMap<String, f64> {
    let text = envoy.admin_get("/stats/prometheus").unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let sample = |line: &str| {
        let (labels, value) = line.rsplit_once(' ')?;
        labels
            .starts_with('{')
            .then(|| (labels.to_owned(), value.parse().unwrap()))
    };
    lines.filter_map(sample).collect()
}

#[test]
fn envoy_by_a_clock_that_steps_and_by_one_that_runs() {
    let begin = now();
    let clock = StepClock::new().unwrap();
    let document = document(&json!({
        "v1": {
            "deprecated": begin - DAY, "sunset": begin + 10 * DAY, "guide": "https://example.com/guide",
            "brownouts": [{ "from": begin + 5 * DAY, "until": begin + 6 * DAY, "percent": 25 }],
        },
        // Long enough for an Envoy to start on a busy machine.
        "v2": { "sunset": begin + 60 },
        "v9": {},
    }));
    let (envoy, _upstream) = start(&document, &clock);
    let set = |days: i64| clock.set(days * DAY).unwrap();
    let told = send(&envoy, "v1");
    assert_eq!(told.status, 200);
    let dates = fields(&told, "deprecation");
    assert_eq!(structured_date(&dates[0]), begin - DAY);
    let dates = fields(&told, "sunset");
    assert_eq!(http_date(&dates[0]), begin + 10 * DAY);
    let links = fields(&told, "link").join(", ");
    assert!(
        links.contains("rel=\"deprecation\"") && links.contains("rel=\"sunset\""),
        "{links}"
    );
    set(5);
    wait_until("a window", || send(&envoy, "v1").status == 410);
    let refused = (0..100)
        .filter(|_| send(&envoy, "v1").status == 410)
        .count();
    assert_eq!(refused, 25);
    set(7);
    wait_until("the end of the window", || {
        (0..8).all(|_| send(&envoy, "v1").status == 200)
    });
    set(11);
    let gone = find(|| Some(send(&envoy, "v1")).filter(|got| got.status == 410)).unwrap();
    let body: Value = serde_json::from_slice(&gone.body).unwrap();
    assert_eq!(body["guide"], "https://example.com/guide");
    set(0);
    wait_until("the version is back", || send(&envoy, "v1").status == 200);
    // In real time.
    let mut passed = 0;
    loop {
        let before = now();
        let status = send(&envoy, "v2").status;
        match status {
            200 => {
                assert!(
                    before < begin + 60,
                    "it passes {} s late",
                    before - begin - 60
                );
                passed += 1;
            }
            410 => {
                assert!(now() >= begin + 60, "it is refused early");
                break;
            }
            other => panic!("{other}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(passed > 0, "Envoy took a minute to start");
    assert_eq!(send(&envoy, "v9").status, 200);
    wait_until("counters of versions", || {
        let requests = samples(&envoy, "portcullis_version_requests");
        let refused = samples(&envoy, "portcullis_version_refused");
        let brownouts = samples(&envoy, "portcullis_version_brownouts");
        let of = |all: &BTreeMap<String, f64>, version: &str| {
            let label = format!("version=\"{version}\"");
            let found = all.iter().find(|(labels, _)| labels.contains(&label));
            found.map(|(_, value)| *value)
        };
        of(&requests, "v9") == Some(1.0)
            && of(&refused, "v2") == Some(1.0)
            && of(&requests, "v2") == Some(f64::from(passed) + 1.0)
            && of(&brownouts, "v1").is_some_and(|many| many >= 25.0)
    });
    let sunsets = samples(&envoy, "portcullis_version_sunset_time_seconds");
    assert_eq!(sunsets.len(), 2, "{sunsets:?}");
    assert!(sunsets.values().any(|date| *date == (begin + 60) as f64));
}
