//! Ways past the filter that Envoy's configuration opens, as the deployment guide says, and what closes them.

use std::net::SocketAddr;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, json_filter, listener,
    router_filter, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Version};
use serde_json::{Value, json};

use super::{TIMEOUT, request};

/// Every request is refused.
fn filter() -> Value {
    let document = json!({
        "version": 1,
        "routes": [{ "name": "none", "match": { "path": { "exact": "/none" } }, "open": true }],
    });
    let configuration = string_value(&document.to_string());
    wasm_filter(
        "portcullis",
        &module_path(),
        configuration,
        WasmOptions::default(),
    )
}

struct Proxy {
    envoy: Envoy,
    service: Upstream,
}

impl Proxy {
    fn start(listeners: Vec<(&str, Value, ListenerOptions)>) -> Self {
        let service = Upstream::start().expect("a service");
        let listeners = listeners
            .into_iter()
            .map(|(name, filter, options)| listener(name, vec![filter], options));
        let clusters = vec![cluster("upstream", service.addr())];
        let bootstrap = bootstrap(listeners.collect(), clusters);
        let envoy = Envoy::start(bootstrap, &Options::reused()).expect("Envoy starts");
        Self { envoy, service }
    }

    fn addr(&self, listener: &str) -> SocketAddr {
        self.envoy.listener_addr(listener).expect("it listens")
    }

    /// Whether the service has got a request since the last time.
    fn has_passed(&self) -> bool {
        !self.service.take_all().is_empty()
    }
}

fn with(http_connection_manager: Value) -> ListenerOptions {
    ListenerOptions {
        http_connection_manager,
        ..ListenerOptions::default()
    }
}

#[test]
fn a_chain_for_upgrades_needs_the_filter_too() {
    let own = |filters: Vec<Value>| {
        with(json!({ "upgrade_configs": [{ "upgrade_type": "websocket", "filters": filters }] }))
    };
    let proxy = Proxy::start(vec![
        ("without", filter(), own(vec![router_filter()])),
        ("with", filter(), own(vec![filter(), router_filter()])),
        (
            "shared",
            filter(),
            with(json!({ "upgrade_configs": [{ "upgrade_type": "websocket" }] })),
        ),
    ]);
    let raw = "GET /admin HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (name, passes) in [("without", true), ("with", false), ("shared", false)] {
        let plain = client::send(
            proxy.addr(name),
            &request("/admin", Version::Http1),
            TIMEOUT,
        );
        assert_eq!(plain.expect("an answer").status, 404, "{name}");
        assert!(!proxy.has_passed(), "{name}");
        let answer = client::send_raw(
            proxy.addr(name),
            raw.as_bytes(),
            std::time::Duration::from_secs(2),
        );
        assert!(answer.is_ok(), "{name}: {answer:?}");
        assert_eq!(proxy.has_passed(), passes, "{name}");
    }
}

#[test]
fn a_disabled_filter_needs_paths_that_are_normalised() {
    let exempt = |normalize: bool| {
        let manager = json!({
            "normalize_path": normalize,
            "route_config": { "virtual_hosts": [{ "name": "everyone", "domains": ["*"], "routes": [
                {
                    "match": { "prefix": "/pub" },
                    "route": { "cluster": "upstream" },
                    "typed_per_filter_config": { "portcullis": {
                        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
                        "disabled": true,
                    } },
                },
                { "match": { "prefix": "/" }, "route": { "cluster": "upstream" } },
            ] }] },
        });
        with(manager)
    };
    let proxy = Proxy::start(vec![
        ("as-sent", filter(), exempt(false)),
        ("normalised", filter(), exempt(true)),
    ]);
    for (name, status) in [("as-sent", 200), ("normalised", 404)] {
        let send = |path: &str| {
            let answer = client::send(proxy.addr(name), &request(path, Version::Http1), TIMEOUT);
            answer.expect("an answer").status
        };
        assert_eq!((send("/pub/a"), send("/admin")), (200, 404), "{name}");
        assert_eq!(send("/pub/../admin"), status, "{name}");
        let received = proxy.service.take_all();
        let dots = received.iter().any(|each| each.path == b"/pub/../admin");
        assert_eq!(dots, status == 200, "{name}");
    }
}

#[test]
fn a_filter_chosen_by_an_exact_host_is_passed_by_with_another_spelling() {
    let composite = |predicate: Value| {
        let mut filter = filter();
        let action = json!({
            "name": "execute",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
                "typed_config": filter.take(),
            },
        });
        let matcher = json!({ "matcher_list": { "matchers": [{
            "predicate": { "single_predicate": {
                "input": {
                    "name": "host",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                        "header_name": ":authority",
                    },
                },
                "value_match": predicate,
            } },
            "on_match": { "action": action },
        }] } });
        json_filter(
            "composite",
            json!({
                "@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
                "extension_config": {
                    "name": "composite",
                    "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite" },
                },
                "xds_matcher": matcher,
            }),
        )
    };
    let proxy = Proxy::start(vec![
        (
            "exact",
            composite(json!({ "exact": "api.example.com" })),
            with(json!({})),
        ),
        ("always", filter(), with(json!({}))),
    ]);
    for (name, host, passes) in [
        ("exact", "api.example.com", false),
        ("exact", "API.example.com", true),
        ("exact", "api.example.com:80", true),
        ("exact", "api.example.com.", true),
        ("always", "API.example.com", false),
        ("always", "api.example.com.", false),
    ] {
        let asked = Request {
            authority: host.as_bytes().to_vec(),
            ..request("/admin", Version::Http1)
        };
        let answer = client::send(proxy.addr(name), &asked, TIMEOUT).expect("an answer");
        assert_eq!(
            answer.status,
            if passes { 200 } else { 404 },
            "{name}: {host}"
        );
        assert_eq!(proxy.has_passed(), passes, "{name}: {host}");
    }
}
