//! Documents that are made of the configuration of other filters.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::Value;

use super::{Scratch, run, text};

mod chains;

/// Files of the tests, and the documents that are made of them.
fn imports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

#[test]
fn what_is_imported_is_what_stands_beside_it() {
    for (words, name) in [
        (vec!["envoy", "chain.yaml"], "chain"),
        (vec!["envoy", "limits.yaml"], "limits"),
        (
            vec!["istio", "istio.yaml", "--workload", "app=orders"],
            "istio",
        ),
    ] {
        let words = [vec!["import"], words].concat();
        let output = run(&imports(), &words);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let file = imports().join(format!("{name}.json"));
        let expected = fs::read_to_string(&file).unwrap_or_default();
        let made = text(&output.stdout);
        assert_eq!(made, expected, "{}", file.display());
        let yaml = run(&imports(), &[words, vec!["--format", "yaml"]].concat());
        let scratch = Scratch::new(name);
        scratch.write("made.yaml", &text(&yaml.stdout));
        scratch.write("made.json", &made);
        for made in ["made.yaml", "made.json"] {
            let checked = run(&scratch.0, &["check", made]);
            assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
        }
    }
}

/// What comes of a chain with these filters, its exit status, and what is told.
fn imported(filters: &str) -> (Value, i32, String) {
    static CHAINS: AtomicUsize = AtomicUsize::new(0);
    let scratch = Scratch::new(&format!("import-{}", CHAINS.fetch_add(1, Relaxed)));
    scratch.write("chain.yaml", filters);
    let output = run(&scratch.0, &["import", "envoy", "chain.yaml"]);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (
        document,
        output.status.code().unwrap(),
        text(&output.stderr),
    )
}

const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http";

#[test]
fn what_cannot_be_said_is_told_and_stricter() {
    let rbac = |action: &str, permission: &str| {
        format!(
            r#"- name: envoy.filters.http.rbac
  typed_config:
    "@type": {TYPE}.rbac.v3.RBAC
    rules:
      action: {action}
      policies:
        known:
          permissions: [{{ url_path: {{ path: {{ exact: /a }} }} }}]
          principals: [{{ any: true }}]
        other:
          permissions: [{permission}]
          principals: [{{ any: true }}]
"#
        )
    };
    let port = "{ and_rules: { rules: [{ destination_port: 80 }, { url_path: { path: { exact: /b } } }] } }";
    let rule = |name: &str, action: &str, path: &str| serde_json::json!({ "name": name, "action": action, "to": { "paths": [path] } });
    let (allowed, status, told) = imported(&rbac("ALLOW", port));
    assert_eq!(status, 1);
    assert!(
        told.contains("chain.yaml:5:7") && told.contains("allows less"),
        "{told}"
    );
    assert_eq!(
        allowed["routes"][0]["access"],
        serde_json::json!({ "rules": [rule("known", "allow", "/a")] })
    );
    let (denied, status, told) = imported(&rbac("DENY", port));
    assert_eq!(status, 1);
    assert!(told.contains("denies more"), "{told}");
    assert_eq!(
        denied["routes"][0]["access"],
        serde_json::json!({
            "default": "allow",
            "rules": [rule("known", "deny", "/a"), rule("other", "deny", "/b")],
        })
    );
    // Nothing is left that allows anybody.
    let only = "- name: r\n  typed_config:\n    \"@type\": x.rbac.v3.RBAC\n    rules: { policies: { a: { permissions: [{ destination_port: 1 }], principals: [{ any: true }] } } }\n";
    let (document, status, _) = imported(only);
    assert_eq!((status, &document["routes"][0]["deny"]), (1, &true.into()));
}

#[test]
fn tokens_whose_keys_are_not_known_let_nobody_through() {
    let chain = format!(
        r#"- name: envoy.filters.http.jwt_authn
  typed_config:
    "@type": {TYPE}.jwt_authn.v3.JwtAuthentication
    providers:
      files: {{ issuer: a, local_jwks: {{ filename: /keys.json }} }}
      there: {{ issuer: b, remote_jwks: {{ http_uri: {{ uri: "https://b.example/keys", cluster: b, timeout: 5s }} }} }}
    rules:
    - match: {{ path_separated_prefix: /files }}
      requires: {{ provider_name: files }}
    - match: {{ prefix: /loose }}
      requires: {{ requires_any: {{ requirements: [{{ provider_name: there }}, {{ allow_missing_or_failed: {{}} }}] }} }}
    - match: {{ prefix: /there }}
      requires: {{ provider_and_audiences: {{ provider_name: there, audiences: [orders] }} }}
"#
    );
    let (document, status, told) = imported(&chain);
    assert_eq!(status, 1, "{told}");
    let routes = document["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 4, "{document:#}");
    assert_eq!(routes[0]["deny"], true);
    assert_eq!(routes[0]["match"]["path"]["prefix"], "/files");
    assert_eq!(
        routes[1]["jwt"],
        serde_json::json!({ "provider": "there", "optional": true })
    );
    assert_eq!(routes[2]["jwt"]["provider"], "there-orders");
    assert_eq!(
        document["providers"]["there-orders"]["audiences"],
        serde_json::json!(["orders"])
    );
    assert_eq!(routes[3]["open"], true);
    assert!(
        told.contains("a filter sees no files") && told.contains("bad tokens"),
        "{told}"
    );
}

#[test]
fn routes_that_come_from_elsewhere_and_other_workloads_are_no_document() {
    let (_, status, told) = imported("http_filters: []\nrds: { route_config_name: x }\n");
    assert_eq!(status, 2);
    assert!(told.contains("/config_dump"), "{told}");
    let output = run(&imports(), &["import", "istio", "istio.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = text(&output.stderr);
    assert!(told.contains("--workload"), "{told}");
}

#[test]
fn other_filters_are_kept_and_shares_are_rounded_up() {
    let chain = format!(
        r#"- name: authz
  typed_config: {{ "@type": {TYPE}.ext_authz.v3.ExtAuthz }}
- name: envoy.filters.http.csrf
  typed_config:
    "@type": {TYPE}.csrf.v3.CsrfPolicy
    filter_enabled: {{ default_value: {{ numerator: 5, denominator: TEN_THOUSAND }} }}
- name: envoy.filters.http.buffer
  typed_config: {{ "@type": {TYPE}.buffer.v3.Buffer, max_request_bytes: 1000 }}
- name: envoy.filters.http.header_mutation
  typed_config:
    "@type": {TYPE}.header_mutation.v3.HeaderMutation
    mutations:
      request_mutations:
      - append: {{ header: {{ key: X-A, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" }}, append_action: OVERWRITE_IF_EXISTS_OR_ADD }}
      - append: {{ header: {{ key: x-b, value: "%REQ(x-c)%" }}, append_action: OVERWRITE_IF_EXISTS_OR_ADD }}
- name: envoy.filters.http.api_key_auth
  typed_config:
    "@type": {TYPE}.api_key_auth.v3.ApiKeyAuth
    credentials: [{{ key: secret-of-acme, client: acme }}]
    key_sources: [{{ header: X-Api-Key }}]
"#
    );
    let (document, status, told) = imported(&chain);
    assert_eq!(status, 1);
    assert!(told.contains("keep it in the chain"), "{told}");
    let route = &document["routes"][0];
    assert_eq!(route["csrf"]["percent"], 1);
    assert_eq!(route["payload"]["max_bytes"], 1000);
    assert_eq!(route["request_headers"]["set"]["x-a"], "{client.address}");
    assert_eq!(
        route["request_headers"]["remove"],
        serde_json::json!(["x-b"])
    );
    assert_eq!(route["api_key"], serde_json::json!({ "store": "keys" }));
    assert!(!document.to_string().contains("secret-of-acme"));
}

#[test]
fn an_api_that_asks_for_credentials_refuses_all_until_they_are_said() {
    let scratch = Scratch::new("openapi");
    let api = |more: &str| {
        format!(
            "openapi: 3.0.3\ninfo: {{ title: Pets, version: '1' }}\nservers: [{{ url: 'https://pets.example/v1' }}]\npaths:\n  /pets:\n    get: {{ responses: {{ '200': {{ description: All }} }} }}\n{more}"
        )
    };
    scratch.write("open.yaml", &api(""));
    scratch.write("keys.yaml", &api("security: [{ key: [] }]\ncomponents: { securitySchemes: { key: { type: apiKey, in: header, name: x-key } } }\n"));
    let output = run(&scratch.0, &["import", "openapi", "open.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["routes"][0]["openapi"]["base_path"], "/v1");
    assert_eq!(document["routes"][0]["open"], true);
    let output = run(
        &scratch.0,
        &["import", "openapi", "keys.yaml", "--report", "told.json"],
    );
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["routes"][0]["deny"], true);
    let told: Value =
        serde_json::from_str(&fs::read_to_string(scratch.0.join("told.json")).unwrap()).unwrap();
    assert!(
        told["findings"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("TODO")
    );
}
