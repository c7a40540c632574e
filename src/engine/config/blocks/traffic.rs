//! Maintenance through time, and shares of requests.

use std::rc::Rc;
use std::time::Duration;

use crate::engine::Engine;
use crate::stream::{Action, Stream};
use portcullis_exchange::exchange::BodyState;
use portcullis_memory_host::MemoryHost;
use portcullis_wire::headers::Headers;

fn engine(route: &str) -> Rc<Engine> {
    let document =
        format!(r#"{{"version":1,"routes":[{{"name":"a","match":{{}},"open":true,{route}}}]}}"#);
    let engine = Engine::compile(document.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    Rc::new(engine)
}

/// What a request gets: none if it passes.
fn answer(engine: &Rc<Engine>, host: &MemoryHost) -> Option<(u16, Option<String>)> {
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":path", "/a"),
        (":authority", "a.example"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    match stream.on_request_headers(headers, BodyState::Complete, host) {
        Action::Reply(reply) => {
            let mut fields = reply.headers.iter();
            let wait = fields.find(|(name, _)| name.as_str() == "retry-after");
            let wait =
                wait.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned());
            Some((reply.status, wait))
        }
        Action::Continue(_) | Action::Pause { .. } | Action::Replace(_) => None,
    }
}

#[test]
fn maintenance_begins_and_ends_by_the_clock() {
    let engine = engine(r#""maintenance":{"from":1000,"until":1060}"#);
    let at = |millis: u64| {
        let host = MemoryHost::new().at(Duration::from_millis(millis));
        answer(&engine, &host)
    };
    let waits = |seconds: &str| Some((503, Some(seconds.to_owned())));
    assert_eq!(at(999_999), None);
    assert_eq!(at(1_000_000), waits("60"));
    assert_eq!(at(1_030_500), waits("30"));
    assert_eq!(at(1_059_999), waits("1"));
    assert_eq!(at(1_060_000), None);
}

#[test]
fn a_share_of_clients_is_about_as_large_as_it_says_and_grows() {
    let share = |percent: u8, by: &str| -> Vec<bool> {
        let engine = engine(&format!(
            r#""maintenance":{{"percent":{percent},"percent_by":"{by}"}}"#
        ));
        let host = MemoryHost::new();
        (0..2000_u32)
            .map(|n| {
                host.set_client(&format!("10.{}.{}.7:1", n / 256, n % 256));
                answer(&engine, &host).is_some()
            })
            .collect()
    };
    let many = |share: &[bool]| share.iter().filter(|is_in| **is_in).count();
    for by in ["caller", "address"] {
        let (some, more) = (share(10, by), share(60, by));
        assert!((140..=260).contains(&many(&some)), "{}", many(&some));
        assert!((1100..=1300).contains(&many(&more)), "{}", many(&more));
        let mut pairs = some.iter().zip(&more);
        assert!(
            pairs.all(|(some, more)| !some || *more),
            "who is in stays in"
        );
        assert_eq!(share(10, by), some, "the same clients again");
    }
    assert_eq!(
        (many(&share(0, "caller")), many(&share(100, "caller"))),
        (0, 2000)
    );
    let each = share(30, "request");
    assert!((500..=700).contains(&many(&each)), "{}", many(&each));
}

#[test]
fn nobody_to_go_by_is_in() {
    let engine = engine(r#""maintenance":{"percent":1,"percent_by":"address"}"#);
    let host = MemoryHost::new();
    host.clear_property(portcullis_exchange::host::Property::ClientAddress);
    assert_eq!(answer(&engine, &host).map(|(status, _)| status), Some(503));
}

#[test]
fn what_is_never_asked_is_noted() {
    let engine = engine(r#""payload":{"max_bytes":9},"respond":{"status":204}"#);
    let notes = engine.notes();
    let expected = "/routes/0/payload: is never asked: `respond` ends every request of the route first; remove one of them";
    assert!(notes.iter().any(|note| note == expected), "{notes:?}");
    let engine = self::engine(r#""percent":5,"percent_by":{"header":"x-tenant"},"maintenance":{}"#);
    let notes = engine.notes();
    let noted = |note: &String| note.starts_with("/routes/0/percent_by: clients choose");
    assert!(notes.iter().any(noted), "{notes:?}");
}

#[test]
fn a_redirect_that_anybody_can_read_is_noted() {
    let is_noted = |to: &str| {
        let engine = engine(&format!(r#""respond":{{"redirect":"{to}"}}"#));
        engine
            .notes()
            .iter()
            .any(|note| note.contains("leads to http://"))
    };
    assert!(is_noted("http://a.example/"));
    assert!(!is_noted("https://a.example/"));
}

fn noted(document: &str, start: &str) -> Vec<String> {
    let engine = Engine::compile(document.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let notes = engine.notes().iter();
    let notes = notes.filter(|note| note.starts_with(start));
    notes.cloned().collect()
}

#[test]
fn a_redirect_that_may_lead_back_is_noted() {
    let circles = |matched: &str, to: &str| {
        let document = format!(
            r#"{{"version":1,"routes":[
                {{"name":"before","match":{{"path":{{"exact":"/a/taken"}}}},"open":true}},
                {{"name":"r","match":{matched},"open":true,"respond":{{"redirect":"{to}"}}}}]}}"#
        );
        noted(&document, "/routes/1/respond/redirect: leads back").len()
    };
    for (matched, to) in [
        ("{}", "https://api.example.com{request.path}"),
        ("{}", "https://api.example.com{request.path}{request.query}"),
        (r#"{"hosts":["*.example.com"]}"#, "https://api.example.com/"),
        (r#"{"path":{"prefix":"/a"}}"#, "https://api.example.com/a/b"),
        (r#"{"path":{"prefix":"/a"}}"#, "/a{request.path}"),
        (r#"{"path":{"template":"/a/{id}"}}"#, "/a/new-{path.id}"),
        (
            r#"{"path":{"prefix":"/a"},"headers":[{"name":"x-a","present":true}]}"#,
            "/a/b",
        ),
    ] {
        assert_eq!(circles(matched, to), 1, "{matched} {to}");
    }
    for (matched, to) in [
        (
            r#"{"hosts":["www.example.com"]}"#,
            "https://api.example.com{request.path}",
        ),
        (r#"{"path":{"prefix":"/a"}}"#, "https://api.example.com/b"),
        (r#"{"path":{"prefix":"/a"}}"#, "/b{request.path}"),
        (r#"{"path":{"prefix":"/a"}}"#, "/a/taken"),
        (r#"{"path":{"template":"/a/{id}"}}"#, "/b/{path.id}"),
        (
            r#"{"path":{"prefix":"/a"},"headers":[{"name":"x-a","present":true}]}"#,
            "/b",
        ),
    ] {
        assert_eq!(circles(matched, to), 0, "{matched} {to}");
    }
}

#[test]
fn a_header_that_is_judged_and_then_written_is_noted() {
    let notes = |route: &str| {
        let document = format!(
            r#"{{"version":1,"routes":[{{"name":"a","match":{{"headers":[{{"name":"x-tenant","exact":"a"}}]}},"open":true,{route}}}]}}"#
        );
        noted(
            &document,
            "/routes/0/request_headers: writes the header field",
        )
    };
    let [note] = &notes(r#""request_headers":{"set":{"x_tenant":"b"}}"#)[..] else {
        panic!("it is noted");
    };
    assert!(note.contains("/routes/0/match/headers/0 goes"), "{note}");
    let limits = r#""rate_limits":[{"name":"l","key":[{"header":"x-plan"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]"#;
    let [note] = &notes(&format!(
        r#"{limits},"request_headers":{{"add_if_absent":{{"x-plan":"free"}}}}"#
    ))[..] else {
        panic!("it is noted");
    };
    assert!(note.contains("`rate_limits` goes"), "{note}");
    for route in [
        r#""request_headers":{"remove":["x-tenant"]}"#,
        r#""request_headers":{"set":{"x-other":"b"}}"#,
    ] {
        assert_eq!(notes(route), [""; 0], "{route}");
    }
}

#[test]
fn exemptions_that_leave_out_only_some_are_noted() {
    let notes = |allow: &str, roles: &str| {
        let document = format!(
            r#"{{"version":1,
                "providers":{{"corp":{{"issuer":"https://a.example","audiences":"any","hmac":[{{"env":"SECRET"}}]{roles}}}}},
                "defaults":{{"maintenance":{{"allow":[{allow}]}}}},
                "routes":[{{"name":"a","match":{{}},"jwt":{{"provider":"corp"}}}}]}}"#
        );
        let of_block = noted(&document, "/defaults/maintenance");
        let of_route = noted(&document, "/routes/0: `maintenance`");
        [of_block, of_route].concat()
    };
    let [note] = &notes(r#"{"from":{"not_clients":["a"]}}"#, "")[..] else {
        panic!("it is noted");
    };
    assert!(note.contains("lets everybody through but those"), "{note}");
    // In `defaults` it may be meant for another route.
    let [note] = &notes(r#"{"from":{"roles":["ops"]}}"#, "")[..] else {
        panic!("it is noted");
    };
    assert!(note.contains("nobody has a role on this route"), "{note}");
    let roles = r#","roles":{"from":["groups"]}"#;
    assert_eq!(notes(r#"{"from":{"roles":["ops"]}}"#, roles), [""; 0]);
}
