//! Servers that fail, and clients that make them seem to.

use super::*;
use portcullis_exchange::exchange::Edit;
use portcullis_wire::headers::HeaderName;

const ALLOW: &str = r#","on_error":"allow""#;

fn unavailable(reason: &str) -> String {
    format!("portcullis.introspection_unavailable.{reason}")
}

#[test]
fn a_token_that_nobody_has_judged_does_not_reach_the_service() {
    let host = proxy();
    for forward in ["true", "false"] {
        let more = format!(r#"{ALLOW},"forward":{forward}"#);
        let all = engine(&document(&more, ALONE));
        let (mut stream, _) = head(&all, "a", &[], &host);
        stream.called(Token(1));
        let action = stream.received(Token(1), Err(CallError::Unreachable), &host);
        let Some(Action::Continue(edits)) = action else {
            panic!("{action:?}");
        };
        let authorization = HeaderName::parse("authorization").unwrap();
        assert!(edits.contains(&Edit::Remove(authorization)), "{forward}");
    }
}

#[test]
fn what_we_lack_ourselves_opens_nothing() {
    let host = proxy();
    let document = document(ALLOW, ALONE);
    let secretless = document.replace(r#""none""#, r#"{"bearer":{"env":"NOWHERE"}}"#);
    let (_, action) = head(&engine(&secretless), "a", &[], &host);
    assert_eq!(told(Some(&action)), unavailable("no_secret"));
    let all = engine(&document);
    let (mut stream, _) = head(&all, "a", &[], &host);
    stream.called(Token(1));
    let action = stream.received(Token(1), Err(CallError::NoMemory), &host);
    assert_eq!(told(action.as_ref()), unavailable("memory"));
    let (mut stream, _) = head(&all, "a", &[], &host);
    stream.called(Token(1));
    let rest = reserve(Share::Streams, Share::Streams.most() - used(Share::Streams)).unwrap();
    let told = answer(&mut stream, Token(1), "200", ACTIVE, &host);
    assert_eq!(told, unavailable("memory"));
    drop(rest);
}

/// A document of two servers that remember nothing, with one route for requests that have `x-try`, and another.
fn two_routes(trying: &str, other: &str) -> Rc<Engine> {
    let server = |name, more: &str| {
        format!(
            r#""{name}":{{"cluster":"idp","uri":"https://id/{name}","authentication":"none","introspection_cache":"off","cooldown":"5s","timeout":"1s"{more}}}"#
        )
    };
    let (s, t) = (server("s", ALLOW), server("t", r#","forward":true"#));
    engine(&format!(
        r#"{{"version":1,"api_key_stores":{{"partners":{{"keys":[]}}}},"introspection_servers":{{{s},{t}}},"routes":[
        {{"name":"trying","match":{{"headers":[{{"name":"x-try","present":true}}]}},{trying}}},
        {{"name":"other","match":{{}},{other}}}]}}"#
    ))
}

const TRY: &[(&str, &str)] = &[("x-try", "1")];

fn first_told(all: &Rc<Engine>, more: &[(&str, &str)], host: &MemoryHost) -> String {
    told(Some(&head(all, "a", more, host).1))
}

/// Has the server rest, until the host's clock says that one question may be asked.
fn rest(all: &Rc<Engine>, host: &MemoryHost) {
    for _ in 0..3 {
        let (mut stream, _) = head(all, "a", &[], host);
        stream.called(Token(1));
        assert_eq!(answer(&mut stream, Token(1), "500", "", host), "passes");
    }
    assert_eq!(first_told(all, &[], host), "passes", "it rests");
    host.advance(seconds(5));
}

#[test]
fn the_question_after_a_rest_is_lost_to_nobody_who_does_not_ask_it() {
    let host = proxy();
    for (trying, more, first) in [
        (
            r#""introspection":{"mode":"shadow","server":"s"}"#,
            TRY,
            "passes",
        ),
        (
            r#""open":true,"shadow":{"introspection":{"server":"s"}}"#,
            TRY,
            "passes",
        ),
        (
            r#""credentials":{"any_of":[{"introspection":{"server":"s"}},{"api_key":{"store":"partners"}}]}"#,
            &[TRY, &[("x-api-key", "wrong")]].concat(),
            "portcullis.api_key_invalid.unknown",
        ),
    ] {
        let all = two_routes(trying, ALONE);
        rest(&all, &host);
        for _ in 0..3 {
            assert_eq!(first_told(&all, more, &host), first);
        }
        // A client resets.
        for _ in 0..3 {
            let (mut lost, action) = head(&all, "a", &[], &host);
            assert_eq!(told(Some(&action)), "asks", "{trying}");
            lost.called(Token(1));
            assert_eq!(first_told(&all, &[], &host), "passes", "it is asked");
        }
        assert_eq!(first_told(&all, &[], &host), "asks");
    }
}

/// Whether a server takes a token is nothing that tells of others, or of how it does.
#[test]
fn what_a_server_objects_to_in_one_token_is_no_failure_of_it() {
    let host = proxy();
    let more = format!(r#"{ALLOW},"negative_cache_duration":"5s""#);
    let all = engine(&document(&more, ALONE));
    let asked = |token: &str, status: &str| {
        let (mut stream, action) = head(&all, token, &[], &host);
        if told(Some(&action)) != "asks" {
            return told(Some(&action));
        }
        stream.called(Token(1));
        answer(&mut stream, Token(1), status, "", &host)
    };
    assert_eq!(asked("a", "500"), "passes");
    assert_eq!(asked("a", "429"), "passes");
    for (token, status) in [("b", "400"), ("c", "413"), ("d", "414"), ("e", "431")] {
        assert_eq!(asked(token, status), unavailable("status"));
        assert_eq!(asked(token, "it is not asked"), unavailable("status"));
    }
    assert_eq!(sent(&all, "f", ACTIVE, &host), "asks, passes");
    for status in ["401", "403", "400", "408"] {
        let token = format!("g{status}");
        asked(&token, status);
    }
    let (_, action) = head(&all, "h", &[], &host);
    assert_eq!(told(Some(&action)), "passes", "it rests");
    host.advance(seconds(5));
    assert_eq!(sent(&all, "b", ACTIVE, &host), "asks, passes");
}

/// What has been made again late has had no time: that says nothing of the server, and opens nothing.
#[test]
fn clients_that_leave_make_no_time_out() {
    let host = proxy();
    let all = two_routes(r#""open":true"#, ALONE);
    for again in [Some(Duration::from_millis(700)), None] {
        for _ in 0..4 {
            let (mut stream, action) = head(&all, "a", &[], &host);
            assert_eq!(told(Some(&action)), "asks");
            stream.called(Token(1));
            stream.call_runs_since(again.map(|again| host.monotonic() + again));
            host.advance(Duration::from_millis(1500));
            let action = stream.passed(host.monotonic(), &host);
            assert_eq!(told(action.as_ref()), unavailable("timeout"));
        }
    }
    let (mut stream, _) = head(&all, "a", &[], &host);
    stream.called(Token(1));
    stream.call_runs_since(Some(host.monotonic() + Duration::from_millis(500)));
    host.advance(Duration::from_millis(1500));
    let action = stream.passed(host.monotonic(), &host);
    assert_eq!(told(action.as_ref()), "passes", "this one had its time");
}

#[test]
fn one_server_takes_no_more_than_half_of_the_waits() {
    let host = proxy();
    let all = two_routes(r#""introspection":{"server":"t"}"#, ALONE);
    let mut waits: Vec<Stream> = Vec::new();
    for _ in 0..MOST_OF_ASKER {
        let (stream, action) = head(&all, "a", &[], &host);
        assert_eq!(told(Some(&action)), "asks");
        waits.push(stream);
    }
    let late = first_told(&all, &[], &host);
    assert_eq!(late, "portcullis.unavailable.wait");
    assert_eq!(first_told(&all, TRY, &host), "asks", "there is another");
    waits.pop();
    assert_eq!(first_told(&all, &[], &host), "asks");
    drop(waits);
    assert_eq!(waiting(), 0);
}

/// One that cannot be asked has left nothing where another knows the token.
#[test]
fn whoever_knows_the_token_decides_what_becomes_of_it() {
    let host = proxy();
    let both = r#""credentials":{"any_of":[{"introspection":{"server":"s"}},{"introspection":{"server":"t"}}]}"#;
    let all = two_routes(r#""open":true"#, both);
    for (body, is_known) in [(ACTIVE, true), (INACTIVE, false)] {
        let (mut stream, _) = head(&all, "a", &[], &host);
        stream.called(Token(1));
        let action = stream.received(Token(1), Err(CallError::Unreachable), &host);
        assert_eq!(told(action.as_ref()), "asks");
        stream.called(Token(2));
        let mut headers = Headers::default();
        headers.push(b":status", b"200");
        headers.push(b"content-type", b"application/json");
        let response = CallResponse {
            headers: &headers,
            body: body.as_bytes(),
        };
        let action = stream.received(Token(2), Ok(response), &host);
        let Some(Action::Continue(edits)) = action else {
            panic!("{action:?}");
        };
        let authorization = HeaderName::parse("authorization").unwrap();
        let is_stripped = edits.contains(&Edit::Remove(authorization));
        assert_eq!(is_stripped, !is_known, "{body}");
        assert_eq!(stream.facts().principal.is_some(), is_known);
    }
}
