//! What a module keeps of exchanges: nothing, however they end.

use std::fs;

use portcullis_tests::fake_host::Callback::{
    Answer, AnswerBody, AnswerTrailers, Body, Done, Head, Log, Made, Trailers,
};
use portcullis_tests::fake_host::{Callback, FakeHost, HostOptions, Led};
use portcullis_tests::module_path;
use portcullis_tests::tokens::SigningKey;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

use super::{NOW, document, request, service};

/// Memory is counted to the byte, so that fewer would do.
const MANY: usize = 300;
/// As often before that is counted, so that tables have their size.
const WARM: usize = 50;

/// In which ways an exchange can end: as a rule; answered or reset before its head comes here; over HTTP/3, where it
/// is not logged; in the midst of it; with what comes after its end.
const ENDS: &[&[Callback]] = &[
    &[Made, Head, Answer, AnswerBody, Log, Done],
    &[
        Made,
        Head,
        Body,
        Trailers,
        Answer,
        AnswerBody,
        AnswerTrailers,
        Log,
        Done,
    ],
    &[Made, Log, Done],
    &[Made, Done],
    &[Made, Head, Done],
    &[Made, Head, Log, Done],
    &[Made, Head, Body, Done],
    &[Made, Head, Trailers, Done],
    &[Made, Head, Answer, Done],
    &[Made, Head, Answer, AnswerTrailers, Done],
    &[Made, Answer, AnswerBody, Log, Done],
    &[Made, Head, Log, Done, Log, Done],
    &[
        Made,
        Head,
        Done,
        Log,
        Body,
        Answer,
        AnswerBody,
        AnswerTrailers,
        Trailers,
    ],
    &[Log, Done],
    &[Answer, Body, Done],
];

fn start(document: &Value) -> FakeHost {
    let options = HostOptions {
        now_nanos: NOW * 1_000_000_000,
        ..HostOptions::default()
    };
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    FakeHost::start(&wasm, document.to_string().as_bytes(), options).unwrap()
}

/// One that is judged by plans, and one whose bodies are judged.
fn documents() -> [Value; 2] {
    let planned = document(json!({ "sinks": ["filter_state"] }));
    let planned = serde_json::from_slice(&planned).expect("it is JSON");
    let asked = json!({
        "version": 1,
        "schemas": { "order": { "type": "object" } },
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "routes": [{
            "name": "all", "match": { "path": { "prefix": "/" } }, "jwt": { "provider": "corp" },
            "payload": { "max_bytes": "1KiB", "json_schema": "order",
                "responses": { "json_schema": "order", "mode": "enforce" } },
        }],
    });
    [planned, asked]
}

/// One that goes on, and one that is refused.
fn requests() -> [Request; 2] {
    [NOW + 60, NOW - 3600].map(|exp| {
        let mut request = request("alice", exp);
        request.method = b"POST".to_vec();
        let json = (b"content-type".to_vec(), b"application/json".to_vec());
        request.headers.push(json);
        request.body = Some(vec![b"{}".to_vec()]);
        request
    })
}

/// What the module has of memory, all of it and that of exchanges.
fn memory(host: &mut FakeHost) -> [u64; 2] {
    // What a tick itself takes is told by the next.
    host.tick().unwrap();
    host.tick().unwrap();
    ["live", "streams"].map(|name| {
        let name = format!("portcullis.memory.{name}_bytes");
        host.metric(&name).unwrap()
    })
}

fn lead(host: &mut FakeHost, request: &Request, end: &[Callback]) {
    let mut led = host.lead();
    for step in end {
        host.step(&mut led, *step, request).unwrap();
    }
}

#[test]
fn nothing_is_kept_of_an_exchange_however_it_ends() {
    for document in documents() {
        let mut host = start(&document);
        for request in requests() {
            for end in ENDS {
                (0..WARM).for_each(|_| lead(&mut host, &request, end));
                let before = memory(&mut host);
                (0..MANY).for_each(|_| lead(&mut host, &request, end));
                assert_eq!(memory(&mut host), before, "{end:?} with {document}");
            }
        }
    }
}

/// More of them at once than have places on their plans, so that numbers meet.
#[test]
fn nothing_is_kept_of_exchanges_that_end_in_any_order() {
    const AT_ONCE: usize = 1500;
    for document in documents() {
        let mut host = start(&document);
        let requests = requests();
        let round = |host: &mut FakeHost| {
            let mut led: Vec<Led> = (0..AT_ONCE).map(|_| host.lead()).collect();
            let mut all = |steps: &[Callback], backwards: bool| {
                if backwards {
                    led.reverse();
                }
                for (number, each) in led.iter_mut().enumerate() {
                    let request = &requests[number % 2];
                    for step in steps {
                        host.step(each, *step, request).unwrap();
                    }
                }
            };
            // Contexts are made in one order, heard of in the other, and a third of them never.
            all(&[Made], false);
            all(&[Head], true);
            all(&[Answer], false);
            all(&[Log, Done], true);
        };
        round(&mut host);
        round(&mut host);
        let before = memory(&mut host);
        round(&mut host);
        assert_eq!(memory(&mut host), before, "{document}");
    }
}

#[test]
fn a_request_that_was_refused_is_held_until_its_end_and_others_are_not() {
    for document in documents() {
        let mut host = start(&document);
        let [good, bad] = requests();
        let (mut first, mut second) = (host.lead(), host.lead());
        host.step(&mut first, Made, &bad).unwrap();
        host.step(&mut second, Made, &good).unwrap();
        assert!(host.step(&mut first, Head, &bad).unwrap());
        assert_eq!(first.replied(), Some(401));
        host.step(&mut second, Head, &good).unwrap();
        assert_eq!(second.replied(), None);
        // The proxy did not send the reply.
        assert!(host.step(&mut first, Body, &bad).unwrap());
        assert!(host.step(&mut first, Trailers, &bad).unwrap());
        assert!(!host.step(&mut second, Body, &good).unwrap());
        for (led, request) in [(&mut second, &good), (&mut first, &bad)] {
            host.step(led, Log, request).unwrap();
            host.step(led, Done, request).unwrap();
        }
    }
}

/// Envoy gives numbers of 32 bits and begins anew.
#[test]
fn numbers_of_contexts_begin_anew_after_the_last() {
    for document in documents() {
        let mut host = start(&document);
        let [good, bad] = requests();
        host.number_contexts_from(u32::MAX - 40);
        for _ in 0..50 {
            for (request, status) in [(&good, 200), (&bad, 401)] {
                let seen = host.exchange(request, &service()).unwrap();
                let is_asked = document["routes"][0].get("payload").is_some();
                if status == 401 || !is_asked {
                    assert_eq!(seen.response.status, status);
                }
            }
        }
    }
}

/// Requests outlive the document that judges them; the proxy may tick once more and answer a call.
#[test]
fn a_plugin_ends_with_its_requests_under_way() {
    for document in documents() {
        let mut host = start(&document);
        let [good, bad] = requests();
        let before = {
            host.exchange(&bad, &service()).unwrap();
            memory(&mut host)
        };
        let old = host.newest_plugin();
        let mut unheard = host.lead();
        host.step(&mut unheard, Made, &good).unwrap();
        let mut led = [host.lead(), host.lead()];
        for (each, request) in led.iter_mut().zip([&good, &bad]) {
            host.step(each, Made, request).unwrap();
            host.step(each, Head, request).unwrap();
        }
        host.configure(document.to_string().as_bytes()).unwrap();
        host.exchange(&bad, &service()).unwrap();
        host.drain().unwrap();
        host.call_late(old, &[]).unwrap();
        // Nobody is left who could judge it.
        assert!(host.step(&mut unheard, Head, &good).unwrap());
        assert_eq!(unheard.replied(), Some(503));
        for (each, request) in led.iter_mut().zip([&good, &bad]) {
            for step in [Body, Answer, AnswerBody, Log, Done] {
                host.step(each, step, request).unwrap();
            }
        }
        for step in [Body, Log, Done] {
            host.step(&mut unheard, step, &good).unwrap();
        }
        host.exchange(&bad, &service()).unwrap();
        // One document is there as before, and of the exchanges nothing.
        let [_, streams] = memory(&mut host);
        assert_eq!(streams, before[1]);
    }
}
