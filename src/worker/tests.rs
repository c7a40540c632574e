use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::budget::{Share, reserve, used};
use crate::call::{CallResponse, Calls};
use crate::credentials::Credential;
use crate::fetched::{Fetched, Next, Note, Received, SharedCells};
use crate::host::{
    CellUnavailable, Counter, Host, HostVerdict, Level, Log, Mark, MetricId, MetricKind, Metrics,
    Property, SignatureCheck, Swap,
};
use crate::metrics::{Event, Timing};

type Cells = Rc<RefCell<BTreeMap<String, (Vec<u8>, u32)>>>;

/// A proxy of one worker: its clock is set by hand, and the test answers its calls.
#[derive(Default)]
struct Proxy {
    now: Cell<u64>,
    cells: Cells,
    /// Clusters that it has not.
    unknown: RefCell<Vec<&'static str>>,
    calls: RefCell<Vec<Call>>,
    counted: RefCell<BTreeMap<usize, u64>>,
    lines: RefCell<Vec<String>>,
    /// By name; the number of a metric is its place.
    metrics: RefCell<Vec<(String, i64)>>,
}

impl Host for Proxy {
    fn wall_clock(&self) -> Duration {
        Duration::from_millis(self.now.get())
    }
    fn count(&self, Counter(counter): Counter) {
        *self.counted.borrow_mut().entry(counter).or_default() += 1;
    }
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        (name == "IDP").then(|| b"Bearer idp-credential".to_vec())
    }
    fn verify_signature(&self, _: SignatureCheck<'_>) -> HostVerdict {
        HostVerdict::Unavailable
    }
    fn property(&self, _: Property) -> Option<Vec<u8>> {
        None
    }
    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        let cells = self.cells.borrow();
        Ok(cells
            .get(key)
            .map(|(value, mark)| (value.clone(), Mark(*mark))))
    }
    fn swap_cell(
        &self,
        key: &str,
        seen: Option<Mark>,
        value: &[u8],
    ) -> Result<Swap, CellUnavailable> {
        let mut cells = self.cells.borrow_mut();
        let mark = cells.get(key).map_or(0, |(_, mark)| *mark);
        if mark > 0 && seen.is_some_and(|Mark(seen)| seen != mark) {
            return Ok(Swap::Changed);
        }
        cells.insert(key.to_owned(), (value.to_vec(), mark + 1));
        Ok(Swap::Written)
    }
    fn random(&self) -> u64 {
        4
    }
}

impl Calls for Proxy {
    fn call(&self, call: &Call) -> Result<Token, CallError> {
        if self
            .unknown
            .borrow()
            .iter()
            .any(|each| **each == *call.cluster)
        {
            return Err(CallError::NoCluster);
        }
        let mut calls = self.calls.borrow_mut();
        calls.push(call.clone());
        Ok(Token(u32::try_from(calls.len()).unwrap()))
    }
}

impl Log for Proxy {
    fn log(&self, level: Level, line: &str) {
        self.lines.borrow_mut().push(format!("{level:?} {line}"));
    }
    fn set_filter_state(&self, _: &str, _: &str) {}
}

impl Metrics for Proxy {
    fn define(&self, _: MetricKind, name: &str) -> Option<MetricId> {
        let mut metrics = self.metrics.borrow_mut();
        metrics.push((name.to_owned(), 0));
        Some(MetricId(u32::try_from(metrics.len() - 1).unwrap()))
    }
    fn add(&self, MetricId(id): MetricId, change: i64) {
        self.metrics.borrow_mut()[id as usize].1 += change;
    }
    fn set(&self, MetricId(id): MetricId, value: u64) {
        self.metrics.borrow_mut()[id as usize].1 = value.try_into().unwrap();
    }
}

impl Proxy {
    fn with(cells: &Cells) -> Rc<Self> {
        Rc::new(Self {
            cells: Rc::clone(cells),
            now: Cell::new(1_000_000),
            ..Self::default()
        })
    }

    fn pass(&self, millis: u64) {
        self.now.set(self.now.get() + millis);
    }

    /// The addresses of the calls since that was last asked.
    fn called(&self) -> Vec<String> {
        let mut calls = self.calls.borrow_mut();
        // Their places are their tokens: they stay.
        let new = calls.iter_mut().filter(|call| !call.headers.is_empty());
        new.map(|call| {
            let headers = std::mem::take(&mut call.headers);
            let value = |name| &headers.iter().find(|(each, _)| each == name).unwrap().1;
            format!("{} {}{}", call.cluster, value(":authority"), value(":path"))
        })
        .collect()
    }

    /// The token of the last call.
    fn last(&self) -> Token {
        Token(u32::try_from(self.calls.borrow().len()).unwrap())
    }

    fn count_of(&self, event: Event) -> u64 {
        let Counter(number) = event.counter();
        self.counted
            .borrow()
            .get(&number)
            .copied()
            .unwrap_or_default()
    }

    fn log(&self) -> Vec<String> {
        self.lines.take()
    }

    fn metric(&self, name: &str) -> Option<i64> {
        let metrics = self.metrics.borrow();
        let found = metrics.iter().find(|(each, _)| each == name);
        found.map(|(_, value)| *value)
    }
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

impl Response for Ready {
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

fn worker(document: &str, host: &Rc<Proxy>) -> Worker {
    let engine = Engine::compile(document.as_bytes()).unwrap();
    Worker::new(Rc::new(engine), Rc::clone(host) as _)
}

/// A refused request, which leaves a record.
fn exchange(worker: &Worker, host: &Proxy) {
    use crate::exchange::BodyState;
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
    let _ = stream.request_headers(headers, BodyState::Complete, host);
    worker.finished(&stream, &|| None);
}

#[test]
fn one_worker_asks_and_the_others_take_up_what_it_published() {
    let cells = Cells::default();
    let hosts = [Proxy::with(&cells), Proxy::with(&cells)];
    let [one, other] = [0, 1].map(|index| worker(DOCUMENT, &hosts[index]));
    one.tick();
    other.tick();
    let call = hosts[0].calls.borrow()[0].clone();
    assert_eq!(call.timeout, Duration::from_secs(5));
    let credential = ("authorization".into(), "Bearer idp-credential".to_owned());
    assert!(call.headers.contains(&credential));
    assert_eq!(hosts[0].called(), ["idp id/keys"]);
    assert!(hosts[1].called().is_empty(), "the other asks too");
    hosts[0].pass(300);
    assert_eq!(
        one.received(hosts[0].last(), &Ready::new("200", KEYS)),
        None
    );
    assert_eq!(hosts[0].count_of(Event::KeysFetched), 1);
    assert!(
        cells
            .borrow()
            .keys()
            .any(|key| key.starts_with("jwks/keys/"))
    );
    hosts[1].pass(300);
    other.tick();
    assert_eq!(hosts[1].log(), ["Info provider corp: took up new keys"]);
    other.tick();
    assert!(hosts[1].log().is_empty(), "the same is taken up twice");
    for (worker, host) in [(&one, &hosts[0]), (&other, &hosts[1])] {
        host.pass(20_000);
        worker.tick();
        assert!(host.called().is_empty(), "the keys are not yet due");
        assert!(worker.engine().remote_keys()[0].due(host.monotonic()) == false);
    }
    // What one fetches, the other need not.
    hosts.iter().for_each(|host| host.pass(100_000));
    other.tick();
    one.tick();
    assert_eq!(hosts[1].called(), ["idp id/keys"]);
    assert!(hosts[0].called().is_empty());
}

#[test]
fn a_lease_that_nobody_gives_back_ends() {
    let cells = Cells::default();
    let hosts = [Proxy::with(&cells), Proxy::with(&cells)];
    let [one, other] = [0, 1].map(|index| worker(DOCUMENT, &hosts[index]));
    one.tick();
    assert_eq!(hosts[0].called().len(), 1);
    drop(one);
    for (pass, asks) in [(5_999, 0), (1, 1)] {
        hosts[1].pass(pass);
        other.tick();
        assert_eq!(hosts[1].called().len(), asks, "{pass}");
    }
}

#[test]
fn an_end_is_told_to_its_owner_alone_and_once() {
    let host = Proxy::with(&Cells::default());
    let worker = worker(DOCUMENT, &host);
    exchange(&worker, &host);
    host.pass(1000);
    worker.tick();
    assert_eq!(host.called(), ["idp id/keys", "collector logs/v1"]);
    let (fetch, export) = (Token(1), Token(2));
    let call = Call {
        cluster: "introspection".into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: Duration::from_secs(1),
    };
    let [first, second] = [7, 8].map(|stream| worker.call_for(stream, &call).unwrap());
    let good = Ready::new("200", b"");
    assert_eq!(worker.received(second, &good), Some(8));
    assert_eq!(worker.received(second, &good), None, "it is told twice");
    worker.forget(first);
    assert_eq!(worker.received(first, &good), None, "nobody waits any more");
    assert_eq!(worker.received(Token(99), &good), None);
    assert_eq!(host.count_of(Event::RecordSent), 0);
    assert_eq!(worker.received(export, &good), None);
    assert_eq!(host.count_of(Event::RecordSent), 1);
    assert_eq!(host.count_of(Event::KeysFetchFailed), 0);
    assert_eq!(worker.received(fetch, &Ready::new("", b"")), None);
    assert_eq!(host.count_of(Event::KeysFetchFailed), 1);
    let [told] = host.log().try_into().unwrap();
    assert!(
        told.starts_with(
            "Warn provider corp: the keys cannot be fetched: no answer in time; next try in "
        ),
        "{told}"
    );
    for token in [fetch, export] {
        assert_eq!(worker.received(token, &good), None);
    }
    assert_eq!(host.count_of(Event::RecordSent), 1);
    assert_eq!(host.count_of(Event::KeysFetchFailed), 1);
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
        let host = Proxy::with(&Cells::default());
        let worker = worker(DOCUMENT, &host);
        worker.tick();
        let response = Ready::new(status, body);
        worker.received(host.last(), &response);
        assert_eq!(response.read.get(), is_read, "{status}");
        let lines = host.log();
        assert_eq!(lines.len(), usize::from(reason.is_some()));
        let reason = reason.unwrap_or_default();
        assert!(lines.iter().all(|line| line.contains(reason)), "{lines:?}");
    }
    let host = Proxy::with(&Cells::default());
    let worker = worker(DOCUMENT, &host);
    worker.tick();
    let all = reserve(Share::Queues, Share::Queues.most() - used(Share::Queues)).unwrap();
    let response = Ready::new("200", KEYS);
    worker.received(host.last(), &response);
    drop(all);
    assert!(!response.read.get() && host.log()[0].contains("no memory"));
}

#[test]
fn what_a_collector_says_is_read_where_it_took_records() {
    for (status, is_read, sent, dropped) in [
        ("200", true, 1, 0),
        ("400", false, 0, 1),
        ("503", false, 0, 0),
    ] {
        let host = Proxy::with(&Cells::default());
        let worker = worker(DOCUMENT, &host);
        exchange(&worker, &host);
        host.pass(1000);
        worker.tick();
        let response = Ready::new(status, b"{}");
        worker.received(host.last(), &response);
        assert_eq!(response.read.get(), is_read, "{status}");
        let counted = [Event::RecordSent, Event::RecordDropped].map(|event| host.count_of(event));
        assert_eq!(counted, [sent, dropped], "{status}");
        assert_eq!(host.count_of(Event::CollectorFailed), u64::from(sent == 0));
    }
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let host = Proxy::with(&Cells::default());
    host.unknown.borrow_mut().extend(["idp", "collector"]);
    let worker = worker(DOCUMENT, &host);
    exchange(&worker, &host);
    host.pass(1000);
    worker.tick();
    let lines = host.log();
    let [first, second, third] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert!(first.starts_with("Error provider corp: the proxy has no cluster \"idp\"; write one"));
    assert!(second.contains("the keys cannot be fetched: the proxy has no such cluster; next try"));
    assert!(
        third.starts_with("Error otlp_http: the proxy has no cluster \"collector\"; write one")
    );
    assert_eq!(host.count_of(Event::CollectorFailed), 1);
    host.pass(60_000);
    worker.tick();
    let again = host.log();
    assert!(
        again.iter().all(|line| !line.contains("otlp_http")),
        "{again:?}"
    );
}

#[test]
fn a_worker_that_leaves_tells_what_it_has_and_takes_its_part_of_sums_away() {
    let host = Proxy::with(&Cells::default());
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
    assert!(host.metric(entries).is_some(), "{:?}", host.metrics);
    worker.leave();
    assert_eq!(host.metric(entries), Some(0));
    assert_eq!(host.count_of(Event::RecordDropped), 3);
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
    fn call(part: &'static str) -> Call {
        let fields = [(":authority", "lists"), (":path", part)];
        Call {
            cluster: part.trim_start_matches('/').into(),
            headers: fields
                .map(|(name, value)| (name.into(), value.to_owned()))
                .into(),
            body: Vec::new(),
            timeout: Duration::from_secs(1),
        }
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
    fn due(&self, _: Duration, _: &dyn Host) -> Option<Call> {
        let part = *self.parts.borrow().last()?;
        Some(Self::call(part))
    }
    fn longest(&self) -> usize {
        4
    }
    fn received(
        &self,
        _: Duration,
        response: Result<CallResponse<'_>, CallError>,
        _: &dyn Host,
    ) -> Received {
        let part = self.parts.borrow_mut().pop().unwrap();
        if let Ok(response) = response {
            self.published.borrow_mut().extend_from_slice(response.body);
        }
        let text = format!("{part} {:?}", response.map(|response| response.body.len()));
        let next = match self.parts.borrow().last() {
            Some(part) => Next::Call(Self::call(part)),
            None => Next::Publish(self.published.borrow().clone()),
        };
        Received {
            event: Event::KeysFetched,
            notes: vec![Note {
                level: Level::Info,
                text,
            }],
            next,
        }
    }
    fn adopt(&self, published: &[u8], _: Duration) -> bool {
        self.published.replace(published.to_vec()) != published
    }
}

#[test]
fn a_new_kind_is_fetched_by_saying_what_it_asks() {
    let cells = Cells::default();
    let host = Proxy::with(&cells);
    let list = Rc::new(List::default());
    list.parts.borrow_mut().extend(["/c", "/b", "/a"]);
    host.unknown.borrow_mut().push("a");
    let mut calls = InFlight::default();
    let mut fetches = Fetches::new([Rc::clone(&list) as _].into_iter(), &*host);
    fetches.tick(&mut calls, &*host);
    assert_eq!(
        host.called(),
        ["b lists/b"],
        "what cannot be asked is passed over"
    );
    for body in [&b"1234"[..], b"12345"] {
        let pending = calls.end(host.last()).unwrap();
        assert_eq!(pending.owner, Owner::Fetch(0));
        fetches.received(0, pending, &Ready::new("200", body), &mut calls, &*host);
    }
    assert_eq!(host.called(), ["c lists/c"]);
    let lines = host.log();
    assert!(lines[0].contains("has no cluster \"a\""), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            "Info list bad: /a Err(NoCluster)",
            "Info list bad: /b Ok(4)",
            "Info list bad: /c Err(TooLong(4))",
        ]
    );
    assert_eq!(cells.borrow()["lists/1"].0, b"1234");
    let other = Rc::new(List::default());
    let host = Proxy::with(&cells);
    let mut fetches = Fetches::new([Rc::clone(&other) as _].into_iter(), &*host);
    fetches.tick(&mut calls, &*host);
    assert_eq!(*other.published.borrow(), b"1234");
    assert_eq!(host.log(), ["Info list bad: took up new addresses"]);
}
