//! The first message of TLS, written by hand: it offers what no library does any more.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::{HOST, TIMEOUT};

pub(super) const SSL_3: u16 = 0x0300;
pub(super) const TLS_1_0: u16 = 0x0301;
pub(super) const TLS_1_1: u16 = 0x0302;
pub(super) const TLS_1_2: u16 = 0x0303;

pub(super) const X25519: u16 = 0x001d;
pub(super) const P_256: u16 = 0x0017;
pub(super) const P_384: u16 = 0x0018;
pub(super) const P_521: u16 = 0x0019;
pub(super) const X25519_ML_KEM_768: u16 = 0x11ec;

/// The alerts of a server that does not agree.
pub(super) const HANDSHAKE_FAILURE: u8 = 40;
pub(super) const PROTOCOL_VERSION: u8 = 70;

/// What a server says to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It goes on, with this version and this cipher suite.
    Hello { version: u16, cipher: u16 },
    /// It does not, for this reason.
    Alert(u8),
    /// It closes without a word.
    Closed,
}

/// Offers one version at most, and these cipher suites.
pub(super) fn offer(addr: SocketAddr, version: u16, ciphers: &[u16]) -> Reply {
    ask(addr, &hello(version, ciphers, &[X25519, P_256], false))
}

/// Offers TLS 1.3 with one group, and no share for it: the server asks for one, or does not agree.
pub(super) fn offer_group(addr: SocketAddr, group: u16) -> Reply {
    ask(
        addr,
        &hello(TLS_1_2, &[0x1301, 0x1302, 0x1303], &[group], true),
    )
}

fn hello(version: u16, ciphers: &[u16], groups: &[u16], tls13: bool) -> Vec<u8> {
    let pairs = |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    let ciphers: Vec<u8> = pairs(ciphers);
    let groups: Vec<u8> = pairs(groups);
    let signatures: Vec<u8> = pairs(&[
        0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0203, 0x0201,
    ]);
    let name = [&[0][..], &long(HOST.as_bytes())].concat();
    let mut extensions = [
        extension(0, &long(&name)),
        extension(10, &long(&groups)),
        extension(11, &[1, 0]),
        extension(13, &long(&signatures)),
    ]
    .concat();
    if tls13 {
        extensions.extend(extension(43, &[2, 3, 4]));
        extensions.extend(extension(51, &long(&[])));
    }
    let body = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &[0],
        &long(&ciphers),
        &[1, 0],
        &long(&extensions),
    ]
    .concat();
    let handshake = [&[1, 0][..], &long(&body)].concat();
    // Servers do not look at the version of this layer.
    [&[22, 3, 1][..], &long(&handshake)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(content)].concat()
}

/// With its length, in two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short message");
    [&length.to_be_bytes()[..], bytes].concat()
}

fn ask(addr: SocketAddr, hello: &[u8]) -> Reply {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.write_all(hello).unwrap();
    match read_reply(&mut socket) {
        Ok(reply) => reply,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("no reply: {error}"),
        Err(_) => Reply::Closed,
    }
}

fn read_reply(socket: &mut TcpStream) -> io::Result<Reply> {
    let mut head = [0; 5];
    socket.read_exact(&mut head)?;
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    let mut content = vec![0; length];
    socket.read_exact(&mut content)?;
    match head[0] {
        21 => Ok(Reply::Alert(content[1])),
        // The kind and the length of the message, its version, 32 bytes, and a name of the session.
        22 if content[0] == 2 => {
            let at = 39 + usize::from(content[38]);
            Ok(Reply::Hello {
                version: u16::from_be_bytes([content[4], content[5]]),
                cipher: u16::from_be_bytes([content[at], content[at + 1]]),
            })
        }
        other => panic!("a record of kind {other}: {content:?}"),
    }
}
