//! Countries and autonomous systems: the filters of `docs/policies/networks.md` in front of ours, in a real
//! Envoy, with databases that know one network.

use std::fs;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::mesh::TIMEOUT;
use portcullis_tests::module_path;
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use portcullis_tests::yaml::yaml;
use serde_json::{Value, json};

/// The chain that the reference shows, but for what follows: with the databases of the tests, for addresses
/// that the test's own proxy in front names.
fn shown_filters() -> Vec<Value> {
    let page = fs::read_to_string(repository().join("docs/policies/networks.md")).unwrap();
    let (_, block) = page.split_once("```yaml\nhttp_filters:").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let shown = yaml(&format!("http_filters:{block}")).unwrap();
    let mut filters = shown["http_filters"].as_array().unwrap().clone();
    assert_eq!(filters.pop().unwrap()["name"], "portcullis");
    let geoip = &mut filters[1]["typed_config"];
    geoip["xff_config"] = json!({ "xff_num_trusted_hops": 1 });
    let databases = &mut geoip["provider"]["typed_config"];
    for kind in ["country", "asn"] {
        let path = repository().join(format!("tests/vectors/geoip/{kind}.mmdb"));
        let written = &mut databases[format!("{kind}_db_path")];
        assert!(written.is_string(), "{kind}");
        *written = path.to_str().into();
    }
    filters
}

/// Whoever is in Germany passes, and whoever is in a private autonomous system.
fn document() -> Value {
    let allow = |name: &str, from: Value, path: &str| json!({ "name": name, "action": "allow", "from": from, "to": { "paths": [path] } });
    json!({
        "version": 1,
        "geo": { "country": "x-geo-country", "asn": "x-geo-asn", "missing": "nowhere" },
        "routes": [{ "name": "all", "match": {}, "open": true, "access": { "rules": [
            allow("country", json!({ "countries": ["DE"] }), "/country"),
            allow("asn", json!({ "asns": [{ "minimum": 64512, "maximum": 65534 }] }), "/asn"),
        ] } }],
    })
}

#[test]
fn envoy_says_where_clients_are_and_they_do_not() {
    let service = Upstream::start().unwrap();
    let mut filters = shown_filters();
    filters.push(wasm_filter(
        "portcullis",
        &module_path(),
        string_value(&document().to_string()),
        WasmOptions::default(),
    ));
    let listeners = vec![listener("geo", filters, ListenerOptions::default())];
    let clusters = vec![cluster("upstream", service.addr())];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused())
        .unwrap_or_else(|error| panic!("{error}"));
    let addr = envoy.listener_addr("geo").unwrap();
    for (client, claimed, path, expected) in [
        ("203.0.113.5", None, "/country", 200),
        ("203.0.113.5", None, "/asn", 200),
        ("198.51.100.1", None, "/country", 403),
        ("198.51.100.1", None, "/asn", 403),
        // What a client says of itself does not count, wherever it is.
        ("198.51.100.1", Some(("DE", "64512")), "/country", 403),
        ("198.51.100.1", Some(("DE", "64512")), "/asn", 403),
        ("203.0.113.5", Some(("FR", "1")), "/country", 200),
        ("203.0.113.5", Some(("FR", "1")), "/asn", 200),
    ] {
        let mut headers = vec![("x-forwarded-for", client)];
        if let Some((country, asn)) = claimed {
            headers.extend([("x-geo-country", country), ("x-geo-asn", asn)]);
        }
        let headers = headers.into_iter();
        let request = Request {
            method: b"GET".to_vec(),
            path: path.as_bytes().to_vec(),
            authority: b"api.example.com".to_vec(),
            headers: headers
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            ..Request::default()
        };
        let response = client::send(addr, &request, TIMEOUT).unwrap();
        assert_eq!(response.status, expected, "{client} {claimed:?} {path}");
    }
}
