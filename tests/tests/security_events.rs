//! Security events: what each kind is, how few lines there are, and what the reference says of them.

use std::collections::BTreeSet;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use portcullis::access_log::security::{Event, KINDS};
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::{Counter, Property, Side};
use portcullis::memory_host::MemoryHost;
use portcullis::metrics;
use portcullis::refusal::Selector;
use portcullis::stream::Stream;
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Map, Value, json};

const NOW: u64 = 1_800_000_000;
const TIMEOUT: Duration = Duration::from_secs(20);

/// So many proofs of possession are remembered.
const PROOFS: usize = 128;

/// The secret of those who sign requests.
const HOOK: &str = "a secret of thirty-two bytes, or more";

fn proxy() -> MemoryHost {
    MemoryHost::new()
        .at_second(NOW)
        .with_client("192.0.2.1:40000")
        .with_variable("HOOK", HOOK)
}

fn counted(proxy: &MemoryHost, event: &str) -> u64 {
    let names = metrics::names();
    let wanted = format!("portcullis.security_events.{event}");
    let number = names.iter().position(|name| *name == wanted);
    proxy.counted(Counter(number.expect("each event has a counter")))
}

fn engine(mode: &str, events: &Value) -> Rc<Engine> {
    let document = json!({
        "version": 1,
        "mode": mode,
        "security_events": events,
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            "revoked": { "jti": ["stolen"] },
            "bound": { "dpop": { "origins": ["https://api.example.com"], "max_proofs": PROOFS } },
        } },
        "api_key_stores": { "partners": { "prefix": "pk", "keys": [{
            "id": "g", "client": "gold", "state": "revoked",
            "hash": "306b3c442f1f611f6267b3068f378f9aa117ad763f85351ec37e8b5a1f4fe1a6",
        }] } },
        "certificates": { "mesh": {
            "source": { "x_forwarded_client_cert": {} },
            "clients": [{ "dns": "a.example" }, { "dns": "gone.example", "client": "gone" }],
            "revocation_lists": ["blocked"],
        } },
        "revocation_lists": { "blocked": { "entries": [{ "client": "gone" }] } },
        "introspection_servers": { "idp": {
            "cluster": "idp", "uri": "https://id.example.com/introspect", "audiences": ["orders-api"],
            "authentication": { "bearer": { "env": "NOT_THERE" } },
        } },
        "signers": {
            "shop": {
                "preset": "github", "secrets": [{ "env": "HOOK" }], "replay": { "for": "1h" },
            },
            "poor": { "preset": "github", "secrets": [{ "env": "HOOK" }] },
            "gone": {
                "preset": "github", "secrets": [{ "env": "HOOK" }], "revocation_lists": ["blocked"],
            },
        },
        "schemas": { "list": { "type": "array" } },
        "apis": { "pets": {
            "openapi": "3.0.3", "info": { "title": "Pets", "version": "1" },
            "paths": { "/pets": { "get": { "responses": { "200": { "description": "all" } } } } },
        }, "aged": {
            "openapi": "3.0.3", "info": { "title": "Aged", "version": "1" },
            "versions": { "in": [{ "header": "api-version" }], "known": { "v1": { "removed": true }, "v2": {} } },
            "paths": { "/aged": { "get": { "responses": { "200": { "description": "all" } } } } },
        } },
        "routes": [
            { "name": "admin", "match": { "path": { "prefix": "/admin" } },
              "jwt": { "provider": "corp", "require": { "scopes": ["admin"] } } },
            { "name": "login", "match": { "path": { "prefix": "/login" } }, "jwt": { "provider": "corp" },
              "rate_limits": [{ "name": "tries", "key": ["client_address"], "charge": "on_refusal",
                "token_bucket": { "max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "60s" } }] },
            { "name": "few", "match": { "path": { "prefix": "/few" } }, "open": true,
              "rate_limits": [{ "name": "few", "key": ["client_address"],
                "token_bucket": { "max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "60s" } }] },
            { "name": "pages", "match": { "path": { "prefix": "/pages" } }, "open": true,
              "cors": { "allow_origins": [{ "exact": "https://app.example.com" }], "on_disallowed": "refuse" } },
            { "name": "lists", "match": { "path": { "prefix": "/lists" } }, "open": true,
              "payload": { "max_bytes": 64, "json_schema": "list" } },
            { "name": "pets", "match": { "path": { "prefix": "/pets" } }, "open": true, "openapi": { "api": "pets", "max_bytes": 64 } },
            { "name": "aged", "match": { "path": { "prefix": "/aged" } }, "open": true, "openapi": { "api": "aged", "max_bytes": 64 } },
            { "name": "forms", "match": { "path": { "prefix": "/forms" } }, "open": true,
              "forms": { "max_bytes": 512, "fields": [{ "name": "a", "schema": { "maxLength": 1 } }],
                "files": [{ "name": "f", "max_bytes": 64, "extensions": [".png"] }] } },
            { "name": "searched", "match": { "path": { "prefix": "/searched" } }, "open": true,
              "deny_patterns": {}, "payload": { "max_bytes": 64, "responses": { "json_schema": "list", "mode": "enforce" } } },
            { "name": "graph", "match": { "path": { "prefix": "/graph" } }, "open": true, "graphql": { "max_depth": 2 } },
            { "name": "told", "match": { "path": { "prefix": "/told" } }, "open": true,
              "responses": { "forbid": { "members": ["secret"] }, "mode": "enforce" } },
            { "name": "keys", "match": { "path": { "prefix": "/keys" } }, "api_key": { "store": "partners" } },
            { "name": "known", "match": { "path": { "prefix": "/known" } },
              "certificate": { "set": "mesh", "require": { "scopes": ["admin"] } } },
            { "name": "opaque", "match": { "path": { "prefix": "/opaque" } }, "introspection": { "server": "idp" } },
            { "name": "shop", "match": { "path": { "prefix": "/shop" } }, "signed_request": { "signer": "shop", "head": "ahead" } },
            { "name": "poor", "match": { "path": { "prefix": "/poor" } },
              "signed_request": { "signer": "poor", "head": "ahead", "require": { "scopes": ["admin"] } } },
            { "name": "gone", "match": { "path": { "prefix": "/gone" } }, "signed_request": { "signer": "gone", "head": "ahead" } },
            { "name": "ruled", "match": { "path": { "prefix": "/ruled" } }, "open": true,
              "access": { "rules": [{ "name": "put", "action": "allow", "to": { "methods": ["PUT"] } }] } },
            { "name": "owned", "match": { "path": { "prefix": "/owned" } }, "jwt": { "provider": "corp" },
              "access": { "rules": [{ "name": "own", "action": "allow", "when": [{ "query": "of", "exact": { "claim": "sub" } }] }] } },
            { "name": "guarded", "match": {}, "jwt": { "provider": "corp" } },
        ],
    });
    let engine = Engine::compile(document.to_string().as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

fn bearer(key: &str, more: &Value) -> String {
    let mut token = json!({ "key": key, "claims": {
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": NOW + 600,
    } });
    for (name, value) in more.as_object().into_iter().flatten() {
        match name.as_str() {
            "jti" | "cnf" => token["claims"][name] = value.clone(),
            _ => token[name] = value.clone(),
        }
    }
    format!("Bearer {}", tokens::mint(&token, NOW))
}

/// A proof of possession by the key `ed25519` for a token.
fn proof(authorization: &str, id: &str, path: &str) -> String {
    let token = authorization.rsplit(' ').next().unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let description = json!({
        "key": "ed25519",
        "header": { "typ": "dpop+jwt", "jwk": { "$jwk": "ed25519" } },
        "claims": {
            "jti": id, "htm": "GET", "htu": format!("https://api.example.com{path}"), "iat": NOW,
            "ath": tokens::base64url(hash.as_ref()),
        },
    });
    tokens::mint(&description, NOW)
}

/// Sends a request to its end; the events that are written at once.
fn send(
    engine: &Rc<Engine>,
    proxy: &MemoryHost,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Vec<Map<String, Value>> {
    let mut all = Headers::default();
    let method = if body.is_some() { "POST" } else { "GET" };
    for (name, value) in [
        (":path", path),
        (":method", method),
        (":scheme", "https"),
        (":authority", "api.example.com"),
        ("x-request-id", "request-1"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ] {
        all.push(name.as_bytes(), value.as_bytes());
    }
    for (name, value) in headers {
        all.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    match body {
        None => {
            stream.on_request_headers(all, BodyState::Complete, proxy);
        }
        Some(body) => {
            proxy.set_body(Side::Request, body);
            stream.on_request_headers(all, BodyState::Open, proxy);
            stream.on_request_body(body.len() as u64, BodyState::Complete, proxy);
        }
    }
    // The service answers the same to all.
    let mut answer = Headers::default();
    answer.push(b":status", b"200");
    answer.push(b"content-type", b"application/json");
    let answered = b"{\"secret\":1}";
    if stream.decision().refusal.is_none() {
        stream.on_response_headers(Some(&answer), BodyState::Open, proxy);
        proxy.set_body(Side::Response, answered);
        stream.on_response_body(answered.len() as u64, BodyState::Complete, proxy);
    }
    let events = engine
        .security_events()
        .expect("the document asks for them");
    read(events.of_exchange(&stream.summary(), proxy))
}

fn read(events: Vec<Event>) -> Vec<Map<String, Value>> {
    let one = |event: &Event| {
        let value: Value = serde_json::from_str(&event.line).expect("an event is JSON");
        let members = value.as_object().expect("an event is an object").clone();
        assert_eq!(members["event.code"], event.kind.id);
        members
    };
    events.iter().map(one).collect()
}

fn codes(events: &[Map<String, Value>]) -> Vec<&str> {
    let code = |event: &'_ Map<String, Value>| event["event.code"].as_str().map(str::to_owned);
    let codes: Vec<String> = events.iter().filter_map(code).collect();
    let name = |code: &String| {
        KINDS
            .iter()
            .find(|kind| kind.id == code)
            .map(|kind| kind.id)
    };
    codes.iter().filter_map(name).collect()
}

/// One event of each kind, by way of a request that causes it.
fn one_of_each(engine: &Rc<Engine>, proxy: &MemoryHost) -> Vec<Map<String, Value>> {
    let hmac = bearer("hmac", &json!({}));
    let forged = bearer("p256-other", &json!({}));
    let revoked = bearer("p256", &json!({ "jti": "stolen" }));
    let good = bearer("p256", &json!({}));
    let signed = tokens::mint(
        &json!({ "signed": "", "secret": HOOK, "encoding": "hex" }),
        NOW,
    );
    let signed = format!("sha256={signed}");
    let other = format!("sha256={}", "0".repeat(64));
    let mut events = Vec::new();
    for (path, name, value) in [
        ("/a?q=1", "authorization", &*hmac),
        ("/a", "authorization", &*forged),
        ("/a", "authorization", &*revoked),
        ("/admin", "authorization", &*good),
        ("/few", "x-a", "1"),
        ("/few", "x-a", "2"),
        ("/pages", "origin", "https://evil.example"),
        ("/a/%2e%2e/b", "x-a", "3"),
        ("/a", "authorization", &*forged),
        ("/login", "authorization", &*forged),
        ("/login", "authorization", &*forged),
        ("/keys", "x-api-key", "pk_guessed"),
        ("/keys", "x-api-key", "pk_5FvplO4wnfiJWCemi4pjGs6SoCZ1r3s0I"),
        ("/known", "x-forwarded-client-cert", "DNS=b.example"),
        ("/known", "x-forwarded-client-cert", "DNS=a.example"),
        ("/known", "x-forwarded-client-cert", "DNS=gone.example"),
        ("/opaque", "authorization", "Bearer a!b"),
        ("/opaque", "authorization", "Bearer 2YotnFZFEjr1zCsicMWpAA"),
        ("/shop", "x-hub-signature-256", &*other),
        ("/shop", "x-hub-signature-256", &*signed),
        ("/shop", "x-hub-signature-256", &*signed),
        ("/poor", "x-hub-signature-256", &*signed),
        ("/gone", "x-hub-signature-256", &*signed),
        ("/pets/unknown", "x-a", "4"),
        ("/ruled", "x-a", "5"),
        ("/aged", "api-version", "v1"),
        ("/aged", "api-version", "v3"),
        ("/owned?of=nobody", "authorization", &*good),
        ("/searched?q=%3Cscript%3Ealert(1)%3C/script%3E", "x-a", "6"),
    ] {
        events.extend(send(engine, proxy, path, &[(name, value)], None));
    }
    let cnf = json!({ "cnf": { "jkt": tokens::thumbprint(&SigningKey::named("ed25519").jwk()) } });
    let bound = bearer("p256", &cnf);
    events.extend(send(
        engine,
        proxy,
        "/a",
        &[("authorization", &bound)],
        None,
    ));
    let bound = bound.replacen("Bearer", "DPoP", 1);
    let with = |path: &str, id: &str| {
        let proof = proof(&bound, id, path);
        send(
            engine,
            proxy,
            "/a",
            &[("authorization", &bound), ("dpop", &proof)],
            None,
        )
    };
    events.extend(with("/b", "0"));
    for number in 0..=PROOFS {
        events.extend(with("/a", &number.to_string()));
    }
    events.extend(with("/a", "0"));
    let json = [("content-type", "application/json")];
    events.extend(send(engine, proxy, "/lists", &json, Some(b"{}")));
    events.extend(send(engine, proxy, "/lists", &json, Some(&[b' '; 99])));
    for query in ["{__schema{types{name}}}", "{a{b{c}}}"] {
        let body = json!({ "query": query }).to_string();
        events.extend(send(engine, proxy, "/graph", &json, Some(body.as_bytes())));
    }
    events.extend(send(engine, proxy, "/told", &[], None));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    events.extend(send(engine, proxy, "/forms", &form, Some(b"is_admin=1")));
    let parts = [("content-type", "multipart/form-data; boundary=x")];
    let file = "--x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a.exe\"\r\n\r\nMZ\r\n--x--\r\n";
    events.extend(send(engine, proxy, "/forms", &parts, Some(file.as_bytes())));
    events
}

#[test]
fn each_kind_is_told() {
    let engine = engine(
        "enforce",
        &json!({ "token_failures": 4, "path_failures": 2 }),
    );
    let proxy = proxy();
    let mut told = one_of_each(&engine, &proxy);
    let change = engine
        .security_events()
        .unwrap()
        .configured(engine.digest(), &proxy);
    told.extend(read(change.into_iter().collect()));
    let codes: BTreeSet<&str> = codes(&told).into_iter().collect();
    let all: BTreeSet<&str> = KINDS.iter().map(|kind| kind.id).collect();
    assert_eq!(codes, all, "{told:#?}");
    for kind in KINDS {
        assert!(counted(&proxy, kind.id) > 0, "{} is not counted", kind.id);
    }
    let first = &told[0];
    assert_eq!(first["event.code"], "algorithm_confusion");
    assert_eq!(first["event.severity"], 80);
    assert_eq!(first["portcullis.route"], "guarded");
    assert_eq!(first["client.address"], "192.0.2.1");
    assert_eq!(first["url.path"], "/a");
    assert_eq!(first["portcullis.outcome"], "denied");
}

#[test]
fn newer_kinds_say_what_they_are_of() {
    let engine = engine("enforce", &json!({}));
    let proxy = proxy();
    let told = one_of_each(&engine, &proxy);
    let of = |kind: &str| {
        let found = told.iter().find(|event| event["event.code"] == kind);
        let event = found.unwrap_or_else(|| panic!("no {kind} in {told:#?}"));
        [
            "portcullis.route",
            "portcullis.outcome",
            "portcullis.reason",
        ]
        .map(|member| event[member].as_str().unwrap_or_default())
    };
    assert_eq!(of("operation_undeclared"), ["pets", "denied", "no_route"]);
    assert_eq!(of("pattern_found"), ["searched", "shadow_denied", "query"]);
    assert_eq!(of("answer_violated"), ["searched", "denied", "schema"]);
    assert_eq!(of("answer_sensitive"), ["told", "denied", "member"]);
    assert_eq!(of("graphql_probed"), ["graph", "denied", "introspection"]);
    assert_eq!(of("graphql_excessive"), ["graph", "denied", "depth"]);
    assert_eq!(of("input_undeclared"), ["forms", "denied", "undeclared"]);
    assert_eq!(of("upload_refused"), ["forms", "denied", "file_name"]);
    assert_eq!(of("body_too_large"), ["lists", "denied", "body_size"]);
}

#[test]
fn paths_without_a_route_are_no_undeclared_operations() {
    let document = json!({
        "version": 1,
        "security_events": {},
        "routes": [{ "name": "a", "match": { "path": { "prefix": "/a" }, "methods": ["POST"] }, "open": true }],
    });
    let engine = Rc::new(Engine::compile(document.to_string().as_bytes()).unwrap());
    for path in ["/a", "/b"] {
        let told = send(&engine, &proxy(), path, &[], None);
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn shadow_mode_tells_what_would_have_been() {
    let engine = engine("shadow", &json!({}));
    let proxy = proxy();
    let forged = bearer("p256-other", &json!({}));
    let told = send(&engine, &proxy, "/a", &[("authorization", &forged)], None);
    assert_eq!(codes(&told), ["token_forged"]);
    assert_eq!(told[0]["portcullis.outcome"], "shadow_denied");
}

#[test]
fn a_flood_is_few_lines() {
    const REQUESTS: u64 = 3_000;
    let engine = engine("enforce", &json!({ "window": "10s", "token_failures": 2 }));
    let proxy = proxy();
    let forged = bearer("p256-other", &json!({}));
    let events = engine.security_events().unwrap();
    let mut at_once = Vec::new();
    for number in 0..REQUESTS {
        // Each source tries twice.
        let source = number / 2;
        let address = format!(
            "10.{}.{}.{}:1",
            source >> 16,
            (source >> 8) & 255,
            source & 255
        );
        proxy.set_client(&address);
        at_once.extend(send(
            &engine,
            &proxy,
            "/a",
            &[("authorization", &forged)],
            None,
        ));
        assert!(
            events
                .due(|route| engine.route_name(route), &proxy)
                .is_empty()
        );
    }
    let of = |told: &[Map<String, Value>], code: &str| {
        told.iter()
            .filter(|event| event["event.code"] == code)
            .count()
    };
    assert_eq!(of(&at_once, "token_forged"), 1);
    assert_eq!(of(&at_once, "token_failures_repeated"), 16);
    assert_eq!(at_once.len(), 17);
    proxy.set_now(Duration::from_secs(NOW + 10));
    let held = read(events.due(|route| engine.route_name(route), &proxy));
    let count = |code: &str| {
        let of = held.iter().find(|event| event["event.code"] == code);
        of.map(|event| event["portcullis.event.count"].as_u64().unwrap())
    };
    assert_eq!(held.len(), 2, "{held:#?}");
    assert_eq!(count("token_forged"), Some(REQUESTS - 1));
    let repeated = count("token_failures_repeated").unwrap();
    assert_eq!(repeated + 16, REQUESTS / 2);
    assert_eq!(counted(&proxy, "token_forged"), REQUESTS);
    // What has been told is not told again.
    proxy.set_now(Duration::from_secs(NOW + 30));
    assert!(
        events
            .due(|route| engine.route_name(route), &proxy)
            .is_empty()
    );
}

/// Whatever the service answers, and whichever of the statuses it is.
#[test]
fn a_scan_is_told_whoever_answers_it() {
    let engine = engine("enforce", &json!({ "window": "60s" }));
    let proxy = proxy();
    let ask = |path: &str, status| {
        proxy.set_number(Property::ResponseStatus, status);
        send(&engine, &proxy, path, &[], None)
    };
    // A browser that misses a picture now and then, and what is no scan however often it comes.
    for round in 0..600 {
        let status = if round % 10 == 0 { 404 } else { 200 };
        for status in [status, 401, 403, 422, 500] {
            let told = ask(&format!("/pages/{round}"), status);
            assert!(told.is_empty(), "{round}");
        }
    }
    proxy.set_client("192.0.2.2:1");
    let mut told = Vec::new();
    for round in 0..150 {
        let (path, status) = match round % 3 {
            0 => (format!("/pages/{round}.php"), 404),
            1 => (format!("/pages/{round}"), 405),
            _ => (format!("/a/%2e%2e/{round}"), 400),
        };
        let events = ask(&path, status).into_iter();
        let events = events.filter(|event| event["event.code"] == "paths_scanned");
        told.extend(events.map(|event| (round, event)));
    }
    let [(99, event)] = &told[..] else {
        panic!("{told:#?}");
    };
    assert_eq!(event["portcullis.event.count"], 100);
    assert_eq!(event["client.address"], "192.0.2.2");
    assert_eq!(event["url.path"], "/pages/99.php");
    assert_eq!(event["portcullis.outcome"], "allowed");
    assert!(!event.contains_key("portcullis.code"), "{event:?}");
    assert_eq!(counted(&proxy, "paths_scanned"), 1);
    // Scanners and those who try tokens are counted apart, and there are as many cells of either.
    let cells = proxy.cells();
    assert!(cells.keys().any(|key| key.starts_with("events/scanners/")));
    assert!(!cells.keys().any(|key| key.starts_with("events/sources/")));
}

#[test]
fn many_scanners_are_few_lines_and_few_cells() {
    const SOURCES: u32 = 3_000;
    let engine = engine("enforce", &json!({ "window": "10s", "path_failures": 2 }));
    let proxy = proxy();
    proxy.set_number(Property::ResponseStatus, 404);
    let mut lines = 0;
    for source in 0..SOURCES {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + source);
        proxy.set_client(&format!("{address}:1"));
        for _ in 0..2 {
            lines += send(&engine, &proxy, "/pages/x", &[], None).len();
        }
    }
    assert_eq!(lines, 16);
    let cells = proxy.cells();
    let of_scanners = cells.keys().filter(|key| key.starts_with("events/"));
    assert!(of_scanners.count() <= 256);
    assert_eq!(counted(&proxy, "paths_scanned"), u64::from(SOURCES));
}

#[test]
fn a_document_is_announced_once() {
    let proxy = proxy();
    let (first, second) = (engine("enforce", &json!({})), engine("shadow", &json!({})));
    let announce = |engine: &Rc<Engine>| {
        let events = engine.security_events().unwrap();
        read(
            events
                .configured(engine.digest(), &proxy)
                .into_iter()
                .collect(),
        )
    };
    let told = announce(&first);
    assert_eq!(codes(&told), ["configuration_changed"]);
    assert!(!told[0].contains_key("portcullis.config.previous"));
    assert!(announce(&first).is_empty(), "another worker says it again");
    let changed = announce(&second);
    assert_eq!(
        changed[0]["portcullis.config.previous"],
        told[0]["portcullis.config.hash"]
    );
    // Two that stand side by side are told once each, however long and whichever worker looks.
    for later in 0..300 {
        proxy.set_now(Duration::from_secs(NOW + later));
        assert!(announce(&first).is_empty() && announce(&second).is_empty());
    }
    // One that was gone for long and comes back is news.
    proxy.set_now(Duration::from_secs(NOW + 500));
    assert_eq!(
        announce(&first)[0]["portcullis.config.previous"],
        changed[0]["portcullis.config.hash"]
    );
}

/// Ten paths in a second, of which the filter knows some and the service the others.
#[test]
fn a_scan_is_told_once_by_all_workers() {
    const THRESHOLD: usize = 60;
    let upstream = Upstream::start_forgetful().unwrap();
    let missing = Response {
        status: 404,
        ..Response::default()
    };
    for number in 0..2 * THRESHOLD {
        let answer = Answer::Respond(missing.clone());
        upstream.answer_path(&format!("/open/{number}.php"), answer);
    }
    let document = json!({
        "version": 1,
        "security_events": { "path_failures": THRESHOLD },
        "routes": [{ "name": "open", "match": { "path": { "prefix": "/open" }, "methods": ["GET"] }, "open": true }],
    });
    let text = string_value(&document.to_string());
    let ours = wasm_filter("ours", &module_path(), text, WasmOptions::default());
    let listeners = vec![listener("chain", vec![ours], ListenerOptions::default())];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let options = Options {
        concurrency: 4,
        ..Options::reused()
    };
    let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
    let addr = envoy.listener_addr("chain").unwrap();
    let send = |method: &str, path: String| {
        let request = Request {
            method: method.into(),
            path: path.into(),
            authority: b"api.example.com".to_vec(),
            ..Request::default()
        };
        client::send(addr, &request, TIMEOUT).unwrap().status
    };
    let count = || {
        let name = "wasmcustom.portcullis.security_events.paths_scanned";
        envoy.told_stat(name).unwrap()
    };
    for number in 0..2 * THRESHOLD {
        assert_eq!(send("GET", "/open".to_owned()), 200);
        let (method, path, expected) = match number % 4 {
            0 => ("GET", format!("/admin/{number}"), 404),
            1 => ("POST", format!("/open/{number}"), 405),
            2 => ("GET", format!("/open/%00{number}"), 400),
            _ => ("GET", format!("/open/{number}.php"), 404),
        };
        assert_eq!(send(method, path), expected, "{number}");
        if number == THRESHOLD - 2 {
            assert_eq!(count(), 0, "one is lacking");
        }
    }
    envoy.wait_for_log("paths_scanned", TIMEOUT).unwrap();
    assert_eq!(count(), 1);
    let log = envoy.log();
    assert_eq!(log.matches("paths_scanned").count(), 1, "{log}");
    assert!(
        log.contains(&format!("\"portcullis.event.count\":{THRESHOLD}")),
        "{log}"
    );
}

/// Each request comes over a connection of its own, so that all workers see some of them.
#[test]
fn workers_count_failures_of_a_source_together() {
    const THRESHOLD: usize = 16;
    let upstream = Upstream::start_forgetful().unwrap();
    let document = json!({
        "version": 1,
        "security_events": { "token_failures": THRESHOLD },
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
    });
    let text = string_value(&document.to_string());
    let ours = wasm_filter("ours", &module_path(), text, WasmOptions::default());
    let listeners = vec![listener("chain", vec![ours], ListenerOptions::default())];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let options = Options {
        concurrency: 4,
        ..Options::reused()
    };
    let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
    let addr = envoy.listener_addr("chain").unwrap();
    let forged = Request {
        method: b"GET".to_vec(),
        path: b"/".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(
            b"authorization".to_vec(),
            bearer("p256-other", &json!({})).into(),
        )],
        ..Request::default()
    };
    let count = || {
        let name = "wasmcustom.portcullis.security_events.token_failures_repeated";
        envoy.told_stat(name).unwrap()
    };
    for number in 1..=2 * THRESHOLD {
        assert_eq!(client::send(addr, &forged, TIMEOUT).unwrap().status, 401);
        if number == THRESHOLD - 1 {
            assert_eq!(count(), 0, "one is lacking");
        }
    }
    envoy
        .wait_for_log("token_failures_repeated", TIMEOUT)
        .unwrap();
    assert_eq!(count(), 1);
    let log = envoy.log();
    assert_eq!(log.matches("token_failures_repeated").count(), 1, "{log}");
    assert!(
        log.contains(&format!("\"portcullis.event.count\":{THRESHOLD}")),
        "{log}"
    );
}

fn page() -> String {
    let path = tokens::repository().join("docs/security-events.md");
    fs::read_to_string(path).expect("there is a page")
}

/// The rows of the table with this head, as cells.
fn rows(page: &str, head: &str) -> Vec<Vec<String>> {
    let (_, table) = page.split_once(head).expect("there is such a table");
    let lines = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let inner = line.trim_matches('|').split('|');
        inner.map(|cell| cell.trim().replace('`', "")).collect()
    };
    lines.map(cells).collect()
}

#[test]
fn the_table_of_events_is_the_code() {
    let rows = rows(&page(), "| event | severity | OWASP | when |");
    let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let real: Vec<&str> = KINDS.iter().map(|kind| kind.id).collect();
    assert_eq!(names, real);
    for (row, kind) in rows.iter().zip(KINDS) {
        assert_eq!(row[1], kind.severity.name(), "{}", kind.id);
        assert_eq!(row[2], kind.owasp, "{}", kind.id);
        for cause in kind.causes {
            let (code, reason) = match cause {
                Selector::Code(code) => (*code, None),
                Selector::Reason(reason) => (reason.code, Some(reason.name)),
            };
            let is_listed = metrics::codes().any(|each| each == code);
            assert!(is_listed, "{code:?} is no code of a policy or of the core");
            for name in [Some(code.name), reason].into_iter().flatten() {
                assert!(row[3].contains(name), "{}: {name}", kind.id);
            }
        }
    }
}

#[test]
fn the_table_of_members_is_what_is_written() {
    let members = |schema: &str| -> BTreeSet<String> {
        let engine = engine(
            "enforce",
            &json!({ "schema": schema, "token_failures": 4, "path_failures": 2 }),
        );
        let proxy = proxy();
        let mut told = one_of_each(&engine, &proxy);
        let events = engine.security_events().unwrap();
        told.extend(read(
            events
                .configured(engine.digest(), &proxy)
                .into_iter()
                .collect(),
        ));
        told.extend(read(
            events.configured(&[7; 32], &proxy).into_iter().collect(),
        ));
        told.iter()
            .flat_map(|event| event.keys().cloned())
            .collect()
    };
    let rows = rows(&page(), "| event field | value |");
    let written: BTreeSet<String> = rows.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(written, members("otel"));
    let ecs = members("ecs");
    let text = page();
    for name in ecs.difference(&written) {
        assert!(
            text.contains(&format!("`{name}`")),
            "{name} is not in the page"
        );
    }
    assert!(ecs.contains("@timestamp") && !ecs.contains("timestamp"));
}
