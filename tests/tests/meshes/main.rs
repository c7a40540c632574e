//! The manifests of `envoy/istio` and `envoy/envoy-gateway`, and what the chart in `envoy/helm` makes: they fit the definitions, they carry the policy of
//! `envoy/envoy.yaml`, and what Istio and Envoy Gateway make of them guards an API in Envoy.

mod admission;
mod cel;
mod chart;
mod definition;
mod ecds;
mod envoy_gateway;
mod generated;
mod manifest;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::definition::problems;
use self::generated::{
    Proxy, deliver, discovered, envoy_filter_delivered, gateway, generated, through_struct,
};
use self::manifest::{FILTER_CONFIG, envoy_filter, policy_of, wasm_plugin, yaml_files};
use portcullis::engine::Engine;
use portcullis_tests::client::send;
use portcullis_tests::envoy::{
    Envoy, FailPolicy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster,
    json_filter, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey, repository};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::yaml::{read_yaml, yaml};
use serde_json::{Map, Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

#[test]
fn manifests_fit_their_definitions() {
    let manifests = yaml_files("envoy/istio");
    assert_eq!(manifests.len(), 4);
    for manifest in manifests {
        assert_eq!(
            problems(&read_yaml(&manifest)),
            [""; 0],
            "{}",
            manifest.display()
        );
    }
}

/// Kubernetes drops what a definition does not know, without an error.
#[test]
fn what_does_not_fit_is_noticed() {
    let fails = |mut manifest: Value, pointer: &str, name: &str, value: Value, expected: &str| {
        let parent = manifest.pointer_mut(pointer).expect(pointer);
        parent[name] = value;
        assert_eq!(problems(&manifest), [expected]);
    };
    let plugin = |pointer, name, value, expected| {
        fails(wasm_plugin(), pointer, name, value, expected);
    };
    plugin("", "speck", json!({}), "/speck: unknown field");
    plugin(
        "/metadata",
        "label",
        json!({}),
        "/metadata/label: unknown field",
    );
    plugin(
        "/spec",
        "failStrategie",
        json!("FAIL_RELOAD"),
        "/spec/failStrategie: unknown field",
    );
    plugin(
        "/spec",
        "failStrategy",
        json!("RELOAD"),
        "/spec/failStrategy: enum",
    );
    plugin("/spec", "url", json!(""), "/spec/url: minLength");
    plugin("/spec", "url", Value::Null, "/spec/url: type");
    plugin("/spec", "priority", json!("10"), "/spec/priority: type");
    plugin("/spec", "sha256", json!("0"), "/spec/sha256: pattern");
    plugin(
        "/spec",
        "pluginConfig",
        json!("{}"),
        "/spec/pluginConfig: type",
    );
    plugin(
        "/spec",
        "match",
        json!([{ "ports": [{}] }]),
        "/spec/match/0/ports/0: required",
    );
    plugin(
        "/spec/selector",
        "labels",
        json!({}),
        "/spec/selector/labels: unknown field",
    );
    plugin(
        "/spec/selector/matchLabels",
        "a",
        json!(1),
        "/spec/selector/matchLabels/a: type",
    );

    let first = "/spec/configPatches/0";
    let fails_in_patch = |pointer: &str, name, value, expected: &str| {
        let (pointer, expected) = (format!("{first}{pointer}"), format!("{first}{expected}"));
        fails(envoy_filter(), &pointer, name, value, &expected);
    };
    fails_in_patch("/patch", "op", json!("MERGE"), "/patch/op: unknown field");
    fails_in_patch("/match", "cluster", json!({}), "/match: oneOf");

    // Rules in CEL, of the object and of a part.
    let reference =
        json!([{ "kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "eg" }]);
    plugin(
        "/spec",
        "targetRefs",
        reference,
        "/spec: only one of targetRefs or selector can be set",
    );
    plugin(
        "/spec/selector/matchLabels",
        "app*",
        json!("a"),
        "/spec/selector/matchLabels: wildcard not allowed in label key match",
    );
    plugin(
        "/spec",
        "url",
        json!("ftp://example.com/portcullis.wasm"),
        "/spec/url: url must have schema one of [http, https, file, oci]",
    );

    let mut fits = wasm_plugin();
    fits["spec"]["priority"] = Value::Null;
    fits["spec"]["pluginConfig"] = json!({ "anything": [{ "goes": null }] });
    assert_eq!(problems(&fits), [""; 0]);
}

/// Kubernetes reads YAML 1.1 and Envoy 1.2; what they take for different values is refused.
#[test]
fn ambiguous_yaml_is_noticed() {
    for word in [
        "off",
        "On",
        "yes",
        "N",
        "TRUE",
        "010",
        "0x1f",
        "1_000",
        "1:30",
        "1e3",
        "2026-01-01",
    ] {
        let refused = yaml(&format!("cors: {word}")).expect_err(word);
        assert!(refused.contains(word), "{refused}");
        assert_eq!(
            yaml(&format!("cors: \"{word}\"")),
            Ok(json!({ "cors": word }))
        );
        yaml(&format!("{word}: cors")).expect_err(word);
    }
    yaml("a: 1\na: 2").expect_err("a member twice");
    let plain = "[64KiB, 0s, -gTQ2, 0.0.0.0, 17, -0.5, true, ~, oci://example.com/a:0.1.0]";
    let read = json!([
        "64KiB",
        "0s",
        "-gTQ2",
        "0.0.0.0",
        17,
        -0.5,
        true,
        null,
        "oci://example.com/a:0.1.0"
    ]);
    assert_eq!(yaml(plain), Ok(read));
}

#[test]
fn the_policy_is_the_same_everywhere() {
    let plain = policy_of(
        &read_yaml(&repository().join("envoy/envoy.yaml")),
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config",
    );
    let policies = [
        wasm_plugin()["spec"]["pluginConfig"].clone(),
        policy_of(&envoy_filter(), FILTER_CONFIG),
    ];
    for policy in policies {
        assert_eq!(policy, plain);
        let delivered = through_struct(&policy);
        assert_eq!(delivered, policy, "a number loses something on its way");
        Engine::compile(delivered.to_string().as_bytes()).expect("the policy compiles");
    }
}

#[test]
fn the_global_rate_limit_is_that_of_the_example() {
    let manifest = read_yaml(&repository().join("envoy/istio/global-rate-limit.yaml"));
    let example = read_yaml(&repository().join("envoy/global-rate-limit/envoy.yaml"));
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let mut manager = example.pointer(manager).expect("a manager").clone();
    let patch = |number: usize| &manifest["spec"]["configPatches"][number]["patch"]["value"];

    let filter = &mut manager["http_filters"][1];
    let service = "/typed_config/rate_limit_service/grpc_service/envoy_grpc/cluster_name";
    let cluster = patch(0).pointer(service).expect("a cluster");
    *filter.pointer_mut(service).expect("a cluster") = cluster.clone();
    assert_eq!(patch(0), filter);

    let route = &manager["route_config"]["virtual_hosts"][0]["routes"][0];
    let expected = json!({
        "rate_limits": route["route"]["rate_limits"],
        "request_headers_to_remove": route["request_headers_to_remove"],
    });
    assert_eq!(*patch(1), expected);
}

#[test]
fn numbers_of_a_wasm_plugin_are_doubles() {
    let written = json!([1, 65536, 0.5, 2147483647, 9007199254740993_u64]);
    let arrives = json!([1, 65536, 0.5, 2147483647, 9007199254740992_u64]);
    assert_eq!(through_struct(&written), arrives);
}

#[test]
fn a_wasm_plugin_guards() {
    let filter = discovered("istio-system.portcullis");
    let mesh = Mesh::start(deliver("wasm-plugin", filter, generated(&wasm_plugin())));
    mesh.guards();
}

/// It says the same as the plugin, in another place.
#[test]
fn a_traffic_extension_is_the_plugin() {
    let mut extension = read_yaml(&repository().join("envoy/istio/trafficextension.yaml"));
    let mut plugin = wasm_plugin();
    let mut wasm = extension["spec"]["wasm"].take();
    for name in ["selector", "phase"] {
        assert_eq!(extension["spec"][name], plugin["spec"][name], "{name}");
        wasm[name] = extension["spec"][name].take();
    }
    let members = wasm.as_object_mut().expect("an object");
    assert_eq!(members.remove("type"), Some("HTTP".into()));
    assert_eq!(wasm, plugin["spec"].take());
}

#[test]
fn an_envoy_filter_guards() {
    Mesh::start(envoy_filter_delivered("envoy-filter")).guards();
}

/// An edit that empties the policy changes nothing; the log says what to write.
#[test]
fn a_wasm_plugin_without_a_policy_is_refused() {
    let inline = |plugin: &Value| json_filter("istio-system.portcullis", generated(plugin));
    let mesh = Mesh::start(inline(&wasm_plugin()));
    mesh.guards();

    let mut empty = wasm_plugin();
    empty["spec"]["pluginConfig"] = json!({});
    let mark = mesh.envoy.log_mark();
    let update = mesh
        .envoy
        .update_listeners(&[gateway(inline(&empty), mesh.addr)]);
    let Update::Rejected { reason } = update.expect("an answer to the update") else {
        panic!("an empty policy was accepted");
    };
    assert!(
        reason.contains("Unable to create Wasm plugin istio-system.portcullis"),
        "{reason}"
    );
    let log = mesh.envoy.log_since(mark);
    let advice =
        "the configuration is empty; write google.protobuf.StringValue with the policy as JSON";
    assert!(log.contains(advice), "{log}");
    mesh.guards();
}

/// The first policy a proxy ever gets: there is none before it to go on with.
#[test]
fn a_first_policy_that_is_refused_lets_nothing_through() {
    let mut empty = wasm_plugin();
    empty["spec"]["pluginConfig"] = json!({});
    let filter = discovered("istio-system.portcullis");
    let mesh = Mesh::start(deliver("empty", filter, generated(&empty)));
    let response = mesh.get("/healthz", None);
    assert_eq!(response.status, 500);
    assert_eq!(mesh.upstream.count(), 0);
}

/// A gateway with one filter, and the API behind it.
struct Mesh {
    upstream: Upstream,
    envoy: Envoy,
    addr: SocketAddr,
}

impl Mesh {
    fn start(filter: Value) -> Self {
        Self::listening(gateway(filter, ([127, 0, 0, 1], 0).into()))
    }

    /// A proxy of this kind with one filter.
    fn behind(proxy: Proxy, filter: Value) -> Self {
        Self::with(proxy.clusters(), &proxy.listeners(filter))
    }

    fn listening(listener: Value) -> Self {
        Self::with(vec![], &[listener])
    }

    fn with(mut clusters: Vec<Value>, listeners: &[Value]) -> Self {
        let upstream = Upstream::start().expect("a port");
        clusters.push(cluster("upstream", upstream.addr()));
        let is_tunnelled = clusters.len() > 1;
        let mut bootstrap = bootstrap(vec![], clusters);
        let mut options = Options::reused();
        if is_tunnelled {
            // A waypoint hands connections from one listener to the next.
            bootstrap["bootstrap_extensions"] = json!([{
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": { "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener" },
            }]);
            options = Options::default();
        }
        let envoy = Envoy::start_with_lds(bootstrap, listeners, &options)
            .unwrap_or_else(|error| panic!("{error}"));
        let addr = envoy.listener_addr("gateway").expect("the listener");
        Self {
            upstream,
            envoy,
            addr,
        }
    }

    fn guards(&self) {
        let refused = self.get("/orders", None);
        assert_refused(&refused, 401, "jwt_missing");
        assert_secured(&refused);
        assert_eq!(self.upstream.take_all(), []);

        let passed = self.get("/orders", Some(&token()));
        assert_eq!(passed.status, 200);
        assert_secured(&passed);
        let received = self.upstream.take_all();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].values("authorization").count(), 0);

        let order = ["{\"item\":".to_owned(), "1}".to_owned()];
        assert_eq!(self.post(&order).status, 200);
        let received = self.upstream.take_all();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].body, b"{\"item\":1}");

        let too_large = ["x"; 5].map(|piece| piece.repeat(16 << 10));
        assert_refused(&self.post(&too_large), 413, "payload_too_large");
        let received = self.upstream.take_all();
        // It is only counted, so that some of it may have gone on: never all.
        let whole: usize = too_large.iter().map(String::len).sum();
        assert!(received.iter().all(|request| request.body.len() < whole));
    }

    fn get(&self, path: &str, token: Option<&str>) -> Response {
        self.send("GET", path, token, None)
    }

    /// An order in pieces.
    fn post(&self, pieces: &[String]) -> Response {
        let body = pieces.iter().map(|piece| piece.clone().into_bytes());
        self.send("POST", "/orders", Some(&token()), Some(body.collect()))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Vec<Vec<u8>>>,
    ) -> Response {
        let bearer =
            token.map(|token| (b"authorization".to_vec(), format!("Bearer {token}").into()));
        let request = Request {
            method: method.into(),
            path: path.into(),
            authority: b"orders.example.com".to_vec(),
            headers: bearer.into_iter().collect(),
            body,
            ..Request::default()
        };
        send(self.addr, &request, TIMEOUT).unwrap_or_else(|error| panic!("{error:?}"))
    }
}

fn assert_refused(response: &Response, status: u16, code: &str) {
    assert_eq!(response.status, status);
    assert_eq!(
        header(response, "content-type"),
        Some(&b"application/problem+json"[..])
    );
    let problem: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(problem["code"], code);
}

fn assert_secured(response: &Response) {
    assert_eq!(
        header(response, "x-content-type-options"),
        Some(&b"nosniff"[..])
    );
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r [u8]> {
    let found = response.headers.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_slice())
}

fn token() -> String {
    let key = SigningKey::from_pem_file(&repository().join("envoy/demo-keys/es256.pem"));
    #[allow(clippy::disallowed_methods, reason = "Envoy goes by the real clock")]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let claims = json!({
        "iss": "https://id.demo.portcullis.test/",
        "aud": "orders-api",
        "sub": "alice",
        "scope": "orders.read",
        "exp": "now+600",
    });
    let description = json!({ "header": { "kid": "demo-es256" }, "claims": claims });
    tokens::mint_with(&key, &description, now.as_secs())
}
