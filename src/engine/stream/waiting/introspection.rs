//! Requests that wait for what a server says of their tokens, with a clock that only the test moves.

mod failing;

use std::rc::Rc;

use super::*;
use crate::engine::Engine;
use portcullis_exchange::call::Call;
use portcullis_exchange::host::Clock as _;
use portcullis_exchange::meter::{Event, Timing};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::budget::{reserve, used};
use portcullis_wire::headers::Headers;

const NOW: u64 = 2_000_000_000;

fn proxy() -> MemoryHost {
    MemoryHost::new().at_second(NOW)
}

/// A document whose server has these members more, and whose route asks so.
fn document(more: &str, route: &str) -> String {
    format!(
        r#"{{"version":1,"access_log":{{}},
        "api_key_stores":{{"partners":{{"keys":[]}}}},
        "introspection_servers":{{"s":{{"cluster":"idp","uri":"https://id/i","authentication":"none"{more}}}}},
        "routes":[{{"name":"all","match":{{}},{route}}}]}}"#
    )
}

const ALONE: &str = r#""introspection":{"server":"s"}"#;

fn engine(document: &str) -> Rc<Engine> {
    let engine = Engine::compile(document.as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

/// A request with that token and these fields more: what comes of its head.
fn head(
    engine: &Rc<Engine>,
    token: &str,
    more: &[(&str, &str)],
    host: &MemoryHost,
) -> (Stream, Action) {
    let authorization = format!("Bearer {token}");
    let mut headers = Headers::default();
    let fields = [
        (":method", "GET"),
        (":path", "/"),
        (":authority", "a.example"),
        (":scheme", "https"),
        ("authorization", &*authorization),
    ];
    for (name, value) in fields.iter().chain(more) {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let action = stream.on_request_headers(headers, BodyState::Complete, host);
    (stream, action)
}

fn told(action: Option<&Action>) -> String {
    match action {
        None => "nothing".to_owned(),
        Some(Action::Continue(_)) => "passes".to_owned(),
        Some(Action::Reply(reply)) => reply.details.clone(),
        Some(Action::Pause {
            reason: PauseReason::Wait(Wait::Shared(_)),
            ..
        }) => "asks".to_owned(),
        Some(other) => format!("{other:?}"),
    }
}

fn call_of(action: Action) -> Call {
    match action {
        Action::Pause {
            reason: PauseReason::Wait(Wait::Shared(call)),
            ..
        } => call,
        other => panic!("{other:?}"),
    }
}

fn answer(
    stream: &mut Stream,
    token: Token,
    status: &str,
    body: &str,
    host: &MemoryHost,
) -> String {
    let mut headers = Headers::default();
    headers.push(b":status", status.as_bytes());
    headers.push(b"content-type", b"application/json; charset=utf-8");
    let body = body.as_bytes();
    let response = CallResponse {
        headers: &headers,
        body,
    };
    told(stream.received(token, Ok(response), host).as_ref())
}

/// What comes of a request whose question is answered so, if it asks.
fn sent(engine: &Rc<Engine>, token: &str, body: &str, host: &MemoryHost) -> String {
    let (mut stream, action) = head(engine, token, &[], host);
    let first = told(Some(&action));
    if first != "asks" {
        return first;
    }
    stream.called(Token(1));
    format!("asks, {}", answer(&mut stream, Token(1), "200", body, host))
}

const ACTIVE: &str = r#"{"active":true,"sub":"alice"}"#;
const INACTIVE: &str = r#"{"active":false}"#;
const REFUSED: &str = "portcullis.introspection_invalid.inactive";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// RFC 7662 §4: what was said is believed for a while, and not beyond `exp`.
#[test]
fn an_answer_is_remembered_for_a_while() {
    let host = proxy();
    let all = engine(&document(
        r#","cache_duration":"60s","negative_cache_duration":"5s""#,
        ALONE,
    ));
    let sent = |token, body: &str| sent(&all, token, body, &host);
    assert_eq!(sent("a", ACTIVE), "asks, passes");
    assert_eq!(sent("b", INACTIVE), format!("asks, {REFUSED}"));
    let ends = format!(r#"{{"active":true,"exp":{}}}"#, NOW + 30);
    assert_eq!(sent("c", &ends), "asks, passes");
    host.advance(seconds(4));
    assert_eq!(sent("b", ""), REFUSED);
    host.advance(seconds(1));
    assert_eq!(sent("b", INACTIVE), format!("asks, {REFUSED}"));
    host.advance(seconds(24));
    assert_eq!(sent("c", ""), "passes");
    host.advance(seconds(1));
    assert_eq!(sent("c", INACTIVE), format!("asks, {REFUSED}"));
    host.advance(seconds(29));
    assert_eq!(sent("a", ""), "passes");
    host.advance(seconds(1));
    assert_eq!(sent("a", INACTIVE), format!("asks, {REFUSED}"), "revoked");
    assert_eq!(sent("a", ACTIVE), REFUSED, "and that is remembered");
    let count = |event: Event| host.counted(event.counter());
    assert_eq!(count(Event::IntrospectionCacheMiss), 6);
    assert_eq!(count(Event::IntrospectionCacheHit), 4);
    assert_eq!(count(Event::IntrospectionFailed), 0);
    assert_eq!(waiting(), 0);
}

#[test]
fn without_memory_each_request_asks_and_hears() {
    for more in [
        r#","cache_duration":"0s","negative_cache_duration":"0s""#,
        r#","introspection_cache":"off""#,
    ] {
        let host = proxy();
        let all = engine(&document(more, ALONE));
        for _ in 0..3 {
            assert_eq!(sent(&all, "a", ACTIVE, &host), "asks, passes", "{more}");
            assert_eq!(
                sent(&all, "a", INACTIVE, &host),
                format!("asks, {REFUSED}"),
                "{more}"
            );
        }
        assert_eq!(used(Share::Caches), 0);
    }
}

/// Requests with one token make one and the same call, so that the worker can share it; whoever hears of it
/// later than another finds the same.
#[test]
fn those_that_wait_with_one_token_hear_the_same() {
    for more in ["", r#","introspection_cache":"off""#] {
        let host = proxy();
        let all = engine(&document(more, ALONE));
        let waiting = (0..3).map(|_| {
            let (mut stream, action) = head(&all, "a", &[], &host);
            stream.called(Token(1));
            (stream, call_of(action))
        });
        let (mut streams, calls): (Vec<Stream>, Vec<Call>) = waiting.unzip();
        assert!(calls.iter().all(|call| *call == calls[0]));
        let (_, other) = head(&all, "b", &[], &host);
        assert!(call_of(other) != calls[0]);
        host.advance(Duration::from_millis(70));
        for stream in &mut streams {
            assert_eq!(answer(stream, Token(1), "200", ACTIVE, &host), "passes");
            let caller = stream.facts().principal.as_ref();
            assert_eq!(caller.and_then(|caller| caller.subject()), Some("alice"));
        }
        let waited = host.recorded(Timing::Introspection.histogram());
        assert_eq!(waited.latest, [70, 70, 70]);
    }
}

#[test]
fn a_server_that_fails_is_left_alone_and_nobody_waits_for_it() {
    let host = proxy();
    let all = engine(&document(r#","cooldown":"5s","timeout":"1s""#, ALONE));
    let fail = |status: &str| {
        let (mut stream, action) = head(&all, "a", &[], &host);
        if told(Some(&action)) != "asks" {
            return told(Some(&action));
        }
        stream.called(Token(1));
        answer(&mut stream, Token(1), status, "", &host)
    };
    assert_eq!(fail("500"), "portcullis.introspection_unavailable.status");
    let (mut lost, _) = head(&all, "a", &[], &host);
    let error = Some(lost.not_called(CallError::NoCluster, &host));
    assert_eq!(
        told(error.flatten().as_ref()),
        "portcullis.introspection_unavailable.unreachable"
    );
    let (mut slow, _) = head(&all, "a", &[], &host);
    slow.called(Token(1));
    host.advance(seconds(2));
    assert_eq!(
        told(slow.passed(host.monotonic(), &host).as_ref()),
        "portcullis.introspection_unavailable.timeout"
    );
    assert_eq!(fail("500"), "portcullis.introspection_unavailable.resting");
    host.advance(seconds(5));
    // One asks, and nobody beside it.
    let (mut probe, action) = head(&all, "a", &[], &host);
    assert_eq!(told(Some(&action)), "asks");
    probe.called(Token(1));
    assert_eq!(fail("500"), "portcullis.introspection_unavailable.resting");
    assert_eq!(answer(&mut probe, Token(1), "200", ACTIVE, &host), "passes");
    assert_eq!(sent(&all, "a", "", &host), "passes");
    assert_eq!(sent(&all, "b", ACTIVE, &host), "asks, passes");
    assert_eq!(host.counted(Event::IntrospectionFailed.counter()), 5);
}

/// Nothing passes for want of memory, and nothing stays reserved.
#[test]
fn an_answer_that_there_is_no_memory_for_is_none() {
    let host = proxy();
    let all = engine(&document("", ALONE));
    let (mut stream, _) = head(&all, "a", &[], &host);
    stream.called(Token(1));
    let rest = reserve(Share::Streams, Share::Streams.most() - used(Share::Streams)).unwrap();
    assert_eq!(
        answer(&mut stream, Token(1), "200", ACTIVE, &host),
        "portcullis.introspection_unavailable.memory"
    );
    drop((rest, stream));
    assert_eq!((waiting(), used(Share::Streams)), (0, 0));
}

#[test]
fn nobody_is_asked_for_a_request_that_is_refused_anyway() {
    let host = proxy();
    let members = r#"[{"introspection":{"server":"s"}},{"api_key":{"store":"partners"}}]"#;
    for list in ["any_of", "all_of"] {
        let all = engine(&document(
            "",
            &format!(r#""credentials":{{"{list}":{members}}}"#),
        ));
        let (_, action) = head(&all, "a", &[("x-api-key", "wrong")], &host);
        let told = told(Some(&action));
        assert_eq!(told, "portcullis.api_key_invalid.unknown", "{list}");
    }
}

/// Tokens of one worker are remembered by that worker alone: it needs no cells for them.
#[test]
fn nothing_of_a_token_is_shared() {
    let host = proxy().without_cells();
    let all = engine(&document("", ALONE));
    assert_eq!(sent(&all, "opaque-secret", ACTIVE, &host), "asks, passes");
    assert_eq!(sent(&all, "opaque-secret", "", &host), "passes");
    assert!(!format!("{:?}", host.take_log()).contains("opaque-secret"));
}
