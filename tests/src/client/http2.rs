//! HTTP/2 with prior knowledge: one connection, one stream.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use loona_hpack::Decoder;

use super::ClientError;
use super::frame::{self, Frame, put_block, put_frame, put_literal};
use super::message::{Field, ReadError, Source, lower_case, malformed, values};
use crate::wire::{Request, Response};

/// The only stream.
const STREAM: u32 = 1;
const SETTINGS_HEADER_TABLE_SIZE: u16 = 0x1;
const SETTINGS_ENABLE_PUSH: u16 = 0x2;
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 0x4;
/// What a window holds until somebody says otherwise.
const WINDOW: i64 = 65_535;

pub(super) fn exchange(
    stream: TcpStream,
    request: &Request,
    deadline: Instant,
    pause: Duration,
) -> Result<Response, ClientError> {
    let mut decoder = Decoder::new();
    decoder.set_max_allowed_table_size(0);
    decoder.set_max_table_size(0);
    let mut exchange = Exchange {
        source: Source::new(stream),
        decoder,
        deadline,
        connection_window: WINDOW,
        stream_window: WINDOW,
        initial_window: WINDOW,
        block: None,
        response: None,
        complete: false,
        broken: false,
    };
    match exchange.run(request, pause) {
        Ok(()) => Ok(exchange.response.unwrap_or_default()),
        Err(Failure::Read(error)) => Err(ClientError::read(error, exchange.response)),
        Err(Failure::Reset(code)) => Err(ClientError::Reset {
            code,
            partial: exchange.response.map(Box::new),
        }),
        Err(Failure::GoAway(code, debug)) => Err(ClientError::GoAway { code, debug }),
    }
}

struct Exchange {
    source: Source,
    decoder: Decoder<'static>,
    deadline: Instant,
    /// What the peer lets us send, on the connection and on the stream.
    connection_window: i64,
    stream_window: i64,
    initial_window: i64,
    /// A header block whose end has not come yet, and whether it ends the stream.
    block: Option<(Vec<u8>, bool)>,
    /// The answer once its final head is here.
    response: Option<Response>,
    complete: bool,
    /// Nothing more can be written.
    broken: bool,
}

enum Failure {
    Read(ReadError),
    Reset(u32),
    GoAway(u32, Vec<u8>),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Exchange {
    fn run(&mut self, request: &Request, pause: Duration) -> Result<(), Failure> {
        let pieces = request.body.as_deref().unwrap_or(&[]);
        let has_trailers = !request.trailers.is_empty();
        let has_data = pieces.iter().any(|piece| !piece.is_empty());
        // `Some` without bytes is an empty DATA frame, not an absent body.
        let ends_at_once = request.body.is_none() && !has_trailers;

        let mut out = frame::PREFACE.to_vec();
        put_frame(&mut out, frame::SETTINGS, 0, 0, &settings());
        let flags = if ends_at_once { frame::END_STREAM } else { 0 };
        put_block(&mut out, flags, STREAM, &head_block(request));
        if !ends_at_once && !has_data && !has_trailers {
            put_frame(&mut out, frame::DATA, frame::END_STREAM, STREAM, &[]);
        }
        self.write(&out)?;

        let paced = pieces.len() > 1;
        let last = pieces.iter().rposition(|piece| !piece.is_empty());
        for (n, piece) in pieces.iter().enumerate() {
            if paced {
                self.receive_for(pause)?;
            }
            self.send_data(piece, Some(n) == last && !has_trailers)?;
        }
        if has_trailers && !self.complete {
            if paced {
                self.receive_for(pause)?;
            }
            let mut out = Vec::new();
            let block = block(&request.trailers);
            put_block(&mut out, frame::END_STREAM, STREAM, &block);
            self.write(&out)?;
        }
        while !self.complete {
            self.receive()?;
        }
        Ok(())
    }

    /// One piece, in as many frames as sizes and windows ask for. Stops when
    /// the answer is complete.
    fn send_data(&mut self, mut piece: &[u8], ends: bool) -> Result<(), Failure> {
        while !piece.is_empty() && !self.complete {
            let window = self.connection_window.min(self.stream_window);
            let Some(window) = usize::try_from(window).ok().filter(|&n| n > 0) else {
                self.receive()?;
                continue;
            };
            let size = piece.len().min(window).min(frame::LARGEST_PAYLOAD);
            let (part, rest) = piece.split_at(size);
            let flags = if ends && rest.is_empty() {
                frame::END_STREAM
            } else {
                0
            };
            let mut out = Vec::new();
            put_frame(&mut out, frame::DATA, flags, STREAM, part);
            self.write(&out)?;
            self.connection_window -= size as i64;
            self.stream_window -= size as i64;
            piece = rest;
        }
        Ok(())
    }

    /// Takes what comes during `pause`.
    fn receive_for(&mut self, pause: Duration) -> Result<(), Failure> {
        let until = (Instant::now() + pause).min(self.deadline);
        while !self.complete {
            self.source.set_deadline(until);
            match self.source.wait() {
                Ok(()) => self.receive()?,
                Err(ReadError::TimedOut) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes one frame.
    fn receive(&mut self) -> Result<(), Failure> {
        self.source.set_deadline(self.deadline);
        let frame = Frame::read(&mut self.source)?;
        let payload = frame.payload.as_slice();
        match frame.kind {
            frame::DATA => {
                let content = frame.content()?;
                if let (STREAM, Some(response)) = (frame.stream, &mut self.response) {
                    response.body.extend_from_slice(content);
                }
                self.complete |= frame.has(frame::END_STREAM);
                self.return_window(payload.len())?;
            }
            frame::HEADERS => {
                let block = (frame.content()?.to_vec(), frame.has(frame::END_STREAM));
                self.block = Some(block);
                self.finish_block(&frame)?;
            }
            frame::CONTINUATION => {
                if let Some((block, _)) = &mut self.block {
                    block.extend_from_slice(payload);
                }
                self.finish_block(&frame)?;
            }
            frame::RST_STREAM => return Err(Failure::Reset(frame::number(payload))),
            frame::SETTINGS if !frame.has(frame::ACK) => {
                self.apply_settings(payload);
                self.reply(frame::SETTINGS, &[])?;
            }
            frame::PING if !frame.has(frame::ACK) => self.reply(frame::PING, payload)?,
            frame::GOAWAY => {
                let (last, rest) = payload.split_at(payload.len().min(4));
                let (code, debug) = rest.split_at(rest.len().min(4));
                let code = frame::number(code);
                if code != 0 || frame::number(last) < STREAM {
                    return Err(Failure::GoAway(code, debug.to_vec()));
                }
            }
            frame::WINDOW_UPDATE => {
                let more = i64::from(frame::number(payload) & 0x7fff_ffff);
                match frame.stream {
                    0 => self.connection_window += more,
                    _ => self.stream_window += more,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish_block(&mut self, frame: &Frame) -> Result<(), Failure> {
        if !frame.has(frame::END_HEADERS) {
            return Ok(());
        }
        let Some((block, ends)) = self.block.take() else {
            return Err(malformed("CONTINUATION after no block", &frame.payload).into());
        };
        let fields = self
            .decoder
            .decode(&block)
            .map_err(|_| malformed("not a header block", &block))?;
        self.complete |= ends;
        if let Some(response) = &mut self.response {
            response.trailers = lower_case(fields);
            return Ok(());
        }
        let (pseudo, headers): (Vec<Field>, Vec<Field>) = fields
            .into_iter()
            .partition(|(name, _)| name.starts_with(b":"));
        let status = pseudo
            .iter()
            .find(|(name, _)| name == b":status")
            .and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok())
            .ok_or_else(|| malformed("a head without a status", &block))?;
        if ends || !(100..200).contains(&status) {
            self.response = Some(Response {
                status,
                headers: lower_case(headers),
                ..Response::default()
            });
        }
        Ok(())
    }

    fn apply_settings(&mut self, payload: &[u8]) {
        for setting in payload.chunks_exact(6) {
            let (id, value) = setting.split_at(2);
            if frame::number(id) == u32::from(SETTINGS_INITIAL_WINDOW_SIZE) {
                let window = i64::from(frame::number(value));
                self.stream_window += window - self.initial_window;
                self.initial_window = window;
            }
        }
    }

    /// Gives back what DATA took of our windows.
    fn return_window(&mut self, size: usize) -> Result<(), Failure> {
        if size == 0 || self.complete {
            return Ok(());
        }
        let mut out = Vec::new();
        for stream in [0, STREAM] {
            let size = (size as u32).to_be_bytes();
            put_frame(&mut out, frame::WINDOW_UPDATE, 0, stream, &size);
        }
        self.write(&out)
    }

    fn reply(&mut self, kind: u8, payload: &[u8]) -> Result<(), Failure> {
        let mut out = Vec::new();
        put_frame(&mut out, kind, frame::ACK, 0, payload);
        self.write(&out)
    }

    /// Writes. If the peer has closed, what it said before that counts.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.broken {
            return Ok(());
        }
        let Err(error) = self.source.stream().write_all(bytes) else {
            return Ok(());
        };
        self.broken = true;
        while !self.complete {
            match self.receive() {
                Ok(()) => {}
                Err(Failure::Read(_)) => return Err(ReadError::Io(error).into()),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// No dynamic table, no pushes.
fn settings() -> Vec<u8> {
    let mut payload = Vec::new();
    for id in [SETTINGS_HEADER_TABLE_SIZE, SETTINGS_ENABLE_PUSH] {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&0_u32.to_be_bytes());
    }
    payload
}

fn head_block(request: &Request) -> Vec<u8> {
    let mut block = Vec::new();
    put_literal(&mut block, b":method", &request.method);
    // One among the fields takes the place of ours.
    let own_scheme = values(&request.headers, ":scheme").next();
    put_literal(&mut block, b":scheme", own_scheme.unwrap_or(b"http"));
    if !request.authority.is_empty() {
        put_literal(&mut block, b":authority", &request.authority);
    }
    put_literal(&mut block, b":path", &request.path);
    let fields = request.headers.iter();
    for (name, value) in fields.filter(|(name, _)| name != b":scheme") {
        put_literal(&mut block, name, value);
    }
    block
}

fn block(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        put_literal(&mut block, name, value);
    }
    block
}
