//! Records of exchanges, security events, and their export to a collector.

use std::rc::Rc;
use std::time::Duration;

use super::calls::InFlight;
use super::fetches::no_cluster;
use crate::access_log::collector::{LONGEST_RESPONSE, OtlpExporter};
use crate::access_log::security::{Event, SecurityEvents, Severity};
use crate::access_log::{AccessLog, Sink};
use crate::engine::Engine;
use crate::metrics;
use crate::stream::{PlannedStream, Stream};
use portcullis_exchange::call::{CallError, CallResponse, HostResponse, Owner, Token};
use portcullis_exchange::host::{Level, WorkerHost};
use portcullis_exchange::whole_response::{ReadBody, read_body};
use portcullis_wire::headers::Headers;

/// How often it is noted that a document is in force.
const OFTEN: Duration = Duration::from_secs(10);

/// What one worker has told by one document.
#[derive(Default)]
pub(super) struct Records {
    /// When it was last noted that this document is in force.
    announced: Option<Duration>,
    /// The call to the collector whose end is awaited.
    call: Option<Token>,
    /// Whether it has been told that there is no cluster of the collector.
    told: bool,
}

/// Records a finished exchange. `late` are the request's fields where the filter saw none.
pub(super) fn finished(
    stream: &Stream,
    late: &dyn Fn() -> Option<Headers>,
    engine: &Engine,
    host: &dyn WorkerHost,
) {
    if let Some(log) = engine.access_log()
        && !written(
            |buffer| stream.record_by_plan(host, buffer),
            log,
            engine,
            host,
        )
        && let Some(record) = by_asking(stream, late, log, host)
    {
        tell_all(&record, log, engine, host);
    }
    if let Some(events) = engine.security_events() {
        raise_all(events, stream, engine, host);
    }
}

/// Records a finished exchange that is on its plan. False if that is to be done as for all others; nothing has
/// been told then.
#[inline]
pub(super) fn on_plan(stream: &PlannedStream, engine: &Engine, host: &dyn WorkerHost) -> bool {
    engine
        .access_log()
        .is_none_or(|log| written(|buffer| stream.record(host, buffer), log, engine, host))
}

/// Tells of a record that is written into a buffer which is kept; whether it is.
#[inline]
fn written(
    write: impl for<'b> FnOnce(&'b mut Vec<u8>) -> Option<&'b str>,
    log: &AccessLog,
    engine: &Engine,
    host: &dyn WorkerHost,
) -> bool {
    engine.plans.with_buffer(|buffer| {
        let record = write(buffer);
        if let Some(record) = record {
            tell_all(record, log, engine, host);
        }
        record.is_some()
    })
}

#[inline]
fn tell_all(record: &str, log: &AccessLog, engine: &Engine, host: &dyn WorkerHost) {
    let sinks = log.sinks();
    tell(sinks, engine, record, Severity::Info, Level::Info, host);
}

/// Tells of the security events of an exchange.
#[inline(never)]
fn raise_all(events: &SecurityEvents, stream: &Stream, engine: &Engine, host: &dyn WorkerHost) {
    for event in events.of_exchange(&stream.summary(), host) {
        raise(events, engine, &event, host);
    }
}

/// A record that no plan has written. Most have, and this is not among their code.
#[cold]
#[inline(never)]
fn by_asking(
    stream: &Stream,
    late: &dyn Fn() -> Option<Headers>,
    log: &AccessLog,
    host: &dyn WorkerHost,
) -> Option<String> {
    let exchange = stream.summary();
    let late = match exchange.started {
        Some(_) => None,
        None => late(),
    };
    log.record(&exchange, late.as_ref(), host)
}

impl Records {
    /// Sends what is due.
    pub(super) fn tick(&mut self, calls: &mut InFlight, engine: &Engine, host: &dyn WorkerHost) {
        if let Some(events) = engine.security_events() {
            let now = host.monotonic();
            let is_noted = |noted: Duration| now.saturating_sub(noted) < OFTEN;
            if !self.announced.is_some_and(is_noted) {
                self.announced = Some(now);
                let change = events.configured(engine.digest(), host);
                change
                    .iter()
                    .for_each(|event| raise(events, engine, event, host));
            }
            for event in events.due(|route| engine.route_name(route), host) {
                raise(events, engine, &event, host);
            }
        }
        if let Some(collector) = engine.collector() {
            self.export(collector, calls, host);
        }
    }

    fn export(&mut self, collector: &OtlpExporter, calls: &mut InFlight, host: &dyn WorkerHost) {
        let Some(call) = collector.due(host.monotonic(), host) else {
            return;
        };
        let made = calls.make(Owner::Export, &call, host);
        let before = std::mem::replace(&mut self.call, made.ok());
        before.map(|before| calls.end(before));
        let Err(error) = made else {
            return;
        };
        if error == CallError::NoCluster && !self.told {
            self.told = true;
            let line = format!("otlp_http: {}", no_cluster(collector.cluster()));
            host.log(Level::Error, &line);
        }
        settle(collector, Err(error), host);
    }

    /// The response to the call to the collector.
    pub(super) fn received(
        &mut self,
        response: &dyn HostResponse,
        engine: &Engine,
        host: &dyn WorkerHost,
    ) {
        self.call = None;
        let Some(collector) = engine.collector() else {
            return;
        };
        let headers = match response.headers() {
            Ok(headers) => headers,
            Err(error) => return settle(collector, Err(error), host),
        };
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        // Its words are not needed to know that it took the records.
        let body = match status {
            [b'2', ..] => read_body(response, LONGEST_RESPONSE).ok(),
            _ => None,
        };
        let response = CallResponse {
            headers: &headers,
            body: body.as_ref().map(ReadBody::bytes).unwrap_or_default(),
        };
        settle(collector, Ok(response), host);
    }
}

fn raise(events: &SecurityEvents, engine: &Engine, event: &Event, host: &dyn WorkerHost) {
    let severity = event.kind.severity;
    tell(
        events.sinks(),
        engine,
        &event.line,
        severity,
        Level::Warn,
        host,
    );
}

/// Hands a record to the sinks.
fn tell(
    sinks: &[Sink],
    engine: &Engine,
    record: &str,
    severity: Severity,
    level: Level,
    host: &dyn WorkerHost,
) {
    for sink in sinks {
        match sink {
            Sink::ProxyLog => host.log(level, record),
            // The proxy's own access loggers run after the filters'.
            Sink::FilterState(name) => host.set_filter_state(name.as_str(), record),
            Sink::Collector => export(engine, record, severity, host),
        }
    }
}

/// Keeps a record for the collector.
#[inline(never)]
fn export(engine: &Engine, record: &str, severity: Severity, host: &dyn WorkerHost) {
    let push = |collector: &Rc<OtlpExporter>| collector.push(record.to_owned(), severity, host);
    if !engine.collector().is_some_and(push) {
        host.count(metrics::Event::RecordDropped.counter());
    }
}

fn settle(
    collector: &OtlpExporter,
    response: Result<CallResponse<'_>, CallError>,
    host: &dyn WorkerHost,
) {
    let fate = collector.received(response, host);
    if !fate.taken {
        host.count(metrics::Event::CollectorFailed.counter());
    }
    host.count_many(metrics::Event::RecordSent.counter(), fate.sent);
    host.count_many(metrics::Event::RecordDropped.counter(), fate.dropped);
    let (cluster, dropped) = (collector.cluster(), fate.dropped);
    if let Some(said) = fate.said {
        let said = collector.quoted(&said, host);
        host.log(
            Level::Warn,
            &format!(
                "cluster {cluster}: the collector rejected {dropped} records of a batch: {said}; this is told once"
            ),
        );
    }
    if !fate.taken && dropped > 0 {
        host.log(
            Level::Warn,
            &format!("cluster {cluster}: the collector does not take records; dropped: {dropped}"),
        );
    }
}
