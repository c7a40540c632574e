//! The admission policy of the chart: what it refuses, and that it leaves alone what is not Portcullis.

use super::cel;
use super::chart::{object, values, waypoint, with};
use super::*;

fn with_admission(admission: Value) -> Value {
    values(json!({ "admission": admission }))
}

fn policy() -> Value {
    let values = with_admission(json!({ "enabled": true }));
    object(&values, "ValidatingAdmissionPolicy")
}

/// What the API server says against an object: the message of each rule that does not hold. By the failure policy, a
/// rule that cannot be evaluated refuses as well.
fn refusals(policy: &Value, object: &Value) -> Vec<String> {
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    let list = |name: &str| policy["spec"][name].as_array().expect(name).clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut variables = json!({});
    for variable in list("variables") {
        let known = [("object", object), ("variables", &variables)];
        match cel::evaluate(&text(&variable["expression"]), &known) {
            Ok(value) => variables[text(&variable["name"])] = value,
            Err(error) => return vec![error],
        }
    }
    let known = [("object", object), ("variables", &variables)];
    let mut said = Vec::new();
    for rule in list("validations") {
        match cel::holds(&text(&rule["expression"]), &known) {
            Ok(true) => {}
            Ok(false) => said.push(text(&rule["message"])),
            Err(error) => said.push(error),
        }
    }
    said
}

/// The manifests of all kinds that the policy is asked about, by hand and by the chart.
fn manifests() -> Vec<Value> {
    let gateway = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg" });
    let mut found = vec![
        wasm_plugin(),
        read_yaml(&repository().join("envoy/istio/trafficextension.yaml")),
        extension_policy(),
    ];
    for target in ["WasmPlugin", "TrafficExtension"] {
        for proxy in [json!({}), waypoint()] {
            let values = values(with(proxy, "target", target.into()));
            found.push(object(&values, target));
        }
    }
    let others =
        json!({ "target": "EnvoyExtensionPolicy", "selector": {}, "targetRefs": [gateway] });
    found.push(object(&values(others), "EnvoyExtensionPolicy"));
    found
}

fn extension_policy() -> Value {
    let mut found = envoy_gateway::manifests();
    found.retain(|manifest| manifest["kind"] == "EnvoyExtensionPolicy");
    found.swap_remove(0)
}

/// Where a kind says of the module what Portcullis is told.
fn module(kind: &Value) -> (&'static str, &'static str) {
    match kind.as_str() {
        Some("WasmPlugin") => ("/spec", "pluginConfig"),
        Some("TrafficExtension") => ("/spec/wasm", "pluginConfig"),
        _ => ("/spec/wasm/0", "config"),
    }
}

#[test]
fn what_fails_closed_is_admitted() {
    let policy = policy();
    for manifest in manifests() {
        assert_eq!(refusals(&policy, &manifest), [""; 0], "{manifest}");
    }
}

#[test]
fn what_would_let_requests_pass_is_refused() {
    let policy = policy();
    let mut checked = 0;
    for manifest in manifests() {
        let (place, document) = module(&manifest["kind"]);
        let mut refused = |pointer: &str, name: &str, value: Value, reason: &str| {
            let mut changed = manifest.clone();
            let parent = changed.pointer_mut(pointer).expect("the place");
            if value.is_null() {
                parent.as_object_mut().expect("an object").remove(name);
            } else {
                parent[name] = value;
            }
            let said = refusals(&policy, &changed);
            assert!(
                matches!(&said[..], [one] if one.contains(reason)),
                "{said:?} of {changed}"
            );
            checked += 1;
        };
        let open = "must not fail open";
        let needed = "needs a document";
        if document == "config" {
            refused(place, "failOpen", true.into(), open);
        } else {
            refused(place, "failStrategy", "FAIL_OPEN".into(), open);
            let phase = "stands in phase AUTHN";
            refused("/spec", "phase", "STATS".into(), phase);
            refused("/spec", "phase", Value::Null, phase);
        }
        refused(place, document, Value::Null, needed);
        refused(place, document, json!({ "version": 1 }), needed);
        refused(place, document, json!({ "routes": [] }), needed);
        let told = format!("{place}/{document}");
        refused(&told, "mode", "shadow".into(), "mode: shadow");
        // What is known by its image is no less Portcullis.
        let mut renamed = manifest.clone();
        let plugin = renamed.pointer_mut(place).expect("a plugin");
        let members = plugin.as_object_mut().expect("an object");
        members.remove("pluginName");
        members.remove("name");
        assert_eq!(refusals(&policy, &renamed), [""; 0]);
        renamed.pointer_mut(place).expect("a plugin")[document] = json!({});
        assert_eq!(refusals(&policy, &renamed).len(), 1, "{renamed}");
    }
    assert_eq!(checked, 6 * 7 + 2 * 5);
}

/// A label says that it is meant.
#[test]
fn shadow_mode_is_admitted_by_its_label() {
    let policy = policy();
    for mut manifest in manifests() {
        let (place, document) = module(&manifest["kind"]);
        let plugin = manifest.pointer_mut(place).expect("a plugin");
        plugin[document]["mode"] = "shadow".into();
        for (labels, is_admitted) in [
            (json!({ "portcullis/shadow": "true" }), true),
            (json!({ "portcullis/shadow": "false" }), false),
            (json!({ "shadow": "true" }), false),
            (json!({}), false),
        ] {
            manifest["metadata"]["labels"] = labels;
            let said = refusals(&policy, &manifest);
            assert_eq!(said.is_empty(), is_admitted, "{said:?} of {manifest}");
        }
    }
    let values = json!({ "enabled": true, "shadowLabel": "example.com/tried" });
    let own = object(&with_admission(values), "ValidatingAdmissionPolicy");
    let mut plugin = wasm_plugin();
    plugin["spec"]["pluginConfig"]["mode"] = "shadow".into();
    plugin["metadata"]["labels"] = json!({ "portcullis/shadow": "true" });
    assert_eq!(refusals(&own, &plugin).len(), 1);
    plugin["metadata"]["labels"] = json!({ "example.com/tried": "true" });
    assert_eq!(refusals(&own, &plugin), [""; 0]);
}

#[test]
fn other_plugins_are_left_alone() {
    let policy = policy();
    let metadata = json!({ "name": "other", "namespace": "default" });
    let image = json!({ "type": "Image", "image": { "url": "registry.example.com/waf:1" } });
    let http = json!({ "type": "HTTP", "http": { "url": "https://example.com/waf.wasm" } });
    let others = [
        json!({ "kind": "WasmPlugin", "spec": {
            "url": "oci://registry.example.com/waf:1", "failStrategy": "FAIL_OPEN", "phase": "STATS",
        } }),
        json!({ "kind": "WasmPlugin", "spec": { "url": "oci://registry.example.com/waf:1", "pluginConfig": { "mode": "shadow" } } }),
        json!({ "kind": "TrafficExtension", "spec": { "wasm": { "url": "oci://registry.example.com/waf:1", "failStrategy": "FAIL_OPEN" } } }),
        json!({ "kind": "TrafficExtension", "spec": { "lua": { "inlineCode": "" } } }),
        json!({ "kind": "EnvoyExtensionPolicy", "spec": { "wasm": [
            { "name": "waf", "failOpen": true, "code": image }, { "failOpen": true, "code": http },
        ] } }),
        json!({ "kind": "EnvoyExtensionPolicy", "spec": { "lua": [] } }),
        json!({ "kind": "EnvoyExtensionPolicy" }),
        json!({ "kind": "WasmPlugin" }),
    ];
    for mut other in others {
        other["metadata"] = metadata.clone();
        assert_eq!(refusals(&policy, &other), [""; 0], "{other}");
    }
    // One of several is Portcullis.
    let mut several = extension_policy();
    let ours = several["spec"]["wasm"][0].clone();
    let open = json!({ "name": "waf", "failOpen": true, "code": image });
    several["spec"]["wasm"] = json!([open, ours]);
    assert_eq!(refusals(&policy, &several), [""; 0]);
    several["spec"]["wasm"][1]["failOpen"] = true.into();
    assert_eq!(refusals(&policy, &several).len(), 1);
    // By the address of its module.
    let code =
        json!({ "type": "HTTP", "http": { "url": "https://example.com/portcullis-0.1.0.wasm" } });
    several["spec"]["wasm"] = json!([{ "failOpen": false, "code": code }]);
    assert_eq!(refusals(&policy, &several).len(), 1);
}

/// The policy is asked about each kind by the names that its definition has, and denies.
#[test]
fn it_is_asked_and_denies() {
    let values = with_admission(json!({ "enabled": true }));
    let policy = object(&values, "ValidatingAdmissionPolicy");
    let binding = object(&values, "ValidatingAdmissionPolicyBinding");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    let rules = policy["spec"]["matchConstraints"]["resourceRules"]
        .as_array()
        .expect("rules");
    for manifest in manifests() {
        let kind = manifest["kind"].as_str().expect("a kind");
        let (group, plural) = definition::resource(kind);
        let asked = rules.iter().filter(|rule| {
            let names = |name: &str, one: &str| {
                let all = rule[name].as_array().expect("a list");
                all.contains(&one.into())
            };
            names("apiGroups", &group)
                && names("apiVersions", "*")
                && names("resources", &plural)
                && names("operations", "CREATE")
                && names("operations", "UPDATE")
        });
        assert_eq!(asked.count(), 1, "{kind}");
    }
    for built_in in [&policy, &binding] {
        assert_eq!(problems(built_in), [""; 0]);
    }
}
