use super::*;
use crate::authn::api_key::fetched::FetchedStore;
use portcullis_memory_host::MemoryHost;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

const STORE: &str = r#"{"keys":[{"id":"a","client":"acme","hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}"#;
const EMPTY: &str = r#"{"keys":[]}"#;

fn store() -> FetchedStore {
    let json = Json::parse(
        br#"{"cluster":"keys","uri":"https://keys.example/store","headers":{"x-secret":"hush-hush"},
            "cache_duration":"600s","max_stale":"3600s","cooldown":"30s","max_keys":10}"#,
        8,
    )
    .unwrap();
    let mut problems = Problems::default();
    let store = FetchedStore::read_store(&"partners".into(), &Node::root(&json), &mut problems);
    problems.into_result(store).unwrap()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What comes of a response with that status and body.
fn arrive(store: &FetchedStore, now: u64, status: &str, body: &str, host: &MemoryHost) -> Received {
    let mut headers = Headers::default();
    headers.push(b":status", status.as_bytes());
    let response = CallResponse {
        headers: &headers,
        body: body.as_bytes(),
    };
    store.received(at(now), Purpose::default(), Ok(response), host)
}

fn published(received: Received) -> Vec<u8> {
    match received.next {
        Next::Publish(record) => record,
        other => panic!("{other:?}"),
    }
}

fn count(store: &FetchedStore, now: u64) -> Option<usize> {
    store.in_force(at(now)).map(|table| table.len())
}

#[test]
fn keys_are_asked_for_with_the_credentials_of_the_document() {
    let (store, host) = (store(), MemoryHost::new());
    let errand = store.due(at(0), &host).unwrap();
    assert_eq!(&*errand.call.cluster, "keys");
    let has = |name: &str, value: &str| {
        let mut fields = errand.call.headers.iter();
        fields.any(|(each, written)| each == name && written == value)
    };
    assert!(has(":path", "/store") && has(":authority", "keys.example"));
    assert!(has("x-secret", "hush-hush") && has("accept", "application/json"));
}

#[test]
fn keys_are_used_until_they_are_stale() {
    let (store, host) = (store(), MemoryHost::new());
    assert_eq!(count(&store, 0), None);
    let received = arrive(&store, 100, "200", STORE, &host);
    assert_eq!(received.event, Event::ApiKeysFetched);
    published(received);
    assert_eq!(count(&store, 100), Some(1));
    assert!(store.due(at(110), &host).is_none());
    assert!(store.due(at(700), &host).is_some());
    assert_eq!(count(&store, 3700), Some(1));
    assert_eq!(count(&store, 3701), None, "older than max_stale");
}

/// The response before was read; the same again is not.
#[test]
fn the_same_response_renews_what_is_there() {
    let (store, host) = (store(), MemoryHost::new());
    arrive(&store, 0, "200", STORE, &host);
    let before = store.in_force(at(0)).unwrap();
    let renewed = published(arrive(&store, 3000, "200", STORE, &host));
    assert!(Rc::ptr_eq(&before, &store.in_force(at(6600)).unwrap()));
    assert!(store.due(at(3010), &host).is_none());
    assert_eq!(Record::read(&renewed).unwrap().fetched, at(3000));
    arrive(&store, 6000, "200", EMPTY, &host);
    assert_eq!(count(&store, 6000), Some(0));
    arrive(&store, 6001, "200", STORE, &host);
    assert_eq!(count(&store, 6001), Some(1));
}

#[test]
fn without_max_stale_an_hour_is_the_limit() {
    let read = |more: &str| {
        let text = format!(r#"{{"cluster":"keys","uri":"https://keys.example/store"{more}}}"#);
        let json = Json::parse(text.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let store = FetchedStore::read_store(&"partners".into(), &Node::root(&json), &mut problems);
        let store = problems.into_result(store).unwrap();
        store.service.limits.max_stale
    };
    assert_eq!(read(""), at(3600));
    assert_eq!(read(r#","cache_duration":"2h""#), at(4 * 3600));
    assert_eq!(read(r#","max_stale":"24h""#), at(86_400));
}

#[test]
fn a_bad_response_takes_no_key_away() {
    let (store, host) = (store(), MemoryHost::new());
    arrive(&store, 0, "200", STORE, &host);
    for (status, body) in [("500", STORE), ("200", "[]"), ("200", "{}"), ("200", "")] {
        let received = arrive(&store, 1000, status, body, &host);
        assert_eq!(received.event, Event::ApiKeysFetchFailed);
        assert_eq!(count(&store, 1000), Some(1));
        assert!(!received.notes.is_empty());
    }
    // Pauses double, up to a minute, but for the quarter by which proxies differ.
    let mut pauses = (0..8).map(|_| match arrive(&store, 1000, "500", "", &host).next {
        Next::Wait(pause) => pause.as_millis(),
        other => panic!("{other:?}"),
    });
    assert!(pauses.next() >= Some(12_000));
    assert!(pauses.all(|pause| (24_000..=60_000).contains(&pause)));
    // One that is good and has no keys does.
    arrive(&store, 2000, "200", EMPTY, &host);
    assert_eq!(count(&store, 2000), Some(0));
}

#[test]
fn no_line_of_the_log_tells_a_credential() {
    let (store, host) = (store(), MemoryHost::new());
    let body = r#"{"keys":[{"hush-hush":1}]}"#;
    let received = arrive(&store, 0, "200", body, &host);
    assert!(received.notes.len() > 1);
    for note in received.notes {
        assert!(!note.text.contains("hush"), "{}", note.text);
    }
}

#[test]
fn a_key_that_is_not_there_is_asked_for_early_and_seldom() {
    let (store, host) = (store(), MemoryHost::new());
    arrive(&store, 0, "200", STORE, &host);
    store.request_refresh(at(10));
    assert!(store.due(at(10), &host).is_some());
    arrive(&store, 11, "200", STORE, &host);
    store.request_refresh(at(20));
    assert!(store.due(at(20), &host).is_none(), "within the cool-down");
    store.request_refresh(at(40));
    assert!(store.due(at(40), &host).is_some());
}

#[test]
fn workers_take_up_what_one_has_fetched() {
    let host = MemoryHost::new();
    let (one, other) = (store(), store());
    let first = published(arrive(&one, 0, "200", STORE, &host));
    assert!(other.adopt(&first, at(1), &host));
    assert_eq!(count(&other, 1), Some(1));
    assert!(!other.adopt(&first, at(2), &host), "the same again");
    let same = published(arrive(&one, 50, "200", STORE, &host));
    assert!(other.adopt(&same, at(50), &host));
    let second = published(arrive(&one, 100, "200", EMPTY, &host));
    assert!(other.adopt(&second, at(101), &host));
    assert_eq!(count(&other, 101), Some(0));
    assert!(!other.adopt(&same, at(102), &host), "an older one");
    let future = published(arrive(&one, 900, "200", STORE, &host));
    assert!(!other.adopt(&future, at(103), &host), "one from the future");
    for junk in [&b""[..], b"\x01", &[2; 53], &[1; 52], &[1; 54]] {
        assert!(!store().adopt(junk, at(1000), &host), "{junk:?}");
    }
    // The response itself is another by now, or was never shared.
    assert!(!store().adopt(&second, at(1000), &host));
    assert!(!store().adopt(&future, at(1000), &MemoryHost::new()));
    assert!(store().adopt(&future, at(1000), &host));
}
