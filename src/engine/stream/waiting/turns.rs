//! Requests that wait for their turn or for a place, with a clock that only the test moves.

use std::rc::Rc;

use super::*;
use crate::engine::Engine;
use crate::stream::PolicyVerdict;
use portcullis_exchange::host::Clock as _;
use portcullis_exchange::meter::{Event, Timing};
use portcullis_exchange::turn::waiting_for_turns;
use portcullis_memory_host::MemoryHost;
use portcullis_wire::budget::used;
use portcullis_wire::headers::Headers;

fn proxy() -> MemoryHost {
    MemoryHost::new()
        .at_second(1_000_000)
        .with_client("192.0.2.1:40000")
}

fn engine(of_route: &str) -> Rc<Engine> {
    document(&format!(
        r#"{{"version":1,"access_log":{{}},"routes":[{{"name":"all","match":{{}},"open":true,{of_route}}}]}}"#
    ))
}

fn document(document: &str) -> Rc<Engine> {
    let engine = Engine::compile(document.as_bytes());
    Rc::new(
        engine
            .unwrap_or_else(|error| panic!("{error}"))
            .with_plans(),
    )
}

/// Ten in a second, one at once; so many wait for so long.
fn throttle(max: &str, queue: u64, more: &str) -> String {
    format!(
        r#""rate_limits":[{{"name":"all","key":[],"token_bucket":{{"max_tokens":1,"fill_interval":"100ms"}},"on_limit":{{"delay":{{"max":"{max}","queue":{queue}}}}}{more}}}]"#
    )
}

fn concurrency(max: u64, more: &str) -> String {
    format!(r#""concurrency":{{"key":[],"max":{max}{more}}}"#)
}

fn send(engine: &Rc<Engine>, host: &MemoryHost) -> (Stream, String) {
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":path", "/"),
        (":authority", "a.example"),
        (":scheme", "https"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let action = stream.on_request_headers(headers, BodyState::Complete, host);
    let said = said(Some(&action));
    (stream, said)
}

fn said(action: Option<&Action>) -> String {
    match action {
        None => "nothing".to_owned(),
        Some(Action::Continue(_)) => "passes".to_owned(),
        Some(Action::Reply(reply)) => {
            let after = reply
                .headers
                .iter()
                .find(|(name, _)| name.as_str() == "retry-after");
            let after = after.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()));
            format!("{} {}", reply.details, after.unwrap_or_default())
        }
        Some(Action::Pause {
            reason: PauseReason::Wait(Wait::Turn(_)),
            ..
        }) => "waits".to_owned(),
        Some(other) => format!("{other:?}"),
    }
}

fn passed(stream: &mut Stream, host: &MemoryHost) -> String {
    said(stream.passed(host.monotonic(), host).as_ref())
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn requests_go_on_in_order_each_in_its_turn() {
    let host = proxy();
    let engine = engine(&throttle("1s", 5, ""));
    let begin = host.monotonic();
    let mut streams = Vec::new();
    for number in 0..8 {
        let (stream, said) = send(&engine, &host);
        let expected = match number {
            0 => "passes",
            1..=5 => "waits",
            // In a tenth of a second there is room to wait again.
            _ => "portcullis.rate_limited.queue 1",
        };
        assert_eq!(said, expected, "{number}");
        streams.push(stream);
    }
    assert_eq!(waiting_for_turns(), 5);
    for (number, stream) in streams.iter_mut().enumerate().take(6).skip(1) {
        let turn = begin + millis(100) * u32::try_from(number).unwrap();
        assert_eq!(stream.deadline(), Some(turn));
        assert_eq!(
            said(stream.passed(turn - millis(1), &host).as_ref()),
            "nothing"
        );
        host.advance(turn - host.monotonic());
        assert_eq!(passed(stream, &host), "passes");
        assert_eq!(passed(stream, &host), "nothing");
        assert_eq!(stream.summary().waited, turn - begin);
        assert_eq!(
            stream.policy_verdicts(),
            [("rate_limits", PolicyVerdict::Allowed)]
        );
        stream.tell_end(&host);
    }
    assert_eq!(waiting_for_turns(), 0);
    assert_eq!(host.counted(Event::RateLimitDelayed.counter()), 5);
    assert_eq!(host.counted(Event::RateLimited.counter()), 2);
    assert_eq!(host.counted(Event::RateLimitOk.counter()), 6);
    let recorded = host.recorded(Timing::Turn.histogram());
    assert_eq!(recorded.latest, [100, 200, 300, 400, 500]);
}

#[test]
fn the_time_is_bounded_and_retry_after_is_true() {
    let host = proxy();
    let engine = engine(
        r#""rate_limits":[{"name":"all","key":[],"token_bucket":{"max_tokens":1,"fill_interval":"4s"},"on_limit":{"delay":{"max":"5s","queue":9}}}]"#,
    );
    let waiting = (send(&engine, &host), send(&engine, &host));
    assert_eq!((&*waiting.0.1, &*waiting.1.1), ("passes", "waits"));
    // It would wait for eight seconds, and may for five: in three it may.
    assert_eq!(send(&engine, &host).1, "portcullis.rate_limited.queue 3");
    host.advance(Duration::from_secs(3));
    assert_eq!(send(&engine, &host).1, "waits");
}

#[test]
fn who_leaves_makes_room() {
    let host = proxy();
    let engine = engine(&throttle("1s", 3, ""));
    let (_first, _) = send(&engine, &host);
    let mut waiting: Vec<Stream> = (0..3).map(|_| send(&engine, &host).0).collect();
    assert_eq!(send(&engine, &host).1, "portcullis.rate_limited.queue 1");
    // All of them, whoever leaves first.
    waiting.swap(0, 2);
    for mut stream in waiting {
        host.advance(millis(1));
        stream.tell_end(&host);
        assert_eq!(
            stream.summary().waited,
            host.monotonic() - Duration::from_secs(1_000_000)
        );
        stream.end();
    }
    assert_eq!(waiting_for_turns(), 0);
    let (next, said) = send(&engine, &host);
    assert_eq!(said, "waits");
    let begin = Duration::from_secs(1_000_000);
    assert_eq!(next.deadline(), Some(begin + millis(100)));
}

#[test]
fn nobody_waits_in_shadow_mode() {
    let of_limit = engine(&throttle("1s", 1, r#","mode":"shadow""#));
    let whole = document(&format!(
        r#"{{"version":1,"mode":"shadow","access_log":{{}},"routes":[{{"name":"all","match":{{}},"open":true,{}}}]}}"#,
        throttle("1s", 1, "")
    ));
    for (engine, verdicts) in [
        (of_limit, ["allowed", "allowed", "shadow"]),
        (whole, ["allowed", "waiting", "shadow"]),
    ] {
        let host = proxy();
        for verdict in verdicts {
            let (mut stream, said) = send(&engine, &host);
            assert_eq!(said, "passes");
            assert_eq!(waiting_for_turns(), 0);
            let noted = !stream.decision().shadow.is_empty();
            assert_eq!(noted, verdict == "shadow");
            let is_waiting = stream.policy_verdicts() == [("rate_limits", PolicyVerdict::Waiting)];
            assert_eq!(is_waiting, verdict == "waiting", "{verdict}");
            stream.tell_end(&host);
        }
    }
}

/// Each worker lets so many of one limit wait; those beyond are told when to come again.
#[test]
fn one_limit_takes_half_of_the_places_of_a_worker() {
    let host = proxy();
    let before = used(Share::Streams);
    let engine = engine(
        r#""rate_limits":[{"name":"all","key":[],"token_bucket":{"max_tokens":1,"fill_interval":"1ms"},"on_limit":{"delay":{"max":"10s","queue":9999}}}]"#,
    );
    let mut waiting = Vec::new();
    let refused = loop {
        match send(&engine, &host) {
            (stream, said) if said == "waits" || said == "passes" => waiting.push(stream),
            (_, said) => break said,
        }
    };
    assert_eq!(waiting.len(), 1 + 500);
    assert_eq!(refused, "portcullis.rate_limited.queue 1");
    // Calls have places of their own.
    assert_eq!(super::waiting(), 0);
    for stream in &mut waiting {
        stream.tell_end(&host);
    }
    drop(waiting);
    assert_eq!((waiting_for_turns(), used(Share::Streams)), (0, before));
}

#[test]
fn where_there_is_no_memory_the_turn_is_given_back() {
    let host = proxy();
    let engine = engine(&throttle("1s", 9, ""));
    let (_first, _) = send(&engine, &host);
    let (mut late, said) = send(&engine, &host);
    assert_eq!(said, "waits");
    let place = late.deadline();
    // The proxy does not do what it is asked.
    let action = late.host_failed(portcullis_exchange::host::Failure::HostCall, &host);
    assert_eq!(
        super::turns::said(Some(&action)),
        "portcullis.unavailable.host_call "
    );
    assert_eq!(waiting_for_turns(), 0);
    assert_eq!(send(&engine, &host).0.deadline(), place);
}

#[test]
fn a_place_is_given_back_at_every_end() {
    let host = proxy();
    let engine = engine(&concurrency(1, ""));
    let refused = "portcullis.concurrency_limited.in_flight 1";
    let ends: [fn(&mut Stream, &MemoryHost); 4] = [
        // The client leaves before anything has come of it.
        |_, _| {},
        |stream, host| {
            stream.on_response_headers(None, BodyState::Open, host);
        },
        |stream, host| {
            stream.on_response_headers(None, BodyState::Complete, host);
        },
        |stream, host| {
            stream.host_failed(portcullis_exchange::host::Failure::Memory, host);
        },
    ];
    for end in ends {
        let (mut stream, said) = send(&engine, &host);
        assert_eq!(said, "passes");
        assert_eq!(send(&engine, &host).1, refused);
        end(&mut stream, &host);
        stream.tell_end(&host);
        stream.tell_end(&host);
        stream.end();
    }
    let (_held, said) = send(&engine, &host);
    assert_eq!(said, "passes");
    assert_eq!(send(&engine, &host).1, refused);
    assert_eq!(host.counted(Event::ConcurrencyLimited.counter()), 5);
}

/// A policy behind it refuses: nothing is under way then.
#[test]
fn a_place_is_given_back_when_another_policy_refuses() {
    let host = proxy();
    let engine = engine(&format!(
        r#"{},"parameters":{{"query":[{{"name":"a","required":true,"schema":{{}}}}]}}"#,
        concurrency(1, "")
    ));
    let refused: Vec<(Stream, String)> = (0..3).map(|_| send(&engine, &host)).collect();
    for (_, said) in &refused {
        assert!(!said.contains("concurrency"), "{said}");
        assert!(said.starts_with("portcullis.parameter"), "{said}");
    }
}

#[test]
fn who_waits_for_a_place_gets_it_in_order() {
    let host = proxy();
    let wait = r#","on_limit":{"delay":{"max":"1s","queue":2}}"#;
    let engine = engine(&concurrency(1, wait));
    let (mut held, _) = send(&engine, &host);
    let (mut first, said) = send(&engine, &host);
    let (mut second, other) = send(&engine, &host);
    assert_eq!((&*said, &*other), ("waits", "waits"));
    assert_eq!(
        send(&engine, &host).1,
        "portcullis.concurrency_limited.queue 1"
    );
    host.advance(millis(100));
    assert_eq!(passed(&mut first, &host), "waits");
    held.tell_end(&host);
    assert_eq!(
        send(&engine, &host).1,
        "portcullis.concurrency_limited.queue 1",
        "nobody passes those who wait"
    );
    host.advance(millis(50));
    assert_eq!(passed(&mut second, &host), "waits");
    assert_eq!(passed(&mut first, &host), "passes");
    assert_eq!(first.summary().waited, millis(150));
    // The other's time comes to its end.
    host.advance(millis(850));
    assert_eq!(
        passed(&mut second, &host),
        "portcullis.concurrency_limited.timeout 1"
    );
    assert_eq!(host.counted(Event::ConcurrencyDelayed.counter()), 2);
    second.tell_end(&host);
    first.tell_end(&host);
    drop((first, second));
    // What was only dropped is given back with the next tick.
    for tick in engine.ticks() {
        tick.tick(&host);
    }
    assert_eq!(send(&engine, &host).1, "passes");
    assert_eq!(waiting_for_turns(), 0);
}

/// Where a worker has no room for one more that waits, whoever comes gets no place before those who do.
#[test]
fn nobody_passes_the_line_of_a_worker_that_is_full() {
    let host = proxy();
    let wait = r#","on_limit":{"delay":{"max":"10s","queue":9999}}"#;
    let engine = engine(&concurrency(1, wait));
    let (mut held, _) = send(&engine, &host);
    let mut waiting: Vec<Stream> = (0..500).map(|_| send(&engine, &host).0).collect();
    assert_eq!(waiting_for_turns(), 500);
    let refused = "portcullis.concurrency_limited.queue 1";
    assert_eq!(send(&engine, &host).1, refused);
    held.tell_end(&host);
    assert_eq!(send(&engine, &host).1, refused, "the place is another's");
    host.advance(millis(50));
    assert_eq!(passed(&mut waiting[0], &host), "passes");
    for stream in &mut waiting {
        stream.tell_end(&host);
    }
    assert_eq!(waiting_for_turns(), 0);
    assert_eq!(send(&engine, &host).1, "passes");
}

#[test]
fn a_client_that_leaves_the_line_makes_room() {
    let host = proxy();
    let wait = r#","on_limit":{"delay":{"max":"1s","queue":1}}"#;
    let engine = engine(&concurrency(1, wait));
    let (_held, _) = send(&engine, &host);
    for _ in 0..50 {
        let (mut stream, said) = send(&engine, &host);
        assert_eq!(said, "waits");
        stream.tell_end(&host);
        stream.end();
    }
    assert_eq!(waiting_for_turns(), 0);
}

#[test]
fn places_in_shadow_mode_are_counted_and_nobody_is_refused() {
    let wait = r#","mode":"shadow","on_limit":{"delay":{"max":"1s","queue":1}}"#;
    for (more, second) in [(r#","mode":"shadow""#, true), (wait, false)] {
        let host = proxy();
        let engine = engine(&concurrency(1, more));
        let (mut held, said) = send(&engine, &host);
        assert_eq!(said, "passes");
        let (mut other, said) = send(&engine, &host);
        assert_eq!(said, "passes");
        assert_eq!(!other.decision().shadow.is_empty(), second);
        let waits = other.policy_verdicts() == [("concurrency", PolicyVerdict::Waiting)];
        assert_eq!(waits, !second);
        for stream in [&mut held, &mut other] {
            stream.tell_end(&host);
        }
        for tick in engine.ticks() {
            tick.tick(&host);
        }
        assert!(send(&engine, &host).0.decision().shadow.is_empty());
    }
}

/// Beside a block in force, it takes no place.
#[test]
fn a_block_that_is_tried_takes_no_place() {
    let host = proxy();
    let engine = engine(&concurrency(2, r#","shadow":{"key":[],"max":1}"#));
    let streams: Vec<(Stream, String)> = (0..3).map(|_| send(&engine, &host)).collect();
    let said: Vec<&str> = streams.iter().map(|(_, said)| &**said).collect();
    assert_eq!(
        said,
        [
            "passes",
            "passes",
            "portcullis.concurrency_limited.in_flight 1"
        ]
    );
    assert!(!streams[1].0.decision().shadow.is_empty());
    drop(streams);
}
