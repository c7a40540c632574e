//! What a worker's memory becomes under requests that an outsider can send, as its gauges show it.

use std::time::Duration;

use portcullis_tests::client::{self, HeldHead, HeldStreams};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(60);

struct Stage {
    envoy: Envoy,
    addr: std::net::SocketAddr,
    _upstream: Upstream,
}

impl Stage {
    fn start(document: &Value) -> Self {
        let upstream = Upstream::start_forgetful().unwrap();
        let filter = wasm_filter(
            "portcullis",
            &module_path(),
            string_value(&document.to_string()),
            WasmOptions::default(),
        );
        let options = ListenerOptions {
            per_connection_buffer_limit_bytes: Some(32 << 20),
            ..ListenerOptions::default()
        };
        let listener = listener("in", vec![filter], options);
        let clusters = vec![cluster("upstream", upstream.addr())];
        let options = Options {
            concurrency: 1,
            ..Options::default()
        };
        let envoy = Envoy::start(bootstrap(vec![listener], clusters), &options).unwrap();
        let addr = envoy.listener_addr("in").unwrap();
        Self {
            envoy,
            addr,
            _upstream: upstream,
        }
    }

    fn memory(&self, what: &str) -> u64 {
        let name = format!("wasmcustom.portcullis.memory.{what}_bytes");
        self.envoy.stat(&name).unwrap()
    }

    fn ask(&self, path: &str, body: Option<Vec<u8>>) -> u16 {
        let request = Request {
            method: if body.is_some() { "POST" } else { "GET" }.into(),
            path: path.into(),
            authority: b"api.example.com".to_vec(),
            headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
            body: body.map(|body| vec![body]),
            ..Request::default()
        };
        client::send(self.addr, &request, TIMEOUT).unwrap().status
    }
}

fn document() -> Value {
    json!({
        "version": 1,
        "schemas": { "any": { "type": "array" } },
        "routes": [{
            "name": "all", "match": { "path": { "prefix": "/" } , "methods": ["POST", "PUT"] }, "open": true,
            "payload": { "max_bytes": "16MiB", "json_schema": "any", "json": { "max_elements": 10_000_000, "max_values": 10_000_000 } },
        }],
    })
}

/// Fourteen fields of 3 925 bytes, which from the second stream on cost fourteen.
fn head() -> HeldHead {
    HeldHead {
        method: b"GET".to_vec(),
        path: b"/x".to_vec(),
        repeated: Some(((b"x-large".to_vec(), vec![b'a'; 3925]), 14)),
    }
}

#[test]
fn refused_streams_that_nobody_reads_take_little() {
    const CONNECTIONS: u64 = 20;
    const STREAMS: u32 = 100;
    let stage = Stage::start(&document());
    assert_eq!(stage.ask("/", Some(b"[]".to_vec())), 200);
    let before = stage.memory("live");
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut held = HeldStreams::open(stage.addr, head(), TIMEOUT).unwrap();
        let statuses = held.hold(STREAMS, TIMEOUT).unwrap();
        assert!(statuses.iter().all(|status| *status == 405), "{statuses:?}");
        connections.push(held);
    }
    let open = CONNECTIONS * u64::from(STREAMS);
    let streams = "wasmcustom.portcullis.memory.streams_bytes";
    let stats = stage
        .envoy
        .stats_once(|stats| stats.get(streams).is_some_and(|bytes| *bytes > open * 300));
    let live = stage.memory("live").saturating_sub(before) / open;
    println!(
        "reserved for each stream: {} bytes; in use: {live}",
        stats.unwrap()[streams] / open
    );
    assert!(live < 4096, "{live} bytes for each stream");
    assert_eq!(stage.ask("/", Some(b"[]".to_vec())), 200);
    drop(connections);
    stage
        .envoy
        .stats_once(|stats| stats.get(streams).is_some_and(|bytes| *bytes < 100_000))
        .unwrap();
}

/// C of the attack: the tree of this text takes many times its bytes.
#[test]
fn bodies_of_many_values_are_refused_when_there_is_no_memory() {
    let stage = Stage::start(&document());
    let dense = |item: &str, bytes: usize| {
        format!(
            "[{}{item}]",
            format!("{item},").repeat(bytes / (item.len() + 1) - 1)
        )
        .into_bytes()
    };
    for (item, mebibytes) in [(r#"[{"":0}]"#, 15), ("0", 15), ("[0]", 15)] {
        let status = stage.ask("/", Some(dense(item, mebibytes << 20)));
        println!("{mebibytes} MiB of {item}: {status}");
        assert!(matches!(status, 200 | 503), "{item}: {status}");
        assert_eq!(
            stage.ask("/", Some(b"[]".to_vec())),
            200,
            "the worker lives"
        );
    }
}
