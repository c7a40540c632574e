//! Records on their way to an OpenTelemetry collector: what is sent is what the protobuf definitions
//! of OTLP read, and a collector that is not there harms nobody.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::wait_until;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What the collector asks for: written in the document, and in the VM's environment.
const SECRETS: [&str; 2] = ["Bearer 2e7f11c2a6", "k-90bd13f7"];

fn policy(collector: &Value) -> Value {
    json!({
        "version": 1,
        "otlp_http": collector,
        "access_log": { "sinks": ["otlp_http", "envoy_log"], "attributes": "all",
                        "fields": { "headers": ["x-note"] } },
        "security_events": { "sinks": ["otlp_http"], "token_failures": 3 },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            { "name": "guarded", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" } },
            { "name": "trial", "match": { "path": { "prefix": "/trial" } }, "jwt": { "provider": "corp", "mode": "shadow" } },
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "open": true },
        ],
    })
}

/// Envoy with one worker, a service, and a collector that may not be there.
fn start(collector: Option<&Upstream>, more: &Value) -> (Envoy, Upstream) {
    let upstream = Upstream::start_forgetful().unwrap();
    let mut settings = json!({
        "cluster": "collector", "uri": "http://collector.example.com/v1/logs",
        "interval": "250ms", "resource": { "service.name": "edge" },
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    let document = policy(&settings).to_string();
    let environment = vec![("COLLECTOR_KEY".into(), SECRETS[1].into())];
    let options = WasmOptions {
        environment,
        ..WasmOptions::default()
    };
    let ours = wasm_filter("ours", &module_path(), string_value(&document), options);
    let mut clusters = vec![cluster("upstream", upstream.addr())];
    let nobody = ([127, 0, 0, 1], 1).into();
    clusters.push(cluster(
        "collector",
        collector.map_or(nobody, Upstream::addr),
    ));
    let listeners = vec![listener("chain", vec![ours], ListenerOptions::default())];
    let options = Options {
        concurrency: 1,
        ..Options::reused()
    };
    let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
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

fn send(envoy: &Envoy, request: &Request) -> Response {
    client::send(envoy.listener_addr("chain").unwrap(), request, TIMEOUT).unwrap()
}

/// Waits until a counter has come so far.
fn wait(envoy: &Envoy, counter: &str, least: u64) {
    let name = format!("wasmcustom.portcullis.otlp.{counter}");
    wait_until(&format!("{name} is {least}"), || {
        envoy.stat(&name).unwrap() >= least
    });
}

/// What a decoder made of OTLP's protobuf definitions reads.
fn decode(collector: &Upstream) -> Vec<LogRecord> {
    let mut records = Vec::new();
    for received in collector.take_all() {
        let values = |name| received.values(name).collect::<Vec<_>>();
        assert_eq!(received.path, b"/v1/logs");
        assert_eq!(values("content-type"), [b"application/json"]);
        let request: ExportLogsServiceRequest =
            serde_json::from_slice(&received.body).expect("the request is OTLP");
        for resource in request.resource_logs {
            let attributes = plain(&resource.resource.expect("there is a resource").attributes);
            assert_eq!(attributes["service.name"], "edge");
            for scope in resource.scope_logs {
                assert_eq!(scope.scope.expect("there is a scope").name, "portcullis");
                records.extend(scope.log_records);
            }
        }
    }
    records
}

fn plain(attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    let one = |pair: &KeyValue| (pair.key.clone(), value(pair.value.as_ref()));
    attributes.iter().map(one).collect()
}

fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(value)) => json!(value),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(array)) => array.values.iter().map(|item| value(Some(item))).collect(),
        Some(Any::KvlistValue(list)) => json!(plain(&list.values)),
        other => panic!("not a value that a record has: {other:?}"),
    }
}

#[test]
fn records_arrive_as_the_protocol_has_them() {
    let collector = Upstream::start().unwrap();
    let (envoy, _upstream) = start(Some(&collector), &json!({}));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let hostile = "a\"b\\c\u{e9}";
    let headers = [("traceparent", trace), ("x-note", hostile)];
    send(&envoy, &request("/open/a?page=1", &headers));
    send(&envoy, &request("/trial/b", &[]));
    for _ in 0..3 {
        send(
            &envoy,
            &request("/guarded/c", &[("authorization", "Bearer e30.e30.c2ln")]),
        );
    }
    // Five records, the document, and three failures of one source.
    wait(&envoy, "sent", 7);
    let records = decode(&collector);
    let named = |name: &str| -> Vec<&LogRecord> {
        let of = records.iter().filter(|record| record.event_name == name);
        of.collect()
    };
    let access = named("portcullis.access");
    assert_eq!(access.len(), 5);
    let first = plain(&access[0].attributes);
    assert_eq!(access[0].severity_number, 9);
    assert_eq!(
        access[0]
            .trace_id
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(
        access[0].span_id,
        [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
    );
    assert!(access[0].time_unix_nano > 1_700_000_000_000_000_000);
    assert_eq!(first["http.response.status_code"], 200);
    assert_eq!(first["url.query"], "page=REDACTED");
    assert_eq!(first["portcullis.route"], "open");
    assert_eq!(first["http.request.header.x-note"], json!([hostile]));
    assert!(!first.contains_key("timestamp") && !first.contains_key("trace_id"));
    let shadow = plain(&access[1].attributes);
    assert_eq!(
        shadow["portcullis.verdicts"],
        json!({ "jwt": "shadow_denied" })
    );
    assert_eq!(shadow["portcullis.shadow"][0]["code"], "jwt_missing");
    let events = named("portcullis.security");
    let codes: Vec<Value> = events
        .iter()
        .map(|event| plain(&event.attributes)["event.code"].clone())
        .collect();
    assert!(codes.contains(&json!("configuration_changed")), "{codes:?}");
    // The same records are in the log, which is the other sink.
    assert_eq!(envoy.log().matches("portcullis.access").count(), 5);
    let dropped = envoy.told_stat("wasmcustom.portcullis.otlp.dropped");
    assert_eq!(dropped.unwrap(), 0);
}

#[test]
fn a_collector_that_is_not_there_harms_nobody() {
    let (envoy, _upstream) = start(None, &json!({ "max_queue_bytes": "64KiB" }));
    let note = "x".repeat(400);
    // Each record has some 900 bytes: a queue of 64 KiB and a batch are full long before the end.
    const REQUESTS: usize = 600;
    for _ in 0..REQUESTS {
        let answer = send(&envoy, &request("/open/a", &[("x-note", &note)]));
        assert_eq!(answer.status, 200);
    }
    wait(&envoy, "failed", 1);
    wait(&envoy, "dropped", 1);
    assert!(envoy.is_running());
    assert_eq!(envoy.stat("wasmcustom.portcullis.otlp.sent").unwrap(), 0);
    let allowed = envoy.told_stat("wasmcustom.portcullis.allowed").unwrap();
    assert_eq!(allowed, REQUESTS as u64);
}

#[test]
fn a_collector_that_is_busy_gets_them_again() {
    let collector = Upstream::start().unwrap();
    let busy = Response {
        status: 503,
        ..Response::default()
    };
    collector.answer_path("/v1/logs", Answer::Respond(busy));
    let (envoy, _upstream) = start(Some(&collector), &json!({}));
    send(&envoy, &request("/open/a", &[]));
    wait(&envoy, "failed", 1);
    let ready = Response {
        status: 200,
        ..Response::default()
    };
    collector.answer_path("/v1/logs", Answer::Respond(ready));
    // The request, and the document that is in force; the main thread may be the one that says so.
    wait(&envoy, "sent", 2);
    assert!(decode(&collector).len() > 2, "nothing was sent again");
    let dropped = envoy.told_stat("wasmcustom.portcullis.otlp.dropped");
    assert_eq!(dropped.unwrap(), 0);
}

#[test]
fn what_a_collector_refuses_is_dropped_and_counted() {
    let collector = Upstream::start().unwrap();
    let refused = Response {
        status: 400,
        ..Response::default()
    };
    collector.answer_path("/v1/logs", Answer::Respond(refused));
    let (envoy, _upstream) = start(Some(&collector), &json!({}));
    send(&envoy, &request("/open/a", &[]));
    wait(&envoy, "dropped", 1);
    assert!(envoy.log().contains("the collector does not take records"));
    let bad = tokens::mint(&json!({ "key": "p256-other", "claims": { "sub": "a" } }), 0);
    let answer = send(
        &envoy,
        &request("/guarded/a", &[("authorization", &format!("Bearer {bad}"))]),
    );
    assert_eq!(answer.status, 401);
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    Answer::Respond(Response {
        status,
        headers: headers.iter().map(field).collect(),
        body: body.into(),
        ..Response::default()
    })
}

#[test]
fn what_a_collector_rejects_of_a_batch_is_counted_and_told_once() {
    let collector = Upstream::start().unwrap();
    // More than it was sent, and words that would be lines of the log.
    let rejects =
        r#"{"partialSuccess":{"rejectedLogRecords":"9","errorMessage":"too old\nforged line"}}"#;
    collector.answer_path("/v1/logs", answer(200, &[], rejects));
    let (envoy, _upstream) = start(Some(&collector), &json!({}));
    send(&envoy, &request("/open/a", &[]));
    wait(&envoy, "dropped", 1);
    let dropped = envoy.stat("wasmcustom.portcullis.otlp.dropped").unwrap();
    send(&envoy, &request("/open/b", &[]));
    wait(&envoy, "dropped", dropped + 1);
    let told = r#"the collector rejected 1 records of a batch: "too old\u000aforged line"; this is told once"#;
    // By the worker; the main thread may have sent the news of the document.
    let log = envoy.log();
    let lines = log.lines().filter(|line| line.contains("rejected"));
    assert!((1..=2).contains(&lines.count()), "{log}");
    assert!(
        log.contains(told) || log.contains(&told.replace(" 1 ", " 2 ")),
        "{log}"
    );
    assert_eq!(envoy.stat("wasmcustom.portcullis.otlp.failed").unwrap(), 0);
    assert_eq!(envoy.stat("wasmcustom.portcullis.otlp.sent").unwrap(), 0);
}

#[test]
fn a_collector_says_when_it_wants_them_again() {
    let collector = Upstream::start().unwrap();
    collector.answer_path("/v1/logs", answer(429, &[("retry-after", "200")], ""));
    let (envoy, _upstream) = start(Some(&collector), &json!({}));
    send(&envoy, &request("/open/a", &[]));
    wait(&envoy, "failed", 1);
    let failed = envoy.stat("wasmcustom.portcullis.otlp.failed").unwrap();
    collector.answer_path("/v1/logs", answer(200, &[], "{}"));
    // Its own pause would have ended after three seconds, and nothing is to happen meanwhile.
    thread::sleep(Duration::from_secs(4));
    let sent = envoy.stat("wasmcustom.portcullis.otlp.sent").unwrap();
    // The worker and the main thread have asked once each, if both had something to say.
    assert!(failed + sent <= 2, "{failed} failed, {sent} sent");
    assert_eq!(envoy.stat("wasmcustom.portcullis.otlp.dropped").unwrap(), 0);
}

#[test]
fn a_collector_gets_its_credentials_and_nobody_else_does() {
    let collector = Upstream::start().unwrap();
    let headers = json!({
        "Authorization": SECRETS[0], "x-key": { "env": "COLLECTOR_KEY" }, "x-none": { "env": "MISSING" },
    });
    // What it knows of the scheme it does not say.
    let bare = SECRETS[0].strip_prefix("Bearer ").unwrap();
    let echo = format!(r#"{{"partialSuccess":{{"errorMessage":"unknown {bare}"}}}}"#);
    collector.answer_path("/v1/logs", answer(200, &[], &echo));
    let (envoy, _upstream) = start(Some(&collector), &json!({ "headers": headers }));
    let answered = send(&envoy, &request("/open/a", &[]));
    wait(&envoy, "sent", 1);
    for received in collector.take_all() {
        let one = |name| received.values(name).collect::<Vec<_>>();
        assert_eq!(one("authorization"), [SECRETS[0].as_bytes()]);
        assert_eq!(one("x-key"), [SECRETS[1].as_bytes()]);
        assert_eq!(one("x-none").len(), 0);
        for secret in SECRETS {
            let body = String::from_utf8_lossy(&received.body);
            assert!(!body.contains(secret), "{body}");
        }
    }
    envoy.wait_for_log("this is told once", TIMEOUT).unwrap();
    let log = envoy.log();
    assert!(
        log.contains("otlp_http: the VM has no environment variable MISSING"),
        "{log}"
    );
    let stats = envoy.admin_get("/stats").unwrap();
    assert!(
        log.contains("its words are left out, since a part of a credential stands in them"),
        "{log}"
    );
    for secret in [bare, SECRETS[1]] {
        assert!(!log.contains(secret) && !stats.contains(secret));
        assert!(!format!("{answered:?}").contains(secret));
    }
}
