#![cfg(feature = "fault-injection")]
use std::rc::Rc;

use super::*;
use crate::engine::Engine;
use crate::stream::PolicyVerdict;
use portcullis_exchange::host::{Clock, Failure};
use portcullis_memory_host::MemoryHost;
use portcullis_policies::test_wait::FINISHED;
use portcullis_wire::headers::Headers;

fn proxy() -> MemoryHost {
    MemoryHost::new().at(Duration::ZERO)
}

const SECOND: Duration = Duration::from_secs(1);
const TOKEN: Token = Token(7);

/// A document whose one route has that block, with more members of its own and of the route.
fn document_with(wait: &str, more: &str, of_route: &str) -> String {
    format!(
        r#"{{"version":1,"access_log":{{}},{more}"routes":[{{"name":"all","match":{{}},"open":true,{of_route}"test_wait":{wait}}}]}}"#
    )
}

fn document(wait: &str) -> String {
    document_with(wait, "", "")
}

fn call(on_error: &str) -> String {
    format!(r#"{{"call":{{"cluster":"idp","timeout":"1s"}},"on_error":"{on_error}"}}"#)
}

fn engine(document: &str) -> Rc<Engine> {
    let engine = Engine::compile(document.as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

fn stream(document: &str) -> Stream {
    Stream::new(Some(engine(document)))
}

fn head(stream: &mut Stream, body: BodyState, host: &MemoryHost) -> Action {
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "POST"),
        (":path", "/orders"),
        (":authority", "a.example"),
        (":scheme", "https"),
        ("content-type", "application/json"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    stream.on_request_headers(headers, body, host)
}

/// What an action does, and the value of `x-waited`, or the reply's details.
fn told(action: Option<Action>) -> String {
    let waited = |edits: Vec<Edit>| {
        let values = edits.iter().filter_map(Edit::value);
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        values.collect::<Vec<_>>().join(",")
    };
    match action {
        None => "nothing".to_owned(),
        Some(Action::Continue(edits)) => format!("continue {}", waited(edits)),
        Some(Action::Reply(reply)) => format!("reply {}", reply.details),
        Some(Action::Replace(_)) => "replace".to_owned(),
        Some(Action::Pause { edits, reason }) => {
            let reason = match reason {
                PauseReason::Body => "body",
                PauseReason::Wait(Wait::Response(_) | Wait::Shared(_)) => "call",
                PauseReason::Wait(Wait::Until(_) | Wait::Turn(_)) => "time",
            };
            format!("pause {reason} {}", waited(edits))
        }
    }
}

fn response(status: &str, stream: &mut Stream, token: Token, host: &MemoryHost) -> String {
    let mut headers = Headers::default();
    headers.push(b":status", status.as_bytes());
    let response = CallResponse {
        headers: &headers,
        body: b"",
    };
    told(stream.received(token, Ok(response), host))
}

/// A request that waits for the call that has that token.
fn waiting_for_call(document: &str, body: BodyState, host: &MemoryHost) -> Stream {
    let mut stream = stream(document);
    assert_eq!(told(Some(head(&mut stream, body, host))), "pause call ");
    stream.called(TOKEN);
    assert!(stream.is_paused() && waiting() > 0);
    stream
}

#[test]
fn a_wait_for_a_call_ends_with_its_response_or_at_its_deadline() {
    let host = proxy();
    for (on_error, status, expected) in [
        ("refuse", "200", "continue response"),
        ("refuse", "403", "reply portcullis.test_waited.response"),
        ("refuse", "503", "reply portcullis.test_waited.error"),
        ("pass", "503", "continue error"),
        ("pass", "403", "reply portcullis.test_waited.response"),
    ] {
        let document = document(&call(on_error));
        let mut stream = waiting_for_call(&document, BodyState::Complete, &host);
        assert_eq!(response("200", &mut stream, Token(8), &host), "nothing");
        let told = response(status, &mut stream, TOKEN, &host);
        assert_eq!(told, expected, "{on_error} {status}");
        // It ends once.
        assert_eq!(response("200", &mut stream, TOKEN, &host), "nothing");
        assert_eq!((stream.is_paused(), waiting()), (false, 0));
    }
    for (on_error, expected) in [
        ("refuse", "reply portcullis.test_waited.timeout"),
        ("pass", "continue timeout"),
    ] {
        let document = document(&call(on_error));
        let mut stream = waiting_for_call(&document, BodyState::Complete, &host);
        let deadline = stream.deadline().unwrap();
        assert_eq!(deadline, host.monotonic() + SECOND + GRACE);
        let before = deadline - Duration::from_nanos(1);
        assert_eq!(told(stream.passed(before, &host)), "nothing");
        assert_eq!(told(stream.passed(deadline, &host)), expected);
        assert_eq!(response("200", &mut stream, TOKEN, &host), "nothing");
    }
    let mut stream = stream(&document(&call("refuse")));
    head(&mut stream, BodyState::Complete, &host);
    let told = told(stream.not_called(CallError::NoCluster, &host));
    assert_eq!(told, "reply portcullis.test_waited.error");
}

#[test]
fn a_wait_for_a_time_ends_then_and_another_may_follow() {
    let host = proxy();
    let wait = r#"{"until":"300ms","call":{"cluster":"idp","timeout":"1s"}}"#;
    let mut stream = stream(&document(wait));
    let first = head(&mut stream, BodyState::Complete, &host);
    assert_eq!(told(Some(first)), "pause time ");
    assert_eq!(told(stream.passed(SECOND / 4, &host)), "nothing");
    assert_eq!(told(stream.passed(SECOND, &host)), "pause call ");
    stream.called(TOKEN);
    assert_eq!(
        response("200", &mut stream, TOKEN, &host),
        "continue response"
    );
    let asked = stream.policy_verdicts();
    assert_eq!(asked, [("test_wait", PolicyVerdict::Allowed)]);
}

#[test]
fn waits_that_are_too_long_or_too_many_are_refused() {
    let host = proxy();
    let refused = "reply portcullis.unavailable.wait";
    let mut stream = stream(&document(r#"{"until":"61s"}"#));
    assert_eq!(
        told(Some(head(&mut stream, BodyState::Complete, &host))),
        refused
    );
    assert_eq!(
        stream.policy_verdicts(),
        [("test_wait", PolicyVerdict::Waiting)]
    );
    let engine = engine(&document(&call("pass")));
    let mut waiting: Vec<Stream> = Vec::new();
    for _ in 0..MOST {
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        let action = head(&mut stream, BodyState::Complete, &host);
        assert_eq!(told(Some(action)), "pause call ");
        waiting.push(stream);
    }
    let mut late = Stream::new(Some(Rc::clone(&engine)));
    assert_eq!(
        told(Some(head(&mut late, BodyState::Complete, &host))),
        refused
    );
    // One that ends makes room.
    waiting.pop();
    let mut next = Stream::new(Some(engine));
    assert_eq!(
        told(Some(head(&mut next, BodyState::Complete, &host))),
        "pause call "
    );
    drop((waiting, next));
    assert_eq!(super::waiting(), 0);
}

#[test]
fn what_comes_of_a_body_meanwhile_is_judged_behind_the_wait() {
    for inspection in ["stream", "hold_headers"] {
        let document = document_with(
            &call("refuse"),
            &format!(r#""body_inspection":"{inspection}","#),
            r#""payload":{"max_bytes":"1KiB","json":{}},"#,
        );
        for (pieces, trailers, expected) in [
            (&["{", "}"][..], false, "continue response"),
            (&["{", "}"][..], true, "continue response"),
            (
                &["{", "{"][..],
                false,
                "reply portcullis.payload_malformed.json_syntax",
            ),
            (
                &["{", "{"][..],
                true,
                "reply portcullis.payload_malformed.json_syntax",
            ),
            (&["{"][..], false, "pause body response"),
        ] {
            let host = proxy();
            let mut stream = waiting_for_call(&document, BodyState::Open, &host);
            let is_whole = pieces.len() > 1;
            for (place, piece) in pieces.iter().enumerate() {
                let size = host.receive(Side::Request, piece.as_bytes(), true);
                let state = match place == 1 && !trailers {
                    true => BodyState::Complete,
                    false => BodyState::Open,
                };
                let action = stream.on_request_body(size, state, &host);
                assert_eq!(told(Some(action)), "pause body ");
            }
            if is_whole && trailers {
                let action = stream.on_request_trailers(&Headers::default(), &host);
                assert_eq!(told(Some(action)), "pause body ");
            }
            let woken = response("200", &mut stream, TOKEN, &host);
            assert_eq!(woken, expected, "{inspection} {pieces:?} {trailers}");
            if !is_whole {
                let size = host.receive(Side::Request, b"}", true);
                let action = stream.on_request_body(size, BodyState::Complete, &host);
                assert_eq!(told(Some(action)), "continue ");
            }
        }
    }
}

#[test]
fn in_shadow_mode_nobody_waits() {
    let host = proxy();
    let wait = call("refuse");
    let block = document(&wait.replacen('{', r#"{"mode":"shadow","#, 1));
    let whole = document_with(&wait, r#""mode":"shadow","#, "");
    let tried = format!(r#""shadow":{{"test_wait":{wait}}},"#);
    let beside = document_with("{}", "", &tried);
    for (document, name) in [
        (block, "test_wait"),
        (whole, "test_wait"),
        (beside, "test_wait_shadow"),
    ] {
        let mut stream = stream(&document);
        let action = head(&mut stream, BodyState::Complete, &host);
        assert!(matches!(action, Action::Continue(_)), "{name}");
        assert_eq!(super::waiting(), 0);
        let asked = stream.policy_verdicts();
        assert!(asked.contains(&(name, PolicyVerdict::Waiting)), "{asked:?}");
    }
}

#[test]
fn policies_hear_once_that_an_exchange_has_ended() {
    let host = proxy();
    let document = document(&call("refuse"));
    let end = |mut stream: Stream| {
        FINISHED.set(0);
        stream.tell_end(&host);
        stream.tell_end(&host);
        stream.end();
        assert_eq!((FINISHED.get(), waiting()), (1, 0));
        assert_eq!(response("200", &mut stream, TOKEN, &host), "nothing");
        assert_eq!(told(stream.passed(SECOND * 100, &host)), "nothing");
    };
    // The client leaves.
    let stream = waiting_for_call(&document, BodyState::Complete, &host);
    assert_eq!(
        stream.policy_verdicts(),
        [("test_wait", PolicyVerdict::Waiting)]
    );
    assert!(stream.awaits_body());
    end(stream);
    // The proxy responds in the service's place, as where a body is too long for it.
    let mut stream = waiting_for_call(&document, BodyState::Open, &host);
    stream.on_response_headers(None, BodyState::Open, &host);
    assert_eq!(response("403", &mut stream, TOKEN, &host), "nothing");
    assert_eq!(
        stream.policy_verdicts(),
        [("test_wait", PolicyVerdict::Waiting)]
    );
    end(stream);
    for status in ["200", "403"] {
        let mut stream = waiting_for_call(&document, BodyState::Complete, &host);
        response(status, &mut stream, TOKEN, &host);
        end(stream);
    }
    // The proxy gives up.
    let mut stream = waiting_for_call(&document, BodyState::Complete, &host);
    let action = stream.host_failed(Failure::HostCall, &host);
    assert_eq!(told(Some(action)), "reply portcullis.unavailable.host_call");
    assert_eq!(waiting(), 0);
    assert_eq!(
        stream.policy_verdicts(),
        [("test_wait", PolicyVerdict::Waiting)]
    );
    end(stream);
}
