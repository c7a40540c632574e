//! What is masked in responses, on a real Envoy, its last release and an older one, in both body modes: lengths, pieces,
//! trailers, and connections that go on. What one exchange can show is in `tests/cases/responses`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use portcullis_tests::client::{self, ClientError, Connection};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::wait_until;
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Both body modes, and whether their listener shows the bodies of held heads.
const MODES: [(&str, bool); 2] = [("stream", false), ("hold_headers", true)];

const SAID: &str = r#"{ "mail" : "a@b.cc", "n": 1.50, "card":4111111111111111 }"#;
const REDACTED: &str = r#"{ "mail" : "****", "n": 1.50, "card":"****1111" }"#;
const FORBIDDEN: &str = r#"{"key":"-----BEGIN PRIVATE KEY-----\nMIIE"}"#;

/// As large as it may be, with an address at its end.
fn large(text: &str) -> String {
    format!("[\"{}\",\"{text}\"]", "x".repeat(300_000))
}

fn document(mode: &str, inspection: &str) -> Value {
    let responses = json!({
        "mode": mode,
        "redact": { "kinds": { "email": "mask", "card": "mask" } },
        "forbid": { "kinds": ["private_key"] },
        "types": ["text/*"],
        "max_bytes": "512KiB",
    });
    let lenient = json!({
        "mode": mode,
        "redact": { "kinds": { "email": "mask" } },
        "max_bytes": "1KiB",
        "oversized": "pass", "unreadable": "pass", "streams": "pass",
    });
    json!({
        "version": 1,
        "body_inspection": inspection,
        "access_log": {},
        "routes": [
            { "name": "lenient", "match": { "path": { "prefix": "/lenient" } }, "open": true, "responses": lenient },
            { "name": "all", "match": {}, "open": true, "responses": responses },
        ],
    })
}

/// A service that answers by the last part of the path, on connections that go on.
fn service() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    addr
}

fn serve(mut stream: TcpStream) {
    while let Some(head) = read_head(&mut stream) {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let way = path.rsplit('/').next().unwrap_or_default().to_owned();
        let is_head = head.starts_with("HEAD");
        let asked = head.to_ascii_lowercase();
        let encoded = asked.contains("accept-encoding") || asked.contains("\r\nrange:");
        if answer(&mut stream, &way, is_head, encoded).is_err() {
            return;
        }
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        (stream.read(&mut byte).ok()? > 0).then_some(())?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn answer(stream: &mut TcpStream, way: &str, is_head: bool, encoded: bool) -> std::io::Result<()> {
    let whole = |body: &str, more: &str| {
        let length = body.len();
        let body = if is_head { "" } else { body };
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\netag: \"1\"\r\ncontent-md5: AAAA\r\n{more}\r\n{body}"
        )
    };
    let chunked = |pieces: &[&str], more: &str, trailers: &str| {
        let pieces = pieces
            .iter()
            .map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()));
        let pieces: String = pieces.collect();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n{more}\r\n{pieces}0\r\n{trailers}\r\n"
        )
    };
    let (first, rest) = SAID.split_at(13);
    let text = match way {
        "length" => whole(SAID, ""),
        "plain" => whole("{}", ""),
        "encoded" => whole(if encoded { FORBIDDEN } else { SAID }, ""),
        "forbidden" => whole(FORBIDDEN, ""),
        "chunks" => {
            let text = chunked(&[first, rest], "", "");
            let (one, other) = text.split_at(text.find("2c\r\n").unwrap_or(text.len() / 2));
            stream.write_all(one.as_bytes())?;
            thread::sleep(Duration::from_millis(20));
            return stream.write_all(other.as_bytes());
        }
        "trailers" => chunked(
            &[first, rest],
            "trailer: x-a, content-digest\r\n",
            "x-a: 1\r\ncontent-digest: sha-256=:AA==:\r\n",
        ),
        "large" => whole(&large("a@b.cc"), ""),
        "large-chunks" => chunked(&[&large("a@b.cc")], "", ""),
        "too-large" => whole(&"[1]".repeat(1 << 18), ""),
        // More than is searched, and less than the proxy holds.
        "too-large-chunks" => chunked(&[&"x".repeat(600 << 10), "y"], "", ""),
        "gzip" => whole("{}", "content-encoding: gzip\r\n"),
        "part" => whole("{}", "content-range: bytes 0-1/9\r\n").replacen(
            "200 OK",
            "206 Partial Content",
            1,
        ),
        "events" => {
            let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\ne\r\ndata: a@b.cc\n\n\r\n";
            stream.write_all(events.as_bytes())?;
            // It goes on until somebody has had enough.
            let mut byte = [0];
            let _ = stream.read(&mut byte);
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        _ => whole("{}", ""),
    };
    stream.write_all(text.as_bytes())
}

struct Proxy {
    envoy: Envoy,
}

impl Proxy {
    fn start(binary: Option<PathBuf>) -> Self {
        let listeners = ["enforce", "shadow"].into_iter().flat_map(|mode| {
            MODES.map(|(inspection, holds)| {
                let name = format!("{mode}-{inspection}");
                let options = WasmOptions {
                    allow_on_headers_stop_iteration: holds,
                    ..WasmOptions::default()
                };
                let document = string_value(&document(mode, inspection).to_string());
                let filter = wasm_filter(&name, &module_path(), document, options);
                let options = ListenerOptions {
                    http_connection_manager: json!({
                        "http_protocol_options": { "enable_trailers": true },
                    }),
                    ..ListenerOptions::default()
                };
                listener(&name, vec![filter], options)
            })
        });
        let mut upstream = cluster("upstream", service());
        upstream["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } },
            },
        });
        let bootstrap = bootstrap(listeners.collect(), vec![upstream]);
        let options = Options {
            concurrency: 1,
            binary,
            ..Options::reused()
        };
        let envoy = Envoy::start(bootstrap, &options).expect("Envoy starts");
        Self { envoy }
    }

    fn addr(&self, mode: &str, inspection: &str) -> SocketAddr {
        let name = format!("{mode}-{inspection}");
        self.envoy.listener_addr(&name).expect("it listens")
    }
}

fn get(path: &str, version: Version) -> Request {
    Request {
        version,
        method: b"GET".to_vec(),
        path: path.as_bytes().to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"te".to_vec(), b"trailers".to_vec())],
        ..Request::default()
    }
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let mut fields = response.headers.iter();
    let (_, value) = fields.find(|(each, _)| each == name)?;
    std::str::from_utf8(value).ok()
}

fn body(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

fn code(response: &Response) -> String {
    let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    problem["code"].as_str().unwrap_or_default().to_owned()
}

/// One Envoy for all of it: it takes seconds to start.
fn responses_are_masked(binary: Option<PathBuf>) {
    let proxy = &Proxy::start(binary);
    shadow_changes_nothing_and_counts(proxy);
    what_is_masked_arrives_whole_and_with_its_length(proxy);
    a_connection_goes_on_behind_what_was_masked(proxy);
    clients_cannot_ask_for_what_cannot_be_read(proxy);
    what_may_not_leave_reaches_nobody(proxy);
    what_passes_unjudged_passes_as_it_comes(proxy);
}

#[test]
fn responses_are_masked_on_the_last_release() {
    responses_are_masked(None);
}

#[test]
fn responses_are_masked_on_an_older_release() {
    let older = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    responses_are_masked(Some(
        older.expect("ENVOY_1_36 names the binary of Envoy 1.36"),
    ));
}

fn what_is_masked_arrives_whole_and_with_its_length(proxy: &Proxy) {
    for (inspection, holds) in MODES {
        let addr = proxy.addr("enforce", inspection);
        for version in [Version::Http1, Version::Http2] {
            let send = |path: &str| client::send(addr, &get(path, version), TIMEOUT).unwrap();
            for path in ["/length", "/chunks", "/trailers", "/large", "/large-chunks"] {
                let response = send(path);
                let expected = match path.starts_with("/large") {
                    true => large("****"),
                    false => REDACTED.to_owned(),
                };
                assert!(
                    body(&response) == expected,
                    "{inspection} {path}: {}",
                    response.body.len()
                );
                let length = field(&response, "content-length").map(str::to_owned);
                let is_told = holds && matches!(path, "/length" | "/large");
                let told = is_told.then(|| expected.len().to_string());
                assert_eq!(length, told, "{inspection} {path}");
                assert_eq!(field(&response, "content-md5"), None);
                let etag = field(&response, "etag");
                assert!(etag.is_none_or(|etag| etag == "W/\"1\""), "{etag:?}");
            }
            let trailers = send("/trailers").trailers;
            assert_eq!(
                trailers,
                [("x-a".to_owned(), b"1".to_vec())],
                "{inspection}"
            );
            // Where nothing is changed, the length stays if the head has waited.
            let plain = send("/plain");
            assert_eq!(body(&plain), "{}");
            assert_eq!(field(&plain, "content-length").is_some(), holds);
            let mut head = get("/length", version);
            head.method = b"HEAD".to_vec();
            let head = client::send(addr, &head, TIMEOUT).unwrap();
            let said = ["content-length", "content-md5", "etag"].map(|name| field(&head, name));
            assert_eq!((head.status, said), (200, [None, None, Some("W/\"1\"")]));
        }
    }
}

fn a_connection_goes_on_behind_what_was_masked(proxy: &Proxy) {
    for (inspection, _) in MODES {
        let mut connection = Connection::new(proxy.addr("enforce", inspection));
        for path in ["/length", "/plain", "/chunks", "/trailers", "/length"] {
            let response = connection
                .send(&get(path, Version::Http1), TIMEOUT)
                .unwrap();
            let expected = if path == "/plain" { "{}" } else { REDACTED };
            assert_eq!(
                (response.status, body(&response)),
                (200, expected),
                "{path}"
            );
        }
        assert_eq!(connection.opened(), 1, "{inspection}");
    }
}

fn what_may_not_leave_reaches_nobody(proxy: &Proxy) {
    for version in [Version::Http1, Version::Http2] {
        let held = proxy.addr("enforce", "hold_headers");
        let send = |path: &str| client::send(held, &get(path, version), TIMEOUT).unwrap();
        for (path, expected) in [
            ("/forbidden", "response_sensitive"),
            ("/too-large", "response_unjudged"),
            ("/too-large-chunks", "response_unjudged"),
            ("/gzip", "response_unjudged"),
            ("/part", "response_unjudged"),
            ("/events", "response_unjudged"),
        ] {
            let response = send(path);
            assert_eq!(
                (response.status, code(&response).as_str()),
                (502, expected),
                "{path}"
            );
        }
        // With its head gone ahead, a response is broken off.
        let ahead = proxy.addr("enforce", "stream");
        for path in ["/forbidden", "/too-large-chunks", "/events"] {
            let error = client::send(ahead, &get(path, version), TIMEOUT).unwrap_err();
            let partial = error.partial().map_or(0, |response| response.body.len());
            assert_eq!(partial, 0, "{path}: {error}");
        }
    }
    let log = proxy.envoy.log();
    assert!(
        !log.contains("MIIE") && !log.contains("a@b.cc"),
        "no text is logged"
    );
}

fn what_passes_unjudged_passes_as_it_comes(proxy: &Proxy) {
    for mode in ["enforce", "shadow"] {
        for (inspection, _) in MODES {
            let addr = proxy.addr(mode, inspection);
            for version in [Version::Http1, Version::Http2] {
                let send = |path: &str| client::send(addr, &get(path, version), TIMEOUT);
                let large_body = send("/lenient/large").unwrap();
                assert!(body(&large_body) == large("a@b.cc"), "{mode} {inspection}");
                assert_eq!(
                    field(&large_body, "content-length"),
                    Some(large("a@b.cc").len().to_string().as_str())
                );
                let chunks = send("/lenient/large-chunks").unwrap();
                assert!(body(&chunks) == large("a@b.cc"), "{mode} {inspection}");
                assert_eq!(send("/lenient/gzip").unwrap().status, 200);
                assert_eq!(send("/lenient/part").unwrap().status, 206);
            }
            // The first event arrives while the stream goes on.
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            stream
                .write_all(b"GET /lenient/events HTTP/1.1\r\nhost: a\r\n\r\n")
                .unwrap();
            let mut seen = Vec::new();
            let mut piece = [0; 4096];
            while !String::from_utf8_lossy(&seen).contains("data: a@b.cc") {
                let count = stream.read(&mut piece).expect("an event comes");
                assert!(
                    count > 0,
                    "the stream ends: {}",
                    String::from_utf8_lossy(&seen)
                );
                seen.extend_from_slice(&piece[..count]);
            }
        }
    }
    let log = proxy.envoy.log();
    for reason in ["size", "content_encoding", "partial", "stream"] {
        let member = format!("\"portcullis.unjudged\":\"{reason}\"");
        assert!(log.contains(&member), "{reason}");
    }
}

fn shadow_changes_nothing_and_counts(proxy: &Proxy) {
    for (inspection, _) in MODES {
        let addr = proxy.addr("shadow", inspection);
        let before = proxy
            .envoy
            .stat("wasmcustom.portcullis.sensitive.email")
            .unwrap();
        let sent = client::send(addr, &get("/length", Version::Http1), TIMEOUT).unwrap();
        assert_eq!(body(&sent), SAID);
        let said = ["content-length", "content-md5", "etag"].map(|name| field(&sent, name));
        assert_eq!(
            said,
            [
                Some(SAID.len().to_string().as_str()),
                Some("AAAA"),
                Some("\"1\"")
            ]
        );
        // All of the body may be there before its end is.
        wait_until("the address is counted", || {
            let counted = proxy.envoy.stat("wasmcustom.portcullis.sensitive.email");
            counted.unwrap() == before + 1
        });
    }
}

/// A client could ask for what cannot be read, and with a document in force does not get it.
fn clients_cannot_ask_for_what_cannot_be_read(proxy: &Proxy) {
    for (inspection, _) in MODES {
        let mut request = get("/encoded", Version::Http1);
        for (name, value) in [("accept-encoding", "gzip"), ("range", "bytes=0-3")] {
            request
                .headers
                .push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        let addr = proxy.addr("enforce", inspection);
        let response: Result<Response, ClientError> = client::send(addr, &request, TIMEOUT);
        assert_eq!(body(&response.unwrap()), REDACTED);
    }
}
