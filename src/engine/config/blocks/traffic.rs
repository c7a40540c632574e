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
    assert!(!is_noted("/b"));
}
