//! A client over TLS that keeps its connection, for HTTP/1.1.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use portcullis_tests::tokens::repository;
use portcullis_tests::wire::Response;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};

use super::{HOST, TIMEOUT};

/// How it connects. It trusts both certificates of the tests, and resumes no session: each
/// connection shows which of them the server has.
#[derive(Clone)]
pub(super) struct Client(Arc<ClientConfig>);

/// One connection.
pub(super) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// What has been read behind the last response.
    rest: Vec<u8>,
}

/// A certificate of `tests/keys/tls`.
pub(super) fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(repository().join("tests/keys/tls").join(name)).unwrap()
}

impl Client {
    pub(super) fn new() -> Self {
        Self::speaking(&[])
    }

    /// One that offers these protocols by ALPN.
    pub(super) fn speaking(protocols: &[&str]) -> Self {
        let builder = ClientConfig::builder().with_root_certificates(trusted());
        Self::of(builder.with_no_client_auth(), protocols)
    }

    /// One with a certificate of `tests/keys/tls/clients`.
    pub(super) fn with_certificate(name: &str) -> Self {
        let clients = repository().join("tests/keys/tls/clients");
        let chain = vec![certificate(&format!("clients/{name}.pem"))];
        let key = PrivateKeyDer::from_pem_file(clients.join("key.pem")).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(trusted());
        Self::of(builder.with_client_auth_cert(chain, key).unwrap(), &[])
    }

    fn of(mut config: ClientConfig, protocols: &[&str]) -> Self {
        config.resumption = Resumption::disabled();
        let protocols = protocols.iter();
        config.alpn_protocols = protocols.map(|each| each.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    /// Connects, and ends the handshake.
    pub(super) fn connect(&self, addr: SocketAddr) -> io::Result<Connection> {
        let name = ServerName::try_from(HOST).expect("a name");
        let connection = ClientConnection::new(Arc::clone(&self.0), name).expect("a client");
        let socket = TcpStream::connect(addr)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_nodelay(true)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Connection {
            stream,
            rest: Vec::new(),
        })
    }

    /// One request on a connection of its own.
    pub(super) fn get(&self, addr: SocketAddr, path: &str, fields: &str) -> Response {
        let mut connection = self.connect(addr).unwrap();
        connection.send("GET", path, fields).unwrap()
    }
}

fn trusted() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for name in ["certificate.pem", "renewed.pem"] {
        roots.add(certificate(name)).unwrap();
    }
    roots
}

impl Connection {
    /// Sends a request, and waits for the whole response.
    ///
    /// `fields` are whole lines. Anything but a GET has a body.
    pub(super) fn send(&mut self, method: &str, path: &str, fields: &str) -> io::Result<Response> {
        let body = match method {
            "GET" => "",
            _ => "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        };
        let end = if body.is_empty() { "\r\n" } else { "" };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}{body}{end}");
        self.stream.write_all(request.as_bytes())?;
        self.response()
    }

    /// The protocol that was agreed on.
    pub(super) fn protocol(&self) -> Option<&str> {
        let protocol = self.stream.conn.alpn_protocol()?;
        std::str::from_utf8(protocol).ok()
    }

    /// The version of TLS that was agreed on.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.stream.conn.protocol_version()
    }

    /// Which certificate the server showed.
    pub(super) fn certificate(&self) -> &[u8] {
        self.stream.conn.peer_certificates().expect("a certificate")[0].as_ref()
    }

    fn response(&mut self) -> io::Result<Response> {
        let head = loop {
            let end = self.rest.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            match end {
                Some(end) => break self.rest.drain(..end + 4).collect::<Vec<u8>>(),
                None => self.more()?,
            }
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(head.clone()))?;
        let fields = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        let headers: Vec<(String, Vec<u8>)> = fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()))
            .collect();
        let find = |name: &str| headers.iter().find(|(known, _)| known == name);
        let body = match find("content-length") {
            Some((_, length)) => {
                let length = std::str::from_utf8(length)
                    .ok()
                    .and_then(|text| text.parse().ok());
                self.take(length.ok_or_else(|| io::Error::other("a length"))?)?
            }
            None if find("transfer-encoding").is_some() => self.chunks()?,
            None => Vec::new(),
        };
        Ok(Response {
            status,
            headers,
            body,
            ..Response::default()
        })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match self.rest.windows(2).position(|bytes| bytes == b"\r\n") {
                    Some(end) => break self.take(end + 2)?,
                    None => self.more()?,
                }
            };
            let text = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(text.trim(), 16).map_err(io::Error::other)?;
            let piece = self.take(length + 2)?;
            body.extend_from_slice(&piece[..length]);
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < count {
            self.more()?;
        }
        Ok(self.rest.drain(..count).collect())
    }

    fn more(&mut self) -> io::Result<()> {
        let mut block = [0; 16 * 1024];
        match self.stream.read(&mut block)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.rest.extend_from_slice(&block[..count]);
                Ok(())
            }
        }
    }
}

/// The value of a header; of several, all of them.
pub(super) fn field(response: &Response, name: &str) -> Option<String> {
    let found = response.headers.iter().filter(|(known, _)| known == name);
    let values: Vec<String> = found
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect();
    (!values.is_empty()).then(|| values.join(" and "))
}
