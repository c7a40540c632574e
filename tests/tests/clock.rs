//! Every feature on a real Envoy whose wall clock steps, by a minute, an hour and a day, forward and
//! back. What lasts, ages or waits does not notice; only what somebody has dated does.
#![allow(
    clippy::disallowed_methods,
    reason = "what is waited for is a real proxy, in real time"
)]

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::mesh::{self, ISSUER, key_set};
use portcullis_tests::module_path;
use portcullis_tests::patience::{PATIENCE, wait_until};
use portcullis_tests::step_clock::StepClock;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);
/// As many connections as reach every worker.
const ALL_WORKERS: usize = 24;

/// How many seconds the clock is off, one after the other.
const OFF: [i64; 8] = [60, 0, -60, 3600, -3600, 86_400, -86_400, 0];

/// A proxy with four workers, a provider of keys and a collector.
struct Proxy {
    clock: StepClock,
    envoy: Envoy,
    addr: SocketAddr,
    idp: Upstream,
    collector: Upstream,
    _service: Upstream,
}

impl Proxy {
    fn start(document: &Value) -> Self {
        let clock = StepClock::new().unwrap();
        let (idp, collector) = (Upstream::start().unwrap(), Upstream::start().unwrap());
        idp.answer_path("/jwks", key_set(&[("p256", "a")]));
        let service = Upstream::start_forgetful().unwrap();
        let clusters = vec![
            cluster("idp", idp.addr()),
            cluster("collector", collector.addr()),
            cluster("upstream", service.addr()),
        ];
        let options = Options {
            concurrency: 4,
            environment: clock.environment(),
            ..Options::default()
        };
        let listeners = [filtered(document)];
        let bootstrap = bootstrap(Vec::new(), clusters);
        let envoy = Envoy::start_with_lds(bootstrap, &listeners, &options).unwrap();
        let addr = envoy.listener_addr("clock").unwrap();
        Self {
            clock,
            envoy,
            addr,
            idp,
            collector,
            _service: service,
        }
    }

    /// What the filter has logged as JSON, for a request or on its own.
    fn records(&self) -> Vec<Value> {
        let log = self.envoy.log();
        let lines = log.lines().filter_map(|line| line.split_once("] wasm log"));
        let lines = lines.filter_map(|(_, line)| line.get(line.find('{')?..));
        // The last line may not be there as a whole.
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let field = |(name, value): &(&str, &str)| (bytes(name), bytes(value));
        let request = Request {
            method: bytes("GET"),
            path: bytes(path),
            authority: bytes("api.example.com"),
            headers: headers.iter().map(field).collect(),
            ..Request::default()
        };
        client::send(self.addr, &request, TIMEOUT).unwrap().status
    }

    /// The status of a request with a token of this key, in whichever worker.
    fn judged(&self, key: &str, kid: &str) -> u16 {
        let request = mesh::request(key, kid);
        client::send(self.addr, &request, TIMEOUT).unwrap().status
    }

    /// Waits until all workers give such a token that status.
    fn wait_for(&self, key: &str, kid: &str, status: u16, when: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut in_a_row = 0;
        while in_a_row < ALL_WORKERS {
            let found = self.judged(key, kid);
            in_a_row = if found == status { in_a_row + 1 } else { 0 };
            assert!(Instant::now() < deadline, "{kid} is still {found} {when}");
        }
    }
}

fn filtered(document: &Value) -> Value {
    let configuration = string_value(&document.to_string());
    let filter = wasm_filter(
        "clock",
        &module_path(),
        configuration,
        WasmOptions::default(),
    );
    listener("clock", vec![filter], ListenerOptions::default())
}

fn providers(cache_duration: &str) -> Value {
    json!({ "corp": {
        "issuer": ISSUER,
        "audiences": ["orders-api"],
        "jwks": { "remote": {
            "cluster": "idp", "uri": "http://id.example.com/jwks",
            "timeout": "1s", "cooldown": "1s", "cache_duration": cache_duration,
        } },
    } })
}

fn guarded(note: &str) -> Value {
    json!({
        "version": 1,
        "providers": providers("1s"),
        "routes": [{ "name": note, "match": {}, "jwt": { "provider": "corp" } }],
    })
}

/// A new key is taken up and the old one is not taken any longer.
fn rotates(proxy: &Proxy, round: &mut usize, when: &str) {
    let kids = [("p256", "a"), ("rsa", "b")];
    let (old, new) = (kids[*round % 2], kids[(*round + 1) % 2]);
    *round += 1;
    proxy.idp.answer_path("/jwks", key_set(&[new]));
    proxy.wait_for(new.0, new.1, 200, when);
    proxy.wait_for(old.0, old.1, 401, when);
}

#[test]
fn keys_are_fetched_whatever_the_clock_says() {
    let proxy = Proxy::start(&guarded("first"));
    proxy.wait_for("p256", "a", 200, "at the beginning");
    let mut round = 0;
    for off in [-90, -3600, 3600].into_iter().chain(OFF) {
        proxy.clock.set(off).unwrap();
        rotates(&proxy, &mut round, &format!("at {off} s"));
    }
    // Set wrong for a moment, as by a time server that errs: for some of the ticks, and no fetch.
    proxy.clock.set(3600).unwrap();
    thread::sleep(Duration::from_millis(700));
    proxy.clock.set(0).unwrap();
    rotates(&proxy, &mut round, "after a moment an hour ahead");
    // A document that comes now finds the keys.
    proxy.clock.set(-86_400).unwrap();
    let update = proxy
        .envoy
        .update_listeners(&[filtered(&guarded("second"))]);
    assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
    let proxy = Proxy {
        addr: proxy.envoy.listener_addr("clock").unwrap(),
        ..proxy
    };
    rotates(&proxy, &mut round, "after an update");
}

#[test]
fn a_failed_fetch_is_tried_again_whatever_the_clock_says() {
    let proxy = Proxy::start(&guarded("all"));
    proxy.wait_for("p256", "a", 200, "at the beginning");
    let name = "wasmcustom.portcullis.jwks_fetch_failed";
    for off in [3600, -3600, 0] {
        proxy.idp.answer_path("/jwks", Answer::HangUp);
        let failed = proxy.envoy.stat(name).unwrap();
        wait_until(&format!("something is asked at {off} s"), || {
            proxy.envoy.stat(name).unwrap() > failed
        });
        proxy.clock.set(off).unwrap();
        // The pauses after a failure are those that the document's author can look up.
        proxy.idp.answer_path("/jwks", key_set(&[("rsa", "b")]));
        proxy.wait_for("rsa", "b", 200, &format!("at {off} s"));
        proxy.idp.answer_path("/jwks", key_set(&[("p256", "a")]));
        proxy.wait_for("p256", "a", 200, &format!("at {off} s"));
    }
}

fn limits() -> Value {
    let limit = |name: &str, rule: Value| {
        let mut limit = json!({ "name": name, "key": [{ "header": "x-key" }] });
        limit[name] = rule;
        limit
    };
    let slow = "1000h";
    let bucket = limit(
        "token_bucket",
        json!({ "max_tokens": 2, "fill_interval": slow }),
    );
    let window = limit("sliding_window", json!({ "requests": 2, "per": slow }));
    let short = limit(
        "token_bucket",
        json!({ "max_tokens": 1, "fill_interval": "1s" }),
    );
    let short_window = limit("sliding_window", json!({ "requests": 1, "per": "1s" }));
    let guesses = json!({
        "name": "guesses", "key": [{ "header": "x-key" }], "charge": "on_refusal",
        "token_bucket": { "max_tokens": 3, "fill_interval": slow },
    });
    let open = |path: &str, limit: &Value| {
        json!({
            "name": path, "match": { "path": { "prefix": format!("/{path}") } },
            "open": true, "rate_limits": [limit],
        })
    };
    json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": ISSUER, "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            open("bucket", &bucket),
            open("window", &window),
            open("short-bucket", &short),
            open("short-window", &short_window),
            {
                "name": "dated", "match": { "path": { "prefix": "/dated" } },
                "jwt": { "provider": "corp" },
            },
            {
                "name": "lock", "match": { "path": { "prefix": "/lock" } },
                "jwt": { "provider": "corp" }, "rate_limits": [guesses],
            },
        ],
    })
}

fn bearer(claims: &Value) -> String {
    let token = json!({ "key": "p256", "claims": claims });
    format!("Bearer {}", tokens::mint(&token, 0))
}

fn good() -> String {
    bearer(&json!({ "iss": ISSUER, "aud": "orders-api", "exp": 4_102_444_800_u64 }))
}

#[test]
fn limits_and_lock_outs_neither_end_nor_last_longer() {
    let proxy = Proxy::start(&limits());
    let good = good();
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    for (round, off) in OFF.into_iter().enumerate() {
        let key = format!("key-{round}");
        let ask = |path: &str| proxy.get(path, &[("x-key", &key)]);
        let locked = |token: &str| proxy.get("/lock", &[("x-key", &key), ("authorization", token)]);
        for path in ["/bucket", "/window"] {
            assert_eq!([(); 3].map(|()| ask(path)), [200, 200, 429], "{path}");
        }
        assert_eq!([(); 3].map(|()| locked(&forged)), [401; 3]);
        assert_eq!(locked(&good), 429);
        proxy.clock.set(off).unwrap();
        for path in ["/bucket", "/window"] {
            assert_eq!([(); 4].map(|()| ask(path)), [429; 4], "{path} at {off} s");
        }
        assert_eq!(locked(&good), 429, "at {off} s");
        // What was not used up is there, no more and no less.
        let other = |path: &str| proxy.get(path, &[("x-key", &format!("other-{round}"))]);
        for path in ["/bucket", "/window"] {
            assert_eq!(
                [(); 3].map(|()| other(path)),
                [200, 200, 429],
                "{path} at {off} s"
            );
        }
        // And what comes back in seconds comes back in seconds.
        let short = ["/short-bucket", "/short-window"];
        let used = Instant::now();
        assert_eq!(short.map(ask), [200, 200]);
        for path in short {
            wait_until(&format!("{path} passes at {off} s"), || ask(path) == 200);
            assert!(
                used.elapsed() > Duration::from_millis(900),
                "{path} at {off} s"
            );
        }
    }
}

/// What the proxy's clock says.
fn date(off: i64) -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs_f64() + off as f64
}

#[test]
fn tokens_go_by_the_date_remembered_or_not() {
    let proxy = Proxy::start(&limits());
    let now = date(0) as u64;
    let of = |times: Value| {
        let mut claims = json!({ "iss": ISSUER, "aud": "orders-api" });
        for (name, value) in times.as_object().unwrap() {
            claims[name] = value.clone();
        }
        bearer(&claims)
    };
    let short = of(json!({ "exp": now + 1800 }));
    let young = of(json!({ "exp": now + 10 * 86_400, "nbf": now - 1800 }));
    let asked = |token: &str| {
        let ask = || proxy.get("/dated", &[("authorization", token)]);
        let statuses: Vec<u16> = (0..ALL_WORKERS).map(|_| ask()).collect();
        assert!(
            statuses.iter().all(|status| *status == statuses[0]),
            "{statuses:?}"
        );
        statuses[0]
    };
    for off in OFF {
        proxy.clock.set(off).unwrap();
        let expected = if off < 1800 { 200 } else { 401 };
        assert_eq!(asked(&short), expected, "exp at {off} s");
        let expected = if off > -1800 { 200 } else { 401 };
        assert_eq!(asked(&young), expected, "nbf at {off} s");
    }
}

#[test]
fn records_events_and_the_collector_go_on() {
    let document = json!({
        "version": 1,
        "otlp_http": {
            "cluster": "collector", "uri": "http://collector.example.com/v1/logs", "interval": "250ms",
        },
        "access_log": { "sinks": ["otlp_http", "envoy_log"] },
        "security_events": { "sinks": ["envoy_log"], "window": "1s", "token_failures": 5 },
        "providers": { "corp": {
            "issuer": ISSUER, "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            { "name": "guarded", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" } },
            { "name": "open", "match": {}, "open": true },
        ],
    });
    let proxy = Proxy::start(&document);
    let good = good();
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let sent_name = "wasmcustom.portcullis.otlp.sent";
    wait_until("the document is told", || !proxy.records().is_empty());
    let mut requests = 0_u64;
    for off in OFF {
        let seen = proxy.records().len();
        proxy.clock.set(off).unwrap();
        for _ in 0..6 {
            assert_eq!(proxy.get("/guarded", &[("authorization", &forged)]), 401);
            assert_eq!(proxy.get("/open", &[]), 200);
        }
        requests += 12;
        // The collector has all of them, and each of the failures has been told, alone or with others.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let records = proxy.records();
            let new = &records[seen.min(records.len())..];
            let of = |code: &str| -> u64 {
                let events = new.iter().filter(|record| record["event.code"] == code);
                events
                    .map(|event| event["portcullis.event.count"].as_u64().unwrap())
                    .sum()
            };
            let told = of("token_forged");
            let sent = proxy.envoy.stat(sent_name).unwrap();
            let repeated = of("token_failures_repeated");
            if told >= 6 && sent >= requests && repeated >= 5 {
                assert_eq!((told, sent), (6, requests), "at {off} s");
                for record in new {
                    let stamp = record["timestamp"].as_str().unwrap();
                    let age = seconds_of(stamp) - date(off);
                    assert!(age.abs() < 60.0, "{stamp} at {off} s");
                    if let Some(took) = record["portcullis.duration_us"].as_u64() {
                        assert!(took < 20_000_000, "{record} at {off} s");
                    }
                }
                break;
            }
            assert!(
                Instant::now() < deadline,
                "at {off} s: {told} told, {repeated} repeated, {sent} of {requests} sent"
            );
            thread::sleep(Duration::from_millis(100));
        }
        assert!(!proxy.collector.take_all().is_empty());
    }
}

/// The seconds since the epoch of a time stamp, `2026-11-28T19:20:31.123456Z`.
fn seconds_of(stamp: &str) -> f64 {
    let number = |from: usize, to: usize| stamp[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Days from civil, of Howard Hinnant: years begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, shifted) = (year.div_euclid(400), (month + 9) % 12);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let time = number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    (days * 86_400 + time) as f64
}
