//! The manifests of `envoy/envoy-gateway`, and what Envoy Gateway makes of them.

use super::*;

pub(super) fn manifests() -> Vec<Value> {
    let text = fs::read_to_string(repository().join("envoy/envoy-gateway/policy.yaml"));
    let text = text.expect("the manifests");
    let documents = text.split("\n---\n");
    documents
        .map(|document| yaml(document).expect("YAML"))
        .collect()
}

fn extension() -> Value {
    let mut found = manifests();
    found.retain(|manifest| manifest["kind"] == "EnvoyExtensionPolicy");
    assert_eq!(found.len(), 1);
    found.swap_remove(0)["spec"]["wasm"][0].take()
}

#[test]
fn its_manifests_fit_their_definitions() {
    let manifests = manifests();
    assert_eq!(manifests.len(), 2);
    for manifest in &manifests {
        assert_eq!(problems(manifest), [""; 0], "{}", manifest["kind"]);
    }
    let mut misspelt = manifests[0].clone();
    misspelt["spec"]["wasm"][0]["failClosed"] = true.into();
    assert_eq!(
        problems(&misspelt),
        ["/spec/wasm/0/failClosed: unknown field"]
    );
    let mut misspelt = manifests[1].clone();
    misspelt["spec"]["connection"]["bufferLimit"] = "lots".into();
    assert!(!problems(&misspelt).is_empty());
}

#[test]
fn its_policy_is_that_of_the_demo() {
    let demo = read_yaml(&repository().join("envoy/envoy.yaml"));
    let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config";
    assert_eq!(extension()["config"], policy_of(&demo, filters));
}

/// The listener that Envoy Gateway 1.9 makes of it: the filter is off, and every route of the Gateway has it on. The
/// module comes from the controller, which is stood in for by a file; `code` is something else to try.
fn generated_listener(addr: SocketAddr, code: Option<Value>) -> Value {
    let extension = extension();
    assert_eq!(extension["failOpen"], false);
    let name = "envoy.filters.http.wasm/envoyextensionpolicy/default/portcullis/wasm/0";
    let local = json!({ "local": { "filename": module_path() } });
    let filter = json!({
        "name": name,
        "disabled": true,
        "typed_config": {
            "@type": WASM,
            "config": {
                "name": extension["name"],
                "configuration": string_value(&extension["config"].to_string()),
                "fail_open": false,
                "vm_config": {
                    "vm_id": "envoyextensionpolicy/default/portcullis/wasm/0",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": code.unwrap_or(local),
                },
            },
        },
    });
    let mut listener = gateway(filter, addr);
    let routes = listener
        .pointer_mut("/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes")
        .and_then(Value::as_array_mut)
        .expect("routes");
    for route in routes {
        route["typed_per_filter_config"] = json!({
            name: { "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {} },
        });
    }
    listener
}

#[test]
fn what_it_generates_guards() {
    let anywhere = ([127, 0, 0, 1], 0).into();
    Mesh::listening(generated_listener(anywhere, None)).guards();
}

/// The controller is away, or has no such image.
#[test]
fn a_module_that_it_cannot_fetch_lets_nothing_through() {
    let fetched = json!({ "remote": {
        "http_uri": { "uri": "https://envoy-gateway:18002/module.wasm", "cluster": "upstream", "timeout": "1s" },
        "sha256": "00".repeat(32),
        "retry_policy": { "num_retries": 0 },
    } });
    let anywhere = ([127, 0, 0, 1], 0).into();
    let mesh = Mesh::listening(generated_listener(anywhere, Some(fetched)));
    let reached = mesh.upstream.count();
    let response = mesh.get("/healthz", None);
    assert!(response.status >= 500, "{}", response.status);
    assert_eq!(mesh.upstream.count(), reached);
}
