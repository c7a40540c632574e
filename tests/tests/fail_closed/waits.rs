//! Requests that wait in the midst of their chains, on a real Envoy: by a policy that exists for tests alone,
//! in the module of `envoy/build.sh with-faults`. Each wait ends as `portcullis::wait` says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::client::{self, HeldHead, HeldStreams};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

use super::stage::TIMEOUT;

/// How many requests of a VM wait at once: `portcullis::wait::MOST`.
const MOST: usize = portcullis::wait::MOST;

/// The server that is called: it answers by the path, and holds back what begins with `/hold` until
/// it is let go.
#[derive(Clone)]
struct Called {
    addr: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    /// How many calls there were, by path.
    calls: BTreeMap<String, usize>,
    /// What is let go.
    free: Vec<String>,
}

impl Called {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let called = Self {
            addr: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let serving = called.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(&stream));
            }
        });
        called
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream).lines();
        loop {
            let first = lines.next()?.ok()?;
            let path = first.split(' ').nth(1)?.to_owned();
            while !lines.next()?.ok()?.is_empty() {}
            let (state, changed) = &*self.state;
            let mut state = state.lock().unwrap();
            *state.calls.entry(path.clone()).or_default() += 1;
            changed.notify_all();
            while path.starts_with("/hold") && !state.free.contains(&path) {
                state = changed.wait(state).unwrap();
            }
            drop(state);
            let status = match &*path {
                "/drop" => return None,
                "/no" => "403 Forbidden",
                "/broken" => "500 Internal Server Error",
                _ => "200 OK",
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let mut out = stream;
            out.write_all(answer.as_bytes()).ok()?;
        }
    }

    /// Waits until there were so many calls of a path.
    fn await_calls(&self, path: &str, many: usize) {
        let (state, changed) = &*self.state;
        let state = state.lock().unwrap();
        let is_short = |state: &mut State| state.calls.get(path).copied().unwrap_or(0) < many;
        let (state, result) = changed
            .wait_timeout_while(state, TIMEOUT, is_short)
            .unwrap();
        drop(state);
        assert!(!result.timed_out(), "{path} is not called {many} times");
    }

    fn let_go(&self, path: &str) {
        let (state, changed) = &*self.state;
        state.lock().unwrap().free.push(path.to_owned());
        changed.notify_all();
    }
}

/// An Envoy with a listener for each document.
struct Proxy {
    envoy: Envoy,
    upstream: Upstream,
    called: Called,
}

fn document(wait: Value, more: Value) -> Value {
    let mut document = json!({
        "version": 1,
        "access_log": {},
        "defaults": { "security_headers": { "preset": "api" } },
        "routes": [{ "name": "all", "match": {}, "open": true, "test_wait": wait }],
    });
    if let Value::Object(more) = more {
        for (name, value) in more {
            match &*name {
                "body_inspection" => document[name] = value,
                _ => document["routes"][0][name] = value,
            }
        }
    }
    document
}

fn call(cluster: &str, timeout: &str, on_error: &str) -> Value {
    json!({ "call": { "cluster": cluster, "timeout": timeout }, "on_error": on_error })
}

fn listening(name: &str, document: &Value) -> Value {
    let wasm = repository().join("target/portcullis-faults.wasm");
    assert!(
        wasm.exists(),
        "the module is built: envoy/build.sh with-faults"
    );
    let options = WasmOptions {
        // Of one that traps, so that it takes no other with it.
        vm_id: if name == "trap" { "trap" } else { "" }.to_owned(),
        allow_on_headers_stop_iteration: name.ends_with("held"),
        ..WasmOptions::default()
    };
    let filter = wasm_filter(name, &wasm, string_value(&document.to_string()), options);
    let options = ListenerOptions {
        // What becomes of requests in a VM that failed.
        request_timeout: Some(Duration::from_secs(if name == "trap" { 3 } else { 120 })),
        ..ListenerOptions::default()
    };
    listener(name, vec![filter], options)
}

fn listeners() -> Vec<Value> {
    let payload = json!({ "payload": { "max_bytes": "1KiB", "json": {} } });
    let mut held = payload.clone();
    held["body_inspection"] = "hold_headers".into();
    let mut traps = call("called", "5s", "pass");
    traps["traps"] = "wake".into();
    let mut both = call("called", "5s", "refuse");
    both["until"] = "50ms".into();
    let of = |wait: Value| document(wait, json!({}));
    let all = [
        ("strict", of(call("called", "30s", "refuse"))),
        ("strict-soon", of(call("called", "500ms", "refuse"))),
        ("lenient-soon", of(call("called", "500ms", "pass"))),
        ("missing", of(call("nobody", "5s", "refuse"))),
        ("missing-lenient", of(call("nobody", "5s", "pass"))),
        ("empty", of(call("empty", "5s", "refuse"))),
        ("empty-lenient", of(call("empty", "5s", "pass"))),
        ("time", of(json!({ "until": "300ms" }))),
        ("both", of(both)),
        (
            "shadow",
            document(
                {
                    let mut wait = call("called", "30s", "refuse");
                    wait["mode"] = "shadow".into();
                    wait
                },
                json!({}),
            ),
        ),
        (
            "body",
            document(call("called", "30s", "refuse"), payload.clone()),
        ),
        ("body-held", document(call("called", "30s", "refuse"), held)),
        (
            "body-stream-held",
            document(call("called", "30s", "refuse"), payload),
        ),
        ("trap", of(traps)),
    ];
    all.iter()
        .map(|(name, document)| listening(name, document))
        .collect()
}

impl Proxy {
    fn start(binary: Option<PathBuf>) -> Self {
        let (upstream, called) = (Upstream::start().unwrap(), Called::start());
        let mut empty = cluster("empty", called.addr);
        empty["load_assignment"]["endpoints"] = json!([]);
        let mut server = cluster("called", called.addr);
        server["circuit_breakers"] = json!({ "thresholds": [{
            "max_connections": 4000, "max_pending_requests": 4000, "max_requests": 4000,
        }] });
        let clusters = vec![cluster("upstream", upstream.addr()), server, empty];
        let options = Options {
            binary,
            concurrency: 1,
            timeout: Duration::from_secs(180),
            drain_time: Some(Duration::from_secs(60)),
            ..Options::default()
        };
        let bootstrap = bootstrap(Vec::new(), clusters);
        let envoy = Envoy::start_with_lds(bootstrap, &listeners(), &options).unwrap();
        Self {
            envoy,
            upstream,
            called,
        }
    }

    fn addr(&self, listener: &str) -> SocketAddr {
        self.envoy.listener_addr(listener).unwrap()
    }

    fn send(&self, listener: &str, request: &Request) -> Response {
        client::send(self.addr(listener), request, TIMEOUT).unwrap()
    }

    /// Sends it in a thread of its own, waits for the call, and has that answered.
    fn send_and_let_go(
        &self,
        listener: &str,
        request: &Request,
        meanwhile: impl FnOnce(),
    ) -> Response {
        let path = String::from_utf8_lossy(&request.path).into_owned();
        thread::scope(|scope| {
            let sending = scope.spawn(|| self.send(listener, request));
            self.called.await_calls(&path, 1);
            meanwhile();
            self.called.let_go(&path);
            sending.join().unwrap()
        })
    }

    /// How often the policy has said that an exchange with that path has ended.
    fn ends(&self, path: &str) -> usize {
        let wanted = format!("test_wait: finished {path}");
        let log = self.envoy.log();
        log.lines().filter(|line| line.ends_with(&wanted)).count()
    }

    fn await_end(&self, path: &str) {
        let wanted = format!("test_wait: finished {path}");
        self.envoy.wait_for_log(&wanted, TIMEOUT).unwrap();
        assert_eq!(self.ends(path), 1, "{path}");
    }
}

fn get(path: &str) -> Request {
    Request {
        method: b"GET".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        ..Request::default()
    }
}

/// What the service saw in `x-waited`, or the code of the refusal.
fn outcome(response: &Response) -> String {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    if response.status != 200 {
        let secure = |(name, _): &(String, Vec<u8>)| name == "x-content-type-options";
        assert!(response.headers.iter().any(secure), "{response:?}");
        return format!(
            "{} {}",
            response.status,
            body["code"].as_str().unwrap_or_default()
        );
    }
    let fields = body["headers"].as_array().cloned().unwrap_or_default();
    let waited = fields.iter().find(|field| field[0] == "x-waited");
    let waited = waited.and_then(|field| field[1].as_str());
    format!("200 {}", waited.unwrap_or_default())
}

fn answers(proxy: &Proxy) {
    for (listener, path, expected) in [
        ("strict", "/ok", "200 response"),
        ("strict", "/no", "403 test_waited"),
        ("strict", "/broken", "403 test_waited"),
        ("lenient-soon", "/broken", "200 error"),
        ("strict", "/drop", "403 test_waited"),
        ("lenient-soon", "/drop", "200 error"),
        ("missing", "/a", "403 test_waited"),
        ("missing-lenient", "/a", "200 error"),
        ("empty", "/a", "403 test_waited"),
        ("empty-lenient", "/a", "200 error"),
        ("time", "/a", "200 time"),
        ("both", "/ok", "200 response"),
        ("both", "/no", "403 test_waited"),
        // Deadlines: nobody lets these go.
        ("strict-soon", "/hold-for-ever", "403 test_waited"),
        ("lenient-soon", "/hold-for-ever", "200 error"),
        // Nothing is asked, and nobody waits.
        ("shadow", "/hold-in-shadow", "200 "),
    ] {
        for version in [Version::Http1, Version::Http2] {
            let request = Request {
                version,
                ..get(path)
            };
            let response = proxy.send(listener, &request);
            assert_eq!(outcome(&response), expected, "{listener} {path}");
        }
    }
    let begun = Instant::now();
    proxy.send("time", &get("/timed"));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    proxy.await_end("/timed");
}

fn bodies(proxy: &Proxy) {
    for listener in ["body", "body-held", "body-stream-held"] {
        let mut number = 0;
        for version in [Version::Http1, Version::Http2] {
            for (pieces, trailers, expected) in [
                (&["{", "}"][..], false, "200 response"),
                (&["{", "{"][..], false, "400 payload_malformed"),
                (&["{", "}"][..], true, "200 response"),
                (&["{", "{"][..], true, "400 payload_malformed"),
            ] {
                // Over HTTP/1 this Envoy drops trailers.
                if trailers && version == Version::Http1 {
                    continue;
                }
                number += 1;
                let trailers = match trailers {
                    true => vec![
                        (b"x-trailer".to_vec(), b"1".to_vec()),
                        (b"authorization".to_vec(), b"1".to_vec()),
                    ],
                    false => Vec::new(),
                };
                let path = format!("/hold-{listener}-{number}");
                let request = Request {
                    method: b"POST".to_vec(),
                    version,
                    headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
                    body: Some(
                        pieces
                            .iter()
                            .map(|piece| piece.as_bytes().to_vec())
                            .collect(),
                    ),
                    trailers,
                    ..get(&path)
                };
                let response = proxy.send_and_let_go(listener, &request, || {
                    // The head of one that was refused before may still be on its way.
                    assert_eq!(proxy.upstream.count_path(&path), 0, "it waits");
                });
                assert_eq!(outcome(&response), expected, "{path} {version:?}");
                proxy.await_end(&path);
                for received in proxy.upstream.take_path(&path) {
                    let names = received.trailers.iter().map(|(name, _)| &name[..]);
                    assert!(!names.into_iter().any(|name| name == b"authorization"));
                }
            }
        }
    }
}

fn clients_that_leave(proxy: &Proxy) {
    let addr = proxy.addr("strict");
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .write_all(b"GET /hold-left-1 HTTP/1.1\r\nhost: a.example\r\n\r\n")
        .unwrap();
    proxy.called.await_calls("/hold-left-1", 1);
    assert_eq!(proxy.ends("/hold-left-1"), 0);
    drop(stream);
    proxy.await_end("/hold-left-1");
    let head = HeldHead {
        method: b"GET".to_vec(),
        path: b"/hold-left-2".to_vec(),
        repeated: None,
    };
    let mut streams = HeldStreams::open(addr, head, TIMEOUT).unwrap();
    assert_eq!(streams.hold(1, TIMEOUT).unwrap(), [0_u16; 0]);
    proxy.called.await_calls("/hold-left-2", 1);
    drop(streams);
    proxy.await_end("/hold-left-2");
    // The responses come when nobody waits any more.
    for path in ["/hold-left-1", "/hold-left-2"] {
        proxy.called.let_go(path);
    }
    assert_eq!(outcome(&proxy.send("strict", &get("/ok"))), "200 response");
    for path in ["/hold-left-1", "/hold-left-2"] {
        assert_eq!(proxy.ends(path), 1);
        assert_eq!(proxy.upstream.take_path(path), []);
    }
    let records = proxy.envoy.records(1, TIMEOUT).unwrap();
    let left = |record: &&Value| record["url.path"] == "/hold-left-1";
    let record = records.iter().find(left).expect("it is recorded");
    assert_eq!(record["portcullis.outcome"], "unfinished", "{record}");
    assert_eq!(record["portcullis.verdicts"]["test_wait"], "waiting");
}

fn more_than_may_wait(proxy: &Proxy) {
    let head = HeldHead {
        method: b"GET".to_vec(),
        path: b"/hold-many".to_vec(),
        repeated: None,
    };
    let mut connections = Vec::new();
    for _ in 0..MOST / 100 {
        let addr = proxy.addr("strict");
        let mut streams = HeldStreams::open(addr, head.clone(), TIMEOUT).unwrap();
        assert_eq!(streams.hold(100, TIMEOUT).unwrap(), [0_u16; 0]);
        connections.push(streams);
    }
    proxy.called.await_calls("/hold-many", MOST);
    let late = proxy.send("strict", &get("/ok"));
    assert_eq!(outcome(&late), "503 unavailable");
    // Those that end make room.
    drop(connections);
    let deadline = Instant::now() + TIMEOUT;
    while outcome(&proxy.send("strict", &get("/ok"))) != "200 response" {
        assert!(Instant::now() < deadline, "there is no room again");
    }
    proxy.called.let_go("/hold-many");
    assert_eq!(proxy.upstream.take_path("/hold-many"), []);
}

fn a_trap(proxy: &Proxy) {
    let response = client::send(proxy.addr("trap"), &get("/ok-trap"), TIMEOUT);
    println!("a trap in the callback of a call: {response:?}");
    if let Ok(response) = response {
        assert_ne!(response.status, 200);
    }
    assert_eq!(proxy.upstream.take_path("/ok-trap"), []);
}

fn an_update(proxy: &Proxy) {
    let request = get("/hold-update");
    let mut other = listeners();
    let document = document(
        json!({}),
        json!({ "match": { "path": { "prefix": "/elsewhere" } } }),
    );
    other[0] = listening("strict", &document);
    let response = proxy.send_and_let_go("strict", &request, || {
        let updated = proxy.envoy.update_listeners(&other).unwrap();
        assert_eq!(updated, Update::Accepted);
        let deadline = Instant::now() + TIMEOUT;
        while outcome(&proxy.send("strict", &get("/ok"))) != "404 no_route" {
            assert!(
                Instant::now() < deadline,
                "the new document is not in force"
            );
        }
    });
    assert_eq!(outcome(&response), "200 response", "by the old document");
    proxy.await_end("/hold-update");
}

fn every_wait_ends_as_it_should(binary: Option<PathBuf>) {
    let proxy = Proxy::start(binary);
    answers(&proxy);
    bodies(&proxy);
    a_body_that_began_during_the_wait_may_be_slow(&proxy);
    clients_that_leave(&proxy);
    more_than_may_wait(&proxy);
    an_update(&proxy);
    a_trap(&proxy);
}

#[test]
fn every_wait_ends_as_it_should_on_envoy() {
    every_wait_ends_as_it_should(None);
}

#[test]
fn every_wait_ends_as_it_should_on_the_oldest_envoy_at_hand() {
    let oldest = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    assert!(
        oldest.is_some(),
        "ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it"
    );
    every_wait_ends_as_it_should(oldest);
}

/// A piece that came during the wait says that the proxy shows bodies of held heads: the rest may
/// take longer than the filter otherwise waits for a sign of that.
fn a_body_that_began_during_the_wait_may_be_slow(proxy: &Proxy) {
    let mut stream = TcpStream::connect(proxy.addr("body-held")).unwrap();
    let head = "POST /hold-slow HTTP/1.1\r\nhost: a.example\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    proxy.called.await_calls("/hold-slow", 1);
    proxy.called.let_go("/hold-slow");
    // Longer than the second after which a head whose body is never shown is refused.
    thread::sleep(Duration::from_millis(2500));
    stream.write_all(b"}").unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
