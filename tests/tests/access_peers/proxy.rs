//! One Envoy with two listeners for each kind of connection: Envoy's filters, and ours.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, client_certificates, cluster,
    downstream_tls, json_filter, listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{SigningKey, mint, repository};
use portcullis_tests::upstream::Upstream;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::{Ask, Example};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The connection of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    Cleartext,
    /// TLS, with this certificate; each session is new.
    Tls(Option<&'static str>),
    /// To a listener that takes certificates of any authority.
    Untrusted(&'static str),
    /// In a TLS session that goes on from another connection.
    Resumed(&'static str),
}

const CONNECTIONS: [&str; 4] = ["cleartext", "tls", "untrusted", "resumed"];

pub(super) struct Proxy {
    envoy: Envoy,
    _upstream: Upstream,
}

impl Proxy {
    pub(super) fn start(binary: Option<PathBuf>, examples: &[Example]) -> Self {
        let upstream = Upstream::start_forgetful().unwrap();
        let document = document(examples).to_string();
        let mut listeners = Vec::new();
        for connection in CONNECTIONS {
            let name = format!("native-{connection}");
            let filters = vec![jwt_authn(), rbac_by_route()];
            listeners.push(one_listener(&name, connection, filters, examples));
            let name = format!("ours-{connection}");
            let filter = wasm_filter(
                "rules",
                &module_path(),
                string_value(&document),
                WasmOptions::default(),
            );
            listeners.push(one_listener(&name, connection, vec![filter], examples));
        }
        let clusters = vec![cluster("upstream", upstream.addr())];
        let options = Options {
            binary,
            concurrency: 1,
            ..Options::reused()
        };
        let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
        Self {
            envoy,
            _upstream: upstream,
        }
    }

    /// Whether Envoy's filter and ours let it pass.
    pub(super) fn verdicts(&self, example: &Example, ask: &Ask) -> [bool; 2] {
        ["native", "ours"].map(|side| {
            let status = self.status(side, example, ask);
            assert!(
                [200, 400, 403].contains(&status) && (side == "ours" || status != 400),
                "{} {side}: {status} for {}",
                example.name,
                ask.path
            );
            status == 200
        })
    }

    fn status(&self, side: &str, example: &Example, ask: &Ask) -> u16 {
        let (connection, certificate) = match ask.over {
            Over::Cleartext => ("cleartext", None),
            Over::Tls(certificate) => ("tls", certificate),
            Over::Untrusted(certificate) => ("untrusted", Some(certificate)),
            Over::Resumed(certificate) => ("resumed", Some(certificate)),
        };
        let addr = self
            .envoy
            .listener_addr(&format!("{side}-{connection}"))
            .unwrap();
        let open = || {
            let socket = TcpStream::connect(addr).unwrap();
            socket.set_read_timeout(Some(TIMEOUT)).unwrap();
            socket
        };
        let head = head(example, ask);
        if let Over::Cleartext = ask.over {
            return answer(open(), &head);
        }
        let config = client(certificate);
        let name = ServerName::try_from("api.example.com").unwrap();
        let send = || {
            let connection = ClientConnection::new(Arc::clone(&config), name.clone()).unwrap();
            answer(StreamOwned::new(connection, open()), &head)
        };
        if let Over::Resumed(_) = ask.over {
            assert_eq!(send(), 200, "a first session is believed");
        }
        send()
    }
}

fn head(example: &Example, ask: &Ask) -> String {
    let (method, path, before, after) = (ask.method, ask.path, ask.host, ask.after_host);
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {before}{}.example{after}\r\n",
        example.name
    );
    for (name, value) in &ask.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    head
}

/// The status of the answer.
fn answer(mut stream: impl Read + Write, head: &str) -> u16 {
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    // Not to the end: Envoy keeps the connection for a second, for the client to close it.
    while !answer.contains(&b'\n') {
        match stream.read(&mut piece) {
            Ok(length) if length > 0 => answer.extend_from_slice(&piece[..length]),
            _ => break,
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1);
    status
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer to {head}: {answer}"))
}

fn client(certificate: Option<&str>) -> Arc<ClientConfig> {
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
    Arc::new(config)
}

const ISSUER: &str = "https://id.example.com/";

pub(super) fn token(mut claims: Value) -> String {
    claims["iss"] = ISSUER.into();
    claims["aud"] = "orders-api".into();
    claims["exp"] = 4_102_444_800_u64.into();
    mint(&json!({ "key": "p256", "claims": claims }), 0)
}

fn keys() -> Value {
    json!({ "keys": [SigningKey::named("p256").jwk()] })
}

fn document(examples: &[Example]) -> Value {
    let routes = examples.iter().map(|example| {
        json!({
            "name": example.name,
            "match": { "hosts": hosts(example) },
            "jwt": { "provider": "corp", "optional": true },
            "access": example.ours,
        })
    });
    json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": ISSUER, "audiences": ["orders-api"], "jwks": { "inline": keys() },
        } },
        "routes": routes.collect::<Vec<_>>(),
    })
}

fn hosts(example: &Example) -> [String; 2] {
    let name = example.name;
    [format!("{name}.example"), format!("*.{name}.example")]
}

/// Tokens are checked where there are any, as Istio's `RequestAuthentication` does.
fn jwt_authn() -> Value {
    let either = json!({ "requires_any": { "requirements": [
        { "provider_name": "corp" }, { "allow_missing": {} },
    ] } });
    json_filter(
        "envoy.filters.http.jwt_authn",
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "corp": {
                "issuer": ISSUER,
                "audiences": ["orders-api"],
                "payload_in_metadata": "payload",
                "local_jwks": { "inline_string": keys().to_string() },
            } },
            "rules": [{ "match": { "prefix": "/" }, "requires": either }],
        }),
    )
}

fn rbac_by_route() -> Value {
    json_filter(
        "envoy.filters.http.rbac",
        json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC" }),
    )
}

fn one_listener(name: &str, connection: &str, filters: Vec<Value>, examples: &[Example]) -> Value {
    let is_native = name.starts_with("native");
    let of_example = |example: &Example| {
        let mut host = json!({
            "name": example.name,
            "domains": hosts(example),
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "upstream" } }],
        });
        if is_native {
            host["typed_per_filter_config"]["envoy.filters.http.rbac"] = json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
                "rbac": example.native,
            });
        }
        host
    };
    let options = ListenerOptions {
        // The client stands for a proxy in front, which says who has connected there.
        use_remote_address: false,
        http_connection_manager: json!({ "route_config": {
            "virtual_hosts": examples.iter().map(of_example).collect::<Vec<_>>(),
            "ignore_port_in_host_matching": true,
        } }),
        ..ListenerOptions::default()
    };
    let mut listener = listener(name, filters, options);
    if connection != "cleartext" {
        downstream_tls(&mut listener);
        let context = match connection {
            "tls" => json!({
                "disable_stateless_session_resumption": true,
                "disable_stateful_session_resumption": true,
            }),
            "untrusted" => json!({ "common_tls_context": { "validation_context": {
                "trust_chain_verification": "ACCEPT_UNTRUSTED",
            } } }),
            _ => json!({}),
        };
        client_certificates(&mut listener, context);
    }
    listener
}
