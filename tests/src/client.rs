//! A client that sends what it is told to, well-formed or not, over HTTP/1.1 and HTTP/2.
//!
//! Everything blocks, and every call has a deadline. Nothing is repaired: a
//! name in capitals goes out in capitals over HTTP/2 too, and a second
//! `Host`, or a `content-length` that lies, stays as written.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]

mod error;
pub(crate) mod frame;
mod held;
mod http1;
mod http2;
pub(crate) mod message;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::wire::{Request, Response, Version};

pub use error::ClientError;
pub use held::{HeldHead, HeldStreams};
pub use http1::Connection;

/// The pause [`send`] makes before each piece of a body that comes in several.
///
/// Long enough for Envoy to read the pieces one by one, so that a filter's
/// body callback sees each of them.
pub const PAUSE: Duration = Duration::from_millis(2);

/// Sends one request on a connection of its own and waits for the whole answer.
///
/// `timeout` bounds the call from connect to the last byte of the answer.
/// Interim answers (1xx) are skipped.
pub fn send(
    addr: SocketAddr,
    request: &Request,
    timeout: Duration,
) -> Result<Response, ClientError> {
    send_paced(addr, request, timeout, PAUSE)
}

/// [`send`], with a pause of the caller's choice before each piece of a body
/// that comes in several, and before its trailers.
///
/// An answer that is complete before the body is sent ends the call: the rest
/// of the body is not sent.
pub fn send_paced(
    addr: SocketAddr,
    request: &Request,
    timeout: Duration,
    pause: Duration,
) -> Result<Response, ClientError> {
    let deadline = Instant::now() + timeout;
    let stream = connect(addr, deadline)?;
    match request.version {
        Version::Http1 => http1::exchange(stream, request, deadline, pause),
        Version::Http2 => http2::exchange(stream, request, deadline, pause),
    }
}

/// Sends `bytes` as they are and returns what comes back until the peer closes.
///
/// A peer that keeps the connection open is waited for until `timeout`; then
/// what has arrived is returned, and it is an error only if that is nothing.
/// Ask for `connection: close` to avoid the wait. The sending side stays open,
/// because Envoy takes its end for the end of the request.
pub fn send_raw(addr: SocketAddr, bytes: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&addr, timeout)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(timeout))?;
    // An early refusal may end the connection while the rest is on its way.
    let sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut block = [0; 16 * 1024];
    let end = loop {
        if let Err(error) = stream.set_read_timeout(Some(remaining(deadline))) {
            break Err(error);
        }
        match stream.read(&mut block) {
            Ok(0) => break Ok(()),
            Ok(count) => answer.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    match sent.and(end) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
    .map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })
}

fn connect(addr: SocketAddr, deadline: Instant) -> Result<TcpStream, ClientError> {
    let stream =
        TcpStream::connect_timeout(&addr, remaining(deadline)).map_err(ClientError::Connect)?;
    stream.set_nodelay(true).map_err(ClientError::Connect)?;
    stream
        .set_write_timeout(Some(remaining(deadline)))
        .map_err(ClientError::Connect)?;
    Ok(stream)
}

/// The time left, never zero: a timeout of zero means "for ever" to a socket.
pub(crate) fn remaining(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
}
