//! The record of exchanges: its names are those of the schemas, the proxy's own loggers print it,
//! and no secret gets into it.

use std::fs;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Received, Upstream};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A secret that stands in every place where a client can put one.
const CANARY: &str = "canary-7f3a9c51d2e84b06";

fn vectors(path: &str) -> Value {
    let path = tokens::repository().join("tests/vectors").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&text).expect("vectors are JSON")
}

fn policy(access_log: &Value) -> Value {
    json!({
        "version": 1,
        "access_log": access_log,
        "security_events": { "token_failures": 2 },
        "metrics": { "by_route": true },
        "explain": { "header": "x-portcullis-debug", "addresses": ["127.0.0.0/8"] },
        "request_id": { "response_header": "x-request-id" },
        "schemas": { "list": { "type": "array" } },
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            "from_headers": [{ "name": "authorization", "value_prefix": "Bearer " }],
            "from_params": ["access_token"],
            "from_cookies": ["session"],
        } },
        "routes": [
            { "name": "guarded", "match": { "path": { "prefix": "/guarded" } }, "jwt": { "provider": "corp" } },
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "open": true, "payload": { "max_bytes": 64 } },
            { "name": "lists", "match": { "path": { "prefix": "/lists" } }, "open": true,
              "payload": { "max_bytes": 1024, "json_schema": "list" } },
        ],
    })
}

/// Envoy with the filter, and a file logger of its own that prints the record.
fn start(access_log: &Value) -> (Envoy, Upstream) {
    start_by(&policy(access_log), Vec::new())
}

fn start_by(document: &Value, clusters: Vec<Value>) -> (Envoy, Upstream) {
    start_behind(Vec::new(), document, clusters, json!({}))
}

/// The same, behind other filters.
fn start_behind(
    mut filters: Vec<Value>,
    document: &Value,
    mut clusters: Vec<Value>,
    http_connection_manager: Value,
) -> (Envoy, Upstream) {
    let upstream = Upstream::start().unwrap();
    let document = document.to_string();
    let options = WasmOptions {
        environment: vec![("LOG_KEY".into(), "a key for logs".into())],
        ..WasmOptions::default()
    };
    let ours = wasm_filter("ours", &module_path(), string_value(&document), options);
    let format = "%RESPONSE_CODE% %FILTER_STATE(wasm.portcullis.record:PLAIN)%\n";
    let options = ListenerOptions {
        access_log: Some(format.into()),
        http_connection_manager,
        ..ListenerOptions::default()
    };
    clusters.push(cluster("upstream", upstream.addr()));
    filters.push(ours);
    let listeners = vec![listener("chain", filters, options)];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap();
    (envoy, upstream)
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Request {
        method: bytes("GET"),
        path: bytes(path),
        authority: bytes("api.example.com"),
        headers: headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
        ..Request::default()
    }
}

fn send(envoy: &Envoy, request: &Request) -> Response {
    client::send(envoy.listener_addr("chain").unwrap(), request, TIMEOUT).unwrap()
}

fn token(claims: &Value) -> String {
    let mut all = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": 4_102_444_800_u64,
    });
    for (name, value) in claims.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    tokens::mint(&json!({ "key": "p256", "claims": all }), 0)
}

/// The records that the proxy's own logger wrote, by the status beside them.
fn printed(envoy: &Envoy, count: usize) -> Vec<(u16, Option<Value>)> {
    let last = format!("marker-{count}");
    send(envoy, &request(&format!("/open/{last}"), &[]));
    envoy.wait_for_stdout(&last, TIMEOUT).unwrap();
    let stdout = envoy.stdout();
    let lines = stdout.lines().filter_map(|line| line.split_once(' '));
    let read = |(status, record): (&str, &str)| {
        let record = match record {
            "-" => None,
            record => Some(serde_json::from_str(record).expect("a record is JSON")),
        };
        Some((status.parse().ok()?, record))
    };
    let mut all: Vec<_> = lines.filter_map(read).collect();
    all.pop();
    all
}

#[test]
fn the_proxys_own_logger_prints_it() {
    let (envoy, _upstream) = start(&json!({ "sinks": ["filter_state"], "attributes": "all" }));
    let bearer = format!("Bearer {}", token(&json!({})));
    send(
        &envoy,
        &request("/guarded/a", &[("authorization", &bearer)]),
    );
    send(&envoy, &request("/guarded/b", &[]));
    send(&envoy, &request("/nowhere", &[]));
    let records = printed(&envoy, 3);
    let outcomes: Vec<_> = records
        .iter()
        .map(|(status, record)| {
            let record = record.as_ref().expect("it has a record");
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            (*status, text("portcullis.outcome"), text("portcullis.code"))
        })
        .collect();
    let expected = [
        (200, "allowed", "-"),
        (401, "denied", "jwt_missing"),
        (404, "denied", "no_route"),
    ];
    let expected = expected.map(|(status, a, b)| (status, a.to_owned(), b.to_owned()));
    assert_eq!(outcomes, expected);
    let first = records[0].1.as_ref().unwrap();
    assert_eq!(first["http.response.status_code"], 200);
    assert_eq!(first["network.protocol.version"], "1.1");
    assert_eq!(first["portcullis.verdicts"], json!({ "jwt": "allowed" }));
    assert!(first["portcullis.upstream"].is_string(), "{first}");
    assert!(first["http.request.size"].as_u64() > Some(100), "{first}");
    let second = records[1].1.as_ref().unwrap();
    assert_eq!(
        second["portcullis.response_details"],
        "portcullis.jwt_missing.missing"
    );
    assert!(
        !envoy.log().contains("portcullis.access"),
        "one sink is enough"
    );
}

#[test]
fn names_are_those_of_the_schemas() {
    let otel = vectors("otel-semconv/attributes.json");
    let ecs = vectors("ecs/http_fields.json");
    let known = |list: &Value, key: &str| -> Vec<(String, String)> {
        let fields = list.as_array().expect("a list");
        let text = |value: &Value| value.as_str().unwrap_or("enum").to_owned();
        fields
            .iter()
            .map(|field| (text(&field[key]), text(&field["type"])))
            .collect()
    };
    // What the schemas' HTTP parts leave out: the data model's own fields, and attributes of
    // namespaces that the excerpts do not have.
    let elsewhere = |schema: &str, name: &str| match schema {
        "otel" => [
            "timestamp",
            "event.name",
            "trace_id",
            "parent_span_id",
            "server.address",
            "client.address",
            "tls.protocol.version",
        ]
        .contains(&name),
        _ => name == "tls.version",
    };
    for (schema, known) in [
        ("otel", known(&otel["attributes"], "attribute")),
        ("ecs", known(&ecs["fields"], "field")),
    ] {
        let log = json!({
            "schema": schema, "sinks": ["filter_state"], "attributes": "all",
            "fields": { "headers": ["x-note"] },
        });
        let (envoy, _upstream) = start(&log);
        let bearer = format!("Bearer {}", token(&json!({})));
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = [
            ("authorization", bearer.as_str()),
            ("traceparent", trace),
            ("x-note", "n"),
            ("user-agent", "test"),
        ];
        send(&envoy, &request("/guarded/a?page=1", &headers));
        let records = printed(&envoy, 1);
        let record = records[0].1.as_ref().expect("it has a record");
        let members = record.as_object().expect("an object");
        assert!(members.len() > 15, "{record}");
        for (name, value) in members {
            if name.starts_with("portcullis.") || elsewhere(schema, name) {
                continue;
            }
            let template = name.strip_prefix("http.request.header.");
            let looked_up = template.map_or(name.as_str(), |_| "http.request.header");
            if template.is_some() && schema == "ecs" {
                continue;
            }
            let found = known.iter().find(|(each, _)| each == looked_up);
            let (_, kind) = found.unwrap_or_else(|| panic!("{schema} has no {name}"));
            let fits = match kind.as_str() {
                "long" | "int" => value.is_u64(),
                "template[string[]]" => value.is_array(),
                _ => value.is_string(),
            };
            assert!(fits, "{schema}: {name} is {kind}, not {value}");
        }
    }
}

/// Requests with a secret in every place where a client can put one.
fn requests_with_secrets() -> Vec<Request> {
    // A token whose signature is cut short, one that is no token, and good ones with a secret.
    let cut = format!(
        "Bearer {}.{CANARY}",
        token(&json!({})).rsplit_once('.').unwrap().0
    );
    let good = token(&json!({ "token_copy": format!("eyJ{CANARY}") }));
    let bearer = format!("Bearer {good}");
    let plain = format!("Bearer {CANARY}");
    let cookie = format!("session={CANARY}; other={CANARY}");
    vec![
        request("/guarded/a", &[("authorization", &cut)]),
        request("/guarded/b", &[("authorization", &plain)]),
        request(
            "/guarded/c",
            &[("authorization", &bearer), ("x-api-key", CANARY)],
        ),
        request("/guarded/d", &[("cookie", &cookie)]),
        request(&format!("/guarded/e?access_token={CANARY}"), &[]),
        request(
            &format!("/open/f?client_secret={CANARY}&api_key={CANARY}"),
            &[],
        ),
        request(
            &format!("/open/eyJ{CANARY}"),
            &[("user-agent", &format!("x eyJ{CANARY}"))],
        ),
        Request {
            method: b"POST".to_vec(),
            body: Some(vec![CANARY.repeat(8).into_bytes()]),
            ..request("/open/g", &[])
        },
        request(
            "/nowhere",
            &[("authorization", &plain), ("cookie", &cookie)],
        ),
        // Bodies, trailers, and the field that asks for an explanation.
        Request {
            method: b"POST".to_vec(),
            body: Some(vec![format!("{{\"a\":\"{CANARY}\"}}").into_bytes()]),
            trailers: vec![(b"x-trailer".to_vec(), CANARY.into())],
            ..request("/lists", &[("content-type", "application/json")])
        },
        request("/nowhere", &[("x-portcullis-debug", CANARY)]),
        request(
            "/guarded/h",
            &[("x-portcullis-debug", CANARY), ("authorization", &cut)],
        ),
    ]
}

#[test]
fn a_secret_gets_nowhere() {
    let mut document = policy(&json!({
        "sinks": ["envoy_log", "filter_state", "otlp_http"], "attributes": "all", "query": "values",
        "fields": { "headers": ["authorization", "cookie", "x-api-key"], "claims": ["token_copy"] },
    }));
    document["security_events"]["sinks"] = json!(["envoy_log", "otlp_http"]);
    document["otlp_http"] = json!({
        "cluster": "collector", "uri": "http://collector.example.com/v1/logs", "interval": "250ms",
    });
    let collector = Upstream::start().unwrap();
    let (envoy, upstream) = start_by(&document, vec![cluster("collector", collector.addr())]);
    let requests = requests_with_secrets();
    for each in &requests {
        let answer = send(&envoy, each);
        let headers = answer.headers.iter().map(|(_, value)| value.as_slice());
        // The service of these tests answers with what it was asked.
        let ours = (answer.status != 200).then_some(answer.body.as_slice());
        for part in headers.chain(ours) {
            assert!(
                !contains(part, CANARY),
                "an answer has the secret: {answer:?}"
            );
        }
    }
    let records = printed(&envoy, requests.len());
    assert_eq!(records.len(), requests.len());
    assert!(records.iter().all(|(_, record)| record.is_some()));
    assert!(envoy.log().contains("token_failures_repeated"));
    let stats = envoy.admin_get("/stats").unwrap();
    for (what, text) in [
        ("the proxy's log", envoy.log()),
        ("the access log", envoy.stdout()),
        ("the metrics", stats),
    ] {
        assert!(!text.contains(CANARY), "{what} has the secret");
        assert!(!text.is_empty(), "{what} is empty");
    }
    // One more is the marker.
    let batches = collected(&envoy, &collector, requests.len() + 1);
    for received in &batches {
        let head = received.headers.iter().map(|(_, value)| value.as_slice());
        for part in head.chain([received.path.as_slice(), &received.body]) {
            assert!(
                !contains(part, CANARY),
                "the collector has the secret: {received:?}"
            );
        }
        // Escapes cannot hide it here.
        let decoded: ExportLogsServiceRequest = serde_json::from_slice(&received.body).unwrap();
        let decoded = format!("{decoded:?}");
        assert!(!decoded.contains(CANARY), "{decoded}");
    }
    let bodies: Vec<&[u8]> = batches.iter().map(|batch| batch.body.as_slice()).collect();
    assert!(contains(&bodies.concat(), "token_failures_repeated"));
    drop(upstream);
}

/// What a collector received, when it has so many records of requests.
fn collected(envoy: &Envoy, collector: &Upstream, records: usize) -> Vec<Received> {
    let mut batches = Vec::new();
    let all = patience::comes(|| {
        batches.extend(collector.take_all());
        let bodies = batches.iter().map(|batch: &Received| &batch.body);
        let found = bodies.map(|body| {
            let text = String::from_utf8_lossy(body);
            text.matches("\"portcullis.access\"").count()
        });
        found.sum::<usize>() >= records
    });
    assert!(all, "records are missing; log:\n{}", envoy.log());
    batches
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn samples_are_kept_by_outcome() {
    let log = json!({
        "sinks": ["filter_state"],
        "sample": { "allowed": "20%", "denied": "100%" },
    });
    let (envoy, _upstream) = start(&log);
    const EACH: usize = 200;
    for number in 0..EACH {
        let id = format!("request-{number}");
        let headers = [("x-request-id", id.as_str())];
        send(&envoy, &request("/open/a", &headers));
        send(&envoy, &request("/guarded/a", &headers));
    }
    let records = printed_at_least(&envoy, 2 * EACH);
    let kept = |outcome: &str| {
        let of = records.iter().filter_map(|(_, record)| record.as_ref());
        of.filter(|record| record["portcullis.outcome"] == outcome)
            .count()
    };
    assert_eq!(kept("denied"), EACH);
    // 40 are expected; fewer than 15 or more than 75 would be more than four deviations away.
    assert!((15..=75).contains(&kept("allowed")), "{}", kept("allowed"));
}

/// The same, where the last request may itself not be in the sample.
fn printed_at_least(envoy: &Envoy, count: usize) -> Vec<(u16, Option<Value>)> {
    send(envoy, &request("/guarded/the-last", &[]));
    envoy.wait_for_stdout("/guarded/the-last", TIMEOUT).unwrap();
    let stdout = envoy.stdout();
    let lines = stdout.lines().filter_map(|line| line.split_once(' '));
    let all: Vec<_> = lines
        .filter_map(|(status, record)| {
            Some((status.parse().ok()?, serde_json::from_str(record).ok()))
        })
        .take(count)
        .collect();
    assert_eq!(all.len(), count);
    all
}

/// Header fields of a request.
type Fields = Vec<(&'static str, String)>;

/// Tokens that are refused for one reason each, with the status.
fn refused_tokens() -> Vec<(&'static str, u16, Fields)> {
    let bearer = |token: String| vec![("authorization", format!("Bearer {token}"))];
    let forged = json!({ "key": "p256-other", "header": { "kid": "k7" }, "claims": {
        "iss": "https://id.example.com/", "aud": ["orders-api", "b"], "sub": "mallory", "exp": 4_102_444_800_u64,
    } });
    vec![
        ("/scopes/a", 403, bearer(token(&json!({ "scope": "read" })))),
        ("/scopes/b", 401, bearer(tokens::mint(&forged, 0))),
        (
            "/scopes/c",
            401,
            bearer(token(&json!({ "exp": 1_700_000_000 }))),
        ),
        ("/scopes/d", 401, bearer("no-token".to_owned())),
        ("/scopes/e", 401, Vec::new()),
        ("/open/f", 413, vec![("content-length", "65".to_owned())]),
        (
            "/pages",
            403,
            vec![("origin", "https://evil.example".to_owned())],
        ),
    ]
}

fn policy_of_refusals(more: &Value) -> Value {
    let mut document = json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [
            { "name": "scopes", "match": { "path": { "prefix": "/scopes" } },
              "jwt": { "provider": "corp", "require": { "scopes": ["read", "write"] } } },
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "open": true, "payload": { "max_bytes": 64 } },
            { "name": "pages", "match": { "path": { "prefix": "/pages" } }, "open": true,
              "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] } },
        ],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    document
}

fn refused(path: &str, headers: &[(&'static str, String)]) -> Request {
    let headers = headers.iter().filter(|(name, _)| *name != "content-length");
    let headers: Vec<(&str, &str)> = headers
        .map(|(name, value)| (*name, value.as_str()))
        .chain([("x-request-id", "one-id")])
        .collect();
    Request {
        method: b"POST".to_vec(),
        body: path.starts_with("/open").then(|| vec![vec![b'x'; 65]]),
        ..request(path, &headers)
    }
}

#[test]
fn a_refusal_says_by_which_rule_in_every_sink_and_clients_learn_nothing_of_it() {
    let sinks = ["envoy_log", "filter_state", "otlp_http"];
    let logged = policy_of_refusals(&json!({
        "access_log": { "sinks": sinks },
        "security_events": { "sinks": ["envoy_log"], "token_failures": 2 },
        "otlp_http": {
            "cluster": "collector", "uri": "http://collector.example.com/v1/logs", "interval": "250ms",
        },
    }));
    let collector = Upstream::start().unwrap();
    let (envoy, _upstream) = start_by(&logged, vec![cluster("collector", collector.addr())]);
    let (silent, _other) = start_by(&policy_of_refusals(&json!({})), Vec::new());
    let cases = refused_tokens();
    for (path, status, headers) in &cases {
        let request = refused(path, headers);
        let mut answers = [&envoy, &silent].map(|envoy| send(envoy, &request));
        for answer in &mut answers {
            answer.headers.retain(|(name, _)| name != "date");
        }
        assert_eq!(answers[0].status, *status, "{path}");
        let [one, other] = answers
            .each_ref()
            .map(|answer| (&answer.headers, &answer.body));
        assert_eq!(one, other, "{path}: clients are told the same");
        let body = String::from_utf8_lossy(&answers[0].body).into_owned();
        for hidden in [
            "/routes",
            "/providers",
            "write",
            "claim",
            "mallory",
            "detail",
            "past",
        ] {
            assert!(!body.contains(hidden), "{path}: {body}");
        }
    }
    let records = printed(&envoy, cases.len());
    let records: Vec<&Value> = records
        .iter()
        .filter_map(|(_, record)| record.as_ref())
        .collect();
    assert_eq!(records.len(), cases.len());
    let detail = |index: usize| &records[index]["portcullis.detail"];
    assert_eq!(
        *detail(0),
        json!({ "rule": "/routes/0/jwt/require/scopes/1", "scopes": ["write"], "claim": "scope", "fault": "not_granted" })
    );
    assert_eq!(records[0]["user.id"], "alice");
    assert_eq!(*detail(1), json!({ "rule": "/providers/corp/jwks" }));
    let claimed: Vec<(&String, &Value)> = records[1]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("portcullis.claimed."))
        .collect();
    let expected = json!({
        "portcullis.claimed.signature": "unverified",
        "portcullis.claimed.issuer": "https://id.example.com/",
        "portcullis.claimed.subject": "mallory",
        "portcullis.claimed.key_id": "k7",
        "portcullis.claimed.audience": ["orders-api", "b"],
        "portcullis.claimed.algorithm": "ES256",
    });
    assert_eq!(
        json!(
            claimed
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>()
        ),
        expected
    );
    for (index, record) in records.iter().enumerate() {
        let proven = ["user.id", "portcullis.issuer", "portcullis.provider"];
        let has = proven.map(|name| record.get(name).is_some());
        assert_eq!(has, [index == 0; 3], "{record}");
    }
    assert_eq!(records[2]["portcullis.claimed.signature"], "valid");
    assert_eq!(detail(2)["fault"], "past");
    // So long ago is 1 700 000 000 at least.
    assert!(
        detail(2)["seconds"].as_u64() > Some(50_000_000),
        "{}",
        detail(2)
    );
    assert_eq!(*detail(3), json!({ "rule": "/providers/corp" }));
    assert_eq!(*detail(4), json!({ "rule": "/routes/0/jwt/provider" }));
    assert_eq!(
        *detail(5),
        json!({ "rule": "/routes/1/payload/max_bytes", "bytes": 65, "most": 64 })
    );
    assert_eq!(
        *detail(6),
        json!({ "rule": "/routes/2/cors/allow_origins", "origin": "https://evil.example" })
    );
    // The other sinks have the same.
    let log = envoy.records(cases.len(), TIMEOUT).unwrap();
    for record in &records {
        let same = log
            .iter()
            .find(|each| each["url.path"] == record["url.path"]);
        assert_eq!(
            same.unwrap()["portcullis.detail"],
            record["portcullis.detail"]
        );
    }
    assert!(
        envoy
            .log()
            .contains(r#""event.code":"token_failures_repeated""#)
    );
    let batches = collected(&envoy, &collector, cases.len());
    let bodies: Vec<String> = batches
        .iter()
        .map(|batch| String::from_utf8(batch.body.clone()).unwrap())
        .collect();
    let bodies = bodies.concat();
    let in_otlp = r#"{"key":"portcullis.detail","value":{"kvlistValue":{"values":[{"key":"rule","value":{"stringValue":"/routes/0/jwt/require/scopes/1"}},{"key":"scopes","value":{"arrayValue":{"values":[{"stringValue":"write"}]}}}"#;
    assert!(bodies.contains(in_otlp), "{bodies}");
    assert!(
        bodies
            .contains(r#"{"key":"portcullis.claimed.subject","value":{"stringValue":"mallory"}}"#)
    );
}

#[test]
fn the_record_of_a_refusal_is_cut_from_its_end() {
    let document = policy_of_refusals(&json!({
        "access_log": { "sinks": ["filter_state"], "max_bytes": "512B" },
    }));
    let (envoy, _upstream) = start_by(&document, Vec::new());
    let (path, _, headers) = &refused_tokens()[0];
    send(&envoy, &refused(path, headers));
    let records = printed(&envoy, 1);
    let record = records[0].1.as_ref().unwrap();
    assert_eq!(record["portcullis.truncated"], true);
    // What was decided, and why, comes before who asked for what.
    assert_eq!(
        record["portcullis.detail"]["rule"],
        "/routes/0/jwt/require/scopes/1"
    );
    assert_eq!(record.get("url.path"), None, "{record}");
}

/// Requests that the proxy, or a filter in front, answers before the filter has seen them.
#[test]
fn what_the_filter_never_saw_has_its_record_in_the_filter_state() {
    let document = policy(&json!({ "sinks": ["filter_state", "envoy_log"], "attributes": "all" }));
    let fault = json!({
        "name": "envoy.filters.http.fault",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "abort": { "header_abort": {}, "percentage": { "numerator": 100 } },
        },
    });
    let hcm = json!({
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST", "max_headers_count": 20,
        },
        "normalize_path": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": 16,
    });
    let (envoy, upstream) = start_behind(vec![fault], &document, Vec::new(), hcm);
    let addr = envoy.listener_addr("chain").unwrap();
    let large = format!("x-large: {}\r\n", "x".repeat(20_000));
    let many: String = (0..30).map(|n| format!("x-{n}: 1\r\n")).collect();
    let host = "host: api.example.com\r\nconnection: close\r\n";
    let kinds = [
        (
            418,
            format!("GET /guarded/a HTTP/1.1\r\n{host}x-envoy-fault-abort-request: 418\r\n\r\n"),
        ),
        (426, format!("GET /guarded/a HTTP/1.0\r\n{host}\r\n")),
        (
            400,
            "GET /guarded/a HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            400,
            format!("GET /guarded/a HTTP/1.1\r\n{host}x_under: 1\r\n\r\n"),
        ),
        (400, format!("GET /guarded%2fa HTTP/1.1\r\n{host}\r\n")),
        (431, format!("GET /guarded/a HTTP/1.1\r\n{host}{large}\r\n")),
        (431, format!("GET /guarded/a HTTP/1.1\r\n{host}{many}\r\n")),
        (
            400,
            format!("GET /guarded/a HTTP/1.1\r\n{host}content-length: x\r\n\r\n"),
        ),
    ];
    for (status, bytes) in &kinds {
        let answer = client::send_raw(addr, bytes.as_bytes(), TIMEOUT).unwrap();
        let line = String::from_utf8_lossy(&answer).into_owned();
        assert!(line.contains(&format!(" {status} ")), "{bytes}: {line}");
    }
    // Over HTTP/2 the proxy resets the stream; its own logger has a line, and there is no record.
    let mut too_large = request("/guarded/h2", &[("x-large", &"x".repeat(20_000))]);
    too_large.version = portcullis_tests::wire::Version::Http2;
    assert!(client::send(addr, &too_large, TIMEOUT).is_err());
    let records = printed(&envoy, kinds.len() + 1);
    let (last, others) = records.split_last().unwrap();
    assert_eq!(*last, (0, None));
    let outcomes: Vec<(u16, &str)> = others
        .iter()
        .map(|(status, record)| {
            let record = record.as_ref().expect("it is in the filter state");
            (*status, record["portcullis.outcome"].as_str().unwrap())
        })
        .collect();
    let expected: Vec<(u16, &str)> = kinds
        .iter()
        .map(|(status, _)| (*status, "not_judged"))
        .collect();
    assert_eq!(outcomes, expected);
    assert_eq!(upstream.count(), 1, "the marker alone");
}
