//! GraphQL on a real Envoy: queries, bodies whole and in pieces, batches, rules by fields and limits by cost.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use portcullis::effort::Effort;
use portcullis::formats::graphql::{Document, DocumentBounds, DocumentFault};
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Version};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

fn document(inspection: &str) -> Value {
    json!({
        "version": 1,
        "access_log": {},
        "body_inspection": inspection,
        "routes": [{
            "name": "graphql",
            "match": { "path": { "exact": "/graphql" } },
            "open": true,
            "graphql": {
                "max_batch": 2,
                "cost": { "max": 100, "list_arguments": ["first"] },
            },
            "access": {
                "rules": [
                    { "name": "no-delete", "action": "deny", "to": { "graphql": ["Mutation.deleteUser"] } },
                ],
                "default": "allow",
            },
            "rate_limits": [{
                "name": "points",
                "key": [{ "header": "x-client" }],
                "token_bucket": { "max_tokens": 50, "tokens_per_fill": 1, "fill_interval": "3600s" },
                "cost": "graphql",
            }],
        }],
    })
}

struct Proxy {
    _envoy: Envoy,
    addr: std::net::SocketAddr,
    service: Upstream,
}

impl Proxy {
    fn start(inspection: &str) -> Self {
        let service = Upstream::start().unwrap();
        let options = WasmOptions {
            allow_on_headers_stop_iteration: inspection == "hold_headers",
            ..WasmOptions::default()
        };
        let document = string_value(&document(inspection).to_string());
        let filter = wasm_filter("graphql", &module_path(), document, options);
        let listener = listener("graphql", vec![filter], ListenerOptions::default());
        let bootstrap = bootstrap(vec![listener], vec![cluster("upstream", service.addr())]);
        let envoy = Envoy::start(bootstrap, &Options::reused()).unwrap();
        let addr = envoy.listener_addr("graphql").unwrap();
        Self {
            _envoy: envoy,
            addr,
            service,
        }
    }

    /// The status, the code, and whether the service got all of it.
    fn send(&self, request: &Request) -> (u16, String, bool) {
        let response = client::send(self.addr, request, TIMEOUT).unwrap();
        let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        let got = !self.service.take_all().is_empty();
        (response.status, code, got)
    }
}

fn get(client: &str, query: &str) -> Request {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    Request {
        method: b"GET".to_vec(),
        path: format!("/graphql?query={encoded}").into_bytes(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"x-client".to_vec(), client.as_bytes().to_vec())],
        ..Request::default()
    }
}

fn post(client: &str, body: &Value, pieces: usize) -> Request {
    let body = body.to_string().into_bytes();
    let piece = body.len().div_ceil(pieces);
    Request {
        method: b"POST".to_vec(),
        path: b"/graphql".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![
            (b"content-type".to_vec(), b"application/json".to_vec()),
            (b"x-client".to_vec(), client.as_bytes().to_vec()),
        ],
        body: Some(body.chunks(piece).map(<[u8]>::to_vec).collect()),
        ..Request::default()
    }
}

fn query(text: &str) -> Value {
    json!({ "query": text })
}

const PASSES: (u16, &str) = (200, "");

#[test]
fn queries_and_bodies_are_judged_whole_however_they_come() {
    for inspection in ["stream", "hold_headers"] {
        let proxy = Proxy::start(inspection);
        let mut number = 0;
        let mut check = |request: &dyn Fn(&str) -> Request, expected: (u16, &str)| {
            number += 1;
            for version in [Version::Http1, Version::Http2] {
                // Each has a bucket of its own.
                let request = Request {
                    version,
                    ..request(&format!("{number}-{version:?}"))
                };
                let (status, code, got) = proxy.send(&request);
                assert_eq!(
                    (status, code.as_str()),
                    expected,
                    "{inspection} {request:?}"
                );
                if expected == PASSES || inspection == "hold_headers" {
                    assert_eq!(got, expected == PASSES, "{inspection} {request:?}");
                }
            }
        };
        check(&|client| get(client, "{a{b}}"), PASSES);
        check(
            &|client| get(client, "{__schema{a}}"),
            (403, "graphql_not_allowed"),
        );
        check(
            &|client| get(client, "mutation{a}"),
            (405, "graphql_method"),
        );
        let batch = json!([query("{a}"), query("mutation{addUser{id}}")]);
        let denied = json!([query("{a}"), query("mutation{x:deleteUser{id}}")]);
        let long = json!([query("{a}"), query("{a}"), query("{a}")]);
        for pieces in [1, 2, 7] {
            check(&|client| post(client, &query("{a{b}}"), pieces), PASSES);
            check(
                &|client| post(client, &query("{a{b}"), pieces),
                (400, "graphql_malformed"),
            );
            check(&|client| post(client, &batch, pieces), PASSES);
            check(
                &|client| post(client, &denied, pieces),
                (403, "access_denied"),
            );
            check(
                &|client| post(client, &long, pieces),
                (422, "graphql_limit"),
            );
            let dear = query("{a(first:101)}");
            check(
                &|client| post(client, &dear, pieces),
                (422, "graphql_limit"),
            );
        }
    }
}

#[test]
fn a_limit_is_charged_what_a_query_costs() {
    for inspection in ["stream", "hold_headers"] {
        let proxy = Proxy::start(inspection);
        let ask = |first: u64, pieces| {
            let text = format!("{{a(first:{first})}}");
            let (status, code, _) = proxy.send(&post(inspection, &query(&text), pieces));
            (status, code)
        };
        assert_eq!(ask(30, 1), (200, String::new()));
        assert_eq!(ask(30, 3), (429, "rate_limited".to_owned()));
        // What was refused was not charged: 20 are left.
        let by_get = proxy.send(&get(inspection, "{a(first:15)}"));
        assert_eq!((by_get.0, by_get.2), (200, true));
        assert_eq!(ask(6, 1), (429, "rate_limited".to_owned()));
        assert_eq!(ask(5, 2), (200, String::new()));
        assert_eq!(ask(60, 1), (429, "rate_limited".to_owned()));
    }
}

/// What is accepted, the reference implementation parses, and finds as much in it. What it parses is accepted, but for
/// what is refused beside the grammar.
#[test]
fn the_reference_implementation_reads_the_same() {
    let path = tokens::repository().join("tests/vectors/graphql-js/vectors.json");
    let vectors: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let (mut accepted, mut strict) = (0, 0);
    for vector in &vectors {
        let text = vector["text"].as_str().unwrap();
        let read = operations(text);
        match (&read, vector["parses"].as_bool().unwrap()) {
            (Ok(read), true) => {
                assert_eq!(Value::from(read.clone()), vector["operations"], "{text}");
                accepted += 1;
            }
            (Ok(_), false) => panic!("accepted: {text:?}"),
            (Err(DocumentFault::Syntax), true) => {
                assert!(text.contains("\\u{"), "{text:?}");
                strict += 1;
            }
            (Err(_), _) => strict += 1,
        }
    }
    assert!(
        accepted >= 150 && accepted + strict == vectors.len(),
        "{accepted} {strict}"
    );
}

fn operations(text: &str) -> Result<Vec<Value>, DocumentFault> {
    let effort = Effort::new(1_000_000);
    let bounds = DocumentBounds {
        tokens: 10_000,
        arguments: &[],
    };
    let document = Document::parse(text.as_bytes(), bounds, &effort)?;
    let mut all = Vec::new();
    for operation in document.operations() {
        let totals = document.measure(operation, None, &[], &effort)?;
        let mut roots = BTreeSet::new();
        document.root_fields(operation, &effort, &mut |name| {
            roots.insert(String::from_utf8(name.to_vec()).unwrap());
            Ok(())
        })?;
        all.push(json!({
            "operation": operation.kind().name(),
            "depth": totals.depth,
            "fields": totals.fields,
            "aliases": totals.aliases,
            "directives": totals.directives,
            "roots": roots,
        }));
    }
    Ok(all)
}
