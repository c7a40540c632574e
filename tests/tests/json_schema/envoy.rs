//! A sample of the suite through Envoy: of each file of draft 2020-12 the first groups that need
//! nothing else, of each the first tests, in both body modes, whole and in pieces.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Map, Value, json};

use super::{Group, draft2020, folder, read};

const TIMEOUT: Duration = Duration::from_secs(20);
const GROUPS: usize = 3;
const TESTS: usize = 3;
const MODES: [&str; 2] = ["stream", "hold_headers"];

/// Whether a schema can stand beside others: it refers to nothing outside itself.
fn stands_alone(group: &Group, exceptions: &Value) -> bool {
    let dialect = r#""$schema":"https://json-schema.org/draft/2020-12/schema""#;
    let text = group.schema.to_string().replace(dialect, "");
    let foreign = ["$id", "localhost:1234", "json-schema.org", "://"];
    let excepted = exceptions.as_array().into_iter().flatten().any(|each| {
        each["file"] == group.file.as_str() && each["group"] == group.description.as_str()
    });
    !excepted && !foreign.iter().any(|each| text.contains(each))
}

fn sample() -> Vec<Group> {
    let exceptions = read(&folder().join("exceptions.json"));
    let mut sample: Vec<Group> = Vec::new();
    for group in draft2020().groups {
        let of_file = sample.iter().filter(|each| each.file == group.file);
        let is_required = !group.file.starts_with("optional/");
        if is_required && of_file.count() < GROUPS && stands_alone(&group, &exceptions) {
            sample.push(group);
        }
    }
    sample
}

fn policy(groups: &[Group], inspection: &str) -> Value {
    let mut schemas = Map::new();
    let mut routes = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let name = format!("g{index}");
        routes.push(json!({
            "name": name,
            "match": { "path": { "exact": format!("/{name}") } },
            "open": true,
            "payload": { "max_bytes": "1MiB", "json": { "numbers": "any" }, "json_schema": name },
        }));
        schemas.insert(name, group.schema.clone());
    }
    json!({
        "version": 1,
        "body_inspection": inspection,
        "schemas": schemas,
        "routes": routes,
    })
}

fn request(path: &str, data: &Value, pieces: usize) -> Request {
    let data = data.to_string().into_bytes();
    let length = data.len().div_ceil(pieces).max(1);
    Request {
        method: b"POST".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        body: Some(data.chunks(length).map(<[u8]>::to_vec).collect()),
        ..Request::default()
    }
}

#[test]
fn a_sample_through_envoy() {
    let groups = sample();
    let service = Upstream::start_forgetful().expect("a service");
    let filtered = |inspection: &str| {
        let options = WasmOptions {
            allow_on_headers_stop_iteration: inspection == "hold_headers",
            ..WasmOptions::default()
        };
        let document = string_value(&policy(&groups, inspection).to_string());
        let filter = wasm_filter(inspection, &module_path(), document, options);
        listener(inspection, vec![filter], ListenerOptions::default())
    };
    let clusters = vec![cluster("upstream", service.addr())];
    let bootstrap = bootstrap(MODES.map(filtered).to_vec(), clusters);
    let envoy = Envoy::start(bootstrap, &Options::reused()).expect("Envoy starts");
    let addrs = MODES.map(|name| envoy.listener_addr(name).expect("it listens"));
    let mut sent = 0;
    let mut wrong = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for test in group.tests.iter().take(TESTS) {
            let path = format!("/g{index}");
            let request = request(&path, &test["data"], 1 + sent % 3);
            let response = client::send(addrs[sent % 2], &request, TIMEOUT).expect("an answer");
            let expected = if test["valid"] == true { 200 } else { 422 };
            if response.status != expected {
                let (file, group) = (&group.file, &group.description);
                let name = &test["description"];
                wrong.push(format!("{file}: {group}: {name}: {}", response.status));
            }
            sent += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(sent >= 200, "only {sent}");
}
