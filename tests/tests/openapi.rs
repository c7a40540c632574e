//! A public OpenAPI document of some size: `tests/vectors/openapi-adyen`. What it declares passes,
//! what it does not is refused. On the engine and through Envoy.

use std::time::Duration;

use portcullis::engine::Engine;
use portcullis_tests::case::answer_on_engine;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::pages::{fences, quoted, read, tables, with_published_api};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::{client, module_path};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The page that shows how to guard it, and what comes of some requests.
const PAGE: &str = "docs/policies/openapi.md";

fn policy() -> Value {
    let mut examples = fences(&read(PAGE), "json").into_iter();
    let example = examples.find(|text| text.contains("\"api\": \"legal-entities\""));
    let mut document = serde_json::from_str(&example.unwrap()).unwrap();
    with_published_api(&mut document);
    document
}

fn request(method: &str, path: &str, body: Option<&str>) -> Request {
    let mut headers = Vec::new();
    if body.is_some() {
        headers.push((b"content-type".to_vec(), b"application/json".to_vec()));
    }
    Request {
        method: method.as_bytes().to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        headers,
        body: body.map(|body| vec![body.as_bytes().to_vec()]),
        ..Request::default()
    }
}

/// A method and a target, a body, what comes of it, and the places of what is wrong.
struct Row {
    request: Request,
    status: u16,
    code: Option<String>,
    places: Vec<String>,
    name: String,
}

fn rows() -> Vec<Row> {
    let rows = tables(&read(PAGE), "| request | body | answer | `errors` |");
    let rows = rows.iter().map(|cells| {
        let name = quoted(&cells[0]).remove(0);
        let (method, path) = name.split_once(' ').unwrap();
        let body = quoted(&cells[1]);
        Row {
            request: request(method, path, body.first().map(String::as_str)),
            status: cells[2].split(' ').next().unwrap().parse().unwrap(),
            code: quoted(&cells[2]).pop(),
            places: quoted(&cells[3]),
            name,
        }
    });
    rows.collect()
}

fn check(row: &Row, response: &Response) {
    let name = &row.name;
    let body = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, row.status, "{name}: {body}");
    let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    assert_eq!(
        problem["code"].as_str(),
        row.code.as_deref(),
        "{name}: {body}"
    );
    let errors = problem["errors"].as_array();
    let found: Vec<&str> = errors
        .into_iter()
        .flatten()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert_eq!(found, row.places, "{name}: {body}");
}

#[test]
fn on_the_engine() {
    let document = policy().to_string();
    let engine = Engine::compile(document.as_bytes()).unwrap();
    let notes = engine.notes();
    // As the page shows them.
    let shown = fences(&read(PAGE), "text").remove(0);
    let lines: String = notes.iter().map(|note| format!("{note}\n")).collect();
    assert_eq!(lines, shown);
    let service = Response {
        status: 200,
        headers: vec![("content-type".into(), b"text/plain".to_vec())],
        ..Response::default()
    };
    for row in rows() {
        let response = answer_on_engine(document.as_bytes(), &row.request, &service).unwrap();
        check(&row, &response);
    }
}

#[test]
fn what_the_service_leaks_is_caught() {
    let mut document = policy();
    document["body_inspection"] = "hold_headers".into();
    let document = document.to_string();
    let answer = |body: &str| {
        let service = Response {
            status: 200,
            headers: vec![("content-type".into(), b"application/json".to_vec())],
            body: body.as_bytes().to_vec(),
            ..Response::default()
        };
        let request = request("GET", "/lem/v4/themes/1", None);
        let answer = answer_on_engine(document.as_bytes(), &request, &service);
        answer.unwrap().status
    };
    let good = r#"{"createdAt": "2026-01-01T00:00:00Z", "id": "1", "properties": {}}"#;
    let statuses = [good, r#"{"id": "1", "secret": 2}"#].map(answer);
    assert_eq!(statuses, [200, 502]);
}

#[test]
fn through_envoy() {
    let service = Upstream::start_forgetful().unwrap();
    let mut document = policy();
    document["routes"][0]["openapi"]["responses"] = "off".into();
    let document = string_value(&document.to_string());
    let filter = wasm_filter("api", &module_path(), document, WasmOptions::default());
    let listener = listener("api", vec![filter], ListenerOptions::default());
    let bootstrap = bootstrap(vec![listener], vec![cluster("upstream", service.addr())]);
    let envoy = Envoy::start(bootstrap, &Options::reused()).unwrap();
    let addr = envoy.listener_addr("api").unwrap();
    for row in rows() {
        let response = client::send(addr, &row.request, TIMEOUT).unwrap();
        check(&row, &response);
    }
    let log = envoy.log();
    assert!(
        log.contains("openapi: who may call is not enforced"),
        "{log}"
    );
}
