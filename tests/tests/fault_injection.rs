//! Every single allocation of each callback fails in turn, in the built module in a fake host
//! that does what Envoy does around a trap. Whatever fails: a request that must be refused is
//! never passed, in that callback or after it.
//!
//! The module is the one of `envoy/build.sh with-faults`.

use std::fs;

use portcullis_tests::fake_host::{Answer, FakeHost, HostOptions, StartError, Worker};
use portcullis_tests::tokens::{self, SigningKey, repository};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const NOW: u64 = 2_000_000_000;
/// How many allocations of one callback are tried at most, evenly spread.
const MOST: u32 = 2_000;

fn document(realm: &str) -> Vec<u8> {
    written(realm).to_string().into_bytes()
}

/// One with many schemas, of which few allocations can be tried.
fn large_document(realm: &str) -> Vec<u8> {
    let mut document = written(realm);
    for n in 0..40 {
        let properties: serde_json::Map<String, Value> = (0..10)
            .map(|p| {
                (
                    format!("p{p}"),
                    json!({ "type": "string", "pattern": format!("^x{n}-{p}$") }),
                )
            })
            .collect();
        document["schemas"][format!("s{n}")] = json!({ "properties": properties });
    }
    document.to_string().into_bytes()
}

fn written(realm: &str) -> Value {
    json!({
        "version": 1,
        "access_log": { "sinks": ["envoy_log", "otlp_http"] },
        "otlp_http": {
            "cluster": "collector", "uri": "http://collector.example.com/v1/logs", "interval": "250ms",
        },
        "providers": {
            "corp": {
                "issuer": "https://id.example.com/", "audiences": ["orders-api"],
                // Quickly checked in an interpreter.
                "hmac": [{ "env": "TOKEN_SECRET" }],
            },
            "other": {
                "issuer": "https://other.example.com/", "audiences": ["orders-api"],
                "jwks": { "remote": { "cluster": "idp", "uri": "http://other.example.com/jwks" } },
            },
        },
        "schemas": { "order": {
            "type": "object",
            "properties": { "sku": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$" } },
            "required": ["sku"],
        } },
        "defaults": { "security_headers": { "preset": "api" } },
        "routes": [{
            "name": "all", "match": { "path": { "prefix": "/" } },
            "jwt": { "any_of": [{ "provider": "corp" }, { "provider": "other" }], "realm": realm },
            "payload": { "max_bytes": "4KiB", "json_schema": "order" },
            "responses": { "mode": "enforce", "redact": { "kinds": { "card": "mask" } } },
        }],
    })
}

fn secret() -> String {
    let secret = fs::read_to_string(repository().join("tests/keys/hmac.txt"));
    secret.expect("the keys of the tests are there")
}

fn load() -> FakeHost {
    let options = HostOptions {
        now_nanos: NOW * 1_000_000_000,
        vm_id: "portcullis".into(),
        environment: vec![("TOKEN_SECRET".into(), secret())],
        ..HostOptions::default()
    };
    let wasm = repository().join("target/portcullis-faults.wasm");
    let wasm = fs::read(wasm).expect("the module is built: envoy/build.sh with-faults");
    let mut host = FakeHost::load(&wasm, options).unwrap();
    host.set_cluster("idp");
    host.set_cluster("collector");
    host
}

/// A worker whose document a first VM has accepted, and which has compiled it.
fn ready() -> Worker {
    let canary = load();
    let mut first = canary.fork();
    first.configure(&document("first")).unwrap();
    let fresh = first.load_beside().unwrap();
    let mut worker = Worker::start(fresh, &document("first"));
    worker.vm().tick().unwrap();
    worker
}

/// One that has gone on to a second document and still has the first.
fn updated() -> Worker {
    let mut worker = ready();
    accepted_elsewhere(&mut worker, &document("second"));
    worker.update(&document("second"));
    worker
}

/// What Envoy asks of a fresh VM before it hands a document to workers.
fn accepted_elsewhere(worker: &mut Worker, document: &[u8]) {
    let mut canary = worker.vm().load_beside().unwrap();
    canary.configure(document).unwrap();
}

fn request(token: bool, body: &str) -> Request {
    let mut headers = vec![
        (b"content-type".to_vec(), b"application/json".to_vec()),
        (b"x-note".to_vec(), vec![b'n'; 200]),
    ];
    if token {
        let claims = json!({
            "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": NOW + 600,
        });
        let token = tokens::mint(&json!({ "key": "hmac", "claims": claims }), NOW);
        headers.push((
            b"authorization".to_vec(),
            format!("Bearer {token}").into_bytes(),
        ));
    }
    let middle = body.len() / 2;
    Request {
        method: b"POST".to_vec(),
        path: b"/orders".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers,
        body: Some(vec![
            body.as_bytes()[..middle].to_vec(),
            body.as_bytes()[middle..].to_vec(),
        ]),
        trailers: vec![(b"x-end".to_vec(), b"1".to_vec())],
        ..Request::default()
    }
}

fn good() -> Request {
    request(true, r#"{"sku":"AB-1234"}"#)
}

fn without_token() -> Request {
    request(false, r#"{"sku":"AB-1234"}"#)
}

fn against_schema() -> Request {
    request(true, r#"{"sku":"not one"}"#)
}

fn service() -> Response {
    Response {
        status: 200,
        headers: vec![
            ("server".into(), b"demo".to_vec()),
            ("x-powered-by".into(), b"demo".to_vec()),
        ],
        body: b"{}".to_vec(),
        trailers: vec![("x-end".into(), b"1".to_vec())],
    }
}

/// That nothing passes which the document refuses: at once, after a tick, after a reload.
fn refuses(worker: &mut Worker) -> Result<(), String> {
    let ask = |worker: &mut Worker, when: &str| {
        for (what, request) in [
            ("no token", without_token()),
            ("a bad body", against_schema()),
        ] {
            if worker.ask(&request, &service()) == Answer::Passed {
                return Err(format!("{what} passes {when}"));
            }
        }
        Ok(())
    };
    ask(worker, "at once")?;
    let _ = worker.vm().tick();
    ask(worker, "after a tick")?;
    worker.vm().fail_allocation(0, false);
    let _ = worker.vm().tick();
    ask(worker, "with memory again")?;
    worker.reload();
    ask(worker, "after a reload")
}

/// Does something with every allocation of it failing in turn, alone and with all that follow.
fn each_allocation(what: &str, before: &Worker, act: impl Fn(&mut Worker) -> Result<(), String>) {
    sampled_allocations(what, before, MOST, act);
}

/// The same with so many of them at most.
fn sampled_allocations(
    what: &str,
    before: &Worker,
    most: u32,
    act: impl Fn(&mut Worker) -> Result<(), String>,
) {
    let mut counted = before.fork();
    counted.vm().fail_allocation(0, false);
    act(&mut counted).unwrap_or_else(|problem| panic!("{what}: {problem}"));
    let all = counted.vm().allocations();
    let step = all.div_ceil(most).max(1);
    let mut problems = Vec::new();
    let mut trapped = 0;
    for n in (1..=all).step_by(step as usize) {
        for persists in [false, true] {
            let mut worker = before.fork();
            worker.vm().fail_allocation(n, persists);
            let result = act(&mut worker).and_then(|()| {
                trapped += u32::from(worker.vm().has_failed());
                refuses(&mut worker)
            });
            if let Err(problem) = result {
                let more = if persists { " and all after it" } else { "" };
                problems.push(format!("allocation {n}{more}: {problem}"));
            }
        }
    }
    println!(
        "{what}: {all} allocations, {trapped} traps, {} open",
        problems.len()
    );
    let shown = &problems[..problems.len().min(10)];
    assert!(
        problems.is_empty(),
        "{what}: {} times open: {shown:#?}",
        problems.len()
    );
}

fn ask(worker: &mut Worker, request: &Request, may_pass: bool) -> Result<(), String> {
    match worker.ask(request, &service()) {
        Answer::Passed if !may_pass => Err("it passes".to_owned()),
        _ => Ok(()),
    }
}

#[test]
fn a_first_vm_refuses_a_document_or_guards() {
    let loaded = load();
    let mut counted = loaded.fork();
    counted.fail_allocation(0, false);
    counted.configure(&document("first")).unwrap();
    let all = counted.allocations();
    let step = all.div_ceil(MOST).max(1);
    for n in (1..=all).step_by(step as usize) {
        for persists in [false, true] {
            let mut canary = loaded.fork();
            canary.fail_allocation(n, persists);
            // A trap, like a no, leaves what was there before.
            if let Err(StartError::Trap(_) | StartError::Refused { .. }) =
                canary.configure(&document("first"))
            {
                continue;
            }
            let before = canary.passed();
            let _ = canary.exchange(&without_token(), &service());
            assert_eq!(canary.passed(), before, "allocation {n}");
        }
    }
    println!("a first VM: {all} allocations");
}

#[test]
fn a_fresh_vm_of_a_document_that_was_accepted() {
    let mut first = load();
    first.configure(&document("first")).unwrap();
    let fresh = Worker::unconfigured(first.load_beside().unwrap());
    each_allocation("a fresh VM", &fresh, |worker| {
        worker.update(&document("first"));
        Ok(())
    });
}

#[test]
fn an_update_in_a_used_vm() {
    let mut worker = ready();
    accepted_elsewhere(&mut worker, &document("second"));
    each_allocation("an update", &worker, |worker| {
        worker.update(&document("second"));
        Ok(())
    });
}

#[test]
fn an_update_to_a_large_document() {
    let mut worker = ready();
    accepted_elsewhere(&mut worker, &large_document("large"));
    let taken_up = |worker: &mut Worker| {
        worker.update(&large_document("large"));
        let _ = worker.vm().tick();
        Ok(())
    };
    sampled_allocations("a large update and its tick", &worker, 30, taken_up);
}

#[test]
fn an_update_back_to_an_older_document() {
    let mut worker = updated();
    let _ = worker.vm().tick();
    each_allocation("an update back", &worker, |worker| {
        worker.update(&document("first"));
        Ok(())
    });
}

#[test]
fn the_first_tick_after_an_update() {
    each_allocation("the first tick", &updated(), |worker| {
        let _ = worker.vm().tick();
        Ok(())
    });
}

#[test]
fn the_first_request_after_an_update() {
    each_allocation("the first request", &updated(), |worker| {
        ask(worker, &without_token(), false)
    });
}

#[test]
fn a_request_without_a_token() {
    each_allocation("a request without a token", &ready(), |worker| {
        ask(worker, &without_token(), false)
    });
}

#[test]
fn a_request_with_a_bad_body() {
    each_allocation("a request with a bad body", &ready(), |worker| {
        ask(worker, &against_schema(), false)
    });
}

#[test]
fn requests_are_judged_while_there_is_memory() {
    let mut worker = ready();
    assert_eq!(worker.ask(&good(), &service()), Answer::Passed);
    assert_eq!(
        worker.ask(&without_token(), &service()),
        Answer::Refused(401)
    );
    assert_eq!(
        worker.ask(&against_schema(), &service()),
        Answer::Refused(422)
    );
    let mut worker = updated();
    worker.vm().tick().unwrap();
    assert_eq!(worker.ask(&good(), &service()), Answer::Passed);
    worker.vm().drain().unwrap();
    assert_eq!(worker.ask(&good(), &service()), Answer::Passed);
}

#[test]
fn a_good_request_and_its_answer() {
    each_allocation("a good request", &ready(), |worker| {
        ask(worker, &good(), true)
    });
}

#[test]
fn an_answer_that_says_too_much() {
    const CARD: &str = "4111111111111111";
    let mut saying = service();
    saying
        .headers
        .push(("content-type".into(), b"application/json".to_vec()));
    saying.body = format!("{{\"name\":\"a\",\"card\":\"{CARD}\"}}").into_bytes();
    let mut worker = ready();
    assert_eq!(worker.ask(&good(), &saying), Answer::Passed);
    let shown = worker.vm().shown().expect("an answer").body.clone();
    assert_eq!(
        String::from_utf8_lossy(&shown),
        r#"{"name":"a","card":"****1111"}"#
    );
    each_allocation("an answer that says too much", &ready(), |worker| {
        worker.ask(&good(), &saying);
        let shown = worker
            .vm()
            .shown()
            .map(|answer| format!("{:?}", String::from_utf8_lossy(&answer.body)));
        match shown {
            Some(text) if text.contains(CARD) => Err(format!("the client sees {text}")),
            _ => Ok(()),
        }
    });
}

#[test]
fn the_end_of_an_older_generation() {
    let mut worker = updated();
    let _ = worker.vm().tick();
    each_allocation("a drain", &worker, |worker| {
        let _ = worker.vm().drain();
        Ok(())
    });
}

#[test]
fn answers_of_key_servers_and_collectors() {
    let mut worker = ready();
    for _ in 0..4 {
        let _ = worker.ask(&good(), &service());
        let _ = worker.ask(&without_token(), &service());
        worker.vm().set_now_nanos((NOW + 2) * 1_000_000_000);
        worker.vm().tick().unwrap();
    }
    let keys: Value = json!({ "keys": [SigningKey::named("rsa").jwk()] });
    let keys = Response {
        status: 200,
        headers: vec![("content-type".into(), b"application/json".to_vec())],
        body: keys.to_string().into_bytes(),
        ..Response::default()
    };
    for (what, cluster) in [
        ("a key server's answer", "idp"),
        ("a collector's answer", "collector"),
    ] {
        let mut counted = worker.fork();
        let answered = counted.vm().answer_calls(cluster, &keys).unwrap();
        assert!(answered > 0, "{cluster} was not called");
        each_allocation(what, &worker, |worker| {
            let _ = worker.vm().answer_calls(cluster, &keys);
            Ok(())
        });
    }
}
