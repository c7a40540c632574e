//! An HTTP/1.1 server that remembers what reached it and answers as told.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]

mod serve;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::message::values;
use crate::wire::Response;

/// How long [`Upstream::take`] waits for requests that are still arriving.
const SETTLING: Duration = Duration::from_secs(2);

/// A server on a port of its own, a thread for each connection.
///
/// The answer to a request is the one given for its `x-case-id`, else the one
/// for its path without the query, else 200 with the request echoed as JSON:
/// `{"method":..,"path":..,"headers":[[name,value],..],"body":..}`, bytes that
/// are not UTF-8 replaced.
///
/// Dropping it ends every connection and waits for the threads.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// A request as it reached the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The method token.
    pub method: Vec<u8>,
    /// The request target, query included.
    pub path: Vec<u8>,
    /// Fields in order, `host` among them, names as they were written.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, de-chunked; what came of it, if it was cut off.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// How much of it came.
    pub arrival: Arrival,
}

/// How much of a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The head is here, the rest not yet.
    Arriving,
    /// All of it.
    Whole,
    /// The connection ended, or broke the protocol, after the head.
    CutOff,
}

/// What the upstream does with a request once it has all of it.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Sends this.
    Respond(Response),
    /// Waits, then sends this.
    Delay(Duration, Response),
    /// Closes the connection without a word.
    HangUp,
    /// Agrees to a WebSocket, sends this in one message of at most 125 bytes, and ends it.
    WebSocket(String),
    /// Promises the whole body, sends half of it and closes.
    Truncate(Response),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    records: bool,
}

#[derive(Debug, Default)]
struct State {
    closing: bool,
    answers: HashMap<Key, Answer>,
    /// By number, in the order in which the heads came.
    received: Vec<(u64, Received)>,
    count: u64,
    /// To end them when the upstream is dropped.
    connections: HashMap<u64, TcpStream>,
    connection_count: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Case(Vec<u8>),
    Path(Vec<u8>),
}

impl Received {
    /// The values of the header of this name, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.headers, name)
    }
}

impl Upstream {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start() -> io::Result<Self> {
        Self::listen(true)
    }

    /// [`start`](Self::start), for load: requests are counted and answered but not kept.
    pub fn start_forgetful() -> io::Result<Self> {
        Self::listen(false)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers requests whose `x-case-id` is `case_id` with `response`.
    ///
    /// A response with trailers or `transfer-encoding: chunked` goes out
    /// chunked, any other with its length; 204, 304 and answers to HEAD have
    /// no body. `connection: close` closes.
    pub fn answer(&self, case_id: &str, response: Response) {
        self.answer_with(case_id, Answer::Respond(response));
    }

    /// Does this with requests whose `x-case-id` is `case_id`.
    pub fn answer_with(&self, case_id: &str, answer: Answer) {
        let key = Key::Case(case_id.into());
        self.shared.lock().answers.insert(key, answer);
    }

    /// Does this with requests for `path`, which names no query.
    ///
    /// For requests that Envoy makes itself, which carry no case.
    pub fn answer_path(&self, path: &str, answer: Answer) {
        let key = Key::Path(path.into());
        self.shared.lock().answers.insert(key, answer);
    }

    /// Takes the requests whose `x-case-id` is `case_id`, in the order in which they came.
    ///
    /// Waits for those still arriving, at most two seconds; a request that is
    /// still [`Arrival::Arriving`] then is taken as it is.
    pub fn take(&self, case_id: &str) -> Vec<Received> {
        self.take_where(|received| {
            received
                .values("x-case-id")
                .any(|id| id == case_id.as_bytes())
        })
    }

    /// [`take`](Self::take) by `x-request-id`.
    pub fn take_request(&self, request_id: &str) -> Vec<Received> {
        self.take_where(|received| {
            let mut ids = received.values("x-request-id");
            ids.any(|id| id == request_id.as_bytes())
        })
    }

    /// [`take`](Self::take) by path, query included.
    pub fn take_path(&self, path: &str) -> Vec<Received> {
        self.take_where(|received| received.path == path.as_bytes())
    }

    /// [`take`](Self::take), whatever they are.
    pub fn take_all(&self) -> Vec<Received> {
        self.take_where(|_| true)
    }

    /// How many requests have come since the start, taken or not.
    pub fn count(&self) -> u64 {
        self.shared.lock().count
    }

    /// How many requests for `path`, query included, have come and have not been taken.
    pub fn count_path(&self, path: &str) -> usize {
        let state = self.shared.lock();
        let received = state.received.iter();
        received
            .filter(|(_, received)| received.path == path.as_bytes())
            .count()
    }

    /// Ends every connection and takes no more: the server is gone. What it has received can still be taken.
    pub fn stop(&mut self) {
        let connections = {
            let mut state = self.shared.lock();
            state.closing = true;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        for connection in connections.into_values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            // Wakes the accepting thread, which then sees `closing`.
            let _ = TcpStream::connect(self.addr);
            let _ = accepting.join();
        }
    }

    fn take_where(&self, wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        let until = Instant::now() + SETTLING;
        let mut state = self.shared.lock();
        loop {
            let arriving = state
                .received
                .iter()
                .any(|(_, r)| r.arrival == Arrival::Arriving && wanted(r));
            let left = until.saturating_duration_since(Instant::now());
            if !arriving || left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
            .received
            .extract_if(.., |(_, received)| wanted(received))
            .map(|(_, received)| received)
            .collect()
    }

    fn listen(records: bool) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            records,
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self {
            addr,
            shared,
            accepting: Some(accepting),
        })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a head, and returns the number under which it is kept.
    fn begin(&self, received: &Received) -> u64 {
        let mut state = self.lock();
        state.count += 1;
        let number = state.count;
        if self.records {
            state.received.push((number, received.clone()));
        }
        number
    }

    /// Replaces what was noted, unless somebody has taken it.
    fn finish(&self, number: u64, received: &Received) {
        if !self.records {
            return;
        }
        let mut state = self.lock();
        if let Ok(at) = state.received.binary_search_by_key(&number, |(n, _)| *n) {
            state.received[at].1 = received.clone();
        }
        self.changed.notify_all();
    }

    /// Waits, but not beyond the end of the upstream, and says whether it goes on.
    fn pause(&self, delay: Duration) -> bool {
        let going_on = |state: &mut State| !state.closing;
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), delay, going_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closing
    }

    fn answer_to(&self, received: &Received) -> Option<Answer> {
        let state = self.lock();
        let case = received.values("x-case-id").next().unwrap_or(b"");
        let path = received.path.split(|&byte| byte == b'?').next();
        let (case, path) = (case.to_vec(), path.unwrap_or(b"").to_vec());
        let by_case = state.answers.get(&Key::Case(case));
        by_case
            .or_else(|| state.answers.get(&Key::Path(path)))
            .cloned()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        let Ok((stream, handle)) = stream.and_then(|s| s.try_clone().map(|handle| (s, handle)))
        else {
            continue;
        };
        let number = {
            let mut state = shared.lock();
            if state.closing {
                break;
            }
            state.connection_count += 1;
            let number = state.connection_count;
            state.connections.insert(number, handle);
            number
        };
        threads.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(shared);
        threads.push(thread::spawn(move || {
            // A connection that breaks has been recorded as such.
            let _ = serve::serve(stream, &shared);
            shared.lock().connections.remove(&number);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}
