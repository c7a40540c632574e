//! The chain of Envoy's filters in `docs/migration.md` and the document that takes its place come to the same.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, router_filter,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::pages::{fences, read};
use portcullis_tests::tokens::{SigningKey, mint};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::yaml::yaml;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The two pieces of the page, both with keys that need not be fetched.
fn both() -> (Value, Value) {
    let page = read("docs/migration.md");
    let before = fences(&page, "yaml").remove(0);
    let mut before = yaml(&before).unwrap_or_else(|problem| panic!("{problem}"));
    let after = fences(&page, "json").remove(0);
    let mut after: Value = serde_json::from_str(&after).expect("the page has JSON");
    let mut key = SigningKey::named("p256").jwk();
    key["kid"] = "k1".into();
    key["alg"] = "ES256".into();
    let keys = json!({ "keys": [key] });
    after["providers"]["corp"]["jwks"] = json!({ "inline": keys });
    let provider = &mut before["http_filters"][1]["typed_config"]["providers"]["corp"];
    let provider = provider.as_object_mut().expect("there is a provider");
    provider.remove("remote_jwks");
    let keys = json!({ "inline_string": keys.to_string() });
    provider.insert("local_jwks".to_owned(), keys);
    (before, after)
}

struct Proxy {
    envoy: Envoy,
    upstream: Upstream,
}

impl Proxy {
    fn start(before: &Value, after: &Value) -> Self {
        let upstream = Upstream::start().unwrap();
        let mut filters = before["http_filters"].as_array().unwrap().clone();
        filters.push(router_filter());
        let native = ListenerOptions {
            http_connection_manager: json!({
                "http_filters": filters,
                "use_remote_address": true,
                "route_config": { "virtual_hosts": before["virtual_hosts"] },
            }),
            ..ListenerOptions::default()
        };
        let document = string_value(&after.to_string());
        let ours = wasm_filter("ours", &module_path(), document, WasmOptions::default());
        let listeners = vec![
            listener("native", Vec::new(), native),
            listener("ours", vec![ours], ListenerOptions::default()),
        ];
        let options = Options {
            concurrency: 1,
            ..Options::reused()
        };
        let clusters = vec![cluster("upstream", upstream.addr())];
        let envoy = Envoy::start(bootstrap(listeners, clusters), &options).expect("Envoy starts");
        Self { envoy, upstream }
    }

    fn addr(&self, side: &str) -> SocketAddr {
        self.envoy.listener_addr(side).expect("it listens")
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    let host = headers.iter().find(|(name, _)| *name == "host");
    let fields = headers
        .iter()
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    Request {
        method: method.as_bytes().to_vec(),
        path: path.as_bytes().to_vec(),
        authority: host.map_or("api.example.com", |(_, host)| *host).into(),
        headers: fields.collect(),
        ..Request::default()
    }
}

fn token(more: Value) -> String {
    let mut claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice",
        "exp": 4_000_000_000_u64,
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let description = json!({ "key": "p256", "header": { "kid": "k1" }, "claims": claims });
    format!("Bearer {}", mint(&description, 0))
}

fn field(response: &Response, name: &str) -> Option<String> {
    let mut fields = response.headers.iter();
    let found = fields.find(|(each, _)| each == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn both_come_to_the_same() {
    let (before, after) = both();
    let proxy = Proxy::start(&before, &after);
    let own = Response {
        status: 200,
        headers: vec![
            ("x-backend".into(), "b7".into()),
            ("x-served-by".into(), "b7".into()),
        ],
        body: b"orders".to_vec(),
        ..Response::default()
    };
    for path in ["/orders", "/orders/7", "/orders/limited"] {
        proxy
            .upstream
            .answer_path(path, Answer::Respond(own.clone()));
    }
    let (reader, writer) = (token(json!({})), token(json!({ "role": "writer" })));
    let (reader, writer) = (reader.as_str(), writer.as_str());
    let app = ("origin", "https://app.example.com");
    let asked = ("access-control-request-method", "POST");
    let exchanges = [
        ("GET", "/healthz", vec![], 200),
        ("HEAD", "/healthz", vec![], 200),
        ("GET", "/internal/x", vec![], 403),
        ("GET", "/internal/x", vec![("authorization", reader)], 403),
        ("GET", "/old/a?b=c", vec![], 308),
        ("GET", "/orders", vec![], 401),
        ("GET", "/orders", vec![("authorization", "Bearer x")], 401),
        (
            "GET",
            "/orders",
            vec![
                ("authorization", reader),
                ("x-user", "root"),
                ("x-debug", "1"),
            ],
            200,
        ),
        ("HEAD", "/orders", vec![("authorization", reader)], 200),
        (
            "GET",
            "/orders/7",
            vec![
                ("authorization", reader),
                ("x-priority", "high"),
                ("x-gateway", "me"),
            ],
            200,
        ),
        ("POST", "/orders", vec![("authorization", reader)], 403),
        ("POST", "/orders", vec![("authorization", writer)], 200),
        ("DELETE", "/orders", vec![("authorization", writer)], 403),
        ("GET", "/orders", vec![("authorization", reader), app], 200),
        (
            "GET",
            "/orders",
            vec![
                ("authorization", reader),
                ("origin", "https://evil.example"),
            ],
            200,
        ),
        ("OPTIONS", "/orders", vec![app, asked], 200),
        (
            "GET",
            "/orders/limited",
            vec![("authorization", reader)],
            200,
        ),
        (
            "GET",
            "/orders/limited",
            vec![("authorization", reader)],
            200,
        ),
        (
            "GET",
            "/orders/limited",
            vec![("authorization", reader)],
            429,
        ),
    ];
    for (method, path, headers, status) in exchanges {
        let what = format!("{method} {path} {headers:?}");
        let [native, ours] = ["native", "ours"].map(|side| {
            let sent = request(method, path, &headers);
            let response = client::send(proxy.addr(side), &sent, TIMEOUT);
            let response = response.unwrap_or_else(|error| panic!("{side}: {what}: {error}"));
            let arrived = proxy.upstream.take_all();
            let told = [
                "x-user",
                "x-gateway",
                "x-priority",
                "x-debug",
                "authorization",
            ]
            .map(|name| {
                let values = arrived.iter().flat_map(|each| each.values(name));
                values
                    .map(|value| String::from_utf8_lossy(value).into_owned())
                    .collect::<Vec<_>>()
            });
            let shown = [
                "x-served-by",
                "x-backend",
                "location",
                "access-control-allow-origin",
            ]
            .map(|name| field(&response, name));
            (response.status, arrived.len(), told, shown)
        });
        // 204 and 200 say the same to a preflight.
        let known = |status: u16| {
            if method == "OPTIONS" && status == 204 {
                200
            } else {
                status
            }
        };
        assert_eq!((known(native.0), known(ours.0)), (status, status), "{what}");
        assert_eq!(native.1, ours.1, "{what}: what the service hears of");
        assert_eq!(native.2, ours.2, "{what}: what the service gets");
        let is_theirs = status < 400 && method != "OPTIONS";
        if is_theirs {
            assert_eq!(native.3, ours.3, "{what}: what the client gets");
        }
    }
}

/// What the command makes of a file of its tests, and the connection manager in that file without its router.
fn imported(name: &str) -> (Value, Value) {
    let folder = "src/cli/tests/import";
    let source = yaml(&read(&format!("{folder}/{name}.yaml")));
    let source = source.unwrap_or_else(|problem| panic!("{name}: {problem}"));
    let filters = source.pointer("/static_resources/listeners/0/filter_chains/0/filters/0");
    let manager = filters.map_or(&source, |filter| &filter["typed_config"]);
    let filters = manager["http_filters"].as_array().expect("a chain");
    let (_, filters) = filters.split_last().expect("the last is the router");
    let before = json!({
        "http_filters": filters,
        "virtual_hosts": manager["route_config"]["virtual_hosts"],
    });
    let document = read(&format!("{folder}/{name}.json"));
    let document = serde_json::from_str(&document).expect("the command wrote it");
    (before, document)
}

/// Sends a request to both, and looks whether they come to the same, and to that.
fn compare(proxy: &Proxy, (method, path, headers, status): (&str, &str, Vec<(&str, &str)>, u16)) {
    let what = format!("{method} {path} {headers:?}");
    let [native, ours] = ["native", "ours"].map(|side| {
        let sent = request(method, path, &headers);
        let response = client::send(proxy.addr(side), &sent, TIMEOUT);
        let response = response.unwrap_or_else(|error| panic!("{side}: {what}: {error}"));
        let arrived = proxy.upstream.take_all();
        let users = arrived.iter().flat_map(|each| each.values("x-user"));
        let users = users.map(|value| String::from_utf8_lossy(value).into_owned());
        let status = match (method, response.status) {
            ("OPTIONS", 204) => 200,
            (_, status) => status,
        };
        let users: Vec<String> = users.collect();
        let origin = field(&response, "access-control-allow-origin");
        (
            status,
            arrived.len(),
            users,
            origin.filter(|_| status < 400),
        )
    });
    assert_eq!((native.0, ours.0), (status, status), "{what}");
    assert_eq!(native, ours, "{what}");
}

#[test]
fn what_is_imported_of_a_chain_comes_to_the_same() {
    let (before, document) = imported("chain");
    let proxy = Proxy::start(&before, &document);
    let of = |claims: Value| token(claims);
    let reader = of(json!({}));
    let writer = of(json!({ "realm": { "role": "writer" } }));
    let external = of(json!({ "sub": "ex-bob" }));
    let partner = |claims: Value| {
        let mut all = json!({ "iss": "https://partners.example.com/", "aud": "x" });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        of(all).trim_start_matches("Bearer ").to_owned()
    };
    let gold = partner(json!({ "groups": ["silver", "gold"] }));
    let silver = partner(json!({ "groups": ["silver"] }));
    let other_kind = partner(json!({ "groups": "gold" }));
    let (reader, writer, external) = (reader.as_str(), writer.as_str(), external.as_str());
    let auth = |token| ("authorization", token);
    let app = ("origin", "https://app.example.com");
    let other = ("host", "other.example.com");
    let banned = ("x-banned", "yes");
    for exchange in [
        ("GET", "/healthz", vec![], 200),
        ("POST", "/healthz", vec![], 200),
        ("GET", "/healthz", vec![banned], 403),
        ("GET", "/healthz", vec![other], 200),
        ("GET", "/public", vec![], 200),
        ("GET", "/publicity/a", vec![], 200),
        ("GET", "/public/a", vec![auth(reader)], 200),
        ("GET", "/public/a", vec![auth("Bearer x")], 401),
        ("GET", "/public/a", vec![banned], 403),
        ("GET", "/orders", vec![], 401),
        ("GET", "/orders", vec![other], 401),
        (
            "GET",
            "/orders",
            vec![auth(reader), ("x-user", "root")],
            200,
        ),
        ("GET", "/orders?access_token=x", vec![], 401),
        ("GET", "/ordersx", vec![auth(reader), other], 200),
        ("HEAD", "/orders", vec![auth(reader)], 403),
        ("POST", "/orders", vec![auth(reader)], 403),
        ("POST", "/orders", vec![auth(writer)], 200),
        (
            "POST",
            "/orders",
            vec![auth(writer), ("x-read-only", "1")],
            403,
        ),
        ("DELETE", "/orders", vec![auth(writer)], 403),
        ("GET", "/orders", vec![auth(reader), banned], 403),
        (
            "GET",
            "/orders",
            vec![auth(reader), ("x-banned", "no")],
            200,
        ),
        ("GET", "/orders", vec![auth(external)], 403),
        ("GET", "/other", vec![auth(writer)], 403),
        ("GET", "/partners/a", vec![], 401),
        ("GET", "/partners/a", vec![("x-partner-token", &gold)], 200),
        ("GET", "/partners/A", vec![("x-partner-token", &gold)], 403),
        (
            "GET",
            "/partners/a",
            vec![("x-partner-token", &silver)],
            403,
        ),
        (
            "GET",
            "/partners/a",
            vec![("x-partner-token", &other_kind)],
            403,
        ),
        ("GET", "/partners/a", vec![auth(reader)], 403),
        ("GET", "/orders", vec![("x-partner-token", &gold)], 401),
        ("GET", "/reports/1", vec![auth(reader)], 200),
        ("GET", "/reports/1", vec![], 401),
        ("GET", "/reports/1", vec![auth(reader), banned], 403),
        ("POST", "/reports/1", vec![auth(reader)], 403),
        ("GET", "/reports/1", vec![auth(reader), other], 403),
        ("GET", "/orders", vec![auth(reader), app], 200),
        ("GET", "/orders", vec![auth(reader), app, other], 200),
        (
            "GET",
            "/orders",
            vec![auth(reader), ("origin", "https://evil.example")],
            200,
        ),
        (
            "OPTIONS",
            "/orders",
            vec![app, ("access-control-request-method", "PUT")],
            200,
        ),
    ] {
        compare(&proxy, exchange);
    }
}

#[test]
fn what_is_imported_of_token_buckets_comes_to_the_same() {
    let (before, document) = imported("limits");
    let proxy = Proxy::start(&before, &document);
    let small = || vec![("x-tenant", "small")];
    let large = || vec![("x-tenant", "large")];
    for exchange in [
        ("GET", "/few", vec![], 200),
        ("GET", "/few", vec![], 200),
        ("GET", "/few", vec![], 429),
        ("GET", "/tried", vec![], 200),
        ("GET", "/tried", vec![], 200),
        ("GET", "/tried/a", vec![], 200),
        ("GET", "/tenants", small(), 200),
        ("GET", "/tenants", small(), 429),
        ("GET", "/tenants", large(), 200),
        ("GET", "/tenants", large(), 200),
        ("GET", "/tenants", vec![], 200),
        ("GET", "/a", vec![], 200),
        ("GET", "/b", vec![], 200),
        ("GET", "/few/a", vec![], 200),
        ("GET", "/a", vec![], 200),
        ("GET", "/a", vec![], 200),
        ("GET", "/a", vec![], 200),
        ("GET", "/a", vec![], 429),
        ("GET", "/few", vec![], 429),
    ] {
        compare(&proxy, exchange);
    }
}

/// What the document says that was made of Istio's policies: as the references of Istio say that its policies do.
#[test]
fn what_is_imported_of_a_mesh_does_what_its_policies_say() {
    let document = read("src/cli/tests/import/istio.json");
    let document: Value = serde_json::from_str(&document).expect("the command wrote it");
    let proxy = Proxy::start(
        &json!({ "http_filters": [], "virtual_hosts": [] }),
        &document,
    );
    let (alice, bob) = (token(json!({})), token(json!({ "sub": "bob" })));
    let staff = token(json!({ "sub": "bob", "groups": ["guests", "staff"] }));
    let admin = token(json!({ "sub": "bob", "groups": "admins" }));
    let guest = token(json!({ "sub": "bob", "groups": ["guests"] }));
    let of = |token| ("authorization", token);
    for (method, path, headers, status) in [
        ("GET", "/healthz", vec![], 200),
        ("HEAD", "/healthz", vec![], 403),
        ("POST", "/healthz", vec![], 403),
        ("GET", "/public/a", vec![], 200),
        ("GET", "/public", vec![], 403),
        ("GET", "/orders", vec![], 403),
        ("GET", "/orders", vec![of("Bearer x")], 401),
        ("GET", "/orders", vec![of(&bob)], 200),
        ("HEAD", "/orders/7", vec![of(&bob)], 200),
        ("GET", "/orders/internal", vec![of(&bob)], 403),
        ("GET", "/orders/internals/1", vec![of(&alice)], 403),
        ("GET", "/orders", vec![of(&bob), ("x-debug", "1")], 403),
        ("POST", "/things", vec![of(&alice)], 200),
        ("POST", "/things", vec![of(&bob)], 403),
        ("POST", "/things/archive", vec![of(&alice)], 403),
        ("PUT", "/tenants/a/orders", vec![of(&staff)], 200),
        ("PUT", "/tenants/a/orders", vec![of(&admin)], 200),
        ("PUT", "/tenants/a/orders", vec![of(&guest)], 403),
        ("PUT", "/tenants/a/orders", vec![of(&bob)], 403),
        ("PUT", "/tenants/a/b/orders", vec![of(&staff)], 403),
        (
            "PUT",
            "/tenants/a/orders",
            vec![of(&staff), ("x-region", "us-east")],
            403,
        ),
        (
            "PUT",
            "/tenants/a/orders",
            vec![of(&staff), ("x-region", "eu-west")],
            200,
        ),
    ] {
        let sent = request(method, path, &headers);
        let response = client::send(proxy.addr("ours"), &sent, TIMEOUT).unwrap();
        let _ = proxy.upstream.take_all();
        assert_eq!(response.status, status, "{method} {path} {headers:?}");
    }
}
