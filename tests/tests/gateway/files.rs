//! The files themselves: Envoy takes them, and they keep the rules of `docs/deployment.md`.
//!
//! Here a module that does nothing stands for the filter. Each start compiles a module, for seconds;
//! the gateways that serve in the other tests have the real one, with the document of these files.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use portcullis_tests::envoy::locate;
use portcullis_tests::module_path;
use portcullis_tests::published::to_json;
use serde_json::Value;

use super::older;
use super::stage::{Files, as_1_36, http_filters, production};

const BOOTSTRAPS: [&str; 3] = ["edge.yaml", "behind.yaml", "front.yaml"];

/// The filter, and those that stand before it: they answer nothing.
const BEFORE: [&str; 2] = [
    "envoy.filters.http.header_mutation",
    "envoy.filters.http.geoip",
];

/// What Envoy asks of every module.
const STAND_IN: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_context_create") (param i32 i32)))"#;

fn validate(binary: &Path, files: &Files, text: &str) -> Output {
    let stand_in = files.path().join("stand-in.wasm");
    fs::write(&stand_in, wat::parse_str(STAND_IN).unwrap()).unwrap();
    let [ours, stand_in] = [module_path(), stand_in].map(|path| path.display().to_string());
    let file = files.path().join("validated.yaml");
    fs::write(&file, text.replace(&ours, &stand_in)).unwrap();
    let mut envoy = Command::new(binary);
    envoy.args(["--mode", "validate", "-c"]).arg(&file);
    envoy.output().unwrap()
}

#[test]
fn the_newer_release_takes_them() {
    let files = Files::new("valid");
    let envoy = locate().unwrap();
    for name in BOOTSTRAPS {
        let output = validate(&envoy, &files, &files.text(name));
        assert!(output.status.success(), "{name}: {output:?}");
    }
}

#[test]
fn the_older_release_takes_them() {
    let files = Files::new("valid-old");
    for name in BOOTSTRAPS {
        let output = validate(&older(), &files, &as_1_36(&files.text(name)));
        assert!(output.status.success(), "{name}: {output:?}");
    }
    // What this one does not know is noticed.
    let output = validate(&older(), &files, &files.text("edge.yaml"));
    let said = String::from_utf8_lossy(&output.stderr);
    let named = ["country_db_path", "geo_field_keys"]
        .iter()
        .any(|field| said.contains(field));
    assert!(!output.status.success() && named, "{said}");
}

fn listeners(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(production().join(name)).unwrap();
    let mut bootstrap = to_json(&text).unwrap();
    assert_eq!(
        bootstrap["admin"]["address"]["socket_address"]["address"],
        "127.0.0.1"
    );
    let listeners = bootstrap["static_resources"]["listeners"].take();
    listeners.as_array().unwrap().clone()
}

fn manager(listener: &Value) -> &Value {
    let filters = listener["filter_chains"][0]["filters"].as_array().unwrap();
    &filters.last().unwrap()["typed_config"]
}

/// What can be reached from outside and has a cluster behind it has the filter, first of all that
/// could answer, and closed when it fails.
#[test]
fn nothing_passes_by_the_filter() {
    let mut guarded = 0;
    for name in ["edge.yaml", "behind.yaml"] {
        for mut listener in listeners(name) {
            let routes = manager(&listener)["route_config"].to_string();
            let inside = listener.get("internal_listener").is_some();
            if inside || !routes.contains("\"cluster\"") {
                continue;
            }
            assert!(
                !routes.contains("\"disabled\":true"),
                "{name}: an exemption"
            );
            let filters = http_filters(&mut listener);
            let ours = filters
                .iter()
                .position(|filter| filter["name"] == "portcullis");
            let before = &filters[..ours.expect("the filter")];
            for filter in before {
                assert!(
                    BEFORE.iter().any(|known| filter["name"] == *known),
                    "{filter}"
                );
            }
            let config = &filters[before.len()]["typed_config"]["config"];
            assert_eq!(config["failure_policy"], "FAIL_RELOAD");
            let limit = filters
                .iter()
                .find(|filter| filter["name"] == "envoy.filters.http.ratelimit");
            assert_eq!(limit.unwrap()["typed_config"]["failure_mode_deny"], true);
            let manager = manager(&listener);
            for (setting, value) in [
                ("use_remote_address", Value::from(true)),
                ("normalize_path", true.into()),
                ("merge_slashes", true.into()),
                ("strip_trailing_host_dot", true.into()),
                ("path_with_escaped_slashes_action", "REJECT_REQUEST".into()),
                ("request_timeout", "30s".into()),
                ("stream_idle_timeout", "60s".into()),
            ] {
                assert_eq!(manager[setting], value, "{name}: {setting}");
            }
            guarded += 1;
        }
    }
    assert_eq!(guarded, 3, "two at the edge, one behind");
}

/// HTTP/3 is the same gateway.
#[test]
fn what_holds_for_tcp_holds_for_quic() {
    let all = listeners("edge.yaml");
    let named = |name: &str| {
        all.iter()
            .find(|listener| listener["name"] == name)
            .unwrap()
    };
    let (https, http3) = (named("https"), named("http3"));
    let [mut over_tcp, mut over_quic] = [https, http3].map(|each| manager(each).clone());
    // What HTTP/3 has elsewhere, or not at all.
    for (setting, expected) in [
        ("stat_prefix", Value::from("http3")),
        ("codec_type", "HTTP3".into()),
        ("http2_protocol_options", Value::Null),
        ("http1_safe_max_connection_duration", Value::Null),
    ] {
        assert_eq!(over_quic[setting], expected);
        over_tcp[setting] = Value::Null;
        over_quic[setting] = Value::Null;
    }
    assert_eq!(over_tcp, over_quic);
    let port = |listener: &Value| listener["address"]["socket_address"]["port_value"].clone();
    assert_eq!(port(https), port(http3));
    let told = over_tcp.to_string();
    assert!(
        told.contains(&format!("h3=\\\":{}\\\"; ma=", port(http3))),
        "{told}"
    );
    let quic = &http3["filter_chains"][0]["transport_socket"]["typed_config"];
    assert_eq!(
        quic["enable_early_data"], false,
        "early data can be replayed"
    );
}

/// Only what the document opens to everybody is kept.
#[test]
fn what_is_cached_is_open() {
    let all = listeners("edge.yaml");
    let routes = manager(&all[0])["route_config"]["virtual_hosts"][0]["routes"].clone();
    let cached = routes.as_array().unwrap().iter().filter(|route| {
        let own = &route["typed_per_filter_config"]["envoy.filters.http.cache_v2"];
        !own.is_null()
    });
    let filters = manager(&all[0])["http_filters"].as_array().unwrap();
    let find = |name: &str| {
        filters
            .iter()
            .find(|filter| filter["name"] == name)
            .unwrap()
    };
    assert_eq!(
        find("envoy.filters.http.cache_v2")["disabled"],
        true,
        "off by itself"
    );
    let document = &find("portcullis")["typed_config"]["config"]["configuration"]["value"];
    let document: Value = serde_json::from_str(document.as_str().unwrap()).unwrap();
    let mut count = 0;
    for route in cached {
        let prefix = &route["match"]["path_separated_prefix"];
        let judged = document["routes"].as_array().unwrap().iter();
        let mut judged = judged.filter(|judged| judged["name"] == route["name"]);
        let judged = judged.next().expect("a route of the same name");
        assert_eq!(judged["match"]["path"]["prefix"], *prefix);
        assert_eq!(judged["open"], true, "{judged}");
        // A name in a query that nobody declared would be another copy.
        assert!(judged["parameters"]["query"].is_array(), "{judged}");
        count += 1;
    }
    assert_eq!(count, 1);
}
