//! The `https` policy on connections with TLS and without, and what a client or a proxy in front
//! says of them. Redirects are in `tests/cases/https`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, downstream_tls, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response, Version};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

const HOST: &str = "api.example.com";

fn policy() -> Value {
    let route = |name: &str, https: Value| {
        json!({
            "name": name, "match": { "path": { "prefix": format!("/{name}") } }, "open": true,
            "https": https,
            "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] },
            "csrf": { "on_missing": "allow" },
        })
    };
    json!({
        "version": 1,
        "defaults": { "security_headers": { "preset": "api" } },
        "routes": [
            { "name": "hsts", "match": { "path": { "prefix": "/hsts" } }, "open": true },
            route("any", json!({})),
            route("newer", json!({ "min_tls_version": "1.2" })),
            route("newest", json!({ "min_tls_version": "1.3" })),
            route("behind", json!({ "trust_forwarded_proto": true })),
            route("led", json!({ "on_cleartext": "redirect", "hosts": [HOST] })),
        ],
    })
}

struct Proxy {
    envoy: Envoy,
    _upstream: Upstream,
}

impl Proxy {
    fn start() -> Self {
        let upstream = Upstream::start_forgetful().unwrap();
        let document = policy().to_string();
        let guarded = |name: &str, use_remote_address| {
            let filter = wasm_filter(
                name,
                &module_path(),
                string_value(&document),
                WasmOptions::default(),
            );
            let options = ListenerOptions {
                use_remote_address,
                ..ListenerOptions::default()
            };
            listener(name, vec![filter], options)
        };
        let mut encrypted = guarded("encrypted", true);
        downstream_tls(&mut encrypted);
        let filter = wasm_filter(
            "overwritten",
            &module_path(),
            string_value(&document),
            WasmOptions::default(),
        );
        let options = ListenerOptions {
            http_connection_manager: json!({
                "scheme_header_transformation": { "scheme_to_overwrite": "https" },
            }),
            ..ListenerOptions::default()
        };
        let listeners = vec![
            encrypted,
            guarded("cleartext", true),
            guarded("behind", false),
            listener("overwritten", vec![filter], options),
        ];
        let clusters = vec![cluster("upstream", upstream.addr())];
        let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap();
        Self {
            envoy,
            _upstream: upstream,
        }
    }

    fn addr(&self, listener: &str) -> SocketAddr {
        self.envoy.listener_addr(listener).unwrap()
    }

    /// Sends over TLS of that version; the status and all that came.
    fn send_encrypted(
        &self,
        version: &'static SupportedProtocolVersion,
        head: &str,
    ) -> (u16, String) {
        let file = repository().join("tests/keys/tls/certificate.pem");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(file).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(HOST).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(self.addr("encrypted")).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let request = format!("{head}\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Envoy may close without a word of TLS; what had come is what counts.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (
            status.unwrap_or_else(|| panic!("no answer: {answer:?}")),
            answer,
        )
    }

    fn send(
        &self,
        listener: &str,
        path: &str,
        fields: &[(&str, &str)],
        version: Version,
    ) -> Response {
        let field =
            |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let request = Request {
            version,
            method: b"GET".to_vec(),
            path: path.as_bytes().to_vec(),
            authority: HOST.as_bytes().to_vec(),
            headers: fields.iter().map(field).collect(),
            ..Request::default()
        };
        client::send(self.addr(listener), &request, TIMEOUT).unwrap()
    }
}

#[test]
fn what_the_connection_is_counts() {
    let proxy = Proxy::start();
    let (tls12, tls13) = (&rustls::version::TLS12, &rustls::version::TLS13);
    for (version, path, expected) in [
        (tls13, "/any", 200),
        (tls12, "/any", 200),
        (tls13, "/newer", 200),
        (tls12, "/newer", 200),
        (tls13, "/newest", 200),
        (tls12, "/newest", 403),
        (tls13, "/behind", 200),
        (tls13, "/led", 200),
    ] {
        let (status, answer) = proxy.send_encrypted(version, &format!("GET {path} HTTP/1.1"));
        assert_eq!(status, expected, "{version:?} {path}: {answer}");
        assert_eq!(
            answer.contains("tls_version_too_old"),
            expected == 403,
            "{answer}"
        );
    }

    // The service's own pages are those of its scheme.
    for (origin, expected) in [
        ("https://api.example.com", 200),
        ("http://api.example.com", 403),
    ] {
        let head = format!("POST /any HTTP/1.1\r\nContent-Length: 0\r\nOrigin: {origin}");
        let (status, answer) = proxy.send_encrypted(tls13, &head);
        assert_eq!(status, expected, "{origin}: {answer}");
    }

    // What a client says of a cleartext connection counts nowhere: in a field, which Envoy replaces; in
    // the scheme, which over HTTP/2 is the client's to write; in an absolute URI.
    let said = [("x-forwarded-proto", "https")];
    for path in ["/any", "/newest", "/behind"] {
        assert_eq!(
            proxy.send("cleartext", path, &said, Version::Http1).status,
            403,
            "{path}"
        );
        let scheme = [(":scheme", "https")];
        assert_eq!(
            proxy
                .send("cleartext", path, &scheme, Version::Http2)
                .status,
            403,
            "{path}"
        );
        let absolute = format!(
            "GET https://{HOST}{path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        );
        let answer =
            client::send_raw(proxy.addr("cleartext"), absolute.as_bytes(), TIMEOUT).unwrap();
        assert!(
            !answer.starts_with(b"HTTP/1.1 2"),
            "{}",
            answer.escape_ascii()
        );
    }

    // Only a proxy in front is believed, where the document and Envoy are told that there is one.
    for (path, fields, expected) in [
        ("/behind", &[("x-forwarded-proto", "https")][..], 200),
        ("/behind", &[("x-forwarded-proto", "http")], 403),
        ("/behind", &[("x-forwarded-proto", "https, http")], 403),
        ("/behind", &[], 403),
        ("/any", &[("x-forwarded-proto", "https")], 403),
        ("/led", &[("x-forwarded-proto", "https")], 308),
    ] {
        let response = proxy.send("behind", path, fields, Version::Http1);
        assert_eq!(response.status, expected, "{path} {fields:?}");
    }
}

fn is_strict(response: &Response) -> bool {
    let mut fields = response.headers.iter();
    fields.any(|(name, _)| name == "strict-transport-security")
}

/// RFC 6797 §7.2: browsers are told over TLS alone, by what the connection is.
#[test]
fn transport_security_is_sent_over_tls_whatever_a_client_says() {
    let proxy = Proxy::start();
    let (_, answer) = proxy.send_encrypted(&rustls::version::TLS13, "GET /hsts HTTP/1.1");
    assert!(answer.contains("strict-transport-security"), "{answer}");
    for version in [Version::Http1, Version::Http2] {
        for path in ["/hsts", "/nothing", "/hsts//", "/any"] {
            for fields in [
                &[][..],
                &[(":scheme", "https")],
                &[("x-forwarded-proto", "https")],
                &[(":scheme", "https"), ("x-forwarded-proto", "https")],
            ] {
                if version == Version::Http1 && fields.iter().any(|(name, _)| *name == ":scheme") {
                    continue;
                }
                for listener in ["cleartext", "behind"] {
                    let response = proxy.send(listener, path, fields, version);
                    assert!(
                        !is_strict(&response),
                        "{listener} {path} {fields:?}: {response:?}"
                    );
                }
            }
        }
    }
    let absolute =
        format!("GET https://{HOST}/hsts HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let answer = client::send_raw(proxy.addr("cleartext"), absolute.as_bytes(), TIMEOUT).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("strict-transport-security"), "{answer}");

    // Where the document trusts the proxy in front, what that one says counts.
    let said = [("x-forwarded-proto", "https")];
    for version in [Version::Http1, Version::Http2] {
        for (listener, fields, expected) in [
            ("behind", &said[..], true),
            ("behind", &[], false),
            ("behind", &[(":scheme", "https")], false),
            ("cleartext", &said, false),
            ("overwritten", &[], true),
        ] {
            if version == Version::Http1 && fields.iter().any(|(name, _)| *name == ":scheme") {
                continue;
            }
            let response = proxy.send(listener, "/behind", fields, version);
            assert_eq!(
                is_strict(&response),
                expected,
                "{listener} {fields:?}: {response:?}"
            );
        }
    }
}
