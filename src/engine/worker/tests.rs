use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::*;
use crate::metrics::{Event, Timing};
use portcullis_exchange::call::Calls as _;
use portcullis_exchange::credentials::Credential;
use portcullis_exchange::fetched::{Errand, Fetched, Next, Note, Purpose, Received, SharedCells};
use portcullis_exchange::host::{Cells, Clock, Host, Level};
use portcullis_exchange::whole_response::WholeResponse;
use portcullis_memory_host::MemoryHost;
use portcullis_wire::budget::{Share, reserve, used};

/// A proxy with a credential and no clusters.
fn bare() -> MemoryHost {
    MemoryHost::new()
        .at_second(1000)
        .with_variable("IDP", "Bearer idp-credential")
}

/// One whose calls the test answers.
fn proxy() -> MemoryHost {
    let clusters = ["idp", "collector", "introspection", "b", "c"];
    clusters.into_iter().fold(bare(), MemoryHost::with_cluster)
}

/// Two workers of one proxy.
fn two() -> [Rc<MemoryHost>; 2] {
    let one = proxy();
    let other = proxy().with_cells_of(&one);
    [Rc::new(one), Rc::new(other)]
}

fn pass(host: &MemoryHost, millis: u64) {
    host.advance(Duration::from_millis(millis));
}

fn address(call: &Call) -> String {
    let mut fields = call.headers.iter();
    let mut value = |name| &fields.find(|(each, _)| each == name).unwrap().1;
    format!("{} {}{}", call.cluster, value(":authority"), value(":path"))
}

/// The addresses of the calls since that was last asked.
fn called(host: &MemoryHost) -> Vec<String> {
    let calls = host.take_calls();
    calls.iter().map(|(_, call)| address(call)).collect()
}

fn last(host: &MemoryHost) -> Token {
    host.last_call().unwrap()
}

fn count_of(host: &MemoryHost, event: Event) -> u64 {
    host.counted(event.counter())
}

fn log(host: &MemoryHost) -> Vec<String> {
    let lines = host.take_log().into_iter();
    lines
        .map(|(level, line)| format!("{level:?} {line}"))
        .collect()
}

/// A response as a test has it; no status is no response.
struct Ready {
    status: &'static str,
    body: Vec<u8>,
    /// Whether the body has been read.
    read: Cell<bool>,
}

impl Ready {
    fn new(status: &'static str, body: &[u8]) -> Self {
        Self {
            status,
            body: body.to_vec(),
            read: Cell::new(false),
        }
    }
}

impl HostResponse for Ready {
    fn headers(&self) -> Result<Headers, CallError> {
        let mut headers = Headers::default();
        headers.push(b":status", self.status.as_bytes());
        match self.status {
            "" => Err(CallError::Unreachable),
            _ => Ok(headers),
        }
    }
    fn body_size(&self) -> usize {
        self.body.len()
    }
    fn body(&self) -> Result<Vec<u8>, CallError> {
        self.read.set(true);
        Ok(self.body.clone())
    }
}

const KEYS: &[u8] = br#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
]}"#;

const DOCUMENT: &str = r#"{
    "version": 1,
    "access_log": { "sinks": ["otlp_http"] },
    "otlp_http": { "cluster": "collector", "uri": "http://logs/v1", "interval": "250ms" },
    "providers": { "corp": {
        "issuer": "https://id/", "audiences": "any",
        "jwks": { "remote": { "cluster": "idp", "uri": "https://id/keys", "timeout": "5s", "cache_duration": "100s", "cooldown": "10s",
            "headers": { "authorization": { "env": "IDP" } } } }
    } },
    "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }]
}"#;

fn worker(document: &str, host: &Rc<MemoryHost>) -> Worker {
    let engine = Engine::compile(document.as_bytes()).unwrap();
    Worker::new(Rc::new(engine), Rc::clone(host) as _)
}

fn awaiting(ticket: Token, streams: &[u32]) -> Waiters {
    let streams = streams.to_vec();
    Waiters { ticket, streams }
}

/// A refused request, which leaves a record.
fn exchange(worker: &Worker, host: &MemoryHost) {
    use portcullis_exchange::exchange::BodyState;
    let mut stream = Stream::new(Some(Rc::clone(worker.engine())));
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":authority", "a"),
        (":path", "/"),
        (":scheme", "http"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let _ = stream.on_request_headers(headers, BodyState::Complete, host);
    worker.finished(&stream, &|| None);
}

#[test]
fn one_worker_asks_and_the_others_take_up_what_it_published() {
    let hosts = two();
    let [one, other] = [0, 1].map(|index| worker(DOCUMENT, &hosts[index]));
    one.tick();
    other.tick();
    let [(_, call)] = hosts[0].take_calls().try_into().unwrap();
    assert_eq!(call.timeout, Duration::from_secs(5));
    let credential = ("authorization".into(), "Bearer idp-credential".to_owned());
    assert!(call.headers.contains(&credential));
    assert_eq!(address(&call), "idp id/keys");
    assert!(called(&hosts[1]).is_empty(), "the other asks too");
    pass(&hosts[0], 300);
    assert_eq!(
        one.received(last(&hosts[0]), &Ready::new("200", KEYS)),
        None
    );
    assert_eq!(count_of(&hosts[0], Event::KeysFetched), 1);
    assert!(
        hosts[0]
            .cells()
            .keys()
            .any(|key| key.starts_with("jwks/keys/"))
    );
    pass(&hosts[1], 300);
    other.tick();
    assert_eq!(log(&hosts[1]), ["Info provider corp: took up new keys"]);
    other.tick();
    assert!(log(&hosts[1]).is_empty(), "the same is taken up twice");
    for (worker, host) in [(&one, &hosts[0]), (&other, &hosts[1])] {
        pass(host, 20_000);
        worker.tick();
        assert!(called(host).is_empty(), "the keys are not yet due");
        assert!(!worker.engine().remote_keys()[0].due(host.monotonic()));
    }
    // What one fetches, the other need not.
    hosts.iter().for_each(|host| pass(host, 100_000));
    other.tick();
    one.tick();
    assert_eq!(called(&hosts[1]), ["idp id/keys"]);
    assert!(called(&hosts[0]).is_empty());
}

#[test]
fn a_lease_that_nobody_gives_back_ends() {
    let hosts = two();
    let [one, other] = [0, 1].map(|index| worker(DOCUMENT, &hosts[index]));
    one.tick();
    assert_eq!(called(&hosts[0]).len(), 1);
    drop(one);
    for (later, asks) in [(5_999, 0), (1, 1)] {
        pass(&hosts[1], later);
        other.tick();
        assert_eq!(called(&hosts[1]).len(), asks, "{later}");
    }
}

#[test]
fn an_end_is_told_to_its_owner_alone_and_once() {
    let host = Rc::new(proxy());
    let worker = worker(DOCUMENT, &host);
    exchange(&worker, &host);
    pass(&host, 1000);
    worker.tick();
    assert_eq!(called(&host), ["idp id/keys", "collector logs/v1"]);
    let (fetch, export) = (Token(1), Token(2));
    let call = Call {
        cluster: "introspection".into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: Duration::from_secs(1),
    };
    let [first, second] = [7, 8].map(|stream| worker.call_for(stream, &call).unwrap());
    let good = Ready::new("200", b"");
    assert_eq!(worker.received(second, &good), Some(awaiting(second, &[8])));
    assert_eq!(worker.received(second, &good), None, "it is told twice");
    assert!(!worker.forget(7, first));
    assert_eq!(worker.received(first, &good), None, "nobody waits any more");
    assert_eq!(worker.received(Token(99), &good), None);
    assert_eq!(count_of(&host, Event::RecordSent), 0);
    assert_eq!(worker.received(export, &good), None);
    assert_eq!(count_of(&host, Event::RecordSent), 1);
    assert_eq!(count_of(&host, Event::KeysFetchFailed), 0);
    assert_eq!(worker.received(fetch, &Ready::new("", b"")), None);
    assert_eq!(count_of(&host, Event::KeysFetchFailed), 1);
    let [told] = log(&host).try_into().unwrap();
    assert!(
        told.starts_with(
            "Warn provider corp: the keys cannot be fetched: no answer in time; next try in "
        ),
        "{told}"
    );
    for token in [fetch, export] {
        assert_eq!(worker.received(token, &good), None);
    }
    assert_eq!(count_of(&host, Event::RecordSent), 1);
    assert_eq!(count_of(&host, Event::KeysFetchFailed), 1);
}

#[test]
fn nothing_of_a_response_is_read_that_does_not_matter_or_is_not_bounded() {
    let long = vec![b' '; (512 << 10) + 1];
    for (status, body, is_read, reason) in [
        ("200", KEYS, true, None),
        ("500", KEYS, false, Some("status 500")),
        ("204", KEYS, false, Some("status 204")),
        (
            "200",
            &long,
            false,
            Some("an answer longer than 524288 bytes"),
        ),
        ("200", b"", false, Some("an answer that is not a JWK Set")),
    ] {
        let host = Rc::new(proxy());
        let worker = worker(DOCUMENT, &host);
        worker.tick();
        let response = Ready::new(status, body);
        worker.received(last(&host), &response);
        assert_eq!(response.read.get(), is_read, "{status}");
        let lines = log(&host);
        assert_eq!(lines.len(), usize::from(reason.is_some()));
        let reason = reason.unwrap_or_default();
        assert!(lines.iter().all(|line| line.contains(reason)), "{lines:?}");
    }
    let host = Rc::new(proxy());
    let worker = worker(DOCUMENT, &host);
    worker.tick();
    let all = reserve(Share::Queues, Share::Queues.most() - used(Share::Queues)).unwrap();
    let response = Ready::new("200", KEYS);
    worker.received(last(&host), &response);
    drop(all);
    assert!(!response.read.get() && log(&host)[0].contains("no memory"));
}

#[test]
fn what_a_collector_says_is_read_where_it_took_records() {
    for (status, is_read, sent, dropped) in [
        ("200", true, 1, 0),
        ("400", false, 0, 1),
        ("503", false, 0, 0),
    ] {
        let host = Rc::new(proxy());
        let worker = worker(DOCUMENT, &host);
        exchange(&worker, &host);
        pass(&host, 1000);
        worker.tick();
        let response = Ready::new(status, b"{}");
        worker.received(last(&host), &response);
        assert_eq!(response.read.get(), is_read, "{status}");
        let counted = [Event::RecordSent, Event::RecordDropped].map(|event| count_of(&host, event));
        assert_eq!(counted, [sent, dropped], "{status}");
        assert_eq!(
            count_of(&host, Event::CollectorFailed),
            u64::from(sent == 0)
        );
    }
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let host = Rc::new(bare());
    let worker = worker(DOCUMENT, &host);
    exchange(&worker, &host);
    pass(&host, 1000);
    worker.tick();
    let lines = log(&host);
    let [first, second, third] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert!(first.starts_with("Error provider corp: the proxy has no cluster \"idp\"; write one"));
    assert!(second.contains("the keys cannot be fetched: the proxy has no such cluster; next try"));
    assert!(
        third.starts_with("Error otlp_http: the proxy has no cluster \"collector\"; write one")
    );
    assert_eq!(count_of(&host, Event::CollectorFailed), 1);
    pass(&host, 60_000);
    worker.tick();
    let again = log(&host);
    assert!(
        again.iter().all(|line| !line.contains("otlp_http")),
        "{again:?}"
    );
}

#[test]
fn a_worker_that_leaves_tells_what_it_has_and_takes_its_part_of_sums_away() {
    let host = Rc::new(proxy());
    let worker = worker(DOCUMENT, &host);
    worker.tick();
    exchange(&worker, &host);
    exchange(&worker, &host);
    let refused = "portcullis.policy_verdicts.jwt.denied";
    assert_eq!(host.metric(refused), None, "told while a request waits");
    worker.tick();
    assert_eq!(host.metric(refused), Some(2));
    exchange(&worker, &host);
    let entries = "portcullis.jwt_cache_entries";
    assert!(host.metric(entries).is_some());
    worker.leave();
    assert_eq!(host.metric(entries), Some(0));
    assert_eq!(count_of(&host, Event::RecordDropped), 3);
    drop(worker);
    assert_eq!(host.metric(refused), Some(3));
}

/// A list that is in two parts, as one may be added later. The second is asked for on its own where
/// the first cannot be.
#[derive(Default)]
struct List {
    parts: RefCell<Vec<&'static str>>,
    published: RefCell<Vec<u8>>,
}

impl List {
    fn errand(part: &'static str) -> Errand {
        let fields = [(":authority", "lists"), (":path", part)];
        let call = Call {
            cluster: part.trim_start_matches('/').into(),
            headers: fields
                .map(|(name, value)| (name.into(), value.to_owned()))
                .into(),
            body: Vec::new(),
            timeout: Duration::from_secs(1),
        };
        let purpose = Purpose::default();
        Errand { call, purpose }
    }
}

impl Fetched for List {
    fn place(&self) -> String {
        "list bad".to_owned()
    }
    fn noun(&self) -> &'static str {
        "addresses"
    }
    fn cells(&self, _: &dyn Host) -> SharedCells {
        SharedCells {
            published: "lists/1".to_owned(),
            lease: "lists/lease/1".to_owned(),
        }
    }
    fn credentials(&self) -> &[Credential] {
        &[]
    }
    fn cooldown(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn timing(&self) -> Timing {
        Timing::KeysFetch
    }
    fn due(&self, _: Duration, _: &dyn Host) -> Option<Errand> {
        let part = *self.parts.borrow().last()?;
        Some(Self::errand(part))
    }
    fn longest(&self, _: Purpose) -> usize {
        4
    }
    fn received(
        &self,
        _: Duration,
        _: Purpose,
        response: Result<WholeResponse, CallError>,
        _: &dyn Host,
    ) -> Option<Received> {
        let part = self.parts.borrow_mut().pop().unwrap();
        let body = response.map(WholeResponse::into_body);
        if let Ok(body) = &body {
            let mut published = self.published.borrow_mut();
            published.extend_from_slice(body.bytes());
        }
        let text = format!("{part} {:?}", body.map(|body| body.bytes().len()));
        let next = match self.parts.borrow().last() {
            Some(part) => Next::Call(Self::errand(part)),
            None => Next::Publish(self.published.borrow().clone()),
        };
        Some(Received {
            event: Event::KeysFetched,
            notes: vec![Note {
                level: Level::Info,
                text,
            }],
            next,
        })
    }
    fn adopt(&self, published: &[u8], _: Duration, _: &dyn Host) -> bool {
        self.published.replace(published.to_vec()) != published
    }
}

#[test]
fn a_new_kind_is_fetched_by_saying_what_it_asks() {
    let host = proxy();
    let list = Rc::new(List::default());
    list.parts.borrow_mut().extend(["/c", "/b", "/a"]);
    let mut calls = InFlight::default();
    let mut fetches = Fetches::new([Rc::clone(&list) as _].into_iter(), &host);
    fetches.tick(&mut calls, &host);
    assert_eq!(
        called(&host),
        ["b lists/b"],
        "what cannot be asked is passed over"
    );
    for body in [&b"1234"[..], b"12345"] {
        let pending = calls.end(last(&host)).unwrap();
        assert_eq!(pending.owner, Owner::Fetch(0));
        fetches.received(0, pending, &Ready::new("200", body), &mut calls, &host);
    }
    assert_eq!(called(&host), ["c lists/c"]);
    let lines = log(&host);
    assert!(lines[0].contains("has no cluster \"a\""), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            "Info list bad: /a Err(NoCluster)",
            "Info list bad: /b Ok(4)",
            "Info list bad: /c Err(TooLong(4))",
        ]
    );
    assert_eq!(host.cell("lists/1").unwrap().unwrap().0, b"1234");
    let other = Rc::new(List::default());
    let host = proxy().with_cells_of(&host);
    let mut fetches = Fetches::new([Rc::clone(&other) as _].into_iter(), &host);
    fetches.tick(&mut calls, &host);
    assert_eq!(*other.published.borrow(), b"1234");
    assert_eq!(log(&host), ["Info list bad: took up new addresses"]);
}

const DISCOVERED: &str = r#"{
    "version": 1,
    "providers": { "corp": {
        "issuer": "https://id", "audiences": "any",
        "jwks": { "discovery": { "cluster": "idp", "timeout": "5s", "cache_duration": "100s", "cooldown": "10s" } }
    } },
    "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }]
}"#;

/// A tick asks what is due also while a call is on its way.
#[test]
fn keys_that_take_longer_than_a_tick_are_keys() {
    let host = Rc::new(proxy());
    let one = worker(DISCOVERED, &host);
    one.tick();
    assert_eq!(called(&host).len(), 1);
    let document = br#"{"issuer":"https://id","jwks_uri":"https://id/keys"}"#;
    pass(&host, 100);
    one.received(last(&host), &Ready::new("200", document));
    pass(&host, 250);
    one.tick();
    pass(&host, 50);
    one.received(last(&host), &Ready::new("200", KEYS));
    assert_eq!(count_of(&host, Event::DocumentFetched), 1);
    assert_eq!(count_of(&host, Event::KeysFetched), 1);
    assert_eq!(count_of(&host, Event::DocumentFetchFailed), 0);
}

/// A call that differs from others in its body.
fn question(body: &[u8]) -> Call {
    Call {
        cluster: "introspection".into(),
        headers: vec![
            (":authority".into(), "id".to_owned()),
            (":path".into(), "/introspect".to_owned()),
        ],
        body: body.to_vec(),
        timeout: Duration::from_secs(1),
    }
}

#[test]
fn calls_that_are_equal_are_made_once_and_all_hear_of_the_end() {
    let host = Rc::new(proxy());
    let worker = worker(DOCUMENT, &host);
    let share = |stream, body| worker.share_call(stream, &question(body)).unwrap();
    let first = share(1, b"a");
    let other = share(2, b"b");
    assert_ne!(first, other);
    assert_eq!([3, 4].map(|stream| share(stream, b"a")), [first; 2]);
    assert_eq!(called(&host).len(), 2);
    assert!(!worker.forget(3, first), "one that made no call leaves");
    let good = Ready::new("200", b"");
    assert_eq!(
        worker.received(first, &good),
        Some(awaiting(first, &[1, 4]))
    );
    assert_eq!(worker.received(first, &good), None);
    assert_ne!(share(5, b"a"), first, "it has ended");
    // One that is not to be shared is not.
    let alone = worker.call_for(6, &question(b"b")).unwrap();
    assert_ne!(alone, other);
    assert_eq!(worker.received(other, &good), Some(awaiting(other, &[2])));
    assert_eq!(used(Share::Streams), question(b"a").memory() + 256);
    assert!(!worker.forget(5, last(&host)));
}

#[test]
fn a_call_whose_maker_leaves_is_made_again_for_the_next() {
    let host = Rc::new(proxy());
    let worker = worker(DOCUMENT, &host);
    let share = |stream| worker.share_call(stream, &question(b"a")).unwrap();
    let ticket = share(1);
    assert_eq!([2, 3, 4].map(share), [ticket; 3]);
    called(&host);
    let good = Ready::new("200", b"");
    assert!(worker.forget(1, ticket), "others wait");
    assert_eq!(share(5), ticket, "whoever comes joins them");
    assert_eq!(worker.received(ticket, &good), None, "its end is too late");
    assert_eq!(worker.call_again(), []);
    let again = last(&host);
    assert_eq!(called(&host), ["introspection id/introspect"]);
    assert!(worker.call_again().is_empty() && called(&host).is_empty());
    // It stays under way whoever leaves, and whoever comes joins it.
    assert!(!worker.forget(2, ticket) && !worker.forget(3, ticket));
    assert!(worker.call_again().is_empty() && called(&host).is_empty());
    assert_eq!(
        worker.received(again, &good),
        Some(awaiting(ticket, &[4, 5]))
    );
    assert_eq!(used(Share::Streams), 0);
    // All leave.
    let ticket = share(7);
    share(8);
    assert!(worker.forget(7, ticket));
    assert!(!worker.forget(8, ticket));
    called(&host);
    assert!(worker.call_again().is_empty() && called(&host).is_empty());
    assert_eq!(used(Share::Streams), 0);
}

#[test]
fn a_call_that_cannot_be_made_again_has_an_end_too() {
    let host = Rc::new(proxy());
    let worker = worker(DOCUMENT, &host);
    let share = |stream| worker.share_call(stream, &question(b"a")).unwrap();
    let ticket = share(1);
    assert_eq!([2, 3].map(share), [ticket; 2]);
    assert!(worker.forget(1, ticket));
    // The proxy takes no more.
    while host.call(&question(b"b")).is_ok() {}
    let failed = FailedCall {
        awaiting: awaiting(ticket, &[2, 3]),
        error: CallError::NoMemory,
    };
    assert_eq!(worker.call_again(), [failed]);
    assert_eq!(worker.call_again(), []);
    assert_eq!(used(Share::Streams), 0);
}
