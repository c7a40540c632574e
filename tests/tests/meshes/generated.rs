//! What Istio does between a manifest and Envoy.

use super::manifest::envoy_filter;
use super::*;

pub(super) fn gateway(filter: Value, addr: SocketAddr) -> Value {
    let options = ListenerOptions {
        addr,
        ..ListenerOptions::default()
    };
    listener("gateway", vec![filter], options)
}

/// The kinds of proxies in Istio that take a WasmPlugin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proxy {
    Gateway,
    Sidecar,
    Waypoint,
}

impl Proxy {
    /// Its listeners, of which clients reach `gateway`.
    pub(super) fn listeners(self, filter: Value) -> Vec<Value> {
        let mut listener = gateway(filter, ([127, 0, 0, 1], 0).into());
        let manager = "/filter_chains/0/filters/0/typed_config";
        match self {
            Self::Gateway => vec![listener],
            Self::Sidecar => {
                listener["traffic_direction"] = "INBOUND".into();
                let manager = listener.pointer_mut(manager).expect("a manager");
                // The client is whom the proxy before says, and the workload's host is one that Istio knows.
                manager["use_remote_address"] = false.into();
                manager["forward_client_cert_details"] = "APPEND_FORWARD".into();
                vec![listener]
            }
            Self::Waypoint => {
                // What has come through the tunnel enters a listener without an address.
                let mut inner = listener.clone();
                inner["name"] = "main_internal".into();
                inner["internal_listener"] = json!({});
                inner["traffic_direction"] = "INBOUND".into();
                inner.as_object_mut().expect("a listener").remove("address");
                let manager = inner.pointer_mut(manager).expect("a manager");
                manager["use_remote_address"] = false.into();
                listener["filter_chains"] = json!([{ "filters": [{
                    "name": "envoy.filters.network.tcp_proxy",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        "stat_prefix": "tunnel",
                        "cluster": "main_internal",
                    },
                }] }]);
                vec![inner, listener]
            }
        }
    }

    pub(super) fn clusters(self) -> Vec<Value> {
        let Self::Waypoint = self else {
            return vec![];
        };
        let address =
            json!({ "envoy_internal_address": { "server_listener_name": "main_internal" } });
        let endpoint = json!({ "endpoint": { "address": address } });
        vec![json!({
            "name": "main_internal",
            "load_assignment": {
                "cluster_name": "main_internal",
                "endpoints": [{ "lb_endpoints": [endpoint] }],
            },
        })]
    }
}

/// The filter that Istio puts into the chain for a WasmPlugin.
pub(super) fn discovered(name: &str) -> Value {
    json!({
        "name": name,
        "config_discovery": {
            "config_source": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
            "type_urls": [WASM, RBAC],
        },
    })
}

/// The configuration that Istio delivers for a WasmPlugin, the module fetched.
pub(super) fn generated(plugin: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (metadata, spec) = (&plugin["metadata"], &plugin["spec"]);
    let name = format!(
        "{}.{}",
        text(&metadata["namespace"]),
        text(&metadata["name"])
    );
    let policy = &spec["pluginConfig"];
    let configuration = match policy.as_object().is_none_or(Map::is_empty) {
        true => json!({}),
        false => string_value(&through_struct(policy).to_string()),
    };
    let options = WasmOptions {
        root_id: text(&spec["pluginName"]),
        fail_policy: match spec["failStrategy"].as_str() {
            Some("FAIL_RELOAD") => FailPolicy::Reload,
            Some("FAIL_CLOSE") | None => FailPolicy::Closed,
            other => panic!("no strategy for a filter that enforces: {other:?}"),
        },
        ..WasmOptions::default()
    };
    wasm_filter(&name, &module_path(), configuration, options)["typed_config"].take()
}

/// Turns numbers into what is left of them after google.protobuf.Struct, which holds doubles.
pub(super) fn through_struct(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let double = number.as_f64().expect("a number");
            serde_json::from_str(&double.to_string()).expect("a number")
        }
        Value::Array(items) => items.iter().map(through_struct).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, _)| (name.clone(), through_struct(value));
            members.iter().map(member).collect()
        }
        other => other.clone(),
    }
}

/// The filter of the EnvoyFilter with its configuration, the module fetched.
pub(super) fn envoy_filter_delivered(test: &str) -> Value {
    let manifest = envoy_filter();
    let patches = manifest["spec"]["configPatches"]
        .as_array()
        .expect("patches");
    let [filter, extension, manager] = &patches[..] else {
        panic!("not three patches");
    };
    let merged = &manager["patch"]["value"]["typed_config"];
    assert_eq!(merged["strip_trailing_host_dot"], true, "{merged}");
    let (filter, extension) = (&filter["patch"]["value"], &extension["patch"]["value"]);
    assert_eq!(filter["name"], extension["name"]);
    let mut config = extension["typed_config"].clone();
    fetched_by_agent(&mut config);
    deliver(test, filter.clone(), config)
}

/// Puts the file that istio-agent has fetched in place of the image.
pub(super) fn fetched_by_agent(config: &mut Value) {
    let code = &mut config["config"]["vm_config"]["code"];
    let image = code["remote"]["http_uri"]["uri"]
        .as_str()
        .expect("an image");
    assert!(image.starts_with("oci://"), "{image}");
    *code = json!({ "local": { "filename": module_path() } });
}

/// Puts a file in place of Istio as the source of a filter's configuration.
pub(super) fn deliver(test: &str, mut filter: Value, config: Value) -> Value {
    let source = &mut filter["config_discovery"]["config_source"];
    let ads = source
        .as_object_mut()
        .and_then(|source| source.remove("ads"));
    assert_eq!(ads, Some(json!({})));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("istio-{test}.json"));
    source["path_config_source"] = json!({ "path": file });
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": filter["name"],
        "typed_config": config,
    });
    let response = json!({ "version_info": "1", "resources": [resource] });
    fs::write(file, response.to_string()).expect("a file");
    filter
}
