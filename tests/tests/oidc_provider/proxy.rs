//! An Envoy with four workers before a service, and the authorization server that it asks.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, client_certificates, cluster,
    downstream_tls, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::oidc_provider::{ISSUER, OidcProvider};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

pub(crate) const WORKERS: u32 = 4;
pub(crate) const HOST: &str = "api.example.com";
/// The listener that asks clients for certificates.
pub(crate) const TLS: &str = "tls";

const PLAIN: &str = "plain";
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Proxy {
    pub(crate) envoy: Envoy,
    pub(crate) upstream: Upstream,
    pub(crate) server: OidcProvider,
    addr: SocketAddr,
}

/// A server of introspection with these members more.
fn asked(more: &Value) -> Value {
    let mut server = json!({
        "cluster": "idp", "uri": format!("{ISSUER}/token/introspection"), "timeout": "30s",
        "authentication": { "client_secret_basic": {
            "client_id": "gateway", "client_secret": { "env": "SECRET" },
        } },
        "issuer": ISSUER, "audiences": ["orders-api"], "require_expiration": true,
        "claim_to_headers": [{ "header_name": "x-client", "claim_name": "client_id" }],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        server[name] = value.clone();
    }
    server
}

fn issued(bound: &Value) -> Value {
    json!({
        "issuer": ISSUER, "audiences": ["orders-api"], "typ": ["at+jwt"],
        "jwks": { "discovery": { "cluster": "idp" } },
        "claim_to_headers": [{ "header_name": "x-client", "claim_name": "client_id" }],
        "bound": bound,
    })
}

fn document() -> Value {
    let origins = json!(["https://api.example.com"]);
    let dpop = json!({ "dpop": { "mode": "required", "origins": origins } });
    let nonce = json!({ "dpop": { "mode": "required", "origins": origins, "nonce": "required" } });
    let route = |name: &str, policy: &str, block: Value| json!({ "name": name, "match": { "path": { "prefix": format!("/{name}") } }, policy: block });
    let introspection = |name: &str| route(name, "introspection", json!({ "server": name }));
    let jwt = |name: &str| route(name, "jwt", json!({ "provider": name }));
    json!({
        "version": 1, "access_log": {},
        "providers": { "issued": issued(&json!("if_bound")), "issued-dpop": issued(&dpop) },
        "introspection_servers": {
            "kept": asked(&json!({ "cache_duration": "600s" })),
            "brief": asked(&json!({ "cache_duration": "1s", "negative_cache_duration": "600s" })),
            "each": asked(&json!({ "introspection_cache": "off" })),
            "hasty": asked(&json!({ "introspection_cache": "off", "timeout": "1s", "cooldown": "1s" })),
            "dpop": asked(&json!({ "bound": dpop })),
            "nonce": asked(&json!({ "bound": nonce })),
            "mtls": asked(&json!({ "bound": { "certificate": "required" } })),
        },
        "routes": [
            introspection("kept"), introspection("brief"), introspection("each"),
            introspection("hasty"), introspection("dpop"), introspection("nonce"), introspection("mtls"),
            route("write", "introspection", json!({ "server": "each", "require": { "scopes": ["orders.write"] } })),
            jwt("issued-dpop"), jwt("issued"),
        ],
    })
}

fn listening(name: &str) -> Value {
    let options = WasmOptions {
        environment: vec![("SECRET".to_owned(), "s3cret".to_owned())],
        ..WasmOptions::default()
    };
    let configuration = string_value(&document().to_string());
    // The name of the filter is one, so that both listeners have one VM in each worker.
    let filter = wasm_filter("portcullis", &module_path(), configuration, options);
    let mut listener = listener(name, vec![filter], ListenerOptions::default());
    if name == TLS {
        downstream_tls(&mut listener);
        client_certificates(&mut listener, json!({}));
    }
    listener
}

pub(crate) fn get(path: &str, fields: &[(&str, &str)]) -> Request {
    let spoofed = ("x-client", "mallory");
    let fields = fields.iter().chain([&spoofed]);
    Request {
        method: b"GET".to_vec(),
        path: path.into(),
        authority: HOST.into(),
        headers: fields
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect(),
        ..Request::default()
    }
}

/// Who calls, as the service sees it, or the code of the refusal.
pub(crate) fn outcome(response: &Response) -> String {
    told(response.status, &response.body)
}

pub(crate) fn told(status: u16, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if status != 200 {
        let code = body["code"].as_str().unwrap_or_default();
        return format!("{status} {code}");
    }
    let fields = body["headers"].as_array().cloned().unwrap_or_default();
    let values = |name: &str| -> Vec<String> {
        let found = fields.iter().filter(|field| field[0] == name);
        found
            .map(|field| field[1].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(
        [values("authorization"), values("dpop")].concat(),
        Vec::<String>::new(),
        "what was accepted is taken out"
    );
    format!("200 {}", values("x-client").join(" and "))
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let (upstream, server) = (Upstream::start().unwrap(), OidcProvider::start().unwrap());
        let mut idp = cluster("idp", server.addr());
        // As docs/envoy.md says: Node.js closes what is idle for 5 seconds, with what is on its way there.
        idp["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": { "idle_timeout": "2s" },
                "explicit_http_config": { "http_protocol_options": {} },
            },
        });
        let clusters = vec![cluster("upstream", upstream.addr()), idp];
        let options = Options {
            concurrency: WORKERS,
            ..Options::default()
        };
        let listeners = vec![listening(PLAIN), listening(TLS)];
        let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
        let addr = envoy.listener_addr(PLAIN).unwrap();
        Self {
            envoy,
            upstream,
            server,
            addr,
        }
    }

    /// What comes of a bearer token.
    pub(crate) fn send(&self, path: &str, token: &str) -> String {
        let authorization = format!("Bearer {token}");
        outcome(&self.ask(&get(path, &[("authorization", &authorization)])))
    }

    /// What comes of a token with a proof.
    pub(crate) fn prove(&self, path: &str, token: &str, proof: &str) -> Response {
        let authorization = format!("DPoP {token}");
        self.ask(&get(
            path,
            &[("authorization", &authorization), ("dpop", proof)],
        ))
    }

    fn ask(&self, request: &Request) -> Response {
        client::send(self.addr, request, TIMEOUT).unwrap()
    }
}
