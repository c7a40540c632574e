//! Memory is asked for before it is taken, and requests keep little of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

use portcullis::budget::{self, Share};
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::json_gate::{Limits, measure};
use portcullis::memory_host::MemoryHost;
use portcullis::refusal::Reply;
use portcullis::schema::Text;
use portcullis::stream::{Action, MOST_HEAD, PolicyVerdict, Stream};
use portcullis_tests::still::{holding, still};
use serde_json::{Value, json};

/// A proxy at a time when no token has expired.
fn proxy() -> MemoryHost {
    still(2_000_000_000)
}

/// Notes by how much what a thread holds passes what it has reserved for bodies.
struct Weighing;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static OVER: Cell<isize> = const { Cell::new(0) };
}

fn weigh(bytes: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let over = held.get() - budget::used(Share::Bodies) as isize;
        OVER.set(OVER.get().max(over));
    });
}

// SAFETY: all is done by the system's allocator; counting asks for no memory.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        weigh(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // For a moment both are there.
        weigh(size as isize);
        weigh(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        weigh(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// Texts of about so many bytes that make much of every byte.
fn dear_texts(size: usize) -> Vec<(&'static str, String)> {
    let list = |item: &str| {
        format!(
            "[{}{item}]",
            format!("{item},").repeat(size / (item.len() + 1))
        )
    };
    let members = |name: &dyn Fn(usize) -> String, each: usize| {
        let members: Vec<String> = (0..size / each)
            .map(|n| format!("\"{}\":0", name(n)))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let nested = format!("{}0{}", "[".repeat(100), "]".repeat(100));
    vec![
        ("objects with one member", list(r#"{"":0}"#)),
        ("numbers", list("0")),
        ("lists", list("[0]")),
        ("empty lists", list("[]")),
        ("deep lists", list(&nested)),
        ("members", members(&|n| format!("{n:x}"), 9)),
        (
            "members with escapes",
            members(&|n| format!("\\n{n:x}"), 11),
        ),
        ("strings with escapes", list(r#""\n""#)),
        ("one string", format!("\"{}\\n\"", "a".repeat(size))),
        ("long numbers", list(&"1".repeat(40))),
        ("one name", format!("{{\"{}\\n\":0}}", "a".repeat(size))),
    ]
}

#[test]
fn a_tree_takes_no_more_than_has_been_reserved() {
    for (what, text) in dear_texts(1 << 20) {
        let (before, _) = (HELD.get(), OVER.set(isize::MIN));
        let shape = measure(text.as_bytes(), &Limits::GENEROUS).unwrap();
        let read = Text::read(text.as_bytes(), &shape, 512).unwrap();
        let tree = HELD.get() - before;
        let over = OVER.get().saturating_sub(before);
        // Small lists that nobody asks for.
        assert!(over < 16 << 10, "{what}: {over} bytes more than reserved");
        let reserved = budget::used(Share::Bodies) as isize;
        assert!(
            reserved < 3 * tree + (1 << 20),
            "{what}: {reserved} for {tree}"
        );
        assert_eq!(read.count, shape.values);
        drop((read, shape));
        assert_eq!(budget::used(Share::Bodies), 0, "{what}");
    }
}

#[test]
fn a_text_that_finds_no_memory_is_not_read() {
    for (what, text) in dear_texts(1 << 20) {
        for left in [0, 1 << 10, 1 << 20] {
            let spent = budget::reserve(Share::Bodies, Share::Bodies.most() - left).unwrap();
            let (before, _) = (HELD.get(), OVER.set(isize::MIN));
            let read = Text::parse(text.as_bytes(), 512).map(|text| text.count);
            assert!(read.is_err(), "{what} with {left} bytes: {read:?}");
            let over = OVER.get().saturating_sub(before) + budget::used(Share::Bodies) as isize;
            assert!(over < (left + (16 << 10)) as isize, "{what}: {over}");
            drop(spent);
        }
    }
}

fn engine(document: &Value) -> Rc<Engine> {
    Rc::new(Engine::compile(document.to_string().as_bytes()).unwrap())
}

fn judging(mode: &str) -> Rc<Engine> {
    engine(&json!({
        "version": 1,
        // Not judged on the way: it takes the values, and memory for them.
        "schemas": { "any": { "type": "array", "contains": { "type": "object" } } },
        "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "open": true, "payload": {
            "max_bytes": "16MiB", "json_schema": "any", "json": { "max_elements": 10_000_000 },
            "responses": { "mode": mode, "json_schema": "any", "max_bytes": "16MiB" },
        } }],
    }))
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":path", "/"),
    (":authority", "a.example"),
    ("content-type", "application/json"),
];

fn details(action: Action) -> String {
    match action {
        Action::Reply(Reply { details, .. }) => details,
        action => format!("{action:?}"),
    }
}

#[test]
fn bodies_and_answers_that_find_no_memory_are_refused() {
    let engine = judging("enforce");
    let text = format!("[{}{{\"\":0}}]", "{\"\":0},".repeat(49_000));
    let proxy = holding(text.as_bytes());
    let size = text.len() as u64;
    let request = |left: usize| {
        let spent = budget::reserve(Share::Bodies, Share::Bodies.most() - left);
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        stream.on_request_headers(headers(&POST), BodyState::Open, &proxy);
        let action = stream.on_request_body(size, BodyState::Complete, &proxy);
        drop(spent);
        (details(action), stream)
    };
    let none = "portcullis.unavailable.memory";
    for left in [0, text.len(), text.len() + (1 << 20)] {
        assert_eq!(request(left).0, none, "{left}");
    }
    let answer = |left: usize| {
        let (passed, mut stream) = request(Share::Bodies.most());
        assert_eq!(passed, "Continue([])");
        let head = headers(&[(":status", "200"), ("content-type", "application/json")]);
        stream.on_response_headers(Some(&head), BodyState::Open, &proxy);
        let _spent = budget::reserve(Share::Bodies, Share::Bodies.most() - left);
        details(stream.on_response_body(size, BodyState::Complete, &proxy))
    };
    for left in [0, text.len(), text.len() + (1 << 20)] {
        assert_eq!(answer(left), none, "{left}");
    }
    assert_eq!(answer(Share::Bodies.most()), "Continue([])");
}

#[test]
fn what_looking_for_patterns_copies_is_reserved() {
    let document = json!({ "version": 1, "routes": [{
        "name": "all", "match": { "path": { "prefix": "/" } }, "open": true,
        "deny_patterns": { "mode": "enforce", "max_bytes": "1MiB" },
    }] });
    let engine = engine(&document);
    let text = format!("[\"{}\"]", "a ".repeat(100_000));
    let proxy = holding(text.as_bytes());
    let size = text.len() as u64;
    let request = |left: usize| {
        let _spent = budget::reserve(Share::Bodies, Share::Bodies.most() - left);
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        stream.on_request_headers(headers(&POST), BodyState::Open, &proxy);
        details(stream.on_request_body(size, BodyState::Complete, &proxy))
    };
    let none = "portcullis.unavailable.memory";
    for left in [0, text.len(), 7 * text.len()] {
        assert_eq!(request(left), none, "{left}");
    }
    // And a little for the array, and for the way to a text.
    assert_eq!(request(8 * text.len() + (32 << 10)), "Continue([])");
    assert_eq!(budget::used(Share::Bodies), 0);
}

#[test]
fn bodies_that_are_read_are_of_a_size_that_can_be_read() {
    let block = |payload: Value| {
        let document = json!({
            "version": 1,
            // Not judged on the way: it takes the values, and memory for them.
        "schemas": { "any": { "type": "array", "contains": { "type": "object" } } },
            "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "open": true, "payload": payload }],
        });
        Engine::compile(document.to_string().as_bytes())
            .map_err(|error| error.problems[0].to_string())
    };
    assert!(block(json!({ "max_bytes": "2048MiB" })).is_ok());
    assert!(block(json!({ "max_bytes": "16MiB", "json": {} })).is_ok());
    for payload in [
        json!({ "max_bytes": "17MiB", "json": {} }),
        json!({ "max_bytes": "64MiB", "json_schema": "any" }),
    ] {
        let problem = block(payload).err().unwrap();
        assert!(
            problem.starts_with("/routes/0/payload/max_bytes: must be at most 16MiB"),
            "{problem}"
        );
    }
}

fn guarded() -> Rc<Engine> {
    engine(&json!({
        "version": 1, "access_log": {}, "security_events": {},
        "providers": { "corp": { "issuer": "https://id.example.com/", "audiences": ["a"], "jwks": { "inline": {
            "keys": [portcullis_tests::tokens::SigningKey::named("p256").jwk()] } } } },
        "defaults": { "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] } },
        "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "jwt": { "provider": "corp" } }],
    }))
}

/// What an outsider can send for some twenty bytes: fields that HPACK has seen before.
fn indexed(large: &[&str]) -> Headers {
    let long = "x".repeat(3900);
    let path = format!("/{}", "p".repeat(3000));
    let mut all = headers(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", &path),
        (":authority", "a.example"),
    ]);
    for name in large {
        all.push(name.as_bytes(), long.as_bytes());
    }
    for field in 0..13 {
        all.push(format!("x-{field}").as_bytes(), long.as_bytes());
    }
    all
}

#[test]
fn refused_requests_keep_little() {
    const STREAMS: usize = 3_000;
    let engine = guarded();
    for large in [
        &[][..],
        &["origin", "user-agent", "x-request-id", "content-type"],
    ] {
        let before = HELD.get();
        let mut open = Vec::with_capacity(STREAMS);
        let list = HELD.get() - before;
        for _ in 0..STREAMS {
            let mut stream = Box::new(Stream::new(Some(Rc::clone(&engine))));
            let action = stream.on_request_headers(indexed(large), BodyState::Complete, &proxy());
            assert!(details(action).starts_with("portcullis."), "{large:?}");
            stream.on_response_headers(None, BodyState::Complete, &proxy());
            open.push(stream);
        }
        let held = usize::try_from(HELD.get() - before - list).unwrap();
        let each = held / STREAMS;
        println!(
            "{large:?}: {each} bytes each, {} reserved",
            budget::used(Share::Streams) / STREAMS
        );
        assert!(each < 4224, "{large:?}: {each} bytes each");
        let fixed = STREAMS * size_of::<Stream>();
        assert!(budget::used(Share::Streams) + fixed >= held, "{large:?}");
        // Another client is served meanwhile.
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        let action = stream.on_request_headers(headers(&POST), BodyState::Complete, &proxy());
        assert_eq!(details(action), "portcullis.jwt_missing.missing");
        drop((open, stream));
        assert_eq!(budget::used(Share::Streams), 0);
    }
}

#[test]
fn a_request_that_finds_no_memory_is_refused_and_keeps_nothing() {
    for mode in ["enforce", "shadow"] {
        let document = json!({ "version": 1, "mode": mode, "access_log": {},
            "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "open": true }] });
        let engine = engine(&document);
        let spent = budget::reserve(Share::Streams, Share::Streams.most() - 100);
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        let action = stream.on_request_headers(indexed(&[]), BodyState::Complete, &proxy());
        assert_eq!(details(action), "portcullis.unavailable.memory");
        assert!(stream.headers().is_empty());
        let record = engine
            .access_log()
            .unwrap()
            .record(&stream.summary(), None, &proxy());
        assert!(record.unwrap().contains(r#""portcullis.reason":"memory""#));
        drop(spent);
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        let large = stream.admit(MOST_HEAD + 1, &proxy()).unwrap();
        assert_eq!(details(large), "portcullis.header_fields_too_large.head");
    }
}

#[test]
fn what_policies_read_later_is_whole_or_the_request_is_refused() {
    let document = |mode: &str| {
        engine(
            &json!({ "version": 1, "mode": mode, "access_log": {}, "routes": [{
            "name": "all", "match": { "path": { "prefix": "/" } }, "open": true,
            "payload": { "max_bytes": "1MiB", "content_types": ["text/plain"] } }] }),
        )
    };
    let with_type = |mode: &str, media_type: &str| {
        let mut fields = POST;
        fields[3].1 = media_type;
        let mut all = headers(&fields);
        all.push(b"x-padding", &[b'x'; 2000]);
        let mut stream = Stream::new(Some(document(mode)));
        let action = details(stream.on_request_headers(all, BodyState::Open, &proxy()));
        (action, stream)
    };
    let padded = |length: usize| format!("text/plain;a={}", "b".repeat(length));
    let (passed, stream) = with_type("enforce", &padded(7000));
    assert_eq!(passed, "Continue([])");
    let kept = stream.headers().one("content-type").unwrap().unwrap();
    assert_eq!(kept, padded(7000).as_bytes());
    assert_eq!(stream.headers().all("x-padding").next(), None);
    let (refused, _) = with_type("enforce", &padded(9000));
    assert_eq!(refused, "portcullis.header_fields_too_large.kept");
    let (passed, stream) = with_type("shadow", &padded(9000));
    assert_eq!(passed, "Continue([])");
    assert_eq!(stream.decision().shadow[0].reason.name, "kept");
}

#[test]
fn what_is_tried_makes_room_for_the_request() {
    let rules = json!({ "max_bytes": "1MiB", "content_types": ["text/plain"] });
    let engine = engine(&json!({ "version": 1, "access_log": {}, "routes": [{
        "name": "all", "match": { "path": { "prefix": "/" } }, "open": true,
        "shadow": { "payload": rules } }] }));
    for length in [7000, 9000] {
        let media_type = format!("text/plain;a={}", "b".repeat(length));
        let mut fields = POST;
        fields[3].1 = &media_type;
        let mut all = headers(&fields);
        all.push(b"x-padding", &[b'x'; 2000]);
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        let action = details(stream.on_request_headers(all, BodyState::Open, &proxy()));
        assert_eq!(action, "Continue([])", "{length}");
        assert_eq!(
            stream.policy_verdicts(),
            [("payload_shadow", PolicyVerdict::Waiting)],
            "{length}"
        );
        assert!(!stream.awaits_body(), "what is tried keeps nobody waiting");
        let action = details(stream.on_request_body(10, BodyState::Complete, &proxy()));
        assert_eq!(action, "Continue([])", "{length}");
        let expected = match length {
            7000 => PolicyVerdict::Allowed,
            _ => PolicyVerdict::Waiting,
        };
        assert_eq!(
            stream.policy_verdicts(),
            [("payload_shadow", expected)],
            "{length}"
        );
        assert!(stream.decision().shadow.is_empty(), "{length}");
    }
}

#[test]
fn records_show_what_they_showed() {
    let engine = guarded();
    let path = format!("/{}?{}", "p".repeat(400), "q=1&".repeat(100));
    let agent = "a".repeat(600);
    let mut all = headers(&[
        (":method", "GET"),
        (":path", &path),
        (":authority", "a.example"),
        ("user-agent", &agent),
    ]);
    all.push(b"x-large", &[b'x'; 9000]);
    let mut stream = Stream::new(Some(Rc::clone(&engine)));
    stream.on_request_headers(all, BodyState::Complete, &proxy());
    let record = engine
        .access_log()
        .unwrap()
        .record(&stream.summary(), None, &proxy())
        .unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["url.path"], path.split('?').next().unwrap());
    let query = record["url.query"].as_str().unwrap();
    assert!(query.len() > 512 && query.ends_with('…'), "{query}");
    assert_eq!(
        record["user_agent.original"],
        format!("{}…", "a".repeat(512))
    );
    // And nothing is left when it has been written.
    stream.end();
    assert!(stream.headers().is_empty());
    assert_eq!(budget::used(Share::Streams), 0);
}
