//! A server of RFC 7662: it answers for tokens as a test says, holds answers back, and counts what it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::client::message::{Framing, Source, put_field};
use crate::wire::Response;

/// A server on a port of its own, a thread for each connection.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    addr: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

/// What it has been asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedFor {
    /// The method.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The fields, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

#[derive(Debug, Default)]
struct State {
    asked: Vec<AskedFor>,
    /// What it answers where a text stands in the body; the first that fits.
    answers: Vec<(String, Response)>,
    /// For which texts it holds its answers back.
    held: BTreeSet<String>,
    /// For which it ends the connection.
    dropped: BTreeSet<String>,
}

impl AuthorizationServer {
    /// Starts one that answers 404.
    ///
    /// # Panics
    /// When there is no port for it.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let server = Self {
            addr: listener.local_addr().expect("it is bound"),
            state: Arc::default(),
        };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        server
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it answers where that text stands in the body, before all that was said so far.
    pub fn answer(&self, when: &str, response: Response) {
        self.state().answers.insert(0, (when.to_owned(), response));
    }

    /// The same, with a JSON text.
    pub fn answer_json(&self, when: &str, json: &serde_json::Value) {
        self.answer(when, json_response(json));
    }

    /// Holds back its answers where that text stands in the body.
    pub fn hold(&self, when: &str) {
        self.state().held.insert(when.to_owned());
    }

    /// Does so no longer.
    pub fn let_go(&self, when: &str) {
        self.state().held.remove(when);
        self.state.1.notify_all();
    }

    /// Ends the connection without an answer where that text stands in the body.
    pub fn drop_for(&self, when: &str) {
        self.state().dropped.insert(when.to_owned());
    }

    /// What it has been asked where that text stands in the body.
    pub fn asked(&self, when: &str) -> Vec<AskedFor> {
        let state = self.state();
        let asked = state.asked.iter().filter(|asked| asked.body.contains(when));
        asked.cloned().collect()
    }

    /// Waits until it has been asked so often where that text stands in the body; how often it was then.
    pub fn await_asked(&self, when: &str, many: usize, patience: Duration) -> usize {
        let count = |state: &State| {
            let asked = state.asked.iter();
            asked.filter(|asked| asked.body.contains(when)).count()
        };
        let is_short = |state: &mut State| count(state) < many;
        let waited = self
            .state
            .1
            .wait_timeout_while(self.state(), patience, is_short);
        let (state, _) = waited.expect("no test panics with the lock");
        count(&state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().expect("no test panics with the lock")
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut source = Source::new(stream);
        loop {
            let head = source.head().ok()??;
            let start = String::from_utf8_lossy(&head.start).into_owned();
            let framing = head.framing().ok()?.unwrap_or(Framing::Length(0));
            let (mut body, mut trailers) = (Vec::new(), Vec::new());
            source.body(framing, &mut body, &mut trailers).ok()?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let mut words = start.split(' ').map(str::to_owned);
            let fields = head.fields.iter();
            let asked = AskedFor {
                method: words.next()?,
                path: words.next()?,
                headers: fields
                    .map(|(name, value)| (text(&name.to_ascii_lowercase()), text(value)))
                    .collect(),
                body: text(&body),
            };
            let body = asked.body.clone();
            let is_in = |all: &BTreeSet<String>| all.iter().any(|when| body.contains(when));
            let mut state = self.state();
            state.asked.push(asked);
            self.state.1.notify_all();
            while is_in(&state.held) {
                state = self.state.1.wait(state).ok()?;
            }
            if is_in(&state.dropped) {
                return source.stream().shutdown(Shutdown::Both).ok();
            }
            let mut answers = state.answers.iter();
            let found = answers.find(|(when, _)| body.contains(when));
            let response = found.map_or_else(not_found, |(_, response)| response.clone());
            drop(state);
            source.stream().write_all(&written(&response)).ok()?;
        }
    }
}

/// A response with that JSON text.
pub fn json_response(json: &serde_json::Value) -> Response {
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: json.to_string().into_bytes(),
        trailers: Vec::new(),
    }
}

fn not_found() -> Response {
    Response {
        status: 404,
        ..Response::default()
    }
}

fn written(response: &Response) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {} As told\r\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        put_field(&mut out, name.as_bytes(), value);
    }
    let length = response.body.len().to_string();
    put_field(&mut out, b"content-length", length.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&response.body);
    out
}
