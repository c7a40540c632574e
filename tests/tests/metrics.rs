//! Metrics on Envoy: counters of routes as labels, and as many as there are lines of the log.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use portcullis_tests::client::{self, Connection};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::{self, wait_until};
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::yaml::read_yaml;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

fn policy() -> Value {
    json!({
        "version": 1,
        "metrics": { "by_route": true, "timings": true },
        "access_log": { "sinks": ["filter_state"], "attributes": ["status"] },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            { "name": "Guarded-API", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" } },
            { "name": "trial", "match": { "path": { "prefix": "/trial" } }, "jwt": { "provider": "corp", "mode": "shadow" } },
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "open": true, "payload": { "max_bytes": 8 } },
            { "name": "judged", "match": { "path": { "prefix": "/judged" } }, "open": true,
              "payload": { "max_bytes": 8, "responses": { "json_schema": "list" } } },
        ],
        "schemas": { "list": { "type": "array" } },
    })
}

fn start(document: &Value) -> (Envoy, Upstream) {
    let upstream = Upstream::start_forgetful().unwrap();
    let ours = wasm_filter(
        "ours",
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    let options = ListenerOptions {
        access_log: Some("%FILTER_STATE(wasm.portcullis.record:PLAIN)%\n".into()),
        ..ListenerOptions::default()
    };
    let clusters = vec![cluster("upstream", upstream.addr())];
    let mut bootstrap = bootstrap(vec![listener("chain", vec![ours], options)], clusters);
    let tags = tokens::repository().join("envoy/observability/stats-tags.yaml");
    bootstrap["stats_config"] = read_yaml(&tags)["stats_config"].clone();
    let envoy = Envoy::start(bootstrap, &Options::default()).unwrap();
    (envoy, upstream)
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let field = |(name, value): &(&str, &str)| (bytes(name), bytes(value));
    Request {
        method: bytes("GET"),
        path: bytes(path),
        authority: bytes("api.example.com"),
        headers: headers.iter().map(field).collect(),
        ..Request::default()
    }
}

/// The samples of Prometheus' text format by name and labels, those of Envoy's own names left out.
fn samples(envoy: &Envoy) -> BTreeMap<String, f64> {
    let text = envoy.admin_get("/stats/prometheus").unwrap();
    let ours = text.lines().filter(|line| line.starts_with("portcullis"));
    let read = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
        (name.to_owned(), value.parse().expect("a value is a number"))
    };
    ours.map(read).collect()
}

#[test]
fn log_and_metrics_agree_after_a_load() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 60;
    let (envoy, _upstream) = start(&policy());
    let addr = envoy.listener_addr("chain").unwrap();
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": 4_102_444_800_u64,
    });
    let good = tokens::mint(&json!({ "key": "p256", "claims": claims }), 0);
    let forged = tokens::mint(&json!({ "key": "p256-other", "claims": claims }), 0);
    let (good, forged) = (format!("Bearer {good}"), format!("Bearer {forged}"));
    let posted = |body: &[u8]| Request {
        method: b"POST".to_vec(),
        body: Some(vec![body.to_vec()]),
        ..request("/open/b", &[])
    };
    let kinds = [
        request("/guarded/a", &[("authorization", &good)]),
        request("/guarded/a", &[("authorization", &forged)]),
        request("/guarded/a", &[]),
        request("/trial/a", &[]),
        request("/open/a", &[]),
        posted(b"short"),
        posted(b"far too long"),
        request("/nowhere", &[]),
    ];
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    for kind in &kinds {
                        client::send(addr, kind, TIMEOUT).unwrap();
                    }
                }
            });
        }
    });
    client::send(addr, &request("/open/the-last", &[]), TIMEOUT).unwrap();
    envoy.wait_for_stdout("/open/the-last", TIMEOUT).unwrap();
    let stdout = envoy.stdout();
    let records = stdout.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("a record is JSON");
        record
    });
    let mut logged: BTreeMap<String, f64> = BTreeMap::new();
    for record in records {
        let text = |name: &str| record[name].as_str().unwrap_or("no_route").to_owned();
        let route = text("portcullis.route").to_lowercase().replace('-', "_");
        let outcome = text("portcullis.outcome");
        let mut add = |name: String| *logged.entry(name).or_default() += 1.0;
        add(format!(
            "portcullis_route_requests{{route=\"{route}\",outcome=\"{outcome}\"}}"
        ));
        for (policy, said) in record["portcullis.verdicts"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let labels = format!("policy=\"{policy}\",outcome=\"{}\"", said.as_str().unwrap());
            add(format!("portcullis_policy_verdicts{{{labels}}}"));
            add(format!(
                "portcullis_route_verdicts{{route=\"{route}\",{labels}}}"
            ));
        }
        let refusal = |policy: &Value, code: &Value, outcome: &str| {
            let (policy, code) = (policy.as_str().unwrap_or("core"), code.as_str().unwrap());
            let labels = format!("policy=\"{policy}\",code=\"{code}\",outcome=\"{outcome}\"");
            [
                format!("portcullis_policy_refusals{{{labels}}}"),
                format!("portcullis_route_refusals{{route=\"{route}\",{labels}}}"),
            ]
        };
        if outcome == "denied" {
            let (policy, code) = (&record["portcullis.policy"], &record["portcullis.code"]);
            refusal(policy, code, "denied")
                .into_iter()
                .for_each(&mut add);
        }
        for each in record["portcullis.shadow"].as_array().into_iter().flatten() {
            refusal(&each["policy"], &each["code"], "shadow_denied")
                .into_iter()
                .for_each(&mut add);
        }
    }
    let each = (THREADS * ROUNDS) as f64;
    assert_eq!(logged.len(), 26, "{logged:#?}");
    assert_eq!(
        logged["portcullis_route_requests{route=\"guarded_api\",outcome=\"denied\"}"],
        2.0 * each
    );
    let logged: BTreeMap<String, f64> = logged
        .into_iter()
        .map(|(name, value)| (sorted_labels(&name), value))
        .collect();
    envoy.told_stats().unwrap();
    let all = agree(&envoy, &logged);
    assert_eq!(all["portcullis_denied{}"], 4.0 * each);
    assert_eq!(all["portcullis_shadow_denied{}"], each);
    assert_eq!(all["portcullis_code_denied{code=\"jwt_missing\"}"], each);
    assert_eq!(
        all["portcullis_code_shadow_denied{code=\"jwt_missing\"}"],
        each
    );
}

/// Waits until what is counted of finished exchanges is what was logged; all samples then.
fn agree(envoy: &Envoy, logged: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let families = ["portcullis_route_", "portcullis_policy_"];
    let mut counted = BTreeMap::new();
    let agreed = patience::find(|| {
        let all = samples(envoy);
        let of_exchanges = |name: &String| families.iter().any(|family| name.starts_with(family));
        let found = all.iter().filter(|(name, _)| of_exchanges(name));
        counted = found
            .map(|(name, value)| (sorted_labels(name), *value))
            .collect();
        (counted == *logged).then_some(all)
    });
    agreed.unwrap_or_else(|| panic!("counted {counted:#?}, logged {logged:#?}"))
}

#[test]
fn workers_without_a_document_refuse_everything_and_say_so() {
    let wasm = std::fs::read(module_path()).expect("the module is built: make build");
    let module = wasmi::Module::new(&wasmi::Engine::default(), &wasm).expect("it is a module");
    let imports = module.imports().map(|import| import.name().to_owned());
    let exports = module.exports().map(|export| export.name().to_owned());
    // The proxy does not hand the document over: it lets everything be called but this.
    let allowed = imports
        .chain(exports)
        .filter(|name| name != "proxy_get_buffer_bytes");
    let allowed: serde_json::Map<String, Value> = allowed.map(|name| (name, json!({}))).collect();
    let upstream = Upstream::start_forgetful().unwrap();
    let text = string_value(&policy().to_string());
    let mut ours = wasm_filter("ours", &module_path(), text, WasmOptions::default());
    ours["typed_config"]["config"]["capability_restriction_config"] =
        json!({ "allowed_capabilities": allowed });
    let chain = listener("chain", vec![ours], ListenerOptions::default());
    let clusters = vec![cluster("upstream", upstream.addr())];
    let envoy = Envoy::start(bootstrap(vec![chain], clusters), &Options::default()).unwrap();
    let addr = envoy.listener_addr("chain").unwrap();
    let answer = client::send(addr, &request("/open/a", &[]), TIMEOUT).unwrap();
    assert_eq!(answer.status, 503);
    // Two workers and the main thread.
    wait_until("all three say so", || {
        envoy.stat("wasmcustom.portcullis.deny_all").unwrap() == 3
    });
}

/// Exchanges that end with their listener are counted in a VM that no tick comes to any more.
#[test]
fn what_is_counted_last_is_told_by_a_document_that_goes() {
    const REQUESTS: u64 = 8;
    let upstream = Upstream::start_forgetful().unwrap();
    let answer = Response {
        status: 200,
        ..Response::default()
    };
    upstream.answer_path("/open/slow", Answer::Delay(TIMEOUT, answer));
    let text = string_value(&policy().to_string());
    let listener_named = |name: &str| {
        let ours = wasm_filter(name, &module_path(), text.clone(), WasmOptions::default());
        listener(name, vec![ours], ListenerOptions::default())
    };
    let options = Options {
        concurrency: 1,
        drain_at_once: true,
        drain_time: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let clusters = vec![cluster("upstream", upstream.addr())];
    let before = [listener_named("before")];
    let envoy = Envoy::start_with_lds(bootstrap(Vec::new(), clusters), &before, &options).unwrap();
    let addr = envoy.listener_addr("before").unwrap();
    let waiting: Vec<TcpStream> = (0..REQUESTS)
        .map(|_| {
            let mut stream = TcpStream::connect(addr).unwrap();
            let head = b"GET /open/slow HTTP/1.1\r\nhost: api.example.com\r\n\r\n";
            stream.write_all(head).unwrap();
            stream
        })
        .collect();
    let wait = |name: &str| {
        let name = format!("wasmcustom.portcullis.{name}");
        let there = patience::comes(|| envoy.stat(&name).unwrap() == REQUESTS);
        assert!(there, "{name} is {}", envoy.stat(&name).unwrap());
    };
    wait("allowed");
    let verdicts = "wasmcustom.portcullis.policy_verdicts.payload.allowed";
    assert_eq!(envoy.stat(verdicts).unwrap(), 0, "none has ended");
    let update = envoy.update_listeners(&[listener_named("after")]).unwrap();
    assert_eq!(update, Update::Accepted);
    wait("policy_verdicts.payload.allowed");
    wait("route_requests.open.allowed");
    drop(waiting);
}

/// A name with its labels in order.
fn sorted_labels(name: &str) -> String {
    let (name, labels) = name.split_once('{').expect("it has labels");
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

#[test]
fn times_and_the_state_of_the_document_are_shown() {
    let document = policy();
    let (envoy, upstream) = start(&document);
    let addr = envoy.listener_addr("chain").unwrap();
    let mut connection = Connection::new(addr);
    let body = Request {
        method: b"POST".to_vec(),
        body: Some(vec![b"a body".to_vec()]),
        ..request("/open/a", &[])
    };
    connection.send(&body, TIMEOUT).unwrap();
    let token = "Bearer e30.e30.c2ln";
    connection
        .send(&request("/guarded/a", &[("authorization", token)]), TIMEOUT)
        .unwrap();
    let answer = Response {
        status: 200,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: b"[1, 2]".to_vec(),
        ..Response::default()
    };
    upstream.answer_path("/judged/a", Answer::Respond(answer));
    connection
        .send(&request("/judged/a", &[]), TIMEOUT)
        .unwrap();
    // Ticks set gauges; histograms are merged now and then.
    let shown = patience::find(|| {
        let all = samples(&envoy);
        let seen = |name: &str| all.get(name).is_some_and(|value| *value > 0.0);
        let shown = seen("portcullis_config_hash{}")
            && seen("portcullis_filter_us_count{}")
            && seen("portcullis_body_check_us_count{}")
            && seen("portcullis_response_check_us_count{}")
            && seen("portcullis_jwt_verify_us_count{}");
        shown.then_some(all)
    });
    let all = shown.expect("all of them are shown");
    assert_eq!(all["portcullis_filter_us_count{}"], 3.0);
    assert_eq!(all["portcullis_body_check_us_count{}"], 1.0);
    assert_eq!(all["portcullis_response_check_us_count{}"], 1.0);
    assert_eq!(all["portcullis_jwt_verify_us_count{}"], 1.0);
    assert_eq!(all["portcullis_deny_all{}"], 0.0);
    assert_eq!(all["portcullis_jwks_keys{provider=\"corp\"}"], 1.0);
    // The log names the same document.
    let hash = format!("sha256: {:08x}", all["portcullis_config_hash{}"] as u32);
    assert!(envoy.log().contains(&hash), "{hash} is not in the log");
}

#[test]
fn a_block_that_is_tried_beside_another_is_told_apart() {
    let key = SigningKey::named("p256").jwk();
    let document = json!({
        "version": 1,
        "access_log": { "sinks": ["filter_state"], "attributes": ["status"] },
        "security_events": { "sinks": ["envoy_log"], "token_failures": 2 },
        "explain": { "header": "x-explain", "addresses": ["127.0.0.0/8"] },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [key] } },
        }, "strict": {
            "issuer": "https://id.example.com/",
            "audiences": ["nobody"],
            "jwks": { "inline": { "keys": [key] } },
        } },
        "routes": [
            { "name": "scoped", "match": { "path": { "prefix": "/scoped" } },
              "jwt": { "provider": "corp", "require": { "scopes": ["read"] },
                       "shadow": { "provider": "corp", "require": { "scopes": ["read", "list"] } } } },
            { "name": "other", "match": { "path": { "prefix": "/other" } },
              "jwt": { "provider": "corp" }, "shadow": { "jwt": { "provider": "strict" } } },
        ],
    });
    let (envoy, _upstream) = start(&document);
    let addr = envoy.listener_addr("chain").unwrap();
    let token = |scope: &str| {
        let claims = json!({
            "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice",
            "scope": scope, "exp": 4_102_444_800_u64,
        });
        let token = tokens::mint(&json!({ "key": "p256", "claims": claims }), 0);
        format!("Bearer {token}")
    };
    let (read, both) = (token("read"), token("read list"));
    let send = |path: &str, headers: &[(&str, &str)]| {
        client::send(addr, &request(path, headers), TIMEOUT).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(send("/scoped/bare", &[]).status, 401);
    }
    for _ in 0..5 {
        assert_eq!(
            send("/scoped/read", &[("authorization", &read)]).status,
            200
        );
        assert_eq!(send("/other/read", &[("authorization", &read)]).status, 200);
    }
    assert_eq!(
        send("/scoped/both", &[("authorization", &both)]).status,
        200
    );
    let told = send(
        "/scoped/asks",
        &[("authorization", &read), ("x-explain", "1")],
    );
    let told: Vec<String> = told
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-portcullis-explain"))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect();
    let tells = |start: &str| told.iter().any(|line| line.starts_with(start));
    assert!(tells("policy=jwt; verdict=allowed"), "{told:?}");
    assert!(
        tells("policy=jwt_shadow; verdict=shadow_denied"),
        "{told:?}"
    );
    envoy.wait_for_stdout("/scoped/asks", TIMEOUT).unwrap();
    envoy.told_stats().unwrap();
    let expected = [
        (
            "portcullis_policy_verdicts{policy=\"jwt\",outcome=\"denied\"}",
            3.0,
        ),
        (
            "portcullis_policy_verdicts{policy=\"jwt\",outcome=\"allowed\"}",
            12.0,
        ),
        (
            "portcullis_policy_verdicts{policy=\"jwt_shadow\",outcome=\"shadow_denied\"}",
            11.0,
        ),
        (
            "portcullis_policy_verdicts{policy=\"jwt_shadow\",outcome=\"allowed\"}",
            1.0,
        ),
        (
            "portcullis_policy_refusals{policy=\"jwt_shadow\",code=\"jwt_insufficient_scope\",outcome=\"shadow_denied\"}",
            6.0,
        ),
        (
            "portcullis_policy_refusals{policy=\"jwt_shadow\",code=\"jwt_invalid\",outcome=\"shadow_denied\"}",
            5.0,
        ),
        (
            "portcullis_policy_refusals{policy=\"jwt\",code=\"jwt_missing\",outcome=\"denied\"}",
            3.0,
        ),
    ];
    let logged = expected.map(|(name, value)| (sorted_labels(name), value));
    let all = agree(&envoy, &logged.into_iter().collect());
    assert_eq!(all["portcullis_denied{}"], 3.0);
    assert_eq!(all["portcullis_shadow_denied{}"], 11.0);
    // Five tokens that were only tried in vain are no attack.
    let events = all
        .iter()
        .filter(|(name, _)| name.starts_with("portcullis_security_events"));
    let raised: Vec<_> = events
        .filter(|(name, value)| **value > 0.0 && !name.contains("configuration_changed"))
        .collect();
    assert!(raised.is_empty(), "{raised:?}");
}

/// An update of the module can be followed by how many workers run which.
#[test]
fn a_worker_says_which_release_it_runs() {
    let (envoy, _upstream) = start(&policy());
    let version = env!("CARGO_PKG_VERSION");
    let label = version.replace('.', "_");
    let name = format!("portcullis_build_vms{{module_version=\"{label}\"}}");
    let vms = |samples: &BTreeMap<String, f64>| {
        let ceiling = samples.get("portcullis_memory_ceiling_bytes{}");
        ceiling.map(|bytes| bytes / portcullis::budget::CEILING as f64)
    };
    wait_until("each VM says which release it is", || {
        let samples = samples(&envoy);
        vms(&samples).is_some_and(|vms| vms >= 2.0 && samples.get(&name) == Some(&vms))
    });
    let log = envoy.log();
    let mut ours = log.lines().filter(|line| line.contains("wasm log"));
    let first = ours.next().expect("the filter logs");
    assert!(
        first.ends_with(&format!(": Portcullis {version}")),
        "{first}"
    );
}
