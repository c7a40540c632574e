//! The JSON parsing test suite: what a parser must accept passes, what it must reject does not, and
//! what is left open is decided as the reference says. On the engine, and through Envoy in both
//! body modes, whole and in pieces.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::json_gate::{Fault, Limits, Pieces, check};
use portcullis::stream::{Action, Stream};
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::still::holding;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Version};
use portcullis_tests::{module_path, tokens};
use serde_json::{Value, json};

/// Texts that the suite accepts and we refuse.
const EXCEPTIONS: usize = 2;

const TIMEOUT: Duration = Duration::from_secs(20);

struct Text {
    name: String,
    bytes: Vec<u8>,
}

fn suite() -> Vec<Text> {
    let folder = tokens::repository().join("tests/vectors/json-test-suite/test_parsing");
    let entries = fs::read_dir(folder).expect("the suite is there");
    let mut texts: Vec<Text> = entries
        .map(|entry| entry.expect("the suite can be listed").path())
        .map(|path| Text {
            name: path.file_name().expect("a file").to_string_lossy().into(),
            bytes: fs::read(&path).expect("the suite can be read"),
        })
        .collect();
    texts.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(texts.len(), 318);
    texts
}

/// What the reference says of the texts that the suite leaves open, and of those that we refuse
/// although it does not: `passes`, or a reason.
fn decided() -> BTreeMap<String, String> {
    let page = tokens::repository().join("docs/policies/payload.md");
    let page = fs::read_to_string(page).expect("the reference is there");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `i_") || line.starts_with("| `y_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('`').collect();
        (cells[1].to_owned(), cells[3].to_owned())
    })
    .collect()
}

/// What must come of a text.
enum Expected<'d> {
    Passes,
    Refused,
    RefusedFor(&'d str),
}

fn expected<'d>(name: &str, decided: &'d BTreeMap<String, String>) -> Expected<'d> {
    match (decided.get(name).map(String::as_str), name.split_at(2).0) {
        (Some("passes"), "i_") | (None, "y_") => Expected::Passes,
        (Some(reason), "i_" | "y_") => Expected::RefusedFor(reason),
        (None, "n_") => Expected::Refused,
        _ => panic!("the reference does not say what becomes of {name}"),
    }
}

/// A block as an operator would write it: the limits are the defaults.
fn policy(inspection: &str) -> Value {
    json!({
        "version": 1,
        "body_inspection": inspection,
        "routes": [{
            "name": "all",
            "match": {},
            "open": true,
            "payload": { "max_bytes": "1MiB", "require_body": ["POST"], "json": {} },
        }],
    })
}

/// The reason for which a text is refused; none if it passes.
fn judge(engine: &Rc<Engine>, text: &[u8]) -> Option<&'static str> {
    let mut headers = Headers::default();
    for (name, value) in [
        (":authority", "api.example.com"),
        (":path", "/"),
        (":method", "POST"),
        (":scheme", "https"),
        ("content-type", "application/json"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let host = holding(text);
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let size = text.len() as u64;
    stream.on_request_headers(headers, BodyState::Open, &host);
    match stream.on_request_body(size, BodyState::Complete, &host) {
        Action::Reply(_) => Some(stream.decision().refusal.expect("it is refused").name),
        Action::Continue(_) => None,
        Action::Pause { .. } | Action::Replace(_) => panic!("a complete body is held"),
    }
}

/// What the gate says of a text that comes up to each of these, and then as a whole.
fn in_pieces(text: &[u8], ends: impl Iterator<Item = usize>) -> Result<(), Fault> {
    let (mut pieces, mut done) = (Pieces::new(Limits::GENEROUS), 0);
    for end in ends {
        done += pieces.more(&text[done..end], &mut ())?;
    }
    pieces.last(&text[done..], &mut ())
}

#[test]
fn at_the_gate_in_pieces() {
    for Text { name, bytes } in suite() {
        let whole = check(&bytes, &Limits::GENEROUS);
        // Of the two texts of a hundred thousand brackets, a thousandth part of the places.
        let step = 1 + bytes.len() / 1000;
        for end in (0..=bytes.len()).step_by(step) {
            let in_two = in_pieces(&bytes, [end].into_iter());
            assert_eq!(in_two, whole, "{name} up to {end}");
        }
        for step in [step, 2 * step, 3 * step] {
            let in_many = in_pieces(&bytes, (0..bytes.len()).step_by(step));
            assert_eq!(in_many, whole, "{name} by {step}");
        }
    }
}

#[test]
fn on_the_engine() {
    let document = policy("stream").to_string();
    let engine = Rc::new(Engine::compile(document.as_bytes()).expect("a good document"));
    let decided = decided();
    let mut differences = Vec::new();
    for Text { name, bytes } in suite() {
        let found = judge(&engine, &bytes);
        let as_expected = match expected(&name, &decided) {
            Expected::Passes => found.is_none(),
            Expected::Refused => found.is_some(),
            Expected::RefusedFor(reason) => found == Some(reason),
        };
        if !as_expected {
            differences.push(format!("{name}: {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(decided.len(), 35 + EXCEPTIONS);
}

/// In one piece with its length, or in so many pieces without: 64 are one for each byte of most texts.
fn request(text: &[u8], pieces: usize) -> Request {
    let length = text.len().div_ceil(pieces).max(1);
    let body = match pieces {
        1 => vec![text.to_vec()],
        _ => text.chunks(length).map(<[u8]>::to_vec).collect(),
    };
    Request {
        version: Version::Http1,
        method: b"POST".to_vec(),
        path: b"/".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"content-type".to_vec(), b"application/json".to_vec())],
        body: Some(body),
        trailers: Vec::new(),
    }
}

/// Sends the whole suite; what differs.
fn send_all(addr: SocketAddr, pieces: usize) -> Vec<String> {
    let decided = decided();
    let mut differences = Vec::new();
    for Text { name, bytes } in suite() {
        let status = client::send(addr, &request(&bytes, pieces), TIMEOUT)
            .map(|response| response.status)
            .map_err(|error| error.to_string());
        let as_expected = match expected(&name, &decided) {
            Expected::Passes => status == Ok(200),
            Expected::Refused | Expected::RefusedFor(_) => matches!(status, Ok(400 | 422)),
        };
        if !as_expected {
            differences.push(format!("{name} in {pieces} pieces: {status:?}"));
        }
    }
    differences
}

#[test]
fn through_envoy_in_both_modes_whole_and_in_pieces() {
    const MODES: [&str; 2] = ["stream", "hold_headers"];
    let services = MODES.map(|_| Upstream::start_forgetful().expect("a service"));
    let filtered = |inspection: &str| {
        let options = WasmOptions {
            allow_on_headers_stop_iteration: inspection == "hold_headers",
            ..WasmOptions::default()
        };
        let document = string_value(&policy(inspection).to_string());
        let filter = wasm_filter(inspection, &module_path(), document, options);
        let options = ListenerOptions {
            cluster: inspection.to_owned(),
            ..ListenerOptions::default()
        };
        listener(inspection, vec![filter], options)
    };
    let clusters = MODES.iter().zip(&services);
    let clusters = clusters.map(|(name, service)| cluster(name, service.addr()));
    let bootstrap = bootstrap(MODES.map(filtered).to_vec(), clusters.collect());
    let envoy = Envoy::start(bootstrap, &Options::reused()).expect("Envoy starts");
    let [streaming, holding] = MODES.map(|name| envoy.listener_addr(name).expect("it listens"));
    let pieces = [1, 5, 64];
    let runs = pieces.map(|count| [(streaming, count), (holding, count)]);
    let differences = thread::scope(|scope| {
        let runs = runs.as_flattened().iter();
        let runs = runs.map(|&(addr, pieces)| scope.spawn(move || send_all(addr, pieces)));
        let runs: Vec<_> = runs.collect();
        let joined = runs
            .into_iter()
            .map(|run| run.join().expect("no run panics"));
        joined.flatten().collect::<Vec<String>>()
    });
    assert!(differences.is_empty(), "{differences:#?}");
    // Where heads are held, the service never heard of the others.
    let open = decided().into_values().filter(|answer| answer == "passes");
    let passing = 95 - EXCEPTIONS + open.count();
    let [_, holding] = services;
    assert_eq!(holding.count(), 3 * passing as u64);
}
