//! A hundred kinds of requests on Envoy, hostile ones among them: each has one line, a JSON object
//! whose members are of the types that OpenTelemetry gives them. So have those that never end well.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::grpc::{Outcome, Server};
use portcullis_tests::module_path;
use portcullis_tests::patience::{self, wait_until};
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response, Version};
use prost::Message as _;
use serde_json::{Map, Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

fn policy() -> Value {
    json!({
        "version": 1,
        "access_log": {
            "sinks": ["envoy_log", "filter_state"], "attributes": "all", "query": "values",
            "fields": { "headers": ["x-note"], "claims": ["note"] },
        },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            { "name": "guarded", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" } },
            { "name": "trial", "match": { "path": { "prefix": "/trial" } }, "jwt": { "provider": "corp", "mode": "shadow" } },
            { "name": "pages", "match": { "path": { "prefix": "/pages" } }, "open": true,
              "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] } },
            { "name": "open", "match": { "path": { "prefix": "/open" }, "methods": ["GET", "POST", "PUT"] }, "open": true,
              "payload": { "max_bytes": 64 } },
        ],
    })
}

fn start(more: Value, clusters: Vec<Value>) -> (Envoy, Upstream) {
    let upstream = Upstream::start().unwrap();
    let document = policy().to_string();
    let ours = wasm_filter(
        "ours",
        &module_path(),
        string_value(&document),
        WasmOptions::default(),
    );
    let options = ListenerOptions {
        request_timeout: Some(Duration::from_secs(2)),
        route: json!({ "route": { "timeout": "1s" } }),
        http_connection_manager: more,
        ..ListenerOptions::default()
    };
    let mut all = vec![cluster("upstream", upstream.addr())];
    all.extend(clusters);
    let listeners = vec![listener("chain", vec![ours], options)];
    let envoy = Envoy::start(bootstrap(listeners, all), &Options::reused()).unwrap();
    (envoy, upstream)
}

/// The records in the proxy's log, once there are so many. Each is a line of its own.
fn records(envoy: &Envoy, least: usize) -> Vec<Map<String, Value>> {
    let all = envoy.records(least, TIMEOUT).unwrap();
    let members = |record: Value| record.as_object().expect("a record is an object").clone();
    all.into_iter().map(members).collect()
}

fn request(version: Version, method: &str, path: &[u8], headers: &[(&str, &[u8])]) -> Request {
    let field = |(name, value): &(&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
    Request {
        version,
        method: method.into(),
        path: path.to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: headers.iter().map(field).collect(),
        ..Request::default()
    }
}

/// Every combination of paths, header fields and versions of HTTP.
fn kinds() -> Vec<Request> {
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "a\"l\\i\u{2028}ce\n{\"x\":1}",
        "exp": 4_102_444_800_u64, "note": { "deep": ["\r\n", 1.5, null, true] },
    });
    let bearer = |key: &str| {
        let token = tokens::mint(&json!({ "key": key, "claims": claims }), 0);
        format!("Bearer {token}").into_bytes()
    };
    let (good, forged) = (bearer("p256"), bearer("p256-other"));
    let long = [b'x'; 6000];
    let fields: [Vec<(&str, &[u8])>; 9] = [
        vec![],
        vec![("authorization", &good)],
        vec![("authorization", &forged)],
        vec![
            ("authorization", b"Bearer \"}{\\"),
            ("authorization", b"again"),
        ],
        vec![
            ("user-agent", b"\"},{\"portcullis.outcome\":\"allowed"),
            ("x-note", b"\xff\xfe\xc3\x28\xe2\x80\xa8\x80"),
        ],
        vec![
            ("x-note", &long),
            ("x-note", b"\t second"),
            ("user-agent", &long),
        ],
        vec![
            ("origin", b"https://evil.example"),
            ("x-request-id", b"\"\\\xc2\x85"),
        ],
        vec![(
            "traceparent",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )],
        vec![
            ("traceparent", b"00-\"-\\-01"),
            ("x-forwarded-for", b"\"}, 10.0.0.1"),
            ("cookie", b"a=\"b\xff\""),
        ],
    ];
    let paths: [&[u8]; 6] = [
        b"/guarded/a?token=x&page=\"1\"&%22=%0a",
        b"/trial/%C3%A9%0d%0a",
        b"/pages/a",
        b"/open/{\"a\":1}?q=eyJhbGciOiJub25lIn0.e30.",
        b"/a/../b",
        b"/nowhere",
    ];
    let mut all = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        for path in paths {
            for fields in &fields {
                all.push(request(version, "GET", path, fields));
            }
        }
        for (method, body) in [
            ("POST", &b"small"[..]),
            ("PUT", &[b'y'; 200]),
            ("DELETE", b""),
        ] {
            all.push(Request {
                body: Some(vec![body.to_vec()]),
                ..request(version, method, b"/open/b", &[])
            });
        }
    }
    // Over HTTP/2 paths have bytes that HTTP/1 does not let through.
    all.push(request(
        Version::Http2,
        "GET",
        b"/open/\xff\xfe\xe2\x80\xa8",
        &[],
    ));
    all
}

#[test]
fn each_kind_of_request_has_one_line_of_the_schema() {
    let (envoy, _upstream) = start(json!({}), Vec::new());
    let addr = envoy.listener_addr("chain").unwrap();
    let kinds = kinds();
    assert!(kinds.len() > 100, "{} kinds", kinds.len());
    for kind in &kinds {
        // What the proxy itself refuses to read it may answer by closing.
        let _ = client::send(addr, kind, TIMEOUT);
    }
    let stats = envoy.stats().unwrap();
    let asked = stats["http.chain.downstream_rq_total"] as usize;
    let records = records(&envoy, asked);
    assert_eq!(
        records.len(),
        asked,
        "a line for each request, and no other"
    );
    assert!(asked > 100, "only {asked} reached the proxy");
    let types = types();
    for record in &records {
        for (name, value) in record {
            check(&types, name, value);
        }
        for needed in [
            "timestamp",
            "event.name",
            "portcullis.outcome",
            "http.response.status_code",
        ] {
            assert!(record.contains_key(needed), "{needed} is not in {record:?}");
        }
        assert_eq!(record["event.name"], "portcullis.access");
    }
    let outcomes = |name: &str| {
        let of = records
            .iter()
            .filter(|record| record["portcullis.outcome"] == name);
        of.count()
    };
    assert!(outcomes("allowed") > 20 && outcomes("denied") > 20);
    // Client bytes have stayed in their members.
    let known = ["allowed", "denied", "answered", "unfinished", "not_judged"];
    let all: usize = known.iter().map(|name| outcomes(name)).sum();
    assert_eq!(all, records.len());
}

/// The attributes of OpenTelemetry's conventions, by name.
fn types() -> Vec<(String, String)> {
    let path = tokens::repository().join("tests/vectors/otel-semconv/attributes.json");
    let text = fs::read_to_string(path).expect("the vectors are there");
    let vectors: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let list = vectors["attributes"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or("enum").to_owned();
    list.iter()
        .map(|each| (text(&each["attribute"]), text(&each["type"])))
        .collect()
}

fn check(types: &[(String, String)], name: &str, value: &Value) {
    let fits = match name {
        "portcullis.verdicts" => value
            .as_object()
            .is_some_and(|all| all.values().all(Value::is_string)),
        "portcullis.shadow" | "portcullis.errors" => value.is_array(),
        "portcullis.detail" => value
            .as_object()
            .is_some_and(|all| all.get("rule").is_none_or(Value::is_string)),
        "portcullis.claimed.audience" => value
            .as_array()
            .is_some_and(|all| all.iter().all(Value::is_string)),
        "portcullis.truncated" => *value == json!(true),
        "portcullis.response_flags" | "portcullis.duration_us" | "portcullis.filter_us" => {
            value.is_u64()
        }
        _ if name.starts_with("portcullis.") => value.is_string(),
        _ => {
            let looked_up = match name.strip_prefix("http.request.header.") {
                Some(_) => "http.request.header",
                None => name,
            };
            let kind = types.iter().find(|(each, _)| each == looked_up);
            match kind.map(|(_, kind)| kind.as_str()) {
                Some("int" | "long") => value.is_u64(),
                Some("template[string[]]") => value
                    .as_array()
                    .is_some_and(|all| all.iter().all(Value::is_string)),
                _ => value.is_string(),
            }
        }
    };
    assert!(fits, "{name} is {value}");
}

#[test]
fn requests_that_do_not_end_well_have_a_line() {
    let (envoy, upstream) = start(json!({}), Vec::new());
    let addr = envoy.listener_addr("chain").unwrap();
    let late = Response {
        status: 200,
        ..Response::default()
    };
    upstream.answer_path("/open/slow", Answer::Delay(Duration::from_secs(3), late));
    upstream.answer_path("/open/hung", Answer::HangUp);
    // The client leaves in the middle of its body.
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: api.example.com\r\ncontent-length: 50\r\n\r\nabc")
    };
    let open = |path: &str| {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(head(path).as_bytes()).unwrap();
        stream
    };
    let leaving = open("/open/leaves");
    // The filter has seen the head when the first bytes have come; the stream is then counted.
    wait_until("it is counted", || {
        envoy.stat("http.chain.downstream_rq_active").unwrap() > 0
    });
    drop(leaving);
    // It never finishes: the proxy's request_timeout ends it.
    let _never = open("/open/never");
    let get = |path: &str| request(Version::Http1, "GET", path.as_bytes(), &[]);
    let slow = client::send(addr, &get("/open/slow"), TIMEOUT).unwrap();
    let hung = client::send(addr, &get("/open/hung"), TIMEOUT).unwrap();
    assert_eq!((slow.status, hung.status), (504, 503));
    // The client leaves while the service thinks.
    let mut impatient = TcpStream::connect(addr).unwrap();
    let bytes =
        b"GET /open/slow HTTP/1.1\r\nhost: api.example.com\r\nx-request-id: impatient\r\n\r\n";
    impatient.write_all(bytes).unwrap();
    wait_until("the service thinks", || upstream.count() >= 3);
    drop(impatient);
    let records = records(&envoy, 5);
    let found = |path: &str, status: Option<u64>| {
        let of = records.iter().find(|record| {
            record["url.path"] == path
                && record
                    .get("http.response.status_code")
                    .and_then(Value::as_u64)
                    == status
        });
        let record = of.unwrap_or_else(|| panic!("{path} with {status:?} is not in {records:#?}"));
        record["portcullis.outcome"].as_str().map(str::to_owned)
    };
    assert_eq!(found("/open/leaves", None).as_deref(), Some("unfinished"));
    assert_eq!(
        found("/open/never", Some(408)).as_deref(),
        Some("unfinished")
    );
    assert_eq!(found("/open/slow", Some(504)).as_deref(), Some("allowed"));
    assert_eq!(found("/open/hung", Some(503)).as_deref(), Some("allowed"));
    assert_eq!(found("/open/slow", None).as_deref(), Some("allowed"));
    assert_eq!(records.len(), 5);
}

#[test]
fn the_proxys_opentelemetry_logger_prints_the_record() {
    let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
    let server = Server::start(([127, 0, 0, 1], 0).into(), {
        let taken = Arc::clone(&taken);
        move |path, message| {
            assert_eq!(
                path,
                b"/opentelemetry.proto.collector.logs.v1.LogsService/Export"
            );
            let request = ExportLogsServiceRequest::decode(message).expect("the request is OTLP");
            let scopes = request
                .resource_logs
                .into_iter()
                .flat_map(|each| each.scope_logs);
            for record in scopes.flat_map(|each| each.log_records) {
                if let Some(Any::StringValue(body)) = record.body.and_then(|body| body.value) {
                    let body = serde_json::from_str(&body).expect("the record is JSON");
                    taken.lock().unwrap().push(body);
                }
            }
            Outcome::Message(Vec::new())
        }
    })
    .unwrap();
    let logger = json!([{
        "name": "envoy.access_loggers.open_telemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
            "common_config": {
                "log_name": "api",
                "transport_api_version": "V3",
                "buffer_flush_interval": "0.1s",
                "grpc_service": { "envoy_grpc": { "cluster_name": "collector" } },
            },
            "body": { "string_value": "%FILTER_STATE(wasm.portcullis.record:PLAIN)%" },
        },
    }]);
    let mut collector = cluster("collector", server.addr());
    let options = &mut collector["typed_extension_protocol_options"];
    options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["explicit_http_config"] =
        json!({ "http2_protocol_options": {} });
    let (envoy, _upstream) = start(json!({ "access_log": logger }), vec![collector]);
    let addr = envoy.listener_addr("chain").unwrap();
    let hostile: [(&str, &[u8]); 1] = [("x-note", b"a\"b\\\xff")];
    client::send(
        addr,
        &request(Version::Http1, "GET", b"/open/a", &hostile),
        TIMEOUT,
    )
    .unwrap();
    client::send(
        addr,
        &request(Version::Http1, "GET", b"/guarded/a", &[]),
        TIMEOUT,
    )
    .unwrap();
    let sent = patience::comes(|| taken.lock().unwrap().len() >= 2);
    assert!(sent, "the logger sends nothing: {}", envoy.log());
    let taken = taken.lock().unwrap();
    let of = |outcome: &str| {
        let found = taken
            .iter()
            .find(|record| record["portcullis.outcome"] == outcome);
        found.unwrap_or_else(|| panic!("none is {outcome}: {taken:#?}"))
    };
    let note = &of("allowed")["http.request.header.x-note"];
    assert_eq!(*note, json!(["a\"b\\\\xff"]));
    assert_eq!(of("denied")["portcullis.code"], "jwt_missing");
}
