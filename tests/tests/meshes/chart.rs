//! The chart in `envoy/helm`, rendered by helm itself: what it makes fits the definitions, guards an API in Envoy, and
//! cannot be made to fail open.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::ecds::Mounted;
use super::generated::Proxy;
use super::*;

/// The values of a gateway with the policy of the demo, and these in place of some.
pub(super) fn values(others: Value) -> Value {
    let mut values = json!({
        "target": "WasmPlugin",
        "selector": { "istio": "ingressgateway" },
        "image": { "repository": "registry.example.com/portcullis", "tag": "0.1.0" },
        "check": { "image": "registry.example.com/portcullis-command:0.1.0" },
        "document": wasm_plugin()["spec"]["pluginConfig"],
    });
    for (name, value) in others.as_object().expect("values") {
        values[name] = value.clone();
    }
    values
}

/// What helm makes of the chart with these values, or what it says against them.
fn rendered(values: &Value) -> Result<Vec<Value>, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let helm = std::env::var_os("HELM").unwrap_or_else(|| {
        let script = repository().join("tests/find-helm.sh");
        let found = Command::new(script).output().expect("find-helm.sh runs");
        let path = String::from_utf8(found.stdout).expect("a path");
        assert!(!path.is_empty(), "tests/find-helm.sh finds no helm");
        path.trim().into()
    });
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("values-{}-{number}.json", std::process::id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, values.to_string()).expect("a file");
    let output = Command::new(helm)
        .args(["template", "portcullis"])
        .arg(repository().join("envoy/helm/portcullis"))
        .args(["--namespace", "istio-system", "--values"])
        .arg(&file)
        .output()
        .expect("helm runs");
    fs::remove_file(file).expect("the file goes");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).expect("YAML");
    let documents = text.split("---\n").filter(|text| !text.trim().is_empty());
    Ok(documents
        .map(|text| yaml(text).unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect())
}

/// The one object of a kind.
pub(super) fn object(values: &Value, kind: &str) -> Value {
    let all = rendered(values).unwrap_or_else(|error| panic!("{error}"));
    let mut found: Vec<Value> = all
        .into_iter()
        .filter(|each| each["kind"] == kind)
        .collect();
    assert_eq!(found.len(), 1, "{kind}");
    found.swap_remove(0)
}

pub(super) fn waypoint() -> Value {
    let gateway =
        json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint" });
    json!({ "proxy": "waypoint", "selector": {}, "targetRefs": [gateway] })
}

pub(super) fn with(mut values: Value, name: &str, value: Value) -> Value {
    values[name] = value;
    values
}

#[test]
fn what_it_makes_fits_the_definitions() {
    let gateway = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg" });
    let env = json!([{ "name": "FROM_THE_PROXY" }]);
    let both = json!([{ "name": "FROM_THE_PROXY" }, { "name": "WRITTEN", "value": "here" }]);
    let sidecar = json!({ "proxy": "sidecar", "selector": { "app": "orders" } });
    let secret = json!({
        "repository": "registry.example.com/portcullis",
        "digest": format!("sha256:{}", "ab".repeat(32)),
        "pullSecret": "registry",
    });
    let mut checked = 0;
    for kind in ["WasmPlugin", "TrafficExtension"] {
        for proxy in [json!({}), sidecar.clone(), waypoint()] {
            for (name, value) in [("env", &both), ("image", &secret)] {
                let made = values(with(
                    with(proxy.clone(), name, value.clone()),
                    "target",
                    kind.into(),
                ));
                assert_eq!(problems(&object(&made, kind)), [""; 0], "{made}");
                checked += 1;
            }
        }
    }
    for proxy in [json!({}), sidecar] {
        let made = values(with(
            with(proxy, "env", both.clone()),
            "target",
            "EnvoyFilter".into(),
        ));
        assert_eq!(problems(&object(&made, "EnvoyFilter")), [""; 0], "{made}");
        checked += 1;
    }
    for (name, value) in [("env", &env), ("image", &secret)] {
        let others =
            json!({ "target": "EnvoyExtensionPolicy", "selector": {}, "targetRefs": [gateway] });
        let made = values(with(others, name, value.clone()));
        assert_eq!(
            problems(&object(&made, "EnvoyExtensionPolicy")),
            [""; 0],
            "{made}"
        );
        checked += 1;
    }
    assert_eq!(checked, 16);
    // What is made besides, by the schemas of Kubernetes.
    let cases = json!({ "orders": { "about": "An order.", "exchanges": [{}] } });
    let check = json!({ "image": "command", "pullSecrets": ["registry"], "cases": cases });
    let map = json!({ "target": "ConfigMap", "check": { "enabled": false } });
    for (kind, others) in [
        ("Job", json!({ "check": check })),
        ("ConfigMap", json!({ "check": check })),
        ("ConfigMap", map),
    ] {
        let made = object(&values(others), kind);
        assert_eq!(problems(&made), [""; 0], "{made}");
        let mut misspelt = made.clone();
        misspelt["metadata"]["label"] = json!({});
        assert!(!problems(&misspelt).is_empty(), "{misspelt}");
    }
}

/// By hand or by the chart: the same.
#[test]
fn it_makes_the_manifests() {
    let made = object(&values(json!({})), "WasmPlugin");
    assert_eq!(made["spec"], wasm_plugin()["spec"]);
    let extension = read_yaml(&repository().join("envoy/istio/trafficextension.yaml"));
    let made = object(
        &values(json!({ "target": "TrafficExtension" })),
        "TrafficExtension",
    );
    assert_eq!(made["spec"], extension["spec"]);

    let made = object(&values(json!({ "target": "EnvoyFilter" })), "EnvoyFilter");
    let mut manifest = envoy_filter();
    assert_eq!(
        policy_of(&made, FILTER_CONFIG),
        policy_of(&manifest, FILTER_CONFIG)
    );
    let text = format!("{FILTER_CONFIG}/config/configuration/value");
    let written = made.pointer(&text).expect("a document").clone();
    *manifest.pointer_mut(&text).expect("a document") = written;
    assert_eq!(made["spec"], manifest["spec"]);
}

#[test]
fn it_cannot_be_made_to_fail_open() {
    let fails = |others: Value, reason: &str| {
        let error = rendered(&values(others)).expect_err(reason);
        assert!(error.contains(reason), "{error}");
    };
    fails(
        json!({ "failStrategy": "FAIL_OPEN" }),
        "'failStrategy' not allowed",
    );
    fails(json!({ "failOpen": true }), "'failOpen' not allowed");
    fails(json!({ "target": "Wasmplugin" }), "/target");
    fails(json!({ "document": {} }), "/document");
    // Istio takes no selector as all proxies.
    fails(json!({ "selector": {} }), "selector: which pods?");
    fails(
        json!({ "proxy": "waypoint" }),
        "selector: waypoints are chosen by targetRefs",
    );
    fails(
        json!({ "proxy": "waypoint", "selector": {} }),
        "targetRefs: which waypoint?",
    );
    fails(
        with(waypoint(), "target", "EnvoyFilter".into()),
        "waypoints take none",
    );
    fails(
        json!({ "target": "EnvoyExtensionPolicy" }),
        "targetRefs: which Gateway?",
    );
    fails(
        json!({ "image": {} }),
        "image.repository: where is the module?",
    );
    fails(
        json!({ "check": {} }),
        "check.image: which image has the command?",
    );
    // A case is about the document that ships, and expects something.
    let case = |name: &str, value: Value| {
        let mut case = json!({ "about": "Orders.", "exchanges": [{}] });
        case[name] = value;
        let check = json!({ "image": "command", "cases": { "orders": case } });
        fails(json!({ "check": check }), "/check/cases/orders");
    };
    case("policy", json!({}));
    case("policy_file", "other.json".into());
    case("exchanges", json!([]));
}

/// What the Job does is tested with the command.
#[test]
fn a_job_reads_the_document_before_anything_changes() {
    let values = values(json!({}));
    let job = object(&values, "Job");
    let map = object(&values, "ConfigMap");
    let hook = "helm.sh/hook";
    for object in [&job, &map] {
        assert_eq!(
            object["metadata"]["annotations"][hook],
            "pre-install,pre-upgrade"
        );
    }
    let text = map["data"]["document.json"].as_str().expect("a document");
    let document: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(document, values["document"]);
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        container["args"],
        json!(["check", "/document/document.json"])
    );
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/document");
    assert_eq!(
        pod["volumes"][0]["configMap"]["name"],
        map["metadata"]["name"]
    );
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(job["spec"]["backoffLimit"], 0);
    let without = rendered(&with(values, "check", json!({ "enabled": false })));
    assert_eq!(without.expect("it is rendered").len(), 1);
}

/// Numbers and words arrive as they were written, whatever reads the YAML on the way.
#[test]
fn the_document_arrives_as_it_is() {
    let mut document = wasm_plugin()["spec"]["pluginConfig"].clone();
    document["routes"][1]["payload"]["max_bytes"] = json!(10_485_760);
    document["routes"][1]["cors"] = "off".into();
    document["routes"][1]["name"] = "a: \"b\" {{ .Values }} 'c' <&>".into();
    for target in ["WasmPlugin", "TrafficExtension", "EnvoyFilter", "ConfigMap"] {
        let values = values(
            json!({ "target": target, "document": document, "check": { "enabled": false } }),
        );
        let made = object(&values, target);
        let arrived = match target {
            "WasmPlugin" => made["spec"]["pluginConfig"].clone(),
            "TrafficExtension" => made["spec"]["wasm"]["pluginConfig"].clone(),
            "EnvoyFilter" => policy_of(&made, FILTER_CONFIG),
            _ => policy_of(&resource(&made), "/resources/0/typed_config"),
        };
        assert_eq!(arrived, document, "{target}");
    }
}

/// The file in the ConfigMap.
fn resource(map: &Value) -> Value {
    let text = map["data"]["portcullis.yaml"].as_str().expect("a file");
    yaml(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_gateway_a_sidecar_and_a_waypoint_are_guarded() {
    let sidecar = json!({ "proxy": "sidecar", "selector": { "app": "orders" } });
    let places = [
        (Proxy::Gateway, json!({})),
        (Proxy::Sidecar, sidecar),
        (Proxy::Waypoint, waypoint()),
    ];
    for (proxy, others) in places {
        let plugin = object(&values(others), "WasmPlugin");
        let filter = discovered("istio-system.portcullis");
        let name = format!("chart-{proxy:?}");
        Mesh::behind(proxy, deliver(&name, filter, generated(&plugin))).guards();
    }
}

/// A sidecar judges what its workload receives.
#[test]
fn a_sidecar_leaves_what_is_sent_alone() {
    let sidecar = json!({ "proxy": "sidecar", "selector": { "app": "orders" } });
    let plugin = object(&values(sidecar.clone()), "WasmPlugin");
    assert_eq!(plugin["spec"]["match"], json!([{ "mode": "SERVER" }]));
    let filter = object(
        &values(with(sidecar, "target", "EnvoyFilter".into())),
        "EnvoyFilter",
    );
    for patch in filter["spec"]["configPatches"].as_array().expect("patches") {
        assert_eq!(patch["match"]["context"], "SIDECAR_INBOUND");
    }
}

#[test]
fn the_file_of_a_config_map_guards() {
    let values = values(json!({ "target": "ConfigMap", "check": { "enabled": false } }));
    let mut resource = resource(&object(&values, "ConfigMap"));
    ecds::with_module(&mut resource);
    ecds::start(&Mounted::new("chart", &resource)).guards();
}
