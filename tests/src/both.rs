//! Requests judged by the plan of their route and by asking every policy: what a host that knows of plans
//! does, and what comes of both.

use std::rc::Rc;

use portcullis::config::ConfigError;
use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit, FilterStateKey};
use portcullis::headers::{HeaderName, HeaderValue, Headers};
use portcullis::host::{Counter, Histogram, Host};
use portcullis::memory_host::MemoryHost;
use portcullis::metrics::{self, ExchangeCounter, TIMINGS};
use portcullis::pairs;
use portcullis::pairs::Block;
use portcullis::plan::PlannedChange;
use portcullis::stream::{Action, ResponseHead, Stream};

/// Judges the head of a request: by a plan, if one knows all of it.
pub fn request_headers(
    stream: &mut Stream,
    headers: Headers,
    body: BodyState,
    host: &dyn Host,
) -> Action {
    let block = pairs::write(headers.iter().collect::<Vec<_>>().into_iter());
    if let Some(refused) = stream.admit(headers.memory().max(block.capacity()), host) {
        return refused;
    }
    match stream.request_by_plan(block, host) {
        Err(_) => return stream.on_request_headers(headers, body, host),
        Ok(Some(reply)) => return Action::Reply(reply),
        Ok(None) => {}
    }
    let mut edits = Vec::new();
    stream.planned_changes(&mut |change| edits.push(edit(change)));
    Action::Continue(edits)
}

/// Shapes the head of an answer: by the plan, if the request was judged by one that can.
pub fn response_headers(
    stream: &mut Stream,
    headers: Option<&Headers>,
    rest: BodyState,
    host: &dyn Host,
) -> ResponseHead {
    let mut edits = Vec::new();
    let answer = headers.and_then(|headers| {
        let fields = headers.iter().collect::<Vec<_>>();
        Block::of(pairs::write(fields.into_iter()))
    });
    let each = &mut |change: PlannedChange<'_>| edits.push(edit(change));
    match stream.response_by_plan(answer.as_ref(), host, each) {
        true => ResponseHead {
            edits,
            ..ResponseHead::default()
        },
        false => stream.on_response_headers(headers, rest, host),
    }
}

/// The record of an exchange, if there is one: by the plan, if that can.
pub fn record(stream: &Stream, host: &dyn Host) -> Option<String> {
    let log = stream.engine()?.access_log()?;
    let mut buffer = String::from("what stood there before");
    match stream.record_by_plan(host, &mut buffer) {
        true => Some(buffer),
        false => log.record(&stream.summary(), None, host),
    }
}

fn edit(change: PlannedChange<'_>) -> Edit {
    let name = |name| HeaderName::parse(name).expect("a name");
    let value = |value| HeaderValue::parse(value).expect("a value");
    match change {
        PlannedChange::Remove(of) => Edit::Remove(name(of)),
        PlannedChange::Set(of, is) => Edit::Set(name(of), value(is)),
        PlannedChange::Add(of, is) => Edit::Add(name(of), value(is)),
        PlannedChange::FilterState(of, is) => {
            let key = of.strip_prefix("portcullis.").expect("a name of ours");
            Edit::FilterState(FilterStateKey::parse(key).expect("a key"), value(is))
        }
    }
}

/// Edits as a list of texts, those that are prepared among the others.
pub fn flat(edits: &[Edit]) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let one = |edit: &Edit| match edit {
        Edit::Prepared(edits) => flat(edits),
        Edit::Remove(name) => vec![format!("remove {}", name.as_str())],
        Edit::Set(name, value) => vec![format!("set {}: {}", name.as_str(), text(value))],
        Edit::Add(name, value) => vec![format!("add {}: {}", name.as_str(), text(value))],
        Edit::SetPath(value) => vec![format!("path {}", text(value))],
        Edit::FilterState(name, value) => {
            vec![format!("export {}: {}", name.as_str(), text(value))]
        }
        Edit::HitsAddend(hits) => vec![format!("hits {hits}")],
    };
    edits.iter().flat_map(one).collect()
}

/// All that has been counted and measured on a host, and by the limits of a document.
pub fn counted(engine: &Engine, host: &MemoryHost) -> Vec<(String, String)> {
    let names = metrics::names().into_iter().enumerate();
    let counters = names.map(|(number, name)| (name, host.counted(Counter(number)).to_string()));
    let timings = TIMINGS.iter().enumerate();
    let timings = timings.map(|(number, timing)| {
        let recorded = host.recorded(Histogram(number));
        (timing.name().to_owned(), format!("{recorded:?}"))
    });
    let gauges = engine.gauges().iter();
    let gauges = gauges.map(|gauge| {
        let read = gauge.read(std::time::Duration::ZERO);
        (gauge.name().to_owned(), format!("{read:?}"))
    });
    counters.chain(timings).chain(gauges).collect()
}

/// The same but for what tells whether tokens were remembered: how many were and were not, in one number,
/// and nothing of signatures that were checked, and of how long that took.
pub fn but_for_memory(counted: Vec<(String, String)>) -> Vec<(String, String)> {
    const WORK: [&str; 3] = [
        "jwt_signature_proxy",
        "jwt_signature_filter",
        "jwt_verify_us",
    ];
    const TOKENS: [&str; 2] = ["jwt_cache_hit", "jwt_cache_miss"];
    let of = |name: &str, all: &[&str]| all.iter().any(|each| name.ends_with(each));
    let tokens = counted.iter().filter(|(name, _)| of(name, &TOKENS));
    let tokens: u64 = tokens
        .filter_map(|(_, count)| count.parse::<u64>().ok())
        .sum();
    let rest = counted.into_iter();
    let rest = rest.filter(|(name, _)| !of(name, &WORK) && !of(name, &TOKENS));
    rest.chain([("tokens".to_owned(), tokens.to_string())])
        .collect()
}

/// What a finished exchange leaves behind: its record, the counters that it raises, and events.
pub fn left(stream: &Stream, host: &dyn Host) -> Vec<String> {
    let mut left = vec![format!("{:?}", record(stream, host))];
    if let Some(engine) = stream.engine() {
        ExchangeCounter::of(&stream.outcome(), true, |tallied| {
            left.push(tallied.name(|route| engine.route_name(route)))
        });
        let events = engine.security_events();
        let events = events.map(|events| events.of_exchange(&stream.summary(), host));
        left.extend(events.into_iter().flatten().map(|event| event.line));
    }
    left
}

/// One document twice, and a host for each.
pub struct Both {
    /// With plans.
    pub planned: (Rc<Engine>, MemoryHost),
    /// Without.
    pub asked: (Rc<Engine>, MemoryHost),
}

impl Both {
    /// Compiles a document; both hosts are as `host` makes them.
    ///
    /// # Errors
    /// What is wrong with the document.
    pub fn new(document: &[u8], host: impl Fn() -> MemoryHost) -> Result<Self, ConfigError> {
        let asked = Engine::compile(document)?;
        Ok(Self {
            planned: (Rc::new(Engine::compile(document)?.with_plans()), host()),
            asked: (Rc::new(asked), host()),
        })
    }

    /// Lets time pass for both.
    pub fn advance(&self, by: std::time::Duration) {
        self.planned.1.advance(by);
        self.asked.1.advance(by);
    }

    /// Takes an exchange through both. Whether it was judged by a plan.
    ///
    /// # Panics
    /// When anything differs.
    pub fn exchange(&self, request: &Headers, body: BodyState, answer: &Headers) -> bool {
        let before = self.planned.0.planned();
        let [planned, asked] = [&self.planned, &self.asked].map(|(engine, host)| {
            let seen = seen(engine, request, body, answer, host);
            (seen, counted(engine, host))
        });
        assert_eq!(planned.0, asked.0, "{request:?}");
        assert_eq!(planned.1, asked.1, "{request:?}");
        self.planned.0.planned() > before
    }
}

/// All that can be seen of an exchange from outside.
pub fn seen(
    engine: &Rc<Engine>,
    request: &Headers,
    body: BodyState,
    answer: &Headers,
    host: &MemoryHost,
) -> Vec<String> {
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let mut seen = Vec::new();
    let mut passes = true;
    let mut note = |action: Action| match action {
        Action::Continue(edits) => {
            seen.extend(flat(&edits));
            seen.push("goes on".to_owned());
        }
        Action::Pause { edits, reason } => {
            seen.extend(flat(&edits));
            seen.push(format!("waits for {reason:?}"));
        }
        Action::Replace(rewrite) => seen.push(format!("{rewrite:?}")),
        Action::Reply(reply) => {
            passes = false;
            seen.push(format!(
                "{reply:?} {:?}",
                String::from_utf8_lossy(&reply.body)
            ));
            let fields = reply.headers.iter();
            seen.extend(fields.map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                format!("{}: {value}", name.as_str())
            }));
        }
    };
    note(request_headers(&mut stream, request.clone(), body, host));
    if body == BodyState::Open {
        let size = host.receive(portcullis::host::Side::Request, b"{}", false);
        note(stream.on_request_body(size, BodyState::Open, host));
        note(stream.on_request_trailers(request, host));
    }
    if passes {
        let read = stream.reads_response().then_some(answer);
        let head = response_headers(&mut stream, read, BodyState::Open, host);
        seen.extend(flat(&head.edits));
        seen.push(format!("{:?} {}", head.body, head.held));
        let side = portcullis::host::Side::Response;
        let size = host.receive(side, b"{}", false);
        seen.push(format!(
            "{:?}",
            stream.on_response_body(size, BodyState::Complete, host)
        ));
    }
    stream.tell_end(host);
    seen.extend(left(&stream, host));
    stream.end();
    seen
}
