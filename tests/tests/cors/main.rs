//! Suites that others wrote for CORS: the policy answers on the engine and through Envoy, and a
//! judge that goes by the Fetch standard says what a browser makes of it.

mod counters;
mod gateway_api;
mod rs_cors;
mod wpt;

use std::time::Duration;

use portcullis_tests::case;
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::fetch::Page;
use portcullis_tests::module_path;
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(10);

/// One request to a route with a `cors` block, and what must be true of the answer.
struct Trial {
    name: String,
    cors: Value,
    request: Request,
    /// What the service answers.
    upstream: Response,
    check: Box<dyn Fn(&Response) -> bool>,
}

fn suite(path: &str) -> Value {
    let path = repository().join("tests/vectors").join(path);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("a suite is JSON")
}

fn items<'v>(suite: &'v Value, list: &str) -> &'v [Value] {
    suite[list].as_array().expect("a suite has its list")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_allow(verdict: &Value) -> bool {
    match text(verdict) {
        "allow" => true,
        "deny" => false,
        other => panic!("no verdict: {other}"),
    }
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(text).collect(),
        _ => Vec::new(),
    }
}

fn answer(status: u16, fields: &[(&str, &str)]) -> Response {
    let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    Response {
        status,
        headers: fields.iter().map(field).collect(),
        ..Response::default()
    }
}

fn request(method: &str, fields: &[(&str, &str)]) -> Request {
    let field =
        |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Request {
        method: method.as_bytes().to_vec(),
        path: b"/".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: fields.iter().map(field).collect(),
        ..Request::default()
    }
}

fn preflight(origin: &str, method: &str, headers: &[&str]) -> Request {
    let names = headers.join(",");
    let mut fields = vec![
        ("origin", origin),
        ("access-control-request-method", method),
    ];
    if !headers.is_empty() {
        fields.push(("access-control-request-headers", &names));
    }
    request("OPTIONS", &fields)
}

fn page(origin: &str, credentials: bool) -> Page {
    Page {
        origin: origin.to_owned(),
        credentials,
    }
}

fn document(cors: &Value) -> String {
    let route = json!({ "name": "all", "match": {}, "open": true, "cors": cors });
    json!({ "version": 1, "routes": [route] }).to_string()
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let (_, value) = response.headers.iter().find(|(each, _)| each == name)?;
    std::str::from_utf8(value).ok()
}

/// The names of a list, in lower case and in order.
fn names(list: &str) -> Vec<String> {
    let mut names: Vec<String> = list
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names
}

fn trials() -> Vec<Trial> {
    let suites = [
        wpt::services_that_grant(),
        wpt::wildcards(),
        wpt::safelists(),
        gateway_api::trials(),
        rs_cors::trials(),
    ];
    let counts = suites.each_ref().map(Vec::len);
    assert_eq!(
        counts,
        [122, 4, 52, 17, 22],
        "a suite has another number of cases"
    );
    suites.into_iter().flatten().collect()
}

#[test]
fn the_suites_hold_on_the_engine() {
    for trial in trials() {
        let response = case::answer_on_engine(
            document(&trial.cors).as_bytes(),
            &trial.request,
            &trial.upstream,
        );
        let response = response.unwrap_or_else(|error| panic!("{}: {error}", trial.name));
        assert!((trial.check)(&response), "{}: {response:?}", trial.name);
    }
}

#[test]
fn the_suites_hold_through_envoy() {
    let trials = trials();
    let mut documents: Vec<String> = trials.iter().map(|trial| document(&trial.cors)).collect();
    documents.sort();
    documents.dedup();
    let upstream = Upstream::start().unwrap();
    let listeners = documents.iter().enumerate().map(|(index, document)| {
        let name = format!("suite-{index}");
        let filter = wasm_filter(
            &name,
            &module_path(),
            string_value(document),
            WasmOptions::default(),
        );
        listener(&name, vec![filter], ListenerOptions::default())
    });
    let bootstrap = bootstrap(
        listeners.collect(),
        vec![cluster("upstream", upstream.addr())],
    );
    let envoy = Envoy::start(bootstrap, &Options::reused()).unwrap();
    for trial in trials {
        let index = documents.binary_search(&document(&trial.cors)).unwrap();
        let addr = envoy.listener_addr(&format!("suite-{index}")).unwrap();
        upstream.answer("trial", trial.upstream.clone());
        let mut request = trial.request.clone();
        request
            .headers
            .push((b"x-case-id".to_vec(), b"trial".to_vec()));
        let response = client::send(addr, &request, TIMEOUT)
            .unwrap_or_else(|error| panic!("{}: {error}", trial.name));
        assert!((trial.check)(&response), "{}: {response:?}", trial.name);
    }
}
