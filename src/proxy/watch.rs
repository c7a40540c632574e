//! What a worker tells besides judging: counters of routes, records, security events.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use super::abi::{self, Buffer, LogLevel, Map};
use super::fetch::{head_is_too_long, no_cluster};
use super::host::Envoy;
use super::pairs;
use super::tallies::Tallies;
use crate::access_log::Sink;
use crate::access_log::collector::{Collector, Delivery, LONGEST_ANSWER, Receipt};
use crate::access_log::security::{Event, SecurityEvents, Severity};
use crate::budget::{Share, reserve};
use crate::engine::Engine;
use crate::headers::Headers;
use crate::host::Host;
use crate::json::compact::FACTOR_WHILE_READ;
use crate::metrics;
use crate::stream::Stream;

/// How often it is noted that a document is in force.
const OFTEN: Duration = Duration::from_secs(10);

/// What one worker tells by one document.
#[derive(Default)]
pub(super) struct Watch {
    tallies: Tallies,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// When it was last noted that this document is in force.
    announced: Option<Duration>,
    /// The call to the collector that is on its way.
    call: Option<u32>,
    /// Whether it has been told that there is no cluster of the collector.
    told: bool,
}

impl Watch {
    pub(super) fn new(engine: Rc<Engine>) -> Self {
        Self {
            tallies: Tallies::new(engine),
            state: RefCell::default(),
        }
    }

    /// Tells of a finished exchange. `late` are the request's fields where the filter saw none.
    pub(super) fn finished(
        &self,
        stream: &Stream,
        late: impl Fn() -> Option<Headers>,
        host: &Envoy,
    ) {
        let Some(engine) = stream.engine() else {
            return;
        };
        self.tallies.count(stream);
        if !host.has_ticks() {
            self.tallies.tell();
        }
        if let Some(log) = engine.access_log() {
            let late = match stream.started() {
                Some(_) => None,
                None => late(),
            };
            if let Some(record) = log.record(stream, late.as_ref(), host) {
                let sinks = log.sinks();
                tell(sinks, engine, &record, Severity::Info, LogLevel::Info, host);
            }
        }
        if let Some(events) = engine.security_events() {
            for event in events.of_exchange(stream, host) {
                raise(events, engine, &event, host);
            }
        }
    }

    /// Sends what is due.
    pub(super) fn tick(&self, engine: &Engine, host: &Envoy) {
        self.tallies.tell();
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return;
        };
        if let Some(events) = engine.security_events() {
            let now = host.monotonic();
            let is_noted = |noted: Duration| now.saturating_sub(noted) < OFTEN;
            if !state.announced.is_some_and(is_noted) {
                state.announced = Some(now);
                let change = events.configured(engine.digest(), host);
                change
                    .iter()
                    .for_each(|event| raise(events, engine, event, host));
            }
            for event in events.due(engine, host) {
                raise(events, engine, &event, host);
            }
        }
        if let Some(collector) = engine.collector()
            && let Some(delivery) = collector.due(host.monotonic())
        {
            let called = call(collector, &delivery, host);
            if called == Err(Status::BadArgument) && !state.told {
                state.told = true;
                log::error!("otlp_http: {}", no_cluster(collector.cluster()));
            }
            state.call = called.ok();
            if state.call.is_none() {
                settle(collector, Receipt::Later(None), host);
            }
        }
    }

    /// The answer to a call, if it was this one's.
    pub(super) fn arrived(
        &self,
        token: u32,
        headers: usize,
        body: usize,
        engine: &Engine,
        host: &Envoy,
    ) {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return;
        };
        if state.call != Some(token) {
            return;
        }
        state.call = None;
        if let Some(collector) = engine.collector() {
            // Without headers the call has failed, and there is nothing to read.
            let receipt = if headers == 0 {
                Receipt::Later(None)
            } else {
                receipt(body)
            };
            settle(collector, receipt, host);
        }
    }
}

fn raise(events: &SecurityEvents, engine: &Engine, event: &Event, host: &Envoy) {
    let severity = event.kind.severity;
    tell(
        events.sinks(),
        engine,
        &event.line,
        severity,
        LogLevel::Warn,
        host,
    );
}

/// Hands a record to the sinks.
fn tell(
    sinks: &[Sink],
    engine: &Engine,
    record: &str,
    severity: Severity,
    level: LogLevel,
    host: &Envoy,
) {
    for sink in sinks {
        // There is nowhere to say that the log cannot be written.
        let _ = match sink {
            Sink::ProxyLog => abi::log(level, record.as_bytes()),
            // The proxy's own access loggers run after the filters'.
            Sink::FilterState(name) => abi::set_property(name.as_str(), record.as_bytes()),
            Sink::Collector => {
                let push =
                    |collector: &Rc<Collector>| collector.push(record.to_owned(), severity, host);
                if !engine.collector().is_some_and(push) {
                    host.count(metrics::Event::RecordDropped.counter());
                }
                Ok(())
            }
        };
    }
}

fn call(collector: &Collector, Delivery { body }: &Delivery, host: &Envoy) -> Result<u32, Status> {
    let uri = collector.uri();
    let mut headers = vec![
        (":method", "POST"),
        (":scheme", uri.scheme),
        (":authority", uri.authority.as_str()),
        (":path", uri.path.as_str()),
        ("content-type", "application/json"),
    ];
    let credentials = collector.headers(host);
    headers.extend(credentials.iter().map(|(name, value)| (*name, &**value)));
    let timeout: Duration = collector.timeout();
    let cluster = collector.cluster();
    hostcalls::dispatch_http_call(cluster, headers, Some(body), Vec::new(), timeout)
}

/// Nothing of an answer is copied before its length is known.
fn receipt(body: usize) -> Receipt {
    if head_is_too_long() {
        return Receipt::Refused;
    }
    let block = abi::header_pairs(Map::CallResponse).ok();
    let headers = block.and_then(pairs::read).unwrap_or_default();
    Receipt::read(&headers, || {
        let memory = body.saturating_mul(FACTOR_WHILE_READ);
        let memory = (1..=LONGEST_ANSWER)
            .contains(&body)
            .then(|| reserve(Share::Queues, memory));
        match memory.flatten() {
            Some(_memory) => abi::buffer(Buffer::CallResponseBody).unwrap_or_default(),
            None => Vec::new(),
        }
    })
}

fn settle(collector: &Collector, receipt: Receipt, host: &Envoy) {
    let taken = matches!(receipt, Receipt::Taken(_));
    if !taken {
        host.count(metrics::Event::CollectorFailed.counter());
    }
    let fate = collector.settled(receipt, host.monotonic(), host.random());
    host.count_many(metrics::Event::RecordSent.counter(), fate.sent);
    host.count_many(metrics::Event::RecordDropped.counter(), fate.dropped);
    let (cluster, dropped) = (collector.cluster(), fate.dropped);
    if let Some(said) = fate.said {
        let said = collector.quoted(&said, host);
        log::warn!(
            "cluster {cluster}: the collector rejected {dropped} records of a batch: {said}; this is told once"
        );
    }
    if !taken && dropped > 0 {
        log::warn!("cluster {cluster}: the collector does not take records; dropped: {dropped}");
    }
}
