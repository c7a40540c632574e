//! Requests judged by the plan of their route and by asking every policy: what a host that knows of plans
//! does, and what comes of both.

use std::cell::Cell;
use std::rc::Rc;

use portcullis::config::ConfigError;
use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::{HeaderValue, Headers};
use portcullis::host::{Counter, Histogram, Host};
use portcullis::memory_host::MemoryHost;
use portcullis::metrics::{self, ExchangeCounter, TIMINGS};
use portcullis::stream::{Action, ResponseHead, Stream};
use portcullis_cases::planned;
pub use portcullis_cases::planned::record;

/// Judges the head of a request: by a plan, if one knows all of it.
pub fn request_headers(
    stream: &mut Stream,
    headers: Headers,
    body: BodyState,
    host: &dyn Host,
) -> Action {
    let judged = planned::request_headers(stream, headers, body, host);
    judged.unwrap_or_else(|error| panic!("{error}"))
}

/// Shapes the head of an answer: by the plan, if the request was judged by one that can.
pub fn response_headers(
    stream: &mut Stream,
    headers: Option<&Headers>,
    rest: BodyState,
    host: &dyn Host,
) -> ResponseHead {
    let shaped = planned::response_headers(stream, headers, rest, host);
    shaped.unwrap_or_else(|error| panic!("{error}"))
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

/// One document twice, and a host for each. Of every other exchange the answer is read, whether or not that is asked for:
/// a host may find that it pays.
pub struct Both {
    /// With plans.
    pub planned: (Rc<Engine>, MemoryHost),
    /// Without.
    pub asked: (Rc<Engine>, MemoryHost),
    exchanges: Cell<usize>,
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
            exchanges: Cell::new(0),
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
        self.exchanges.set(self.exchanges.get() + 1);
        let reads = self.exchanges.get() % 2 == 0;
        let [planned, asked] = [&self.planned, &self.asked].map(|(engine, host)| {
            let seen = seen(engine, request, body, (answer, reads), host);
            (seen, counted(engine, host))
        });
        assert_eq!(planned.0, asked.0, "{request:?}");
        assert_eq!(planned.1, asked.1, "{request:?}");
        self.planned.0.planned() > before
    }
}

/// The fields of an answer after these edits, and what they change besides.
fn edited(answer: &Headers, edits: &[Edit]) -> Vec<String> {
    fn edit(fields: &mut Vec<(String, String)>, edits: &[Edit], others: &mut Vec<String>) {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        for each in edits {
            match each {
                Edit::Prepared(edits) => edit(fields, edits, others),
                Edit::Remove(name) => fields.retain(|(each, _)| each != name.as_str()),
                Edit::Set(name, value) => {
                    fields.retain(|(each, _)| each != name.as_str());
                    fields.push((name.as_str().to_owned(), text(value)));
                }
                Edit::Add(name, value) => fields.push((name.as_str().to_owned(), text(value))),
                other => others.extend(flat(std::slice::from_ref(other))),
            }
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = answer.iter();
    let mut fields = fields
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let mut others = Vec::new();
    edit(&mut fields, edits, &mut others);
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    fields.chain(others).collect()
}

/// All that can be seen of an exchange from outside. `reads` says whether its answer is read where that need not be.
pub fn seen(
    engine: &Rc<Engine>,
    request: &Headers,
    body: BodyState,
    (answer, reads): (&Headers, bool),
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
        let reads = reads || stream.reads_response();
        let read = reads.then_some(answer);
        let head = response_headers(&mut stream, read, BodyState::Open, host);
        seen.extend(edited(answer, &head.edits));
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
