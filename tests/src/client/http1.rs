//! HTTP/1.1, written by hand.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::message::{Framing, ReadError, Source};
use super::message::{lower_case, malformed, put_chunk, put_field, values};
use super::{ClientError, PAUSE, connect};
use crate::wire::{Request, Response};

/// Beyond this an answer may come while the request is still being written.
const WRITTEN_AT_ONCE: usize = 16 * 1024;
/// How long a write may take to end once the answer is here.
const WRITER_GRACE: Duration = Duration::from_millis(100);

/// A connection that is kept for one request after the other.
///
/// When the peer has announced the end (`connection: close`), or has closed
/// while nothing was under way, the next request opens a new connection.
/// A close in the middle of an exchange is an error.
#[derive(Debug)]
pub struct Connection {
    addr: SocketAddr,
    source: Option<Source>,
    opened: u64,
}

impl Connection {
    /// A connection to `addr`, which the first request opens.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            source: None,
            opened: 0,
        }
    }

    /// Sends a request, as HTTP/1.1 whatever its version says, and waits for the answer.
    pub fn send(&mut self, request: &Request, timeout: Duration) -> Result<Response, ClientError> {
        let deadline = Instant::now() + timeout;
        let mut source = match self.source.take() {
            Some(source) if is_open(source.stream()) => source,
            _ => {
                self.opened += 1;
                Source::new(connect(self.addr, deadline)?)
            }
        };
        let (response, reusable) = exchange_on(&mut source, request, deadline, PAUSE)?;
        if reusable {
            self.source = Some(source);
        }
        Ok(response)
    }

    /// How many connections the requests so far have taken.
    pub fn opened(&self) -> u64 {
        self.opened
    }
}

pub(super) fn exchange(
    stream: TcpStream,
    request: &Request,
    deadline: Instant,
    pause: Duration,
) -> Result<Response, ClientError> {
    let mut source = Source::new(stream);
    exchange_on(&mut source, request, deadline, pause).map(|(response, _)| response)
}

/// One exchange, and whether the connection can carry another.
fn exchange_on(
    source: &mut Source,
    request: &Request,
    deadline: Instant,
    pause: Duration,
) -> Result<(Response, bool), ClientError> {
    source.set_deadline(deadline);
    let broken = |source| ClientError::Io {
        source,
        partial: None,
    };
    let writes = encode(request);
    if let [write] = writes.as_slice()
        && write.len() <= WRITTEN_AT_ONCE
    {
        // Whoever closed may have answered first.
        let written = source.stream().write_all(write);
        return match (receive(source, &request.method), written) {
            (Err(ClientError::Closed { partial: None }), Err(error)) => Err(broken(error)),
            (received, _) => received,
        };
    }

    let mut writer = source.stream().try_clone().map_err(broken)?;
    let (answered, is_answered) = mpsc::channel::<()>();
    let (written, is_written) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let whole = writes.iter().enumerate().all(|(n, write)| {
                let goes_on = n == 0
                    || is_answered.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout);
                goes_on && writer.write_all(write).is_ok()
            });
            // Nobody listens if the answer came first.
            let _ = written.send(whole);
        });
        let received = receive(source, &request.method);
        drop(answered);
        let whole = is_written.recv_timeout(WRITER_GRACE).unwrap_or_else(|_| {
            // Nobody waits for the rest: end a write that blocks.
            let _ = source.stream().shutdown(Shutdown::Both);
            false
        });
        received.map(|(response, reusable)| (response, reusable && whole))
    })
}

/// The request as it is written: the head, together with the body if that is
/// one piece, then every further piece by itself.
fn encode(request: &Request) -> Vec<Vec<u8>> {
    let own = |name| values(&request.headers, name).next().is_some();
    let (own_length, own_coding) = (own("content-length"), own("transfer-encoding"));
    let pieces = request.body.as_deref().unwrap_or(&[]);
    let in_pieces = pieces.len() > 1 || !request.trailers.is_empty();
    // Several pieces of a declared length go out raw: a slow upload.
    let chunked = in_pieces && !(own_length && !own_coding && request.trailers.is_empty());

    let mut head = Vec::new();
    for part in [&request.method[..], b" ", &request.path, b" HTTP/1.1\r\n"] {
        head.extend_from_slice(part);
    }
    if !request.authority.is_empty() {
        put_field(&mut head, b"Host", &request.authority);
    }
    for (name, value) in &request.headers {
        put_field(&mut head, name, value);
    }
    if chunked && !own_coding {
        put_field(&mut head, b"Transfer-Encoding", b"chunked");
    }
    if !chunked && request.body.is_some() && !own_length && !own_coding {
        let length: usize = pieces.iter().map(Vec::len).sum();
        put_field(&mut head, b"Content-Length", length.to_string().as_bytes());
    }
    head.extend_from_slice(b"\r\n");

    if !in_pieces {
        head.extend(pieces.concat());
        return vec![head];
    }
    let mut writes = vec![head];
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let mut write = Vec::new();
        match chunked {
            true => put_chunk(&mut write, piece),
            false => write.extend_from_slice(piece),
        }
        writes.push(write);
    }
    if chunked {
        let mut end = b"0\r\n".to_vec();
        for (name, value) in &request.trailers {
            put_field(&mut end, name, value);
        }
        end.extend_from_slice(b"\r\n");
        writes.push(end);
    }
    writes
}

fn receive(source: &mut Source, method: &[u8]) -> Result<(Response, bool), ClientError> {
    let (status, head) = loop {
        let head = source.head().and_then(|head| head.ok_or(ReadError::Closed));
        let head = head.map_err(|error| ClientError::read(error, None))?;
        let status = status(&head.start).map_err(|error| ClientError::read(error, None))?;
        if !(100..200).contains(&status) || status == 101 {
            break (status, head);
        }
    };
    let bodiless = method == b"HEAD" || matches!(status, 101 | 204 | 304);
    let framing = match bodiless {
        true => Ok(Framing::Length(0)),
        false => head
            .framing()
            .map(|framing| framing.unwrap_or(Framing::UntilClose)),
    };
    let closes = head.lists("connection", "close") || head.start.starts_with(b"HTTP/1.0");
    let mut response = Response {
        status,
        headers: lower_case(head.fields),
        ..Response::default()
    };
    let mut trailers = Vec::new();
    let read = framing.and_then(|framing| {
        source.body(framing, &mut response.body, &mut trailers)?;
        Ok(framing)
    });
    response.trailers = lower_case(trailers);
    match read {
        Ok(framing) => Ok((response, !closes && framing != Framing::UntilClose)),
        Err(error) => Err(ClientError::read(error, Some(response))),
    }
}

fn status(line: &[u8]) -> Result<u16, ReadError> {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    match (words.next(), words.next()) {
        (Some(version), Some(code)) if version.starts_with(b"HTTP/1.") => {
            std::str::from_utf8(code).ok().and_then(|s| s.parse().ok())
        }
        _ => None,
    }
    .ok_or_else(|| malformed("not a status line", line))
}

/// Whether an idle connection is still open and silent.
fn is_open(stream: &TcpStream) -> bool {
    let silent = stream.set_nonblocking(true).is_ok()
        && matches!(stream.peek(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock);
    silent && stream.set_nonblocking(false).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(request: &Request) -> Vec<String> {
        let text = |write: Vec<u8>| write.escape_ascii().to_string();
        encode(request).into_iter().map(text).collect()
    }

    fn post(headers: &[(&str, &str)], pieces: &[&str], trailers: &[(&str, &str)]) -> Request {
        let fields = |fields: &[(&str, &str)]| {
            let field = |&(name, value): &(&str, &str)| (name.into(), value.into());
            fields.iter().map(field).collect()
        };
        Request {
            method: b"POST".to_vec(),
            path: b"/".to_vec(),
            headers: fields(headers),
            body: Some(pieces.iter().map(|&piece| piece.into()).collect()),
            trailers: fields(trailers),
            ..Request::default()
        }
    }

    #[test]
    fn one_piece_has_a_length() {
        let request = post(&[], &["abc"], &[]);
        let expected = [r"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"];
        assert_eq!(written(&request), expected);
    }

    #[test]
    fn several_pieces_are_chunks() {
        let request = post(&[], &["ab", "", "c"], &[("x", "y")]);
        let expected = [
            r"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            r"2\r\nab\r\n",
            r"1\r\nc\r\n",
            r"0\r\nx: y\r\n\r\n",
        ];
        assert_eq!(written(&request), expected);
    }

    #[test]
    fn own_framing_stays_alone() {
        for own in [("content-length", "9"), ("Transfer-Encoding", "gzip")] {
            let request = post(&[own], &["abc"], &[]);
            let (name, value) = own;
            let expected = format!(r"POST / HTTP/1.1\r\n{name}: {value}\r\n\r\nabc");
            assert_eq!(written(&request), [expected]);
        }
        let request = post(&[("content-length", "3")], &["ab", "c"], &[]);
        let head = r"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(written(&request), [head, "ab", "c"]);
    }
}
