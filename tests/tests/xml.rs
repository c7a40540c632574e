//! XML bodies: the conformance test suite of the W3C at the gate, on the engine and through Envoy in both body modes, whole
//! and in pieces; and bodies of a megabyte.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use portcullis::formats::xml::{XmlError, XmlFault, XmlLimits, XmlPieces, check};
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response, Version};
use portcullis_tests::{module_path, tokens};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The limits of a block that says nothing.
const USUAL: XmlLimits = XmlLimits {
    depth: 64,
    elements: 100_000,
    attributes: 64,
    namespaces: 32,
    name_bytes: 256,
    text_bytes: usize::MAX,
    attribute_bytes: 64 << 10,
    comments: true,
    schema_locations: false,
};

/// A text of the suite.
struct Vector {
    id: String,
    /// `valid`, `invalid`, `not-wf` or `error`.
    kind: String,
    /// Whether it is about names with colons that mean nothing.
    ignores_namespaces: bool,
    bytes: Vec<u8>,
}

fn suite() -> Vec<Vector> {
    let path = tokens::repository().join("tests/vectors/xmlconf/cases.json");
    let cases = fs::read(path).expect("the suite is there");
    let cases: Vec<Value> = serde_json::from_slice(&cases).expect("the suite is JSON");
    let bytes = |case: &Value| match case["text"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => {
            let hex = case["hex"].as_str().expect("a text or its bytes");
            let bytes = hex.as_bytes().chunks(2).map(|two| {
                let two = std::str::from_utf8(two).expect("ASCII");
                u8::from_str_radix(two, 16).expect("hexadecimal")
            });
            bytes.collect()
        }
    };
    let vectors = cases.iter().map(|case| Vector {
        id: case["id"].as_str().expect("a name").to_owned(),
        kind: case["type"].as_str().expect("a kind").to_owned(),
        ignores_namespaces: case["namespace"] == "no",
        bytes: bytes(case),
    });
    let vectors: Vec<Vector> = vectors.collect();
    assert_eq!(vectors.len(), 1994);
    vectors
}

fn in_pieces(text: &[u8], step: usize, limits: &XmlLimits) -> Result<(), XmlError> {
    let (mut pieces, mut done) = (XmlPieces::new(*limits), 0);
    for end in (0..text.len()).step_by(step) {
        done += pieces.more(&text[done..end], &mut ())?;
    }
    pieces.last(&text[done..], &mut ())
}

/// What the reference says of the suite: how many of each kind come to what.
fn documented() -> BTreeMap<String, usize> {
    let page = tokens::repository().join("docs/policies/xml.md");
    let page = fs::read_to_string(page).expect("the reference is there");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| answer | texts |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let rows = rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let count = cells[1].parse().expect("a number");
        (cells[0].trim_matches('`').to_owned(), count)
    });
    rows.collect()
}

#[test]
fn of_the_conformance_suite_nothing_passes_that_is_not_well_formed() {
    let mut answers = BTreeMap::new();
    let mut differences = Vec::new();
    for vector in suite() {
        let found = check(&vector.bytes, &USUAL).map_err(|error| error.fault);
        let has = |part: &[u8]| {
            vector
                .bytes
                .windows(part.len())
                .any(|window| window == part)
        };
        // What is well-formed passes, unless it has what never passes.
        let (answer, is_right) = match (vector.kind.as_str(), found) {
            ("not-wf", Err(_)) | ("error", _) => continue,
            ("not-wf", Ok(())) => ("passes", false),
            (_, Ok(())) => ("passes", true),
            (_, Err(XmlFault::Doctype)) => ("xml_doctype", has(b"<!DOCTYPE")),
            (_, Err(XmlFault::ProcessingInstruction)) => ("xml_processing_instruction", has(b"<?")),
            (_, Err(XmlFault::Encoding)) => {
                let is_utf8 = std::str::from_utf8(&vector.bytes).is_ok();
                let names_another = has(b"encoding") && !has(b"encoding=\"UTF-8\"");
                ("xml_encoding", !is_utf8 || has(b"\0") || names_another)
            }
            (_, Err(XmlFault::Version)) => ("xml_version", has(b"version=")),
            (_, Err(XmlFault::Namespace)) => ("xml_namespace", vector.ignores_namespaces),
            _ => ("", false),
        };
        if !is_right {
            differences.push(format!("{} ({}): {found:?}", vector.id, vector.kind));
        }
        *answers.entry(answer.to_owned()).or_insert(0) += 1;
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(answers, documented());
}

#[test]
fn the_suite_in_pieces_comes_to_the_same() {
    for vector in suite() {
        let whole = check(&vector.bytes, &USUAL);
        for step in [1, 2, 3, 10, 100] {
            let judged = in_pieces(&vector.bytes, step, &USUAL);
            assert_eq!(judged, whole, "{} by {step}", vector.id);
        }
    }
}

const MODES: [&str; 2] = ["stream", "hold_headers"];

const ACTION: &str = "urn:example:orders/Place";

/// An Envoy with a listener for each body mode, and a service behind each.
struct Proxies {
    envoy: Envoy,
    services: [Upstream; 2],
}

impl Proxies {
    fn start(service: impl Fn() -> Upstream) -> Self {
        let services = MODES.map(|_| service());
        let document = |inspection: &str| {
            let route = |name: &str, xml: Value| {
                json!({
                    "name": name,
                    "match": { "path": { "prefix": format!("/{name}") } },
                    "open": true,
                    "payload": { "max_bytes": "2MiB", "require_body": ["POST"], "xml": xml },
                })
            };
            let soap = json!({ "soap": { "actions": { ACTION: "{urn:example:orders}Place" } } });
            json!({
                "version": 1,
                "body_inspection": inspection,
                "access_log": {},
                "routes": [route("xml", json!({})), route("soap", soap)],
            })
        };
        let filtered = |inspection: &str| {
            let options = WasmOptions {
                allow_on_headers_stop_iteration: inspection == "hold_headers",
                ..WasmOptions::default()
            };
            let document = string_value(&document(inspection).to_string());
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
        Self { envoy, services }
    }

    fn addr(&self, mode: &str) -> SocketAddr {
        self.envoy.listener_addr(mode).expect("it listens")
    }
}

/// In one piece with its length, or in so many pieces without.
fn request(path: &str, text: &[u8], pieces: usize) -> Request {
    let length = text.len().div_ceil(pieces).max(1);
    let body = match pieces {
        1 => vec![text.to_vec()],
        _ => text.chunks(length).map(<[u8]>::to_vec).collect(),
    };
    let mut headers = vec![(b"content-type".to_vec(), b"text/xml".to_vec())];
    if path == "/soap" {
        headers.push((b"soapaction".to_vec(), format!("\"{ACTION}\"").into_bytes()));
    }
    Request {
        version: Version::Http1,
        method: b"POST".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        headers,
        body: Some(body),
        trailers: Vec::new(),
    }
}

/// Sends the whole suite; what differs.
fn send_all(addr: SocketAddr, pieces: usize) -> Vec<String> {
    let mut differences = Vec::new();
    for vector in suite() {
        let status = client::send(addr, &request("/xml", &vector.bytes, pieces), TIMEOUT)
            .map(|response| response.status)
            .map_err(|error| error.to_string());
        let as_expected = match check(&vector.bytes, &USUAL) {
            Ok(()) => status == Ok(200),
            Err(_) => matches!(status, Ok(400 | 422)),
        };
        if !as_expected {
            differences.push(format!("{} in {pieces} pieces: {status:?}", vector.id));
        }
    }
    differences
}

#[test]
fn the_suite_through_envoy_in_both_modes_whole_and_in_pieces() {
    let proxies = Proxies::start(|| Upstream::start_forgetful().expect("a service"));
    let runs = MODES.map(|mode| [1, 7].map(|pieces| (proxies.addr(mode), pieces)));
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
    let good = suite()
        .iter()
        .filter(|vector| check(&vector.bytes, &USUAL).is_ok())
        .count();
    let [_, holding] = &proxies.services;
    assert_eq!(holding.count(), 2 * good as u64);
}

/// A message of about so many bytes, and what stands at its end.
fn message(bytes: usize, end: &str) -> Vec<u8> {
    let item = |n: usize| {
        format!(
            "<o:item sku=\"AB-{n:04}\"><o:note>caf\u{e9} &amp; more &#x20AC;</o:note></o:item>\n"
        )
    };
    let items: String = (0..bytes / item(0).len()).map(item).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><o:Place xmlns:o=\"urn:example:orders\">{items}{end}</o:Place></s:Body></s:Envelope>"
    )
    .into_bytes()
}

fn code(response: &Response) -> String {
    let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    problem["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn bodies_of_a_megabyte_pass_whole_or_not_at_all() {
    let proxies = Proxies::start(|| Upstream::start().expect("a service"));
    let [_, holding] = &proxies.services;
    for mode in MODES {
        let addr = proxies.addr(mode);
        for pieces in [1, 3, 60, 700] {
            let good = message(1_000_000, "");
            for path in ["/xml", "/soap"] {
                let request = request(path, &good, pieces);
                let response = client::send(addr, &request, TIMEOUT).expect("an answer");
                assert_eq!(response.status, 200, "{mode} {path} in {pieces}");
            }
            for (end, path, expected) in [
                ("</o:item>", "/xml", "payload_malformed"),
                ("&xxe;", "/xml", "payload_structure"),
                ("<!DOCTYPE x>", "/soap", "payload_structure"),
                (
                    "</o:Place><o:Delete/><o:Place>",
                    "/soap",
                    "payload_malformed",
                ),
                ("</o:Place><x/><y>", "/soap", "payload_soap"),
            ] {
                let bad = message(1_000_000, end);
                let request = request(path, &bad, pieces);
                let response = client::send(addr, &request, TIMEOUT).expect("an answer");
                assert_eq!(code(&response), expected, "{mode} {path} {end} in {pieces}");
            }
        }
    }
    let received = holding.take_all();
    assert_eq!(
        received.len(),
        4 * 2,
        "the service hears of none of the others"
    );
}
