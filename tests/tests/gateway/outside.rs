//! What a client can get out of a gateway before and around a request.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use portcullis_tests::client as plain;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, bootstrap, cluster, listener, upstream_quic,
};
use portcullis_tests::tokens::repository;
use portcullis_tests::wire::{Request, Response};
use rustls::ProtocolVersion;
use serde_json::{Value, json};

use super::client::{Client, field};
use super::hello::{self, Reply};
use super::stage::{Edge, bearer};
use super::{HOST, TIMEOUT};

/// Every suite that TLS 1.2 and those before it have ever had a number for, each offered alone.
pub(super) fn only_the_listed_ciphers_are_agreed_on(edge: &Edge, expected: [u16; 3]) {
    let all = (0x0001..=0x00c7)
        .chain(0xc001..=0xc0b5)
        .chain(0xcc13..=0xccae);
    let agreed = |cipher: &u16| match hello::offer(edge.https, hello::TLS_1_2, &[*cipher]) {
        Reply::Hello {
            version,
            cipher: chosen,
        } => {
            assert_eq!((version, chosen), (hello::TLS_1_2, *cipher));
            true
        }
        reply => {
            assert_eq!(
                reply,
                Reply::Alert(hello::HANDSHAKE_FAILURE),
                "{cipher:#06x}"
            );
            false
        }
    };
    let agreed: BTreeSet<u16> = all.filter(agreed).collect();
    assert_eq!(agreed, BTreeSet::from(expected), "{agreed:#06x?}");
}

pub(super) fn old_versions_are_refused(edge: &Edge) {
    // Suites that each of these versions has, for both kinds of key.
    let ciphers = [
        0xc009, 0xc00a, 0xc013, 0xc014, 0x002f, 0x0035, 0x000a, 0x0005,
    ];
    for version in [hello::SSL_3, hello::TLS_1_0, hello::TLS_1_1] {
        let reply = hello::offer(edge.https, version, &ciphers);
        assert_eq!(
            reply,
            Reply::Alert(hello::PROTOCOL_VERSION),
            "{version:#06x}"
        );
    }
}

pub(super) fn groups_are_those_of_the_file(edge: &Edge) {
    for group in [hello::X25519_ML_KEM_768, hello::X25519, hello::P_256] {
        let reply = hello::offer_group(edge.https, group);
        assert!(
            matches!(reply, Reply::Hello { .. }),
            "{group:#06x}: {reply:?}"
        );
    }
    for group in [hello::P_384, hello::P_521, 0x0013, 0x0100] {
        let reply = hello::offer_group(edge.https, group);
        assert_eq!(
            reply,
            Reply::Alert(hello::HANDSHAKE_FAILURE),
            "{group:#06x}"
        );
    }
}

/// A proxy that makes HTTP/2 and HTTP/3 over TLS of HTTP/1.1 in the clear.
struct Translator(Envoy);

impl Translator {
    fn start(https: SocketAddr, http3: SocketAddr) -> Self {
        let mut h2 = cluster("h2", https);
        h2["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
            ["explicit_http_config"] = json!({ "http2_protocol_options": {} });
        let ca = repository().join("tests/keys/tls/certificate.pem");
        h2["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": HOST,
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "validation_context": { "trusted_ca": { "filename": ca } },
                },
            },
        });
        let mut h3 = cluster("h3", http3);
        upstream_quic(&mut h3, HOST);
        let listeners = ["h2", "h3"].map(|name| {
            let options = ListenerOptions {
                cluster: name.to_owned(),
                // What it sends has TLS.
                http_connection_manager: json!({
                    "scheme_header_transformation": { "scheme_to_overwrite": "https" },
                }),
                ..ListenerOptions::default()
            };
            listener(name, Vec::new(), options)
        });
        let options = Options {
            concurrency: 1,
            ..Options::default()
        };
        Self(Envoy::start(bootstrap(listeners.to_vec(), vec![h2, h3]), &options).unwrap())
    }

    fn get(&self, protocol: &str, path: &str, token: Option<&str>) -> Response {
        let token = token.and_then(|line| line.trim_end().split_once(": "));
        let request = Request {
            method: b"GET".to_vec(),
            path: path.as_bytes().to_vec(),
            authority: HOST.as_bytes().to_vec(),
            headers: token
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .into_iter()
                .collect(),
            ..Request::default()
        };
        plain::send(self.0.listener_addr(protocol).unwrap(), &request, TIMEOUT).unwrap()
    }
}

pub(super) fn each_version_of_http_is_served_and_guarded(edge: &Edge) {
    let client = Client::speaking(&["h2", "http/1.1"]);
    assert_eq!(client.connect(edge.https).unwrap().protocol(), Some("h2"));
    let client = Client::speaking(&["http/1.1"]);
    let connection = client.connect(edge.https).unwrap();
    assert_eq!(connection.protocol(), Some("http/1.1"));
    assert_eq!(connection.version(), Some(ProtocolVersion::TLSv1_3));

    let translator = Translator::start(edge.https, edge.envoy.listener_addr("http3").unwrap());
    let token = bearer("alice");
    let over = |protocol: &str, path: &str, token: Option<&str>| match protocol {
        "http/1.1" => client.get(edge.https, path, token.unwrap_or_default()),
        _ => translator.get(protocol, path, token),
    };
    for (protocol, number) in [("http/1.1", "1.1"), ("h2", "2"), ("h3", "3")] {
        let path = format!("/orders/{number}");
        for (path, token, status) in [
            ("/healthz", None, 200),
            (&*path, Some(&*token), 200),
            (&*path, None, 401),
            ("/elsewhere", Some(&*token), 404),
        ] {
            let response = over(protocol, path, token);
            let about = format!("{protocol} {path}: {response:?}");
            assert_eq!(response.status, status, "{about}");
            let strict = field(&response, "strict-transport-security");
            assert_eq!(
                strict.as_deref(),
                Some("max-age=63072000; includeSubDomains"),
                "{about}"
            );
            let known = field(&response, "alt-svc");
            assert_eq!(known.as_deref(), Some("h3=\":443\"; ma=86400"), "{about}");
        }
        assert_eq!(
            edge.arrived(&path),
            1,
            "{protocol}: what is refused does not arrive"
        );
        let manager = if protocol == "h3" { "http3" } else { "https" };
        let counter = format!("http.{manager}.downstream_cx_http{}_total", &number[..1]);
        assert!(edge.envoy.stat(&counter).unwrap() > 0, "{counter}");
    }
}

pub(super) fn cleartext_leads_to_tls(edge: &Edge) {
    let addr = edge.envoy.listener_addr("http").unwrap();
    let ask = |host: &str| {
        let request = format!(
            "POST /orders?a=b HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = plain::send_raw(addr, request.as_bytes(), TIMEOUT).unwrap();
        String::from_utf8(answer).unwrap()
    };
    for host in ["api.example.com", "api.example.com:80"] {
        let answer = ask(host);
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        assert!(
            answer.contains("\r\nlocation: https://api.example.com/orders?a=b\r\n"),
            "{answer}"
        );
        assert!(!answer.contains("strict-transport-security"), "{answer}");
    }
    let answer = ask("evil.example");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert_eq!(edge.arrived("/orders?a=b"), 0);
}

/// The document refuses a country, and the database knows none of this machine.
pub(super) fn nobody_says_where_he_is(edge: &Edge) {
    let said = "X-Geo-Country: KP\r\nX-Geo-Asn: 64512\r\n";
    assert_eq!(Client::new().get(edge.https, "/healthz", said).status, 200);
    let said = format!("{said}{}", bearer("alice"));
    assert_eq!(
        Client::new().get(edge.https, "/orders/geo", &said).status,
        200
    );
    let taken = edge
        .upstreams
        .iter()
        .flat_map(|each| each.take_path("/orders/geo"));
    for received in taken {
        assert_eq!(received.values("x-geo-country").count(), 0, "{received:?}");
    }
    let bootstrap: Value =
        serde_json::from_str(&edge.envoy.admin_get("/config_dump").unwrap()).unwrap();
    assert!(
        bootstrap
            .to_string()
            .contains("\\\"countries\\\": [\\\"KP\\\"]"),
        "the rule is there"
    );
}
