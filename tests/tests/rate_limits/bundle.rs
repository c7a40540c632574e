//! Many requests on their way at once, each on a connection of its own that is kept.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// HTTP/1.1 connections. Envoy ends one with several requests on their way when it answers by
/// itself, so each has one.
pub(crate) struct Bundle {
    addr: SocketAddr,
    streams: Vec<TcpStream>,
}

/// How many connections there are.
pub(crate) const SIZE: usize = 32;

impl Bundle {
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Self> {
        let streams = (0..SIZE).map(|_| connect(addr)).collect::<Result<_, _>>()?;
        Ok(Self { addr, streams })
    }

    /// One request for each of these values of the field `x-key`, at most [`SIZE`]; the statuses
    /// in order. The status of a connection that was closed is 0.
    pub(crate) fn ask(&mut self, keys: &[String]) -> io::Result<Vec<u16>> {
        let mut sent = Vec::with_capacity(keys.len());
        for (stream, key) in self.streams.iter_mut().zip(keys) {
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-key: {key}\r\n\r\n");
            sent.push(stream.write_all(request.as_bytes()).is_ok());
        }
        let mut statuses = Vec::with_capacity(keys.len());
        for (stream, sent) in self.streams.iter_mut().zip(sent) {
            let answer = if sent { answer(stream)? } else { None };
            if answer.is_none() {
                *stream = connect(self.addr)?;
            }
            statuses.push(answer.unwrap_or(0));
        }
        Ok(statuses)
    }
}

fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// The status of one answer, read to its end; none if the connection ended before.
fn answer(stream: &mut TcpStream) -> io::Result<Option<u16>> {
    let (mut read, mut block) = (Vec::new(), [0; 4096]);
    loop {
        if let Some((status, length)) = complete(&read) {
            assert_eq!(read.len(), length, "more than one answer");
            return Ok(Some(status));
        }
        match stream.read(&mut block) {
            Ok(0) => return Ok(None),
            Ok(count) => read.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// The status and the length of an answer that is there as a whole.
fn complete(read: &[u8]) -> Option<(u16, usize)> {
    let end = read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&read[..end]).expect("a head is text");
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = head.split("\r\n").find_map(|line| {
        let length = line.strip_prefix("content-length: ")?;
        length.parse::<usize>().ok()
    });
    let whole = end + length.unwrap_or(0);
    (read.len() >= whole).then_some((status, whole))
}
