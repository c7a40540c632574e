//! HTTP/2 streams that stay open: what a client that never reads makes of a connection.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use loona_hpack::Decoder;

use super::frame::{self, Frame, put_block, put_frame, put_literal};
use super::message::{Field, ReadError, Source};
use super::{ClientError, connect};

const SETTINGS_HEADER_TABLE_SIZE: u16 = 0x1;
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 0x4;
/// What an acknowledgement is recognised by.
const MARK: &[u8; 8] = b"so far!!";

/// What each stream of [`HeldStreams`] sends.
#[derive(Clone, Debug, Default)]
pub struct HeldHead {
    /// The method token.
    pub method: Vec<u8>,
    /// The request target.
    pub path: Vec<u8>,
    /// Fields that are written on each stream.
    pub headers: Vec<Field>,
    /// A field that each stream has so many times. From its second use on it costs one byte, so
    /// name and value together have to fit the table of 4096 bytes.
    pub repeated: Option<(Field, usize)>,
    /// What of a body comes, without its end; `None`: the head ends the request.
    pub body: Option<Vec<u8>>,
}

/// A connection that gives no window: the head of an answer comes, its body never does, and the
/// stream stays. Dropping it ends the connection.
#[derive(Debug)]
pub struct HeldStreams {
    source: Source,
    head: HeldHead,
    next: u32,
}

impl HeldStreams {
    /// Connects.
    pub fn open(addr: SocketAddr, head: HeldHead, timeout: Duration) -> Result<Self, ClientError> {
        let stream: TcpStream = connect(addr, Instant::now() + timeout)?;
        let mut settings = Vec::new();
        for (name, value) in [
            (SETTINGS_HEADER_TABLE_SIZE, 0_u32),
            (SETTINGS_INITIAL_WINDOW_SIZE, 0),
        ] {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        let mut out = frame::PREFACE.to_vec();
        put_frame(&mut out, frame::SETTINGS, 0, 0, &settings);
        let mut source = Source::new(stream);
        source.set_deadline(Instant::now() + timeout);
        source.stream().write_all(&out).map_err(broken)?;
        Ok(Self {
            source,
            head,
            next: 1,
        })
    }

    /// Opens so many streams more, and waits until the peer has taken them. The statuses that
    /// have come meanwhile, one for each stream that is answered.
    pub fn hold(&mut self, streams: u32, timeout: Duration) -> Result<Vec<u16>, ClientError> {
        let mut out = Vec::new();
        for _ in 0..streams {
            self.put_stream(&mut out);
        }
        self.source.set_deadline(Instant::now() + timeout);
        let mut statuses = Vec::new();
        // An acknowledgement overtakes the answers, but not those to what came a round trip before.
        for _ in 0..2 {
            put_frame(&mut out, frame::PING, 0, 0, MARK);
            self.source.stream().write_all(&out).map_err(broken)?;
            out.clear();
            self.read_until_taken(&mut statuses)
                .map_err(|error| ClientError::read(error, None))?;
        }
        Ok(statuses)
    }

    fn put_stream(&mut self, out: &mut Vec<u8>) {
        let head = &self.head;
        let mut block = Vec::new();
        for (name, value) in [
            (&b":method"[..], head.method.as_slice()),
            (b":scheme", b"http"),
            (b":authority", b"api.example.com"),
            (b":path", &head.path),
        ] {
            put_literal(&mut block, name, value);
        }
        for (name, value) in &head.headers {
            put_literal(&mut block, name, value);
        }
        if let Some(((name, value), times)) = &head.repeated {
            let mut left = *times;
            if self.next == 1 && left > 0 {
                // RFC 7541, 6.2.1: a literal that goes into the table, with a new name.
                let start = block.len();
                put_literal(&mut block, name, value);
                block[start] = 0x40;
                left -= 1;
            }
            // The newest of the table is number 62.
            block.extend(std::iter::repeat_n(0x80 | 62, left));
        }
        let ends = if head.body.is_none() {
            frame::END_STREAM
        } else {
            0
        };
        put_block(out, ends, self.next, &block);
        if let Some(body) = head.body.as_deref().filter(|body| !body.is_empty()) {
            put_frame(out, frame::DATA, 0, self.next, body);
        }
        self.next += 2;
    }

    fn read_until_taken(&mut self, statuses: &mut Vec<u16>) -> Result<(), ReadError> {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(0);
        decoder.set_max_table_size(0);
        loop {
            let frame = Frame::read(&mut self.source)?;
            match frame.kind {
                frame::PING if frame.has(frame::ACK) => return Ok(()),
                frame::GOAWAY => return Err(ReadError::Closed),
                frame::HEADERS => {
                    let fields = decoder.decode(frame.content()?).unwrap_or_default();
                    let status = fields.iter().find(|(name, _)| name == b":status");
                    let status = status.and_then(|(_, value)| {
                        let text = std::str::from_utf8(value).ok()?;
                        text.parse().ok()
                    });
                    statuses.push(status.unwrap_or(0));
                }
                _ => {}
            }
        }
    }
}

fn broken(source: io::Error) -> ClientError {
    ClientError::Io {
        source,
        partial: None,
    }
}
