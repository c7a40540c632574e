//! Several documents in one proxy: each counts as it says, whatever the others say under the same names.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use portcullis::engine::Engine;
use portcullis_tests::client::{self, Connection};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: &str = "1h";

fn bucket(tokens: u64) -> Value {
    json!({ "token_bucket": { "max_tokens": tokens, "fill_interval": HOUR } })
}

fn window(requests: u64, per: &str) -> Value {
    json!({ "sliding_window": { "requests": requests, "per": per } })
}

/// A document whose one route has one limit.
fn document(rule: &Value) -> Value {
    let mut limit = json!({ "name": "calls", "key": ["client_address"] });
    for (name, value) in rule.as_object().unwrap() {
        limit[name] = value.clone();
    }
    json!({
        "version": 1,
        "routes": [{ "name": "all", "match": {}, "open": true, "rate_limits": [limit] }],
    })
}

fn filter(document: &Value, vm_id: &str, root_id: &str) -> Value {
    let options = WasmOptions {
        vm_id: vm_id.into(),
        root_id: root_id.into(),
        ..WasmOptions::default()
    };
    // One name for all.
    let document = string_value(&document.to_string());
    wasm_filter("portcullis", &module_path(), document, options)
}

/// A listener that answers by itself what its filters let pass.
fn answering(name: &str, filters: Vec<Value>) -> Value {
    let options = ListenerOptions {
        route: json!({ "route": null, "direct_response": { "status": 200 } }),
        ..ListenerOptions::default()
    };
    listener(name, filters, options)
}

fn start(workers: u32, listeners: &[Value]) -> Envoy {
    let options = Options {
        concurrency: workers,
        ..Options::reused()
    };
    Envoy::start_with_lds(bootstrap(Vec::new(), Vec::new()), listeners, &options).unwrap()
}

fn request(headers: &[(&str, &str)]) -> Request {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Request {
        method: bytes("GET"),
        path: bytes("/"),
        authority: bytes("a"),
        headers: headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
        ..Request::default()
    }
}

fn get(addr: SocketAddr) -> u16 {
    client::send(addr, &request(&[]), PATIENCE).unwrap().status
}

/// How many of `count` requests to each of two places passed, when a client asks them in turn.
fn in_turn(one: SocketAddr, other: SocketAddr, count: usize) -> [usize; 2] {
    let mut passed = [0; 2];
    for _ in 0..count {
        for (place, addr) in [one, other].into_iter().enumerate() {
            match get(addr) {
                200 => passed[place] += 1,
                429 => {}
                status => panic!("{status}"),
            }
        }
    }
    passed
}

/// Two listeners with these documents, each with the name space of its own that it has.
fn two(workers: u32, documents: [&Value; 2], vm_ids: [&str; 2]) -> (Envoy, [SocketAddr; 2]) {
    let listeners = [
        answering("one", vec![filter(documents[0], vm_ids[0], "")]),
        answering("other", vec![filter(documents[1], vm_ids[1], "")]),
    ];
    let envoy = start(workers, &listeners);
    let addrs = ["one", "other"].map(|name| envoy.listener_addr(name).unwrap());
    (envoy, addrs)
}

#[test]
fn a_lax_listener_undoes_nothing_of_a_strict_one() {
    let strict = document(&bucket(5));
    for (workers, lax, most, vm_ids) in [
        (4, window(100_000, "1s"), 40, ["", ""]),
        (2, bucket(6), 6, ["", ""]),
        (2, window(5, HOUR), 5, ["", ""]),
        // The same in name spaces of their own.
        (2, bucket(5), 5, ["own", "other"]),
    ] {
        let lax = document(&lax);
        let (_envoy, [one, other]) = two(workers, [&strict, &lax], vm_ids);
        let passed = in_turn(one, other, 40);
        assert_eq!(passed, [5, most], "{workers} workers, {lax}");
    }
}

#[test]
fn a_lock_out_holds_beside_a_lax_one() {
    let with_lock = |rule: &Value| {
        let mut document = document(rule);
        let limit = &mut document["routes"][0]["rate_limits"][0];
        limit["charge"] = json!("on_refusal");
        document["providers"] = json!({ "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } });
        let route = document["routes"][0].as_object_mut().unwrap();
        route.remove("open");
        route.insert("jwt".into(), json!({ "provider": "corp" }));
        document
    };
    let strict = with_lock(&json!({
        "token_bucket": { "max_tokens": 5, "fill_interval": "900s" },
    }));
    let lax = with_lock(&window(100_000, "1s"));
    let (_envoy, [one, other]) = two(4, [&strict, &lax], ["", ""]);
    let good = tokens::mint(&json!({ "key": "p256", "claims": {} }), 0);
    let forged = format!("Bearer {}AAAA", &good[..good.len() - 4]);
    let guess = |addr| {
        let request = request(&[("authorization", &forged)]);
        client::send(addr, &request, PATIENCE).unwrap().status
    };
    let mut judged = 0;
    for round in 0..40 {
        match guess(one) {
            401 => judged += 1,
            status => assert_eq!(status, 429, "in round {round}"),
        }
        assert_eq!(guess(other), 401);
    }
    assert_eq!(judged, 5);
}

#[test]
fn documents_that_say_the_same_under_one_name_count_together() {
    let limited = document(&bucket(6));
    let mut renamed = limited.clone();
    // Another document, with the same limit in the same place.
    renamed["routes"][0]["match"] = json!({ "path": { "prefix": "/" } });
    for other in [&limited, &renamed] {
        let (_envoy, [one, two]) = two(2, [&limited, other], ["", ""]);
        assert_eq!(in_turn(one, two, 20), [3, 3]);
    }
    // Not those of another root id.
    let listeners = [
        answering("one", vec![filter(&limited, "", "first")]),
        answering("other", vec![filter(&limited, "", "second")]),
    ];
    let envoy = start(2, &listeners);
    let [one, other] = ["one", "other"].map(|name| envoy.listener_addr(name).unwrap());
    assert_eq!(in_turn(one, other, 20), [6, 6]);
}

#[test]
fn two_filters_of_one_name_in_one_chain_both_hold() {
    let passed = |filters: Vec<Value>| {
        let envoy = start(2, &[answering("one", filters)]);
        let addr = envoy.listener_addr("one").unwrap();
        let statuses: Vec<u16> = (0..20).map(|_| get(addr)).collect();
        statuses.iter().filter(|status| **status == 200).count()
    };
    let of = |rule: &Value| filter(&document(rule), "", "");
    assert_eq!(passed(vec![of(&bucket(5)), of(&window(12, HOUR))]), 5);
    assert_eq!(passed(vec![of(&window(12, HOUR)), of(&bucket(5))]), 5);
    assert_eq!(passed(vec![of(&bucket(5)), of(&bucket(100_000))]), 5);
    // The same twice is charged twice.
    assert_eq!(passed(vec![of(&bucket(6)), of(&bucket(6))]), 3);
}

#[test]
fn old_and_new_numbers_both_hold_while_a_listener_drains() {
    // What is replaced goes on for as long as the test.
    let bootstrap = bootstrap(Vec::new(), Vec::new());
    let envoy = Envoy::start_with_lds(bootstrap, &[], &Options::default()).unwrap();
    for (number, (before, after)) in [
        (bucket(10), window(10, HOUR)),
        (window(10, HOUR), bucket(10)),
        (bucket(10), bucket(12)),
    ]
    .into_iter()
    .enumerate()
    {
        // Each pair counts in a name space of its own.
        let vm_id = format!("pair-{number}");
        let of = |rule: &Value| answering("one", vec![filter(&document(rule), &vm_id, "")]);
        let started = envoy.update_listeners(&[of(&before)]);
        assert!(matches!(started, Ok(Update::Accepted)), "{started:?}");
        let mut old = Connection::new(envoy.listener_addr("one").unwrap());
        let ask =
            |connection: &mut Connection| connection.send(&request(&[]), PATIENCE).unwrap().status;
        assert_eq!(ask(&mut old), 200);
        let update = envoy.update_listeners(&[of(&after)]);
        assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
        let new = envoy.listener_addr("one").unwrap();
        let (mut of_old, mut of_new) = (1, 0);
        for _ in 0..30 {
            if old.opened() == 1 && ask(&mut old) == 200 && old.opened() == 1 {
                of_old += 1;
            }
            of_new += usize::from(get(new) == 200);
        }
        let most = if after == bucket(12) { 12 } else { 10 };
        assert!(of_old <= 10, "{of_old} by {before}");
        // What an old connection was told to reconnect for counts for the new.
        assert!((most - 1..=most).contains(&of_new), "{of_new} by {after}");
    }
}

/// Counts go on under another document as long as the limit stays what it is.
fn goes_on(envoy: &Envoy, name: &str, mut update: impl FnMut(&Value)) {
    let addr = || envoy.listener_addr(name).unwrap();
    assert_eq!([(); 3].map(|()| get(addr())), [200; 3]);
    let mut more = document(&bucket(5));
    more["routes"].as_array_mut().unwrap().insert(
        0,
        json!({ "name": "health", "match": { "path": { "exact": "/health" } }, "open": true }),
    );
    // What says how clients are told is no part of what is counted.
    more["routes"][1]["rate_limits"][0]["headers"] = json!("ietf");
    update(&more);
    assert_eq!([(); 4].map(|()| get(addr())), [200, 200, 429, 429]);
    update(&document(&bucket(6)));
    let passed = (0..10).filter(|_| get(addr()) == 200).count();
    assert_eq!(passed, 6, "other numbers begin anew");
    // What comes back finds its own.
    update(&document(&bucket(5)));
    assert_eq!(get(addr()), 429);
}

#[test]
fn counts_go_on_over_updates_of_the_listener() {
    let of = |document: &Value| answering("one", vec![filter(document, "", "")]);
    let envoy = start(2, &[of(&document(&bucket(5)))]);
    goes_on(&envoy, "one", |document| {
        let update = envoy.update_listeners(&[of(document)]);
        assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
    });
}

#[test]
fn counts_go_on_over_updates_of_the_filter() {
    let directory = std::env::temp_dir().join(format!("portcullis-limits-{}", std::process::id()));
    fs::create_dir_all(directory.join("watched")).unwrap();
    let file = directory.join("watched/filter.json");
    let mut version = 0;
    let mut write = |document: &Value| {
        version += 1;
        let mut resource = filter(document, "", "");
        resource["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
        let response = json!({ "version_info": version.to_string(), "resources": [resource] });
        let draft = directory.join("draft.json");
        fs::write(&draft, response.to_string()).unwrap();
        fs::rename(draft, &file).unwrap();
    };
    write(&document(&bucket(5)));
    let discovered = json!({
        "name": "portcullis",
        "config_discovery": {
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": file, "watched_directory": { "path": directory.join("watched") },
                },
            },
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        },
    });
    let envoy = start(2, &[answering("one", vec![discovered])]);
    let configured = || envoy.log().matches("configured, routes").count();
    goes_on(&envoy, "one", |document| {
        let before = configured();
        write(document);
        // Each worker and the main thread says so; one that comes back was never gone.
        let deadline = Instant::now() + Duration::from_secs(5);
        while configured() < before + 3 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let _ = fs::remove_dir_all(directory);
}

#[test]
fn the_page_says_what_is_logged_of_a_limit() {
    let mut document = document(&bucket(100));
    document["routes"][0]["name"] = json!("orders");
    document["routes"][0]["rate_limits"][0]["name"] = json!("per-user");
    let engine = Engine::compile(document.to_string().as_bytes()).unwrap();
    let memory_estimates = engine.memory_estimates();
    let page = fs::read_to_string(tokens::repository().join("docs/policies/rate_limits.md"));
    let line = memory_estimates
        .iter()
        .find(|line| line.contains("per-user"));
    let line = line.unwrap_or_else(|| panic!("{memory_estimates:?}"));
    assert!(page.unwrap().contains(&format!("`{line}`")), "{line}");
}
