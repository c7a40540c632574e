//! A gRPC server for unary calls, over HTTP/2 with prior knowledge.
//!
//! As much of both as a well-behaved client needs whose messages are small: each fits a frame,
//! and no stream's window is ever used up.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use loona_hpack::Decoder;

use crate::client::frame::{self, Frame, put_block, put_frame, put_literal};
use crate::client::message::{ReadError, Source, malformed};

/// Status codes of gRPC.
pub mod status {
    /// It went well.
    pub const OK: u32 = 0;
    /// There is no such method.
    pub const UNIMPLEMENTED: u32 = 12;
    /// The server is broken, or was sent nonsense.
    pub const INTERNAL: u32 = 13;
    /// Something that it needs is not there.
    pub const UNAVAILABLE: u32 = 14;
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is answered with this message.
    Message(Vec<u8>),
    /// It fails with one of [`status`].
    Failure(u32),
    /// It is never answered.
    Silence,
}

/// A running server. Dropping it ends every connection and waits for the threads.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closing: bool,
    connections: HashMap<usize, TcpStream>,
}

impl Server {
    /// Listens at `addr`, and has each call answered by `service`, which is given the path and
    /// the message. Several threads may ask it at once.
    pub fn start(
        addr: SocketAddr,
        service: impl Fn(&[u8], &[u8]) -> Outcome + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared, &service)
        });
        Ok(Self {
            addr,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.shared.lock();
            state.closing = true;
            std::mem::take(&mut state.connections)
        };
        for connection in connections.into_values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the accepting thread, which then sees `closing`.
        let _ = TcpStream::connect(self.addr);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection so that it can be ended, unless everything ends already.
    fn admit(&self, number: usize, stream: &TcpStream) -> Option<()> {
        let handle = stream.try_clone().ok()?;
        let mut state = self.lock();
        if state.closing {
            return None;
        }
        state.connections.insert(number, handle);
        Some(())
    }
}

fn accept(
    listener: &TcpListener,
    shared: &Shared,
    service: &(impl Fn(&[u8], &[u8]) -> Outcome + Sync),
) {
    thread::scope(|scope| {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            if shared.admit(number, &stream).is_none() {
                break;
            }
            scope.spawn(move || {
                // A client that breaks the protocol loses its connection.
                let _ = Connection::new(stream, service).serve();
                shared.lock().connections.remove(&number);
            });
        }
    });
}

struct Connection<'s, S> {
    source: Source,
    service: &'s S,
    decoder: Decoder<'static>,
    calls: HashMap<u32, Call>,
    /// A header block whose end has not come yet.
    block: Vec<u8>,
    /// What the client lets us send.
    window: i64,
}

/// A call that is still coming in.
#[derive(Default)]
struct Call {
    path: Vec<u8>,
    body: Vec<u8>,
    ended: bool,
}

impl<'s, S: Fn(&[u8], &[u8]) -> Outcome> Connection<'s, S> {
    fn new(stream: TcpStream, service: &'s S) -> Self {
        Self {
            source: Source::new(stream),
            service,
            decoder: Decoder::new(),
            calls: HashMap::new(),
            block: Vec::new(),
            window: 65_535,
        }
    }

    fn serve(mut self) -> Result<(), ReadError> {
        self.source
            .stream()
            .set_nodelay(true)
            .map_err(ReadError::Io)?;
        let mut preface = Vec::new();
        self.source
            .bytes(frame::PREFACE.len() as u64, &mut preface)?;
        if preface != frame::PREFACE {
            return Err(malformed("not HTTP/2", &preface));
        }
        self.write_frame(frame::SETTINGS, 0, 0, &[])?;
        loop {
            let frame = Frame::read(&mut self.source)?;
            self.take(&frame)?;
        }
    }

    fn take(&mut self, frame: &Frame) -> Result<(), ReadError> {
        let payload = frame.payload.as_slice();
        match frame.kind {
            frame::HEADERS => {
                self.block = frame.content()?.to_vec();
                let call = self.calls.entry(frame.stream).or_default();
                call.ended = frame.has(frame::END_STREAM);
                self.finish_block(frame)
            }
            frame::CONTINUATION => {
                self.block.extend_from_slice(payload);
                self.finish_block(frame)
            }
            frame::DATA => {
                let call = self.calls.entry(frame.stream).or_default();
                call.body.extend_from_slice(frame.content()?);
                call.ended = frame.has(frame::END_STREAM);
                if !payload.is_empty() {
                    let size = (payload.len() as u32).to_be_bytes();
                    self.write_frame(frame::WINDOW_UPDATE, 0, 0, &size)?;
                }
                self.answer_if_ended(frame.stream)
            }
            frame::RST_STREAM => {
                self.calls.remove(&frame.stream);
                Ok(())
            }
            frame::SETTINGS if !frame.has(frame::ACK) => {
                self.write_frame(frame::SETTINGS, frame::ACK, 0, &[])
            }
            frame::PING if !frame.has(frame::ACK) => {
                self.write_frame(frame::PING, frame::ACK, 0, payload)
            }
            frame::WINDOW_UPDATE if frame.stream == 0 => {
                self.window += i64::from(frame::number(payload));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish_block(&mut self, frame: &Frame) -> Result<(), ReadError> {
        if !frame.has(frame::END_HEADERS) {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        let fields = self.decoder.decode(&block);
        let fields = fields.map_err(|_| malformed("not a header block", &block))?;
        let path = fields.into_iter().find(|(name, _)| name == b":path");
        if let (Some(call), Some((_, path))) = (self.calls.get_mut(&frame.stream), path) {
            call.path = path;
        }
        self.answer_if_ended(frame.stream)
    }

    fn answer_if_ended(&mut self, stream: u32) -> Result<(), ReadError> {
        if !self.calls.get(&stream).is_some_and(|call| call.ended) {
            return Ok(());
        }
        let Some(call) = self.calls.remove(&stream) else {
            return Ok(());
        };
        let outcome = match unframed(&call.body) {
            Some(message) => (self.service)(&call.path, message),
            None => Outcome::Failure(status::INTERNAL),
        };
        let (message, status) = match outcome {
            Outcome::Message(message) => (Some(message), status::OK),
            Outcome::Failure(status) => (None, status),
            Outcome::Silence => return Ok(()),
        };
        let mut out = Vec::new();
        let mut head = Vec::new();
        put_literal(&mut head, b":status", b"200");
        put_literal(&mut head, b"content-type", b"application/grpc");
        put_block(&mut out, 0, stream, &head);
        if let Some(message) = message {
            let framed = framed(&message);
            self.window -= framed.len() as i64;
            if self.window < 0 || framed.len() > frame::LARGEST_PAYLOAD {
                return Err(malformed("the client takes no more", &framed));
            }
            put_frame(&mut out, frame::DATA, 0, stream, &framed);
        }
        let mut trailers = Vec::new();
        put_literal(&mut trailers, b"grpc-status", status.to_string().as_bytes());
        put_block(&mut out, frame::END_STREAM, stream, &trailers);
        self.write(&out)
    }

    fn write_frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Result<(), ReadError> {
        let mut out = Vec::new();
        put_frame(&mut out, kind, flags, stream, payload);
        self.write(&out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        self.source.stream().write_all(bytes).map_err(ReadError::Io)
    }
}

/// The one message of a body: a flag for compression, the length, the message.
fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (length, message) = body.strip_prefix(&[0])?.split_at_checked(4)?;
    (frame::number(length) as usize == message.len()).then_some(message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    framed
}
