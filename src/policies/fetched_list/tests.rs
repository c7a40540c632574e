use hmac_sha256::Hash;

use super::*;
use crate::authn::api_key::fetched::FetchedStore;
use portcullis_memory_host::MemoryHost;
use portcullis_wire::budget::used;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

const STORE: &str = r#"{"keys":[{"id":"a","client":"acme","hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}"#;
const EMPTY: &str = r#"{"keys":[]}"#;

fn store() -> FetchedStore {
    store_of(10)
}

/// A store with at most so many keys.
fn store_of(most: usize) -> FetchedStore {
    let text = format!(
        r#"{{"cluster":"keys","uri":"https://keys.example/store","headers":{{"x-secret":"hush-hush"}},
            "cache_duration":"600s","max_stale":"3600s","cooldown":"30s","max_keys":{most}}}"#
    );
    let json = Json::parse(text.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let store = FetchedStore::read_store(&"partners".into(), &Node::root(&json), &mut problems);
    problems.into_result(store).unwrap()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What comes of a response with that status and body, if that is known at once.
fn begin(
    store: &FetchedStore,
    now: u64,
    status: &str,
    body: &str,
    host: &MemoryHost,
) -> Option<Received> {
    let mut headers = Headers::default();
    headers.push(b":status", status.as_bytes());
    let response = WholeResponse::of(headers, body.as_bytes());
    store.received(at(now), Purpose::default(), response, host)
}

/// What comes of a response with that status and body.
fn arrive(store: &FetchedStore, now: u64, status: &str, body: &str, host: &MemoryHost) -> Received {
    begin(store, now, status, body, host).unwrap()
}

/// So many keys, which take longer to read than a callback should; and what stands behind them.
fn long(count: usize, more: &str) -> String {
    let key = |id: usize| {
        let hash = Hash::hash(&id.to_le_bytes());
        let hash: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        format!(r#"{{"id":"k{id}","client":"acme","hash":"{hash}"}}"#)
    };
    let keys: Vec<String> = (0..count).map(key).collect();
    format!(r#"{{"keys":[{}{more}]}}"#, keys.join(","))
}

/// Reads to the end; what came of it, and in how many callbacks.
fn read_to_end(store: &FetchedStore, now: u64, host: &MemoryHost) -> (Progress, usize) {
    for slices in 1..1000 {
        match store.read_on(at(now), host).expect("something is read") {
            Progress::Reading => {}
            end => return (end, slices),
        }
    }
    panic!("it never ends");
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

const MANY: usize = 8000;

#[test]
fn a_long_list_is_read_in_slices_and_the_old_one_stays_until_it_is_whole() {
    let (store, host) = (store_of(MANY), MemoryHost::new());
    let first = published(arrive(&store, 0, "200", STORE, &host));
    let cells = host.cells().keys().count();
    let body = long(MANY, "");
    assert!(begin(&store, 1000, "200", &body, &host).is_none());
    assert_eq!(count(&store, 1000), Some(1));
    assert!(store.due(at(1000), &host).is_none(), "it has been answered");
    assert!(used(Share::Queues) >= body.len());
    let (end, slices) = read_to_end(&store, 1001, &host);
    let Progress::Received(received) = end else {
        panic!("{end:?}");
    };
    assert!(slices > 4, "{slices}");
    assert_eq!(
        (received.event, used(Share::Queues)),
        (Event::ApiKeysFetched, 0)
    );
    assert_eq!(count(&store, 1001), Some(MANY));
    assert_eq!(
        host.cells().keys().count(),
        cells,
        "the response stands where the one before did"
    );
    let record = Record::read(&published(received)).unwrap();
    assert_eq!(
        record.fetched,
        at(1000),
        "when it came, not when it had been read"
    );
    assert!(record.fetched > Record::read(&first).unwrap().fetched);
    assert!(store.read_on(at(1001), &host).is_none());
    // The same again takes a look at all of it, and is not read.
    assert!(begin(&store, 2000, "200", &body, &host).is_none());
    assert!(read_to_end(&store, 2000, &host).1 < slices);
    assert_eq!(count(&store, 5000), Some(MANY));
}

#[test]
fn what_is_wrong_at_the_end_of_a_long_list_changes_nothing() {
    let (store, host) = (store_of(MANY), MemoryHost::new());
    arrive(&store, 0, "200", STORE, &host);
    let shared = host.cells();
    for (keys, more, words) in [
        (MANY - 1, ",", "is not"),
        (
            MANY,
            r#",{"id":"k1","client":"acme","hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#,
            "more than 8000 keys",
        ),
    ] {
        assert!(begin(&store, 1000, "200", &long(keys, more), &host).is_none());
        let (Progress::Received(received), _) = read_to_end(&store, 1000, &host) else {
            panic!("a response");
        };
        assert_eq!(received.event, Event::ApiKeysFetchFailed);
        assert!(
            received.notes[0].text.contains(words),
            "{:?}",
            received.notes
        );
        assert!(matches!(received.next, Next::Wait(_)));
        assert_eq!((count(&store, 1000), used(Share::Queues)), (Some(1), 0));
        assert_eq!(
            host.cells(),
            shared,
            "something is shared that is of no use"
        );
    }
}

#[test]
fn a_newer_response_takes_the_place_of_one_that_is_read() {
    let (store, host) = (store_of(MANY), MemoryHost::new());
    assert!(begin(&store, 0, "200", &long(MANY, ""), &host).is_none());
    assert!(matches!(
        store.read_on(at(0), &host),
        Some(Progress::Reading)
    ));
    arrive(&store, 1, "200", STORE, &host);
    assert_eq!((count(&store, 1), used(Share::Queues)), (Some(1), 0));
    assert!(store.read_on(at(1), &host).is_none());
    // So does one that another worker has shared; not one that came before.
    let other = store_of(MANY);
    let older = published(arrive(&other, 2, "200", STORE, &host));
    assert!(begin(&store, 3, "200", &long(MANY, ""), &host).is_none());
    assert!(!store.adopt(&older, at(3), &host));
    assert!(store.read_on(at(3), &host).is_some());
    let newer = published(arrive(&other, 4, "200", EMPTY, &host));
    assert!(store.adopt(&newer, at(4), &host));
    assert_eq!((count(&store, 4), used(Share::Queues)), (Some(0), 0));
    assert!(store.read_on(at(4), &host).is_none());
}

#[test]
fn workers_take_up_a_long_list_in_slices_too() {
    let host = MemoryHost::new();
    let (one, other) = (store_of(MANY), store_of(MANY));
    let small = published(arrive(&one, 0, "200", STORE, &host));
    assert!(other.adopt(&small, at(0), &host));
    assert!(begin(&one, 10, "200", &long(MANY, ""), &host).is_none());
    let (Progress::Received(received), _) = read_to_end(&one, 10, &host) else {
        panic!("a response");
    };
    let record = published(received);
    assert!(!other.adopt(&record, at(11), &host), "not yet");
    assert_eq!(count(&other, 11), Some(1));
    let (end, slices) = read_to_end(&other, 11, &host);
    assert!(matches!(end, Progress::Adopted(true)) && slices > 4);
    assert_eq!((count(&other, 11), used(Share::Queues)), (Some(MANY), 0));
    // Another response stands there before this has been read.
    let third = store_of(MANY);
    arrive(&one, 20, "200", EMPTY, &host);
    assert!(!third.adopt(&record, at(21), &host));
    assert!(third.read_on(at(21), &host).is_none());
}

#[test]
fn a_response_that_is_forgotten_is_asked_for_again() {
    let (store, host) = (store_of(MANY), MemoryHost::new());
    assert!(begin(&store, 0, "200", &long(MANY, ""), &host).is_none());
    assert!(used(Share::Queues) > 0);
    store.forget();
    assert_eq!(used(Share::Queues), 0);
    assert!(store.read_on(at(1), &host).is_none());
    assert!(store.due(at(1), &host).is_some());
}

#[test]
fn without_memory_a_long_list_is_none() {
    let (store, host) = (store_of(MANY), MemoryHost::new());
    let body = long(MANY, "");
    let rest = Share::Queues.most() - body.len() - 1000;
    let taken = reserve(Share::Queues, rest).unwrap();
    assert!(begin(&store, 0, "200", &body, &host).is_none());
    let (Progress::Received(received), _) = read_to_end(&store, 0, &host) else {
        panic!("a response");
    };
    assert!(received.notes[0].text.contains("no memory"));
    assert_eq!(used(Share::Queues), rest);
    drop(taken);
}

/// A tree takes many times its text, and one item is read at once.
#[test]
fn an_item_that_is_too_long_is_not_read() {
    let (store, host) = (store_of(MANY), MemoryHost::new());
    arrive(&store, 0, "200", STORE, &host);
    for item in [
        format!("[{}1]", "1,".repeat(200_000)),
        format!("\"{}", "x".repeat(64 << 10)),
    ] {
        let body = format!(r#"{{"keys":[{{}},{item}]}}"#);
        let received = arrive(&store, 1000, "200", &body, &host);
        assert_eq!(received.event, Event::ApiKeysFetchFailed);
        let told = &received.notes.last().unwrap().text;
        assert!(told.contains("key 2 is longer than 65536 bytes"), "{told}");
        assert_eq!((count(&store, 1000), used(Share::Queues)), (Some(1), 0));
    }
    // Its tree is asked of the budget too.
    let body = format!(r#"{{"keys":[[{}1]]}}"#, "1,".repeat(20_000));
    let most = Share::Queues.most();
    let taken = reserve(Share::Queues, most - (1 << 20)).unwrap();
    let received = arrive(&store, 1000, "200", &body, &host);
    assert!(received.notes[0].text.contains("no memory"));
    drop(taken);
}

#[test]
fn a_failing_call_leaves_the_list_of_another_worker_alone() {
    let host = MemoryHost::new();
    let (one, other) = (store_of(MANY), store_of(MANY));
    assert!(begin(&one, 10, "200", &long(MANY, ""), &host).is_none());
    let (Progress::Received(received), _) = read_to_end(&one, 10, &host) else {
        panic!("a response");
    };
    assert!(!other.adopt(&published(received), at(11), &host), "not yet");
    let failed = arrive(&other, 12, "500", "", &host);
    assert_eq!(failed.event, Event::ApiKeysFetchFailed);
    let (end, _) = read_to_end(&other, 13, &host);
    assert!(matches!(end, Progress::Adopted(true)));
    assert_eq!(count(&other, 13), Some(MANY));
}

#[test]
fn a_newer_record_of_the_same_list_does_not_begin_it_anew() {
    let host = MemoryHost::new();
    let (one, other) = (store_of(MANY), store_of(MANY));
    let body = long(MANY, "");
    let share = |now| {
        assert!(begin(&one, now, "200", &body, &host).is_none());
        let (Progress::Received(received), _) = read_to_end(&one, now, &host) else {
            panic!("a response");
        };
        published(received)
    };
    assert!(!other.adopt(&share(10), at(10), &host), "not yet");
    let (_, whole) = read_to_end(&other, 10, &host);
    let third = store_of(MANY);
    assert!(!third.adopt(&share(20), at(20), &host));
    for _ in 0..3 {
        assert!(matches!(
            third.read_on(at(20), &host),
            Some(Progress::Reading)
        ));
    }
    assert!(!third.adopt(&share(30), at(30), &host));
    let (end, rest) = read_to_end(&third, 30, &host);
    assert!(matches!(end, Progress::Adopted(true)));
    assert_eq!(rest + 3, whole);
    assert_eq!(third.age(at(31)), Some(at(1)), "that of the newer record");
}
