//! RFC 8705: tokens that the server binds to a client certificate, over mutual TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_tests::tokens::repository;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::proxy::{HOST, Proxy, TLS, told};

const TIMEOUT: Duration = Duration::from_secs(60);

fn tls_file(name: &str) -> PathBuf {
    repository().join("tests/keys/tls").join(name)
}

fn certificate(name: &str) -> PathBuf {
    tls_file(&format!("clients/{name}.pem"))
}

/// What comes of a token on a connection with a certificate.
fn send(proxy: &Proxy, name: Option<&str>, token: &str) -> String {
    let mut roots = RootCertStore::empty();
    let server = CertificateDer::from_pem_file(tls_file("certificate.pem")).unwrap();
    roots.add(server).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = vec![CertificateDer::from_pem_file(certificate(name)).unwrap()];
            let key = PrivateKeyDer::from_pem_file(tls_file("clients/key.pem")).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let host = ServerName::try_from(HOST).unwrap();
    let connection = ClientConnection::new(Arc::new(config), host).unwrap();
    let socket = TcpStream::connect(proxy.envoy.listener_addr(TLS).unwrap()).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let head = format!(
        "GET /mtls HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Envoy may close without a word of TLS; what had come is what counts.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok());
    let from = answer.find('{').unwrap_or(answer.len());
    let to = answer.rfind('}').map_or(from, |at| at + 1);
    told(status.unwrap_or_default(), &answer.as_bytes()[from..to])
}

/// RFC 8705 §3.2: the server says `x5t#S256` of an opaque token.
pub(crate) fn bound_to_one(proxy: &Proxy) {
    let token = proxy.server.token_for_certificate(&certificate("plain"));
    for _ in 0..4 {
        assert_eq!(send(proxy, Some("plain"), &token), "200 mesh");
        assert_eq!(send(proxy, Some("uri"), &token), "401 binding_invalid");
        assert_eq!(send(proxy, None, &token), "401 binding_invalid");
    }
    assert_eq!(proxy.send("/mtls", &token), "401 binding_invalid");
    // Nor is it a bearer token where the document asks for nothing.
    assert_eq!(proxy.send("/each", &token), "401 binding_invalid");
    let bearer = proxy.server.token("shop-4", "urn:orders", &[]);
    assert_eq!(send(proxy, Some("plain"), &bearer), "401 binding_invalid");
}
