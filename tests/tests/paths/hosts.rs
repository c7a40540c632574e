//! No spelling of a host reaches the service under the policy for other hosts.

use std::net::SocketAddr;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response, Version};
use serde_json::{Value, json};

use super::{TIMEOUT, request};

/// All of them are `api.example.com`, or a name below `example.org`, to some server.
const SPELLINGS: &[&str] = &[
    "api.example.com",
    "API.Example.COM",
    "api.example.com.",
    "api.example.com:443",
    "api.example.com.:443",
    "api.example.com..",
    "api.example.com%2e",
    "%61pi.example.com",
    "api.example.com,",
    "api.example.com,other.example",
    "other.example,api.example.com",
    "user@api.example.com",
    "other.example@api.example.com",
    "api.example.com:x",
    "api.example.com:80:80",
    "api.example.com:99999",
    "api.example.com/",
    "api.example.com#",
    "api.example.com?",
    "api.example.com\\",
    "api.example.com;x",
    "a.example.org",
    "a.example.org.",
    "A.EXAMPLE.ORG.:80",
    "a.example.org%2e",
    "a.example.org,",
];

/// What servers make of a host.
fn readings(host: &str) -> Vec<String> {
    let host = host
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%61", "a");
    let parts = host.split([',', '@', ' ', '/', '#', '?', '\\', ';']);
    let name = |part: &str| {
        let part = part.split(':').next().unwrap_or_default();
        part.trim_end_matches('.').to_owned()
    };
    parts.map(name).collect()
}

fn is_guarded(host: &str) -> bool {
    let guarded = |name: &String| name == "api.example.com" || name.ends_with(".example.org");
    readings(host).iter().any(guarded)
}

fn document() -> Value {
    let asks = json!({ "headers": [{ "name": "x-admin", "required": true, "schema": true }] });
    json!({
        "version": 1,
        "access_log": {},
        "routes": [
            { "name": "api", "match": { "hosts": ["api.example.com"] }, "open": true, "parameters": asks },
            { "name": "org", "match": { "hosts": ["*.example.org"] }, "open": true, "parameters": asks },
            { "name": "rest", "match": {}, "open": true },
        ],
    })
}

struct Proxy {
    envoy: Envoy,
    service: Upstream,
}

impl Proxy {
    /// A listener for each of these connection managers, by name.
    fn start(managers: &[(&str, Value)]) -> Self {
        let service = Upstream::start().expect("a service");
        let listeners = managers.iter().map(|(name, manager)| {
            let configuration = string_value(&document().to_string());
            let filter = wasm_filter(name, &module_path(), configuration, WasmOptions::default());
            let mut manager = manager.clone();
            manager["delayed_close_timeout"] = "0.05s".into();
            let options = ListenerOptions {
                http_connection_manager: manager,
                ..ListenerOptions::default()
            };
            listener(name, vec![filter], options)
        });
        let clusters = vec![cluster("upstream", service.addr())];
        let bootstrap = bootstrap(listeners.collect(), clusters);
        let envoy = Envoy::start(bootstrap, &Options::reused()).expect("Envoy starts");
        Self { envoy, service }
    }

    fn addr(&self, listener: &str) -> SocketAddr {
        self.envoy.listener_addr(listener).expect("it listens")
    }

    /// The hosts under which the service was asked since the last time.
    fn hosts(&self) -> Vec<String> {
        let received = self.service.take_all();
        let hosts = received.iter().map(|request| {
            let hosts: Vec<&[u8]> = request.values("host").collect();
            String::from_utf8_lossy(&hosts.join(&b' ')).into_owned()
        });
        hosts.collect()
    }
}

fn to(host: &str, version: Version) -> Request {
    Request {
        authority: host.as_bytes().to_vec(),
        ..request("/", version)
    }
}

fn code(response: &Response) -> Value {
    let problem: Option<Value> = serde_json::from_slice(&response.body).ok();
    problem.map_or(Value::Null, |problem| problem["code"].clone())
}

#[test]
fn no_spelling_of_a_host_reaches_the_service_under_another_policy() {
    let managers = [
        ("as-sent", json!({})),
        ("dot-stripped", json!({ "strip_trailing_host_dot": true })),
        ("port-stripped", json!({ "strip_any_host_port": true })),
    ];
    let proxy = Proxy::start(&managers);
    for (name, _) in &managers {
        let addr = proxy.addr(name);
        for spelling in SPELLINGS {
            assert!(is_guarded(spelling), "{spelling}");
            for version in [Version::Http1, Version::Http2] {
                match client::send(addr, &to(spelling, version), TIMEOUT) {
                    Ok(answer) => assert_eq!(answer.status, 400, "{name}: {spelling}"),
                    // Envoy itself ends such a stream.
                    Err(_) => assert_eq!(version, Version::Http2, "{name}: {spelling}"),
                }
            }
        }
        let forms = [
            "GET / HTTP/1.1\r\nHost: other.example\r\nHost: api.example.com\r\n",
            "GET / HTTP/1.1\r\nHost: api.example.com\r\nHost: other.example\r\n",
            "GET / HTTP/1.1\r\nHost: other.example\r\nhost : api.example.com\r\n",
            "GET http://api.example.com./ HTTP/1.1\r\nHost: other.example\r\n",
            "GET http://user@api.example.com/ HTTP/1.1\r\nHost: other.example\r\n",
            "GET http://other.example@api.example.com/ HTTP/1.1\r\nHost: other.example\r\n",
        ];
        for head in forms {
            let raw = format!("{head}Connection: close\r\n\r\n");
            let answer = client::send_raw(addr, raw.as_bytes(), TIMEOUT).expect("an answer");
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.starts_with("HTTP/1.1 400"),
                "{name}: {head}: {answer}"
            );
        }
        // Two hosts over HTTP/2: that of `:authority` counts, and the service gets no other.
        let mut two = to("other.example", Version::Http2);
        two.headers
            .push((b"host".to_vec(), b"api.example.com".to_vec()));
        let _ = client::send(addr, &two, TIMEOUT);
        let mut passing = proxy.hosts();
        passing.retain(|host| is_guarded(host));
        assert_eq!(passing, [""; 0], "{name}");
        for version in [Version::Http1, Version::Http2] {
            let passes = client::send(addr, &to("other.example:80", version), TIMEOUT);
            assert_eq!(passes.expect("an answer").status, 200, "{name}");
        }
        assert_eq!(proxy.hosts().len(), 2, "{name}");
    }
    // What Envoy makes of a dot: the service gets the host without it, where Envoy is told to.
    for (name, expected) in [
        ("as-sent", "other.example.:80"),
        ("dot-stripped", "other.example:80"),
        ("port-stripped", "other.example."),
    ] {
        let dotted = to("other.example.:80", Version::Http1);
        let passes = client::send(proxy.addr(name), &dotted, TIMEOUT);
        assert_eq!(passes.expect("an answer").status, 200, "{name}");
        assert_eq!(proxy.hosts(), [expected], "{name}");
    }
}

#[test]
fn a_request_without_a_host_is_refused() {
    let managers = [
        ("plain", json!({})),
        (
            "old",
            json!({ "http_protocol_options": { "accept_http_10": true } }),
        ),
        (
            "default",
            json!({ "http_protocol_options": {
                "accept_http_10": true,
                "default_host_for_http_10": "api.example.com",
            } }),
        ),
    ];
    let proxy = Proxy::start(&managers);
    let send = |listener: &str, raw: &str| {
        let answer = client::send_raw(proxy.addr(listener), raw.as_bytes(), TIMEOUT);
        String::from_utf8_lossy(&answer.expect("an answer")).into_owned()
    };
    let empty = "GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n";
    for (listener, raw, status, code) in [
        ("plain", "GET / HTTP/1.0\r\n\r\n", "426", None),
        (
            "plain",
            "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
            "400",
            None,
        ),
        ("plain", empty, "400", Some("host_malformed")),
        ("old", "GET / HTTP/1.0\r\n\r\n", "400", None),
        (
            "old",
            "GET / HTTP/1.0\r\nHost: other.example\r\n\r\n",
            "200",
            None,
        ),
        ("old", empty, "400", Some("host_malformed")),
        // As if the client had asked for that host.
        (
            "default",
            "GET / HTTP/1.0\r\n\r\n",
            "400",
            Some("parameters_invalid"),
        ),
    ] {
        let answer = send(listener, raw);
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.contains(status), "{listener}: {raw:?}: {answer}");
        match code {
            Some(code) => assert!(answer.contains(code), "{listener}: {raw:?}: {answer}"),
            None => assert!(
                !answer.contains("\"code\""),
                "{listener}: {raw:?}: {answer}"
            ),
        }
    }
    let none = client::send(proxy.addr("plain"), &to("", Version::Http2), TIMEOUT);
    let code = none.map_or(Value::Null, |answer| code(&answer));
    assert!(code.is_null() || code == "host_malformed", "{code}");
    assert_eq!(proxy.hosts(), ["other.example"]);
}

/// A tunnel has a host and no path. Envoy refuses it, unless it is told to let tunnels pass.
#[test]
fn a_tunnel_is_no_path() {
    let tunnels = json!({
        "upgrade_configs": [{ "upgrade_type": "CONNECT" }],
        "route_config": { "virtual_hosts": [{ "name": "everyone", "domains": ["*"], "routes": [{
            "match": { "connect_matcher": {} },
            "route": {
                "cluster": "upstream",
                "upgrade_configs": [{ "upgrade_type": "CONNECT", "connect_config": {} }],
            },
        }] }] },
    });
    let proxy = Proxy::start(&[("tunnels", tunnels)]);
    let raw = "CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\nConnection: close\r\n\r\n";
    let answer = client::send_raw(proxy.addr("tunnels"), raw.as_bytes(), TIMEOUT);
    let answer = answer.expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let records = proxy.envoy.records(1, TIMEOUT).expect("a record");
    assert_eq!(
        records[0]["portcullis.reason"], "path_not_absolute",
        "{records:?}"
    );
}

/// What the documentation says of targets that no filter sees as they were sent.
#[test]
fn targets_that_are_not_paths_are_envoys_to_refuse() {
    let proxy = Proxy::start(&[("plain", json!({}))]);
    let addr = proxy.addr("plain");
    let raw = "GET http://other.example/a?b=c HTTP/1.1\r\nHost: third.example\r\nConnection: close\r\n\r\n";
    let answer = client::send_raw(addr, raw.as_bytes(), TIMEOUT).expect("an answer");
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        answer.escape_ascii()
    );
    let received = proxy.service.take_all();
    let [request] = received.as_slice() else {
        panic!("{received:?}");
    };
    assert_eq!(request.path, b"/a?b=c");
    assert_eq!(
        request.values("host").collect::<Vec<_>>(),
        [b"other.example"]
    );
    let mut answered = 1;
    for path in ["*", "a", "/a#b", "/a?b#c", "#", ""] {
        for version in [Version::Http1, Version::Http2] {
            for method in ["GET", "OPTIONS"] {
                let mut target = to("other.example", version);
                target.path = path.as_bytes().to_vec();
                target.method = method.as_bytes().to_vec();
                // Over HTTP/2 Envoy ends some of them without an answer.
                let Ok(answer) = client::send(addr, &target, TIMEOUT) else {
                    assert_eq!(version, Version::Http2, "{method} {path}");
                    continue;
                };
                answered += 1;
                assert!(answer.status >= 400, "{method} {path}: {answer:?}");
                assert_eq!(code(&answer), Value::Null, "{method} {path}");
            }
        }
    }
    // So are heads that are too large: over HTTP/1 alone the client learns that, and the record.
    for version in [Version::Http1, Version::Http2] {
        let mut large = to("other.example", version);
        large
            .headers
            .push((b"x-large".to_vec(), vec![b'a'; 100_000]));
        match client::send(addr, &large, TIMEOUT) {
            Ok(answer) => {
                assert_eq!((answer.status, version), (431, Version::Http1));
                answered += 1;
            }
            Err(_) => assert_eq!(version, Version::Http2),
        }
    }
    assert_eq!(proxy.hosts(), [""; 0]);
    let last = client::send(addr, &to("last.example", Version::Http1), TIMEOUT);
    assert_eq!(last.expect("an answer").status, 200);
    let records = proxy.envoy.records(answered + 1, TIMEOUT).expect("records");
    assert_eq!(records.len(), answered + 1, "{records:#?}");
    for record in &records {
        assert_eq!(record.get("portcullis.code"), None, "{record}");
        let outcome = &record["portcullis.outcome"];
        assert!(outcome == "allowed" || outcome == "not_judged", "{record}");
    }
    let too_large = |record: &&Value| record["http.response.status_code"] == 431;
    assert_eq!(records.iter().filter(too_large).count(), 1);
}
