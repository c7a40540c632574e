//! Client certificates over real mutual TLS: what Envoy verifies, what it says of it, and what the filter
//! makes of that. Who is known by which names is in `tests/cases/certificate`.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, client_certificates, cluster,
    downstream_tls, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{SigningKey, base64url, mint, repository};
use portcullis_tests::upstream::{Received, Upstream};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

const HOST: &str = "api.example.com";

/// The SHA-256 of `plain.pem`.
const PLAIN: &str = "5bcfbd3366d1f0705279a9c78b6e8b717c3de34c7e7b951b805d2ee0da4b2e39";

fn policy() -> Value {
    let set = |source: Value| {
        json!({
            "source": source,
            "clients": [
                {
                    "spiffe": { "prefix": "spiffe://mesh.example/ns/billing" },
                    "client": "billing", "scopes": ["invoices.read"], "attributes": { "plan": "gold" },
                },
                { "dns": "batch.example.com", "client": "batch" },
                { "subject": "CN=plain,O=Portcullis tests", "sha256": PLAIN, "client": "plain" },
            ],
            "claim_to_headers": [
                { "header_name": "x-client", "claim_name": "client" },
                { "header_name": "x-plan", "claim_name": "plan" },
            ],
        })
    };
    let provider = |bound: Value| {
        json!({
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            "bound": bound,
        })
    };
    let route = |name: &str, policy: &str, block: Value| json!({ "name": name, "match": { "path": { "exact": format!("/{name}") } }, policy: block });
    json!({
        "version": 1,
        "access_log": {},
        "certificates": {
            "mesh": set(json!("connection")),
            "listener": set(json!({ "connection": { "verified": "by_listener" } })),
            "edge": set(json!({ "x_forwarded_client_cert": {} })),
            "asked": set(json!({ "x_forwarded_client_cert": { "verified": "reported" } })),
            "behind": set(json!({ "x_forwarded_client_cert": {
                "hops": 2, "verified": "by_listener",
                "proxies": [{ "spiffe": { "exact": "spiffe://mesh.example/ns/shop/sa/cart" } }],
            } })),
        },
        "providers": {
            "connection": provider(json!({ "certificate": "required" })),
            "forwarded": provider(json!({ "certificate": { "set": "edge" } })),
        },
        "routes": [
            route("bound", "jwt", json!({ "provider": "connection" })),
            route("bound-edge", "jwt", json!({ "provider": "forwarded" })),
            route("mesh", "certificate", json!({ "set": "mesh" })),
            route("listener", "certificate", json!({ "set": "listener" })),
            route("edge", "certificate", json!({ "set": "edge" })),
            route("asked", "certificate", json!({ "set": "asked" })),
            route("behind", "certificate", json!({ "set": "behind" })),
            route("scoped", "certificate", json!({ "set": "listener", "require": { "scopes": ["invoices.read"] } })),
            route("anybody", "certificate", json!({ "set": "mesh", "optional": true })),
            { "name": "open", "match": { "path": { "exact": "/open" } }, "open": true },
        ],
    })
}

/// The listeners, each with what it asks of clients.
const OPTIONAL: &str = "optional";
const REQUIRED: &str = "required";
const UNTRUSTED: &str = "untrusted";
const FRESH: &str = "fresh";
/// It stands behind a proxy, and adds an element to what that one says.
const BEHIND: &str = "behind";

struct Proxy {
    envoy: Envoy,
    upstream: Upstream,
    /// Whether it says that it has verified a certificate.
    reports: bool,
}

/// A client that goes on with the TLS sessions that it has.
struct Client {
    config: Arc<ClientConfig>,
}

impl Proxy {
    fn start(binary: Option<PathBuf>, reports: bool) -> Self {
        let upstream = Upstream::start().unwrap();
        let document = policy().to_string();
        let listener = |name: &str, context: Value, details: &str| {
            let filter = wasm_filter(
                name,
                &module_path(),
                string_value(&document),
                WasmOptions::default(),
            );
            let options = ListenerOptions {
                http_connection_manager: json!({
                    "forward_client_cert_details": details,
                    "set_current_client_cert_details": { "subject": true, "uri": true, "dns": true },
                }),
                ..ListenerOptions::default()
            };
            let mut listener = listener(name, vec![filter], options);
            downstream_tls(&mut listener);
            client_certificates(&mut listener, context);
            listener
        };
        let untrusted = json!({ "common_tls_context": { "validation_context": {
            "trust_chain_verification": "ACCEPT_UNTRUSTED",
        } } });
        let fresh = json!({
            "disable_stateless_session_resumption": true,
            "disable_stateful_session_resumption": true,
        });
        let required = json!({ "require_client_certificate": true });
        let listeners = vec![
            listener(OPTIONAL, json!({}), "SANITIZE_SET"),
            listener(REQUIRED, required, "SANITIZE"),
            listener(UNTRUSTED, untrusted, "SANITIZE_SET"),
            listener(FRESH, fresh, "SANITIZE"),
            listener(BEHIND, json!({}), "APPEND_FORWARD"),
        ];
        let clusters = vec![cluster("upstream", upstream.addr())];
        let options = Options {
            binary,
            ..Options::reused()
        };
        let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
        Self {
            envoy,
            upstream,
            reports,
        }
    }

    /// The status, and what the service received.
    fn ask(
        &self,
        listener: &str,
        client: &Client,
        path: &str,
        fields: &str,
    ) -> io::Result<(u16, String, Option<Received>)> {
        let name = ServerName::try_from(HOST).unwrap();
        let connection = ClientConnection::new(Arc::clone(&client.config), name).unwrap();
        let socket = TcpStream::connect(self.envoy.listener_addr(listener).unwrap())?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let mut stream = StreamOwned::new(connection, socket);
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        // Envoy may close without a word of TLS; what had come is what counts.
        let end = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1);
        match status.and_then(|status| status.parse().ok()) {
            Some(status) => Ok((status, answer, self.upstream.take_all().pop())),
            None => Err(end.err().unwrap_or_else(|| io::Error::other("no answer"))),
        }
    }

    fn status(&self, listener: &str, client: &Client, path: &str) -> (u16, String) {
        let (status, answer, _) = self.ask(listener, client, path, "").unwrap();
        (status, answer)
    }

    fn client_header(&self, listener: &str, client: &Client, path: &str) -> Option<String> {
        let spoofed = "x-client: admin\r\nx-plan: admin\r\n";
        let (_, _, received) = self.ask(listener, client, path, spoofed).unwrap();
        let received = received?;
        let values: Vec<String> = received
            .values("x-client")
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        Some(values.join(" and "))
    }
}

impl Client {
    fn of(certificate: Option<&str>) -> Self {
        let tls = repository().join("tests/keys/tls");
        let mut roots = RootCertStore::empty();
        let server = CertificateDer::from_pem_file(tls.join("certificate.pem")).unwrap();
        roots.add(server).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let file = tls.join("clients").join(format!("{name}.pem"));
                let chain = vec![CertificateDer::from_pem_file(file).unwrap()];
                let key = PrivateKeyDer::from_pem_file(tls.join("clients/key.pem")).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Self {
            config: Arc::new(config),
        }
    }

    fn with(certificate: &str) -> Self {
        Self::of(Some(certificate))
    }
}

#[test]
fn clients_are_who_their_certificates_say() {
    check_all(&Proxy::start(None, true));
}

#[test]
fn clients_are_who_their_certificates_say_to_the_oldest_envoy() {
    let oldest = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    assert!(
        oldest.is_some(),
        "ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it"
    );
    check_all(&Proxy::start(oldest, false));
}

fn check_all(proxy: &Proxy) {
    clients_are_known_by_verified_certificates(proxy);
    without_a_certificate_nobody_is_anybody(proxy);
    what_envoy_does_not_accept_gets_nowhere(proxy);
    resumed_sessions_are_believed_where_the_document_says_so(proxy);
    what_envoy_says_of_a_certificate_ends_here(proxy);
    what_envoy_writes_of_anybody_is_asked_of_the_connection(proxy);
    only_known_proxies_say_who_calls(proxy);
    bound_tokens_are_of_use_to_their_owners_alone(proxy);
}

fn clients_are_known_by_verified_certificates(proxy: &Proxy) {
    for (listener, route) in [
        (OPTIONAL, "/mesh"),
        (REQUIRED, "/mesh"),
        (FRESH, "/mesh"),
        (OPTIONAL, "/listener"),
        (OPTIONAL, "/edge"),
    ] {
        if route == "/mesh" && !proxy.reports {
            let (status, answer) = proxy.status(listener, &Client::with("uri"), route);
            assert_eq!(status, 503, "{answer}");
            assert!(answer.contains("certificate_unverifiable"), "{answer}");
            continue;
        }
        for (certificate, client) in [("uri", "billing"), ("dns", "batch"), ("plain", "plain")] {
            let told = proxy.client_header(listener, &Client::with(certificate), route);
            let about = format!("{certificate} at {listener}{route}");
            assert_eq!(told.as_deref(), Some(client), "{about}");
        }
        let (status, answer) = proxy.status(listener, &Client::with("unknown"), route);
        assert_eq!(status, 403, "{listener}{route}: {answer}");
        assert!(answer.contains("certificate_unknown"), "{answer}");
    }
    let scoped = |certificate| proxy.status(OPTIONAL, &Client::with(certificate), "/scoped");
    assert_eq!(scoped("uri").0, 200);
    let (status, answer) = scoped("dns");
    assert_eq!(status, 403);
    assert!(
        answer.contains("certificate_insufficient_scope"),
        "{answer}"
    );
}

fn without_a_certificate_nobody_is_anybody(proxy: &Proxy) {
    let nobody = Client::of(None);
    for route in ["/mesh", "/listener", "/edge"] {
        let (status, answer) = proxy.status(OPTIONAL, &nobody, route);
        assert_eq!(status, 401, "{answer}");
        assert!(answer.contains("certificate_missing"), "{answer}");
        // No header field asks for a certificate.
        assert!(!answer.to_ascii_lowercase().contains("www-authenticate"));
    }
    // What a client says itself of certificates comes to nothing.
    let said = "x-forwarded-client-cert: URI=spiffe://mesh.example/ns/billing\r\n";
    let (status, _, _) = proxy.ask(OPTIONAL, &nobody, "/edge", said).unwrap();
    assert_eq!(status, 401);
    let unknown = Client::with("unknown");
    let (status, _, _) = proxy.ask(OPTIONAL, &unknown, "/edge", said).unwrap();
    assert_eq!(status, 403);
    for route in ["/anybody", "/open"] {
        let told = proxy.client_header(OPTIONAL, &nobody, route);
        assert_eq!(told.as_deref(), Some(""), "{route}");
    }
    assert!(proxy.ask(REQUIRED, &nobody, "/open", "").is_err());
}

fn what_envoy_does_not_accept_gets_nowhere(proxy: &Proxy) {
    for listener in [OPTIONAL, REQUIRED, FRESH] {
        for certificate in ["expired", "stranger"] {
            let client = Client::with(certificate);
            let answer = proxy.ask(listener, &client, "/open", "");
            assert!(answer.is_err(), "{certificate} at {listener}");
        }
    }
    // Where Envoy lets everybody in, it says that it has not verified them, if it says anything.
    let (denied, code) = match proxy.reports {
        true => (401, "certificate_invalid"),
        false => (503, "certificate_unverifiable"),
    };
    for certificate in ["expired", "stranger"] {
        let (status, answer) = proxy.status(UNTRUSTED, &Client::with(certificate), "/mesh");
        assert_eq!(status, denied, "{certificate}: {answer}");
        assert!(answer.contains(code), "{answer}");
    }
    if proxy.reports {
        let (status, answer) = proxy.status(UNTRUSTED, &Client::with("uri"), "/mesh");
        assert_eq!(status, 200, "{answer}");
    }
}

/// Envoy says of no resumed session that it has verified the certificate.
fn resumed_sessions_are_believed_where_the_document_says_so(proxy: &Proxy) {
    if proxy.reports {
        let client = Client::with("uri");
        let first = proxy.status(OPTIONAL, &client, "/mesh");
        assert_eq!(first.0, 200, "{}", first.1);
        let resumed = proxy.status(OPTIONAL, &client, "/mesh");
        assert_eq!(resumed.0, 401, "{}", resumed.1);
        assert!(resumed.1.contains("certificate_invalid"), "{}", resumed.1);
        let client = Client::with("uri");
        for _ in 0..3 {
            assert_eq!(proxy.status(FRESH, &client, "/mesh").0, 200);
        }
    }
    let client = Client::with("uri");
    for _ in 0..3 {
        assert_eq!(proxy.status(OPTIONAL, &client, "/listener").0, 200);
    }
}

/// `x-forwarded-client-cert` is for this filter, unless it is forwarded.
fn what_envoy_says_of_a_certificate_ends_here(proxy: &Proxy) {
    let client = Client::with("uri");
    let fields = |path: &str| {
        let (_, _, received) = proxy.ask(OPTIONAL, &client, path, "").unwrap();
        let received = received.unwrap();
        received.values("x-forwarded-client-cert").count()
    };
    assert_eq!(fields("/edge"), 0);
    assert_eq!(fields("/open"), 1);
}

/// Envoy writes an element of each certificate that it gets, be it verified or not.
fn what_envoy_writes_of_anybody_is_asked_of_the_connection(proxy: &Proxy) {
    let stranger = || Client::with("stranger");
    let told = proxy.client_header(UNTRUSTED, &stranger(), "/edge");
    assert_eq!(
        told.as_deref(),
        Some("billing"),
        "as the page says of such a listener"
    );
    let (denied, code) = match proxy.reports {
        true => (401, "certificate_invalid"),
        false => (503, "certificate_unverifiable"),
    };
    let (status, answer) = proxy.status(UNTRUSTED, &stranger(), "/asked");
    assert_eq!(status, denied, "{answer}");
    assert!(answer.contains(code), "{answer}");
    if proxy.reports {
        let told = proxy.client_header(OPTIONAL, &Client::with("uri"), "/asked");
        assert_eq!(told.as_deref(), Some("billing"));
    }
}

/// The proxy in front has the certificate `unknown`.
fn only_known_proxies_say_who_calls(proxy: &Proxy) {
    let said = "x-forwarded-client-cert: DNS=batch.example.com\r\n";
    let edge = Client::with("unknown");
    let (status, answer, received) = proxy.ask(BEHIND, &edge, "/behind", said).unwrap();
    assert_eq!(status, 200, "{answer}");
    let received = received.unwrap();
    assert_eq!(received.values("x-client").next(), Some(&b"batch"[..]));
    for certificate in ["uri", "dns", "plain"] {
        let workload = Client::with(certificate);
        let (status, answer, _) = proxy.ask(BEHIND, &workload, "/behind", said).unwrap();
        assert_eq!(status, 401, "{certificate}: {answer}");
        assert!(answer.contains("certificate_invalid"), "{answer}");
    }
    // Alone it has no client, and without a certificate on the connection nothing is forwarded.
    for client in [edge, Client::of(None)] {
        let (status, answer) = proxy.status(BEHIND, &client, "/behind");
        assert_eq!(status, 401, "{answer}");
        assert!(answer.contains("certificate_missing"), "{answer}");
    }
    let nobody = Client::of(None);
    let (status, answer, _) = proxy.ask(BEHIND, &nobody, "/behind", said).unwrap();
    assert_eq!(status, 401, "{answer}");
}

/// RFC 8705 §3: a token that is bound to the certificate `plain`.
fn bound_tokens_are_of_use_to_their_owners_alone(proxy: &Proxy) {
    let pairs = PLAIN.as_bytes().chunks(2);
    let hash: Vec<u8> = pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    #[allow(
        clippy::disallowed_methods,
        reason = "tokens are minted for the clock of a real proxy"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims = |cnf: Value| {
        json!({
            "iss": "https://id.example.com/", "aud": "orders-api",
            "exp": now.as_secs() + 3600, "cnf": cnf,
        })
    };
    let bound = claims(json!({ "x5t#S256": base64url(&hash) }));
    let token = mint(&json!({ "key": "p256", "claims": bound }), now.as_secs());
    let field = format!("authorization: Bearer {token}\r\n");
    // What a client says itself of certificates comes to nothing.
    let said = format!("{field}x-forwarded-client-cert: Hash={PLAIN}\r\n");
    let ask = |listener: &str, client: &Client, path: &str, fields: &str| {
        let (status, answer, _) = proxy.ask(listener, client, path, fields).unwrap();
        (status, answer)
    };
    let nobody = Client::of(None);
    for path in ["/bound", "/bound-edge"] {
        // The first connection and one whose TLS session is resumed; one that no authority need vouch for.
        let owner = Client::with("plain");
        for listener in [OPTIONAL, OPTIONAL, UNTRUSTED] {
            let (status, answer) = ask(listener, &owner, path, &field);
            assert_eq!(status, 200, "{listener}{path}: {answer}");
        }
        for (listener, thief) in [
            (OPTIONAL, &Client::with("uri")),
            (UNTRUSTED, &Client::with("stranger")),
            (OPTIONAL, &nobody),
        ] {
            for fields in [&field, &said] {
                let (status, answer) = ask(listener, thief, path, fields);
                assert_eq!(status, 401, "{listener}{path}: {answer}");
                assert!(answer.contains("binding_invalid"), "{answer}");
                let challenge = "www-authenticate: Bearer realm=\"api\", error=\"invalid_token\"";
                assert!(answer.contains(challenge), "RFC 8705 §3: {answer}");
            }
        }
    }
}
