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
    fn start() -> Self {
        let upstream = Upstream::start().unwrap();
        let (before, after) = both();
        let mut filters = before["http_filters"].as_array().unwrap().clone();
        filters.push(router_filter());
        let native = ListenerOptions {
            http_connection_manager: json!({
                "http_filters": filters,
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
    let fields = headers
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    Request {
        method: method.as_bytes().to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
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
    let proxy = Proxy::start();
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
