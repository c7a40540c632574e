//! HTTP/1.1 messages as they are read, by the client and by the upstream.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Instant;

use super::remaining;

/// A header or trailer field as it came.
pub(crate) type Field = (Vec<u8>, Vec<u8>);

/// A start line and the fields after it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) start: Vec<u8>,
    pub(crate) fields: Vec<Field>,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Why a message could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    Closed,
    TimedOut,
    Io(io::Error),
    Malformed { what: &'static str, bytes: Vec<u8> },
}

/// What is read from one connection, message after message.
#[derive(Debug)]
pub(crate) struct Source {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    deadline: Option<Instant>,
}

impl Head {
    /// The values of the field of this name, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.fields, name)
    }

    /// Whether a comma-separated field lists `token`.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The framing its fields declare, if any. Chunked wins over a length.
    pub(crate) fn framing(&self) -> Result<Option<Framing>, ReadError> {
        if self.lists("transfer-encoding", "chunked") {
            return Ok(Some(Framing::Chunked));
        }
        let Some(value) = self.values("content-length").next() else {
            return Ok(None);
        };
        let length = std::str::from_utf8(value).ok().and_then(|s| s.parse().ok());
        match length {
            Some(length) => Ok(Some(Framing::Length(length))),
            None => Err(malformed("content-length is not a number", value)),
        }
    }
}

impl Source {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            deadline: None,
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads fail with [`ReadError::TimedOut`] from this moment on.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// The next head, or `None` if the peer closed before its first byte.
    pub(crate) fn head(&mut self) -> Result<Option<Head>, ReadError> {
        let start = loop {
            match self.line() {
                Ok(line) if line.is_empty() => {}
                Ok(line) => break line,
                Err(ReadError::Closed) if self.unread().is_empty() => return Ok(None),
                Err(error) => return Err(error),
            }
        };
        let fields = self.fields()?;
        Ok(Some(Head { start, fields }))
    }

    /// Reads a body into `body` and the trailers into `trailers`. On an error
    /// they hold what had arrived.
    pub(crate) fn body(
        &mut self,
        framing: Framing,
        body: &mut Vec<u8>,
        trailers: &mut Vec<Field>,
    ) -> Result<(), ReadError> {
        match framing {
            Framing::Length(length) => self.bytes(length, body),
            Framing::UntilClose => loop {
                match self.piece(u64::MAX, body) {
                    Ok(_) => {}
                    Err(ReadError::Closed) => return Ok(()),
                    Err(error) => return Err(error),
                }
            },
            Framing::Chunked => self.chunks(body, trailers),
        }
    }

    /// Exactly `count` bytes, appended to `out`.
    pub(crate) fn bytes(&mut self, mut count: u64, out: &mut Vec<u8>) -> Result<(), ReadError> {
        while count > 0 {
            count -= self.piece(count, out)?;
        }
        Ok(())
    }

    /// Whether a byte is there to be read, or the end, without waiting beyond the deadline.
    pub(crate) fn wait(&mut self) -> Result<(), ReadError> {
        if self.unread().is_empty() {
            self.fill()?;
        }
        Ok(())
    }

    fn chunks(&mut self, body: &mut Vec<u8>, trailers: &mut Vec<Field>) -> Result<(), ReadError> {
        loop {
            let line = self.line()?;
            let size = line.split(|&byte| byte == b';').next().unwrap_or(&[]);
            let size = std::str::from_utf8(size.trim_ascii())
                .ok()
                .and_then(|size| u64::from_str_radix(size, 16).ok())
                .ok_or_else(|| malformed("not a chunk size", &line))?;
            if size == 0 {
                *trailers = self.fields()?;
                return Ok(());
            }
            self.bytes(size, body)?;
            let end = self.line()?;
            if !end.is_empty() {
                return Err(malformed("the chunk is longer than its size", &end));
            }
        }
    }

    fn fields(&mut self) -> Result<Vec<Field>, ReadError> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                return Err(malformed("a field without a colon", &line));
            };
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            fields.push((name.to_vec(), value.trim_ascii().to_vec()));
        }
    }

    fn line(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut searched = 0;
        loop {
            let unread = self.unread();
            if let Some(at) = unread[searched..].iter().position(|&byte| byte == b'\n') {
                let end = searched + at;
                let line = &unread[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.start += end + 1;
                return Ok(line);
            }
            searched = unread.len();
            self.fill()?;
        }
    }

    fn piece(&mut self, most: u64, out: &mut Vec<u8>) -> Result<u64, ReadError> {
        self.wait()?;
        let unread = self.unread();
        let count = unread
            .len()
            .min(usize::try_from(most).unwrap_or(usize::MAX));
        out.extend_from_slice(&unread[..count]);
        self.start += count;
        Ok(count as u64)
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut block = [0; 16 * 1024];
        loop {
            if let Some(deadline) = self.deadline {
                if Instant::now() >= deadline {
                    return Err(ReadError::TimedOut);
                }
                self.stream
                    .set_read_timeout(Some(remaining(deadline)))
                    .map_err(ReadError::Io)?;
            }
            match self.stream.read(&mut block) {
                Ok(0) => return Err(ReadError::Closed),
                Ok(count) => {
                    self.buffer.extend_from_slice(&block[..count]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        return Err(ReadError::TimedOut);
                    }
                    _ => return Err(ReadError::Io(error)),
                },
            }
        }
    }
}

/// The values of the fields of this name, in order.
pub(crate) fn values<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value.as_slice())
}

/// Names in lower case, as [`crate::wire::Response`] wants them.
pub(crate) fn lower_case(fields: Vec<Field>) -> Vec<(String, Vec<u8>)> {
    fields
        .into_iter()
        .map(|(name, value)| {
            let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
            (name, value)
        })
        .collect()
}

/// `name: value` and the end of the line.
pub(crate) fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// One chunk; nothing for an empty piece, which would end the body.
pub(crate) fn put_chunk(out: &mut Vec<u8>, piece: &[u8]) {
    if !piece.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
}

pub(crate) fn malformed(what: &'static str, bytes: &[u8]) -> ReadError {
    ReadError::Malformed {
        what,
        bytes: bytes.to_vec(),
    }
}
