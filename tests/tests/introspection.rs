//! Opaque tokens, about which a real Envoy asks a server of RFC 7662 that is good, slow, dead or lying.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use portcullis_tests::authorization_server::{AuthorizationServer, json_response};
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// An Envoy with one worker, a listener for each document, and the server that is asked.
struct Proxy {
    envoy: Envoy,
    upstream: Upstream,
    server: AuthorizationServer,
}

/// A document whose one server has these members more.
fn document(more: &Value) -> Value {
    let mut server = json!({
        "cluster": "idp", "uri": "https://id.example.com/introspect", "timeout": "10s",
        "authentication": { "client_secret_basic": {
            "client_id": "gateway", "client_secret": { "env": "SECRET" },
        } },
        "audiences": ["orders-api"], "cache_duration": "600s", "negative_cache_duration": "600s",
        "claim_to_headers": [{ "header_name": "x-user", "claim_name": "sub" }],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        server[name] = value.clone();
    }
    json!({
        "version": 1, "access_log": {},
        "introspection_servers": { "corp": server },
        "routes": [{ "name": "all", "match": {}, "introspection": { "server": "corp" } }],
    })
}

fn listening(name: &str, document: &Value) -> Value {
    let options = WasmOptions {
        environment: vec![("SECRET".to_owned(), "s3cret".to_owned())],
        ..WasmOptions::default()
    };
    let configuration = string_value(&document.to_string());
    let filter = wasm_filter(name, &module_path(), configuration, options);
    listener(name, vec![filter], ListenerOptions::default())
}

fn listeners() -> Vec<Value> {
    [
        ("strict", json!({})),
        ("quick", json!({ "timeout": "300ms", "cooldown": "1s" })),
        (
            "lenient",
            json!({ "timeout": "300ms", "on_error": "allow" }),
        ),
        ("dead", json!({ "cluster": "dead" })),
    ]
    .iter()
    .map(|(name, more)| listening(name, &document(more)))
    .collect()
}

fn active(user: &str) -> Value {
    json!({ "active": true, "sub": user, "aud": "orders-api", "token_type": "Bearer" })
}

/// A text that stands in the body of the question about a token.
fn about(token: &str) -> String {
    format!("token={token}&")
}

fn get(token: &str) -> Request {
    let field = |name: &str, value: String| (name.as_bytes().to_vec(), value.into_bytes());
    Request {
        method: b"GET".to_vec(),
        path: format!("/{token}").into_bytes(),
        authority: b"api.example.com".to_vec(),
        headers: vec![
            field("authorization", format!("Bearer {token}")),
            field("x-user", "mallory".to_owned()),
        ],
        ..Request::default()
    }
}

/// Who calls, as the service sees it, or the code of the refusal.
fn outcome(response: &Response) -> String {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    if response.status != 200 {
        let code = body["code"].as_str().unwrap_or_default();
        return format!("{} {code}", response.status);
    }
    let fields = body["headers"].as_array().cloned().unwrap_or_default();
    let value = |name: &str| {
        let found = fields.iter().find(|field| field[0] == name)?;
        Some(found[1].as_str()?.to_owned())
    };
    assert_eq!(value("authorization"), None, "the token is taken out");
    format!("200 {}", value("x-user").unwrap_or_default())
}

impl Proxy {
    fn start() -> Self {
        let (upstream, server) = (Upstream::start().unwrap(), AuthorizationServer::start());
        // Nobody listens there: the port has been given back.
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let dead = nowhere.local_addr().unwrap();
        drop(nowhere);
        let mut idp = cluster("idp", server.addr());
        idp["circuit_breakers"] = json!({ "thresholds": [{
            "max_connections": 4000, "max_pending_requests": 4000, "max_requests": 4000,
        }] });
        let clusters = vec![
            cluster("upstream", upstream.addr()),
            idp,
            cluster("dead", dead),
        ];
        let options = Options {
            concurrency: 1,
            drain_time: Some(Duration::from_secs(60)),
            ..Options::default()
        };
        let bootstrap = bootstrap(Vec::new(), clusters);
        let envoy = Envoy::start_with_lds(bootstrap, &listeners(), &options).unwrap();
        Self {
            envoy,
            upstream,
            server,
        }
    }

    fn addr(&self, listener: &str) -> SocketAddr {
        self.envoy.listener_addr(listener).unwrap()
    }

    fn send(&self, listener: &str, token: &str) -> String {
        self.request(listener, &get(token))
    }

    fn request(&self, listener: &str, request: &Request) -> String {
        outcome(&client::send(self.addr(listener), request, TIMEOUT).unwrap())
    }

    fn asked(&self, token: &str) -> usize {
        self.server.asked(&about(token)).len()
    }

    fn await_asked(&self, token: &str, many: usize) {
        let asked = self.server.await_asked(&about(token), many, TIMEOUT);
        assert!(asked >= many, "{token} is asked about {asked} times");
    }
}

/// RFC 7662 §2.1: POST, `application/x-www-form-urlencoded`, and the filter says who it is. §2.2: what comes
/// back says whether the token is active. §4: and is remembered.
fn answers(proxy: &Proxy) {
    proxy.server.answer_json(&about("good"), &active("alice"));
    proxy
        .server
        .answer_json(&about("bad"), &json!({ "active": false }));
    let other = json!({ "active": true, "sub": "alice", "aud": "billing" });
    proxy.server.answer_json(&about("other"), &other);
    for _ in 0..3 {
        assert_eq!(proxy.send("strict", "good"), "200 alice");
        assert_eq!(proxy.send("strict", "bad"), "401 introspection_invalid");
        assert_eq!(proxy.send("strict", "other"), "401 introspection_invalid");
    }
    assert_eq!(
        ["good", "bad", "other"].map(|token| proxy.asked(token)),
        [1; 3]
    );
    let asked = proxy.server.asked(&about("good")).remove(0);
    assert_eq!(
        (&*asked.method, &*asked.path),
        ("POST", "/introspect"),
        "{asked:?}"
    );
    assert_eq!(asked.body, "token=good&token_type_hint=access_token");
    let field = |name: &str| asked.headers.get(name).map(String::as_str);
    for (name, value) in [
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
        ("authorization", "Basic Z2F0ZXdheTpzM2NyZXQ="),
        ("host", "id.example.com"),
    ] {
        assert_eq!(field(name), Some(value), "{name}");
    }
    // What is no token is not asked about.
    let mut request = get("none");
    request.headers[0].1 = b"Bearer a&token=good".to_vec();
    assert_eq!(
        proxy.request("strict", &request),
        "401 introspection_invalid"
    );
    assert_eq!(proxy.server.asked("good").len(), 1);
}

/// Many that come at once with one token ask once, and all hear the same.
fn one_question_for_many(proxy: &Proxy) {
    const MANY: usize = 60;
    for (token, answer, expected) in [
        ("crowd", json_response(&active("carol")), "200 carol"),
        (
            "crowd-bad",
            json_response(&json!({ "active": false })),
            "401 introspection_invalid",
        ),
        (
            "crowd-broken",
            Response {
                status: 500,
                ..Response::default()
            },
            "503 introspection_unavailable",
        ),
    ] {
        proxy.server.answer(&about(token), answer);
        proxy.server.hold(&about(token));
        let before = proxy.upstream.count();
        thread::scope(|scope| {
            let all: Vec<_> = (0..MANY)
                .map(|_| scope.spawn(|| proxy.send("strict", token)))
                .collect();
            proxy.await_asked(token, 1);
            let stat = "http.strict.downstream_rq_active";
            wait_until("all wait", || {
                proxy.envoy.stat(stat).unwrap() >= MANY as u64
            });
            assert_eq!(proxy.upstream.count(), before, "they wait");
            proxy.server.let_go(&about(token));
            for each in all {
                assert_eq!(each.join().unwrap(), expected, "{token}");
            }
        });
        assert_eq!(proxy.asked(token), 1, "{token}");
    }
}

/// The client that asked leaves: the question is asked again for those that wait with it. One that was alone
/// leaves nothing behind.
fn clients_that_leave(proxy: &Proxy) {
    let leaving = |token: &str| {
        let mut stream = TcpStream::connect(proxy.addr("strict")).unwrap();
        let head = format!(
            "GET /gone HTTP/1.1\r\nhost: a.example\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    for token in ["left", "left-alone"] {
        proxy.server.answer_json(&about(token), &active("dave"));
        proxy.server.hold(&about(token));
    }
    let first = leaving("left");
    proxy.await_asked("left", 1);
    thread::scope(|scope| {
        let others = [0; 3].map(|_| scope.spawn(|| proxy.send("strict", "left")));
        let stat = "http.strict.downstream_rq_active";
        wait_until("all wait", || proxy.envoy.stat(stat).unwrap() >= 4);
        assert_eq!(proxy.asked("left"), 1);
        drop(first);
        proxy.await_asked("left", 2);
        proxy.server.let_go(&about("left"));
        for each in others {
            assert_eq!(each.join().unwrap(), "200 dave");
        }
    });
    assert_eq!(proxy.asked("left"), 2);
    let alone = leaving("left-alone");
    proxy.await_asked("left-alone", 1);
    drop(alone);
    let wanted = "\"portcullis.outcome\":\"unfinished\"";
    proxy.envoy.wait_for_log(wanted, TIMEOUT).unwrap();
    proxy.server.let_go(&about("left-alone"));
    assert_eq!(proxy.send("strict", "left-alone"), "200 dave");
    assert_eq!(proxy.upstream.take_path("/gone"), []);
}

/// A server that is slow, dead or lying has said nothing of a token.
fn failures(proxy: &Proxy) {
    const UNAVAILABLE: &str = "503 introspection_unavailable";
    assert_eq!(proxy.send("dead", "good"), UNAVAILABLE);
    let page = Response {
        status: 200,
        headers: vec![("content-type".to_owned(), b"text/html".to_vec())],
        body: b"<html>active: true</html>".to_vec(),
        trailers: Vec::new(),
    };
    let mut huge = json_response(&active("alice"));
    huge.body.extend(vec![b' '; 2 << 20]);
    let mut half = json_response(&active("alice"));
    half.body.truncate(20);
    proxy.server.answer(&about("page"), page);
    proxy.server.answer(&about("huge"), huge);
    proxy.server.answer(&about("half"), half);
    proxy.server.drop_for(&about("dropped"));
    for token in ["page", "huge", "half", "dropped"] {
        assert_eq!(proxy.send("strict", token), UNAVAILABLE, "{token}");
        // One that is good comes between, or the server would be left alone.
        let good = format!("between-{token}");
        proxy.server.answer_json(&about(&good), &active("erin"));
        assert_eq!(proxy.send("strict", &good), "200 erin");
        assert_eq!(proxy.send("lenient", token), "200 ", "as nobody");
        assert_eq!(proxy.send("lenient", &good), "200 erin");
    }
    // The deadline, and then nobody is held for it.
    proxy.server.answer_json(&about("slow"), &active("frank"));
    proxy.server.hold(&about("slow"));
    for _ in 0..3 {
        assert_eq!(proxy.send("quick", "slow"), UNAVAILABLE);
    }
    let asked = proxy.asked("slow");
    assert!(asked >= 3, "{asked}");
    assert_eq!(proxy.send("quick", "slow"), UNAVAILABLE);
    let records = proxy.envoy.records(1, TIMEOUT).unwrap();
    for wanted in ["timeout", "resting", "response", "unreachable"] {
        let mut reasons = records.iter().map(|record| &record["portcullis.reason"]);
        assert!(reasons.any(|reason| reason == wanted), "{wanted}");
    }
    proxy.server.let_go(&about("slow"));
    wait_until("it is asked again after its rest", || {
        proxy.send("quick", "slow") == "200 frank"
    });
}

/// A body is held with its head, and nothing of it is lost.
fn bodies(proxy: &Proxy) {
    proxy.server.answer_json(&about("body"), &active("grace"));
    proxy.server.hold(&about("body"));
    let pieces: Vec<Vec<u8>> = (0..200)
        .map(|number: u32| number.to_string().repeat(100).into_bytes())
        .collect();
    let whole = pieces.concat();
    let request = Request {
        method: b"POST".to_vec(),
        body: Some(pieces),
        ..get("body")
    };
    let before = proxy.upstream.count();
    thread::scope(|scope| {
        let sending = scope.spawn(|| proxy.request("strict", &request));
        proxy.await_asked("body", 1);
        assert_eq!(proxy.upstream.count(), before, "it waits");
        proxy.server.let_go(&about("body"));
        assert_eq!(sending.join().unwrap(), "200 grace");
    });
    let received = proxy.upstream.take_path("/body").pop().unwrap();
    assert!(received.body == whole, "{} bytes", received.body.len());
}

/// Another document comes while a request waits: it ends by the old one.
fn an_update(proxy: &Proxy) {
    proxy.server.answer_json(&about("update"), &active("heidi"));
    proxy.server.hold(&about("update"));
    thread::scope(|scope| {
        let waiting = [0; 2].map(|_| scope.spawn(|| proxy.send("strict", "update")));
        proxy.await_asked("update", 1);
        let stat = "http.strict.downstream_rq_active";
        wait_until("both wait", || proxy.envoy.stat(stat).unwrap() >= 2);
        let mut all = listeners();
        all[0] = listening("strict", &document(&json!({ "audiences": ["billing"] })));
        let updated = proxy.envoy.update_listeners(&all).unwrap();
        assert_eq!(updated, Update::Accepted);
        wait_until("the new document is in force", || {
            proxy.send("strict", "good") == "401 introspection_invalid"
        });
        proxy.server.let_go(&about("update"));
        for each in waiting {
            assert_eq!(each.join().unwrap(), "200 heidi");
        }
    });
}

#[test]
fn a_server_is_asked_and_nothing_is_lost() {
    let proxy = Proxy::start();
    answers(&proxy);
    one_question_for_many(&proxy);
    clients_that_leave(&proxy);
    bodies(&proxy);
    failures(&proxy);
    an_update(&proxy);
    let log = proxy.envoy.log();
    assert!(!log.contains("panicked") && !log.contains("s3cret"));
    // No record has a token: they stand in paths here, and nowhere else.
    assert!(!log.contains("Bearer"));
}
