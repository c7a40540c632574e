//! The rules that the proxy imposes, on a real Envoy: what a broken one would cost is a bypass or
//! a dead worker. Rules that a case file can show are in `tests/cases`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_tests::client::{self, Connection};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::wait_until;
use portcullis_tests::random::Random;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(10);

fn policy(realm: &str) -> Value {
    let mut key = SigningKey::named("p256").jwk();
    key["kid"] = "k1".into();
    json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [key] } },
        } },
        "routes": [{
            "name": "all",
            "match": { "path": { "prefix": "/" } },
            "jwt": { "provider": "corp", "realm": realm },
            "payload": { "max_bytes": "64KiB" },
        }],
    })
}

fn token() -> String {
    #[allow(
        clippy::disallowed_methods,
        reason = "a real proxy goes by the real clock"
    )]
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": "now+600",
    });
    tokens::mint(
        &json!({ "key": "p256", "header": { "kid": "k1" }, "claims": claims }),
        now.as_secs(),
    )
}

fn guarded(name: &str, document: &str) -> Value {
    let filter = wasm_filter(
        name,
        &module_path(),
        string_value(document),
        WasmOptions::default(),
    );
    listener(name, vec![filter], ListenerOptions::default())
}

fn start(document: &Value, options: &Options) -> (Envoy, Upstream, SocketAddr) {
    let upstream = Upstream::start().unwrap();
    let clusters = vec![cluster("upstream", upstream.addr())];
    let listeners = [guarded("guarded", &document.to_string())];
    let envoy =
        Envoy::start_with_lds(bootstrap(Vec::new(), clusters), &listeners, options).unwrap();
    let addr = envoy.listener_addr("guarded").unwrap();
    (envoy, upstream, addr)
}

fn get(headers: &[(&str, &str)]) -> Request {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Request {
        method: bytes("GET"),
        path: bytes("/"),
        authority: bytes("api.example.com"),
        headers: headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
        ..Request::default()
    }
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let (_, value) = response.headers.iter().find(|(each, _)| each == name)?;
    std::str::from_utf8(value).ok()
}

/// Fresh connections, so that every worker gets some.
fn assert_every_worker_guards(addr: SocketAddr) {
    let authorization = format!("Bearer {}", token());
    for _ in 0..64 {
        let refused = client::send(addr, &get(&[]), TIMEOUT).unwrap();
        assert_eq!(refused.status, 401, "{refused:?}");
        let passed =
            client::send(addr, &get(&[("authorization", &authorization)]), TIMEOUT).unwrap();
        assert_eq!(passed.status, 200, "{passed:?}");
    }
}

#[test]
fn rule_1_no_request_stops_a_worker() {
    let (envoy, _upstream, addr) = start(&policy("api"), &Options::reused());
    let good = token();
    let mut random = Random(7);
    for round in 0..400 {
        let mut mutated = good.clone().into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(mutated.len());
            mutated[at] = random.byte();
        }
        let mut noise: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
        // What no header value may hold; Envoy refuses these itself.
        noise.retain(|b| !matches!(b, 0 | b'\r' | b'\n'));
        let mut request = get(&[]);
        request.version = if round % 2 == 0 {
            Version::Http1
        } else {
            Version::Http2
        };
        request.headers.push((
            b"authorization".to_vec(),
            [b"Bearer ".to_vec(), mutated].concat(),
        ));
        request.headers.push((b"cookie".to_vec(), noise.clone()));
        request
            .headers
            .push((b"content-type".to_vec(), noise.clone()));
        request
            .headers
            .push((b"user-agent".to_vec(), noise.clone()));
        if request.version == Version::Http2 {
            // Envoy's codec resets what has blanks and controls here, after a second.
            let raw = noise.iter().copied().filter(|b| *b > b' ' && *b != 0x7f);
            request.path = b"/".iter().copied().chain(raw).collect();
        }
        request
            .headers
            .retain(|(_, value)| !value.iter().any(u8::is_ascii_control));
        // Envoy may refuse or reset what it finds malformed itself; it may not answer 5xx.
        if let Ok(response) = client::send(addr, &request, TIMEOUT) {
            assert!(
                response.status < 500,
                "round {round}: {request:?} gave {response:?}"
            );
        }
    }
    assert_every_worker_guards(addr);
    assert!(!envoy.log().contains("panicked"), "{}", envoy.log());
    let reloads: Vec<_> = envoy
        .stats()
        .unwrap()
        .into_iter()
        .filter(|(name, count)| name.contains("vm_reload") && *count > 0)
        .collect();
    assert!(reloads.is_empty(), "{reloads:?}");
}

#[test]
fn rule_2_a_bad_document_stops_the_start_and_a_good_one_guards_every_worker() {
    let upstream = Upstream::start().unwrap();
    let clusters = || vec![cluster("upstream", upstream.addr())];
    let mut bad = policy("api");
    bad["routes"][0]["jwt"]["provider"] = "crop".into();
    let refused = Envoy::start(
        bootstrap(vec![guarded("guarded", &bad.to_string())], clusters()),
        &Options::default(),
    );
    let error = refused
        .expect_err("Envoy starts with a bad document")
        .to_string();
    let problem = "/routes/0/jwt/provider: no provider is named \"crop\"; did you mean \"corp\"?";
    assert!(error.contains(problem), "{error}");

    let options = Options {
        concurrency: 4,
        ..Options::reused()
    };
    let (envoy, _upstream, addr) = start(&policy("api"), &options);
    assert_every_worker_guards(addr);
    assert!(
        !envoy
            .log()
            .contains("Failed to configure thread-local Wasm plugin")
    );
}

#[test]
fn rule_2_updates_lose_no_request_and_no_count_and_leave_none_unguarded() {
    let options = Options {
        drain_at_once: true,
        drain_time: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let (envoy, _upstream, addr) = start(&policy("first"), &options);
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let realms = AtomicU64::new(0);
    let authorization = format!("Bearer {}", token());
    thread::scope(|scope| {
        for client in 0..3 {
            let (stop, asked, authorization) = (&stop, &asked, &authorization);
            scope.spawn(move || {
                let mut kept = Connection::new(addr);
                while !stop.load(Ordering::Relaxed) {
                    let mut ask = |headers: &[(&str, &str)]| match client {
                        0 => client::send(addr, &get(headers), TIMEOUT),
                        _ => kept.send(&get(headers), TIMEOUT),
                    };
                    let refused =
                        ask(&[]).unwrap_or_else(|error| panic!("a request was lost: {error}"));
                    assert_eq!(refused.status, 401, "unguarded: {refused:?}");
                    let passed = ask(&[("authorization", authorization)])
                        .unwrap_or_else(|error| panic!("a request was lost: {error}"));
                    assert_eq!(passed.status, 200, "{passed:?}");
                    asked.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        let realm = || {
            let refused = client::send(addr, &get(&[]), TIMEOUT).unwrap();
            realms.fetch_add(1, Ordering::Relaxed);
            header(&refused, "www-authenticate").unwrap().to_owned()
        };
        let update = |document: &str| {
            envoy
                .update_listeners(&[guarded("guarded", document)])
                .unwrap()
        };
        for round in 0..6 {
            let name = format!("round-{round}");
            assert_eq!(update(&policy(&name).to_string()), Update::Accepted);
            assert_eq!(realm(), format!("Bearer realm=\"{name}\""));
            let broken = format!("{{\"version\": 1, \"routs\": {round}}}");
            assert!(
                matches!(update(&broken), Update::Rejected { .. }),
                "a bad document is accepted"
            );
            assert_eq!(
                realm(),
                format!("Bearer realm=\"{name}\""),
                "the old document does not stay"
            );
            // Each round is seen by requests on their way.
            let before = asked.load(Ordering::Relaxed);
            wait_until("requests go on", || {
                asked.load(Ordering::Relaxed) > before + 2
            });
        }
        stop.store(true, Ordering::Relaxed);
    });
    let asked = asked.into_inner();
    assert!(asked > 100, "hardly any load");
    let told = envoy.told_stats().unwrap();
    let counted = ["allowed", "denied"].map(|name| told[&format!("wasmcustom.portcullis.{name}")]);
    assert_eq!(counted, [asked / 2, asked / 2 + realms.into_inner()]);
    assert!(
        envoy
            .log()
            .contains("/routs: unknown field; did you mean \"routes\"?")
    );
}

#[test]
fn rule_5_the_answer_is_shaped_after_the_request_head_has_gone() {
    let mut document = policy("api");
    document["defaults"] = json!({ "security_headers": { "preset": "api" } });
    let (_envoy, upstream, addr) = start(&document, &Options::reused());
    let authorization = format!("Bearer {}", token());
    let mut request = get(&[("authorization", &authorization), ("x-request-id", "late")]);
    request.method = b"POST".to_vec();
    request.body = Some(vec![b"one".to_vec(), b"two".to_vec()]);
    let response = client::send(addr, &request, TIMEOUT).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(header(&response, "x-frame-options"), Some("deny"));
    let received = upstream.take_request("late").pop().unwrap();
    assert_eq!(
        received.body, b"onetwo",
        "rule 7: the body arrives as it was sent"
    );
    assert_eq!(received.values("authorization").count(), 0);
}

#[test]
fn rule_8_no_line_break_reaches_a_response_header() {
    let mut document = policy("api");
    document["defaults"] = json!({ "security_headers": { "preset": "api" } });
    document["access_log"] = json!({});
    let (_envoy, _upstream, addr) = start(&document, &Options::reused());
    // Every place from which a value of the client could find its way into an answer of ours.
    let mut request = get(&[
        ("x-request-id", "a%0d%0ax-evil: 1"),
        ("authorization", "Bearer a%0d%0ax-evil: 1"),
        ("origin", "http://a%0d%0ax-evil: 1"),
    ]);
    request.path = b"/%0d%0ax-evil:%201".to_vec();
    let response = client::send(addr, &request, TIMEOUT).unwrap();
    assert_eq!(response.status, 400);
    assert!(
        response.headers.iter().all(|(name, _)| name != "x-evil"),
        "{response:?}"
    );
    let raw = b"GET / HTTP/1.1\r\nhost: a\r\nx-a: b\r\nauthorization: Bearer x\ry: z\r\n\r\n";
    let answer = client::send_raw(addr, raw, TIMEOUT).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    assert!(!answer.contains("y: z"), "{answer}");
}

#[test]
fn rule_10_a_struct_is_refused_with_the_cure() {
    let (envoy, _upstream, addr) = start(&policy("api"), &Options::reused());
    let as_struct = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct",
        "value": { "version": 1, "routes": [] },
    });
    let cure = "configuration must be google.protobuf.StringValue holding JSON";
    for (configuration, message) in [
        (as_struct, cure),
        (
            string_value("version: 1"),
            "YAML, and the filter reads JSON alone; turn it into JSON first",
        ),
        (
            string_value(""),
            "the configuration is empty; write google.protobuf.StringValue",
        ),
        (
            Value::Null,
            "the configuration is empty; write google.protobuf.StringValue",
        ),
    ] {
        let mark = envoy.log_mark();
        let filter = wasm_filter(
            "guarded",
            &module_path(),
            configuration,
            WasmOptions::default(),
        );
        let offered = listener("guarded", vec![filter], ListenerOptions::default());
        let update = envoy.update_listeners(&[offered]).unwrap();
        assert!(
            matches!(update, Update::Rejected { .. }),
            "{message}: accepted"
        );
        assert!(
            envoy.log_since(mark).contains(message),
            "{}",
            envoy.log_since(mark)
        );
        assert_every_worker_guards(addr);
    }
}

#[test]
fn counters_tell_what_became_of_requests() {
    let options = Options {
        concurrency: 2,
        ..Options::reused()
    };
    let (envoy, _upstream, addr) = start(&policy("api"), &options);
    assert_every_worker_guards(addr);
    for (name, count) in [
        ("wasmcustom.portcullis.allowed", 64),
        ("wasmcustom.portcullis.denied", 64),
        ("wasmcustom.portcullis.code.jwt_missing.denied", 64),
        ("wasmcustom.portcullis.code.jwt_expired.denied", 0),
    ] {
        assert_eq!(envoy.told_stat(name).unwrap(), count, "{name}");
    }
}

/// A list without the callbacks for bodies leaves out a host call as well, by which the filter knows.
fn refuses_bodies_that_are_not_shown(options: &Options) {
    let wasm = std::fs::read(module_path()).expect("the module is built: make build");
    let module = wasmi::Module::new(&wasmi::Engine::default(), &wasm).expect("it is a module");
    let imports = module.imports().map(|import| import.name().to_owned());
    let exports = module.exports().map(|export| export.name().to_owned());
    let left_out = [
        "proxy_on_request_body",
        "proxy_on_response_body",
        "proxy_set_buffer_bytes",
    ];
    let allowed = imports
        .chain(exports)
        .filter(|name| !left_out.contains(&name.as_str()));
    let allowed: serde_json::Map<String, Value> = allowed.map(|name| (name, json!({}))).collect();
    let upstream = Upstream::start().unwrap();
    let text = string_value(&policy("api").to_string());
    let mut filter = wasm_filter("bodies", &module_path(), text, WasmOptions::default());
    filter["typed_config"]["config"]["capability_restriction_config"] =
        json!({ "allowed_capabilities": allowed });
    let guarded = listener("bodies", vec![filter], ListenerOptions::default());
    let clusters = vec![cluster("upstream", upstream.addr())];
    let envoy = Envoy::start(bootstrap(vec![guarded], clusters), options).unwrap();
    let addr = envoy.listener_addr("bodies").unwrap();
    let authorization = format!("Bearer {}", token());
    let id = "not-shown";
    let mut request = get(&[("authorization", &authorization), ("x-request-id", id)]);
    assert_eq!(client::send(addr, &request, TIMEOUT).unwrap().status, 200);
    assert_eq!(upstream.take_request(id).len(), 1);
    request.method = b"POST".to_vec();
    request.body = Some(vec![b"one".to_vec()]);
    assert_eq!(client::send(addr, &request, TIMEOUT).unwrap().status, 503);
    assert!(upstream.take_request(id).is_empty(), "it went on");
    let said = "capability_restriction_config keeps proxy_set_buffer_bytes from the filter";
    assert!(envoy.log().contains(said), "{}", envoy.log());
}

#[test]
fn bodies_that_are_not_shown_are_not_let_pass() {
    refuses_bodies_that_are_not_shown(&Options::reused());
}

#[test]
fn bodies_that_are_not_shown_are_not_let_pass_by_the_oldest_envoy() {
    let oldest = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    assert!(
        oldest.is_some(),
        "ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it"
    );
    refuses_bodies_that_are_not_shown(&Options {
        binary: oldest,
        ..Options::reused()
    });
}
