//! A public OpenAPI document of some size: `tests/vectors/openapi-adyen`. What it declares passes,
//! what it does not is refused. On the engine and through Envoy.

use std::fs;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis_tests::case::answer_on_engine;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::{client, module_path, tokens};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

fn policy() -> Value {
    let path = "tests/vectors/openapi-adyen/LegalEntityService-v4.json";
    let text = fs::read(tokens::repository().join(path)).unwrap();
    let api: Value = serde_json::from_slice(&text).unwrap();
    json!({
        "version": 1,
        "apis": { "legal-entities": api },
        "routes": [{
            "name": "legal-entities",
            "match": { "path": { "prefix": "/lem/v4" } },
            "open": true,
            "openapi": {
                "api": "legal-entities",
                "base_path": "/lem/v4",
                "max_bytes": "64KiB",
                "details": "pointers",
                "responses": { "mode": "enforce" },
            },
        }],
    })
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

/// A method, a target, a body, what comes of it, and the places of what is wrong.
type Row = (
    &'static str,
    &'static str,
    Option<&'static str>,
    u16,
    &'static [&'static str],
);

const ROWS: &[Row] = &[
    ("GET", "/lem/v4/themes", None, 200, &[]),
    ("GET", "/lem/v4/themes/1", None, 200, &[]),
    (
        "GET",
        "/lem/v4/legalEntities/LE1/pciQuestionnaires/2",
        None,
        200,
        &[],
    ),
    (
        "POST",
        "/lem/v4/legalEntities",
        Some(
            r#"{"type": "individual", "individual": {"name": {"firstName": "A", "lastName": "B"}, "residentialAddress": {"country": "NL"}}}"#,
        ),
        200,
        &[],
    ),
    (
        "POST",
        "/lem/v4/legalEntities",
        Some(
            r#"{"type": "individual", "individual": {"name": {"firstName": "A", "lastName": 1}, "residentialAddress": {"country": "NL"}}}"#,
        ),
        422,
        &["/individual/name/lastName"],
    ),
    (
        "POST",
        "/lem/v4/legalEntities",
        Some(r#"{"type": "individual", "admin": true}"#),
        422,
        &["/admin"],
    ),
    (
        "POST",
        "/lem/v4/legalEntities",
        Some(r#"{"type": "other"}"#),
        422,
        &["/type"],
    ),
    (
        "POST",
        "/lem/v4/legalEntities",
        Some(r#"{"type": "#),
        400,
        &[],
    ),
    ("GET", "/lem/v4/themes", Some("{}"), 400, &[]),
    ("DELETE", "/lem/v4/themes", None, 405, &[]),
    ("GET", "/lem/v4/theme", None, 404, &[]),
    ("GET", "/lem/v4/themes/", None, 404, &[]),
    ("GET", "/lem/v4", None, 404, &[]),
    ("GET", "/lem/v3/themes", None, 404, &[]),
];

fn check(row: &Row, response: &Response) {
    let (method, path, _, status, places) = *row;
    let body = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, status, "{method} {path}: {body}");
    let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let errors = problem["errors"].as_array();
    let found: Vec<&str> = errors
        .into_iter()
        .flatten()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert_eq!(found, places, "{method} {path}: {body}");
}

#[test]
fn on_the_engine() {
    let document = policy().to_string();
    let engine = Engine::compile(document.as_bytes()).unwrap();
    let notes = engine.notes();
    assert!(notes.len() < 20, "{notes:#?}");
    let security = "who may call is not enforced; say `jwt` on the route";
    assert!(
        notes.iter().any(|note| note.contains(security)),
        "{notes:#?}"
    );
    let service = Response {
        status: 200,
        headers: vec![("content-type".into(), b"text/plain".to_vec())],
        ..Response::default()
    };
    for row in ROWS {
        let (method, path, body, ..) = *row;
        let request = request(method, path, body);
        let response = answer_on_engine(document.as_bytes(), &request, &service).unwrap();
        check(row, &response);
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
    let envoy = Envoy::start(bootstrap, &Options::default()).unwrap();
    let addr = envoy.listener_addr("api").unwrap();
    for row in ROWS {
        let (method, path, body, ..) = *row;
        let response = client::send(addr, &request(method, path, body), TIMEOUT).unwrap();
        check(row, &response);
    }
    let log = envoy.log();
    assert!(
        log.contains("openapi: who may call is not enforced"),
        "{log}"
    );
}
