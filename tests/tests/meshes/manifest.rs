//! The manifests.

use super::*;

pub(super) const FILTER_CONFIG: &str = "/spec/configPatches/1/patch/value/typed_config";

pub(super) fn wasm_plugin() -> Value {
    read_yaml(&repository().join("envoy/istio/wasmplugin.yaml"))
}

pub(super) fn envoy_filter() -> Value {
    read_yaml(&repository().join("envoy/istio/envoyfilter.yaml"))
}

pub(super) fn policy_of(document: &Value, pointer: &str) -> Value {
    let configuration = document.pointer(&format!("{pointer}/config/configuration"));
    let configuration = configuration.expect("a configuration");
    assert_eq!(
        configuration["@type"],
        "type.googleapis.com/google.protobuf.StringValue"
    );
    serde_json::from_str(configuration["value"].as_str().expect("a string")).expect("JSON")
}

pub(super) fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).expect(folder);
    let paths = entries.map(|entry| entry.expect(folder).path());
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect()
}
