//! Pieces of Envoy's configuration, as JSON.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::tokens;

/// What a [`listener`] is like beyond its filters.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Where it listens; port 0 for a free one.
    pub addr: SocketAddr,
    /// Takes the client's address from the connection, not from `x-forwarded-for`.
    pub use_remote_address: bool,
    /// Keeps an `x-request-id` that comes from outside.
    pub preserve_external_request_id: bool,
    /// Says the request id in every answer.
    pub always_set_request_id_in_response: bool,
    /// Time from the first byte of a request to its last.
    pub request_timeout: Option<Duration>,
    /// Time without anything happening on a stream.
    pub stream_idle_timeout: Option<Duration>,
    /// How much of a body may be buffered; Envoy's default is 1 MiB.
    pub per_connection_buffer_limit_bytes: Option<u32>,
    /// The cluster of the one route.
    pub cluster: String,
    /// An access log on standard output in this format, with a newline at the end.
    pub access_log: Option<String>,
    /// Merged into the route: objects key by key, anything else replaced.
    pub route: Value,
    /// Merged into the HTTP connection manager in the same way, last.
    pub http_connection_manager: Value,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            addr: ([127, 0, 0, 1], 0).into(),
            use_remote_address: true,
            preserve_external_request_id: true,
            always_set_request_id_in_response: false,
            request_timeout: None,
            stream_idle_timeout: None,
            per_connection_buffer_limit_bytes: None,
            cluster: "upstream".into(),
            access_log: None,
            route: json!({}),
            http_connection_manager: json!({}),
        }
    }
}

/// How a [`wasm_filter`] runs.
#[derive(Clone, Debug, Default)]
pub struct WasmOptions {
    /// The name space of shared data.
    pub vm_id: String,
    /// `root_id`.
    pub root_id: String,
    /// What Envoy does when the module has trapped.
    pub fail_policy: FailPolicy,
    /// Pausing in the headers callback holds the headers only (Envoy 1.35).
    pub allow_on_headers_stop_iteration: bool,
    /// Variables of the module's environment.
    pub environment: Vec<(String, String)>,
}

/// What Envoy does when the module has trapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailPolicy {
    /// 503, and a new VM after a while (Envoy 1.33).
    #[default]
    Reload,
    /// 503 for ever.
    Closed,
    /// Requests pass unfiltered.
    Open,
}

/// A bootstrap without listeners other than these.
pub fn bootstrap(listeners: Vec<Value>, clusters: Vec<Value>) -> Value {
    json!({
        "node": { "id": "portcullis-tests", "cluster": "portcullis-tests" },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

/// A listener for HTTP/1.1 and HTTP/2 on one port, with these filters before
/// the router, and one route for everything.
///
/// Trailers pass in both versions.
pub fn listener(name: &str, http_filters: Vec<Value>, options: ListenerOptions) -> Value {
    let mut filters = http_filters;
    filters.push(router_filter());
    let mut route = json!({
        "name": "everything",
        "match": { "prefix": "/" },
        "route": { "cluster": options.cluster },
    });
    merge(&mut route, options.route);
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "http_protocol_options": { "enable_trailers": true },
        "use_remote_address": options.use_remote_address,
        "preserve_external_request_id": options.preserve_external_request_id,
        "always_set_request_id_in_response": options.always_set_request_id_in_response,
        "http_filters": filters,
        "route_config": {
            "name": "routes",
            "virtual_hosts": [{ "name": "everyone", "domains": ["*"], "routes": [route] }],
        },
    });
    if let Some(timeout) = options.request_timeout {
        manager["request_timeout"] = duration(timeout);
    }
    if let Some(timeout) = options.stream_idle_timeout {
        manager["stream_idle_timeout"] = duration(timeout);
    }
    if let Some(format) = options.access_log {
        manager["access_log"] = json!([{
            "name": "stdout",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": { "text_format_source": { "inline_string": format } },
            },
        }]);
    }
    merge(&mut manager, options.http_connection_manager);
    let mut listener = json!({
        "name": name,
        "address": address(options.addr),
        "filter_chains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }],
        }],
    });
    if let Some(limit) = options.per_connection_buffer_limit_bytes {
        listener["per_connection_buffer_limit_bytes"] = limit.into();
    }
    listener
}

/// Puts TLS in front of a listener, 1.2 and later, with the certificate in `tests/keys/tls`.
pub fn downstream_tls(listener: &mut Value) {
    let mut context = downstream_tls_context(&["h2", "http/1.1"]);
    context["@type"] =
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext".into();
    listener["filter_chains"][0]["transport_socket"] =
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": context });
}

/// Makes it a listener for HTTP/3, with the same certificate.
pub fn downstream_quic(listener: &mut Value) {
    listener["address"]["socket_address"]["protocol"] = "UDP".into();
    listener["udp_listener_config"] = json!({ "quic_options": {} });
    let chain = &mut listener["filter_chains"][0];
    chain["filters"][0]["typed_config"]["codec_type"] = "HTTP3".into();
    chain["transport_socket"] = json!({
        "name": "envoy.transport_sockets.quic",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
            "downstream_tls_context": downstream_tls_context(&["h3"]),
            "enable_early_data": false,
        },
    });
}

fn downstream_tls_context(protocols: &[&str]) -> Value {
    json!({
        "common_tls_context": {
            "alpn_protocols": protocols,
            "tls_certificates": [{
                "certificate_chain": tls_file("certificate.pem"),
                "private_key": tls_file("key.pem"),
            }],
        },
    })
}

/// Lets a cluster speak HTTP/3 to a [`downstream_quic`] listener that is called so.
pub fn upstream_quic(cluster: &mut Value, server_name: &str) {
    cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
        ["explicit_http_config"] = json!({ "http3_protocol_options": {} });
    cluster["transport_socket"] = json!({
        "name": "envoy.transport_sockets.quic",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport",
            "upstream_tls_context": {
                "sni": server_name,
                "common_tls_context": {
                    "validation_context": { "trusted_ca": tls_file("certificate.pem") },
                },
            },
        },
    });
}

/// Lets a [`downstream_tls`] listener ask clients for certificates of the authority in `tests/keys/tls/clients`.
///
/// `context` is merged into its `DownstreamTlsContext`: which of them it accepts.
pub fn client_certificates(listener: &mut Value, context: Value) {
    let config = &mut listener["filter_chains"][0]["transport_socket"]["typed_config"];
    config["common_tls_context"]["validation_context"] =
        json!({ "trusted_ca": tls_file("clients/ca.pem") });
    merge(config, context);
}

fn tls_file(name: &str) -> Value {
    json!({ "filename": tokens::repository().join("tests/keys/tls").join(name) })
}

/// The last filter of every chain; [`listener`] adds it.
pub fn router_filter() -> Value {
    json_filter(
        "envoy.filters.http.router",
        json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" }),
    )
}

/// Any HTTP filter with a `typed_config`.
pub fn json_filter(name: &str, typed_config: Value) -> Value {
    json!({ "name": name, "typed_config": typed_config })
}

/// The Wasm filter with the module of this file.
///
/// `configuration` is a `google.protobuf.Any` in JSON, as of [`string_value`];
/// null leaves it out.
pub fn wasm_filter(
    name: &str,
    wasm_path: &Path,
    configuration: Value,
    options: WasmOptions,
) -> Value {
    let mut config = json!({
        "name": name,
        "root_id": options.root_id,
        "failure_policy": match options.fail_policy {
            FailPolicy::Reload => "FAIL_RELOAD",
            FailPolicy::Closed => "FAIL_CLOSED",
            FailPolicy::Open => "FAIL_OPEN",
        },
        "vm_config": {
            "vm_id": options.vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": wasm_path } },
        },
    });
    if !configuration.is_null() {
        config["configuration"] = configuration;
    }
    if options.allow_on_headers_stop_iteration {
        config["allow_on_headers_stop_iteration"] = true.into();
    }
    if !options.environment.is_empty() {
        let pairs: Map<String, Value> = options
            .environment
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        config["vm_config"]["environment_variables"] = json!({ "key_values": pairs });
    }
    json_filter(
        name,
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": config,
        }),
    )
}

/// A `google.protobuf.StringValue` in a `google.protobuf.Any`: what Portcullis is configured with.
pub fn string_value(json_text: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": json_text })
}

/// A cluster of one HTTP/1.1 endpoint, to which trailers pass.
pub fn cluster(name: &str, addr: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(addr) } }] }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } },
            },
        },
    })
}

pub(super) fn address(addr: SocketAddr) -> Value {
    let (ip, port) = (addr.ip().to_string(), addr.port());
    json!({ "socket_address": { "address": ip, "port_value": port } })
}

fn duration(duration: Duration) -> Value {
    format!("{}.{:09}s", duration.as_secs(), duration.subsec_nanos()).into()
}

fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}
