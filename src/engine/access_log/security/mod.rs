//! Security events: what an operator's security team wants to hear of, apart from the log of
//! requests, and never more of it than it can read.
//!
//! Events of a kind on a route are one group. The first is written at once; events that follow in
//! the same window are counted, and written as one when it ends. So what a worker writes is
//! bounded by the document, whatever clients do.

mod announced;
mod scans;
mod sources;

use std::cell::RefCell;
use std::time::Duration;

use self::announced::{Hash, News};
use self::sources::FailureCounters;
use super::Sink;
use super::detail::Parameters;
use super::line::JsonLine;
use super::name::{Convention, ECS_VERSION, EVENT, REQUEST_ID, TIMESTAMP, TRACE_ID};
use super::time_stamp;
use super::trace::Trace;
use crate::metrics;
use crate::metrics::Outcome;
use crate::record::Summary;
use crate::record::security::{self, CONFIGURATION, FAILURE, REPEATED};
use portcullis_document::{Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::{Detail, Reason};
use portcullis_exchange::section::{Reading, Section};
use portcullis_wire::address;

pub use crate::record::security::{EventKind, KINDS, Severity};

/// `security_events`, ready to write.
pub struct SecurityEvents {
    sinks: Vec<Sink>,
    schema: Convention,
    window: Duration,
    /// So many failures of one source are an event.
    failures: u32,
    sources: FailureCounters,
    /// So many requests of one source for what is not there are an event.
    scans: u32,
    scanners: FailureCounters,
    state: RefCell<OpenGroups>,
}

#[derive(Default)]
struct OpenGroups {
    groups: Vec<Group>,
}

/// Events of one kind on one route, in one window.
struct Group {
    kind: &'static EventKind,
    route: Option<usize>,
    since: Duration,
    lines: u32,
    held: u64,
}

/// One event, ready for the sinks.
pub struct Event {
    /// What happened.
    pub kind: &'static EventKind,
    /// A line of JSON, without a line break.
    pub line: String,
}

/// So many sources are named in one window; the others are counted.
const SOURCES_NAMED: u32 = 16;

/// The longest line, in bytes.
const LONGEST: usize = 4096;

impl SecurityEvents {
    /// Reads the block.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let sinks = fields.or_default("sinks", vec![Sink::ProxyLog], problems, |node, problems| {
            let choices = [("envoy_log", ()), ("otlp_http", ())];
            let item = |item: &Node<'_>, problems: &mut Problems| {
                item.choice(problems, &choices)?;
                Some(match item.json().as_str() {
                    Some("otlp_http") => Sink::Collector,
                    _ => Sink::ProxyLog,
                })
            };
            let mut sinks = node.list(problems, item)?;
            sinks.dedup();
            Some(sinks)
        });
        let schema = fields.or_default(
            "schema",
            Convention::OpenTelemetry,
            problems,
            Convention::read,
        );
        let minute = Duration::from_secs(60);
        let window = fields.or_default("window", minute, problems, |node, problems| {
            let window = node.duration(problems)?;
            let range = Duration::from_secs(1)..=Duration::from_secs(3600);
            if !range.contains(&window) {
                node.report(problems, "must be from 1s to 1h");
                return None;
            }
            Some(window)
        });
        let many = |node: &Node<'_>, problems: &mut Problems| {
            u32::try_from(node.integer(problems, 2..=100_000)?).ok()
        };
        let failures = fields.or_default("token_failures", 10, problems, many);
        let scans = fields.or_default("path_failures", 100, problems, many);
        fields.deny_unknown(problems);
        Some(Self {
            sinks: sinks?,
            schema: schema?,
            window: window?,
            failures: failures?,
            sources: FailureCounters::named("sources"),
            scans: scans?,
            scanners: FailureCounters::named("scanners"),
            state: RefCell::default(),
        })
    }

    /// The request's fields that events show.
    pub const REQUEST_FIELDS: [&str; 4] = [":method", ":path", "traceparent", "x-request-id"];

    /// Where events go.
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// What is to be written of a finished exchange.
    pub fn of_exchange(&self, exchange: &Summary<'_>, host: &dyn Host) -> Vec<Event> {
        let record = exchange.record;
        let denied = record.refusal.map(|reason| {
            let detail = record.detail.as_deref();
            (record.refused_by, reason, Outcome::Denied, detail)
        });
        // What is only tried is no sign of an attack: nobody has been told not to.
        let shadow = record.shadow.iter().filter(|each| !each.is_tried);
        let shadow = shadow.map(|each| {
            let detail = each.detail.as_deref();
            (each.policy, each.reason, Outcome::ShadowDenied, detail)
        });
        let mut events = Vec::new();
        for (by, reason, outcome, detail) in denied.into_iter().chain(shadow) {
            let cause = Cause {
                reason: Some(reason),
                outcome,
                detail,
            };
            if let Some(kind) = security::of(by, reason) {
                events.extend(self.happened(kind, 1, &cause, exchange, host));
            }
            if reason.blame == FAILURE {
                events.extend(self.failed(&cause, exchange, host));
            }
        }
        events.extend(self.scanned(exchange, host));
        events
    }

    /// What has been held back and is due. Routes are named by their places.
    pub fn due<'n>(
        &self,
        route_name: impl Fn(usize) -> Option<&'n str>,
        host: &dyn Host,
    ) -> Vec<Event> {
        let now = host.monotonic();
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Vec::new();
        };
        let mut events = Vec::new();
        state.groups.retain_mut(|group| {
            let over = now.saturating_sub(group.since) >= self.window;
            if over && group.held > 0 {
                let mut line = self.line(group.kind, group.held, time_stamp(host));
                if let Some(route) = group.route.and_then(&route_name) {
                    line.trusted("portcullis.route", route);
                }
                events.push(Event {
                    kind: group.kind,
                    line: line.finish(),
                });
            }
            !over
        });
        events
    }

    /// That this document is in force, if that has not been told. Of several workers one says so. To
    /// be asked again while it is in force.
    pub fn configured(&self, digest: &[u8; 32], host: &dyn Host) -> Option<Event> {
        let [a, b, c, d, ..] = *digest;
        let News { previous } = announced::announce([a, b, c, d], host)?;
        let hexadecimal = |hash: Hash| hash.map(|byte| format!("{byte:02x}")).concat();
        count(CONFIGURATION, host);
        let mut line = self.line(CONFIGURATION, 1, time_stamp(host));
        line.trusted("portcullis.config.hash", &hexadecimal([a, b, c, d]));
        if let Some(previous) = previous {
            line.trusted("portcullis.config.previous", &hexadecimal(previous));
        }
        Some(Event {
            kind: CONFIGURATION,
            line: line.finish(),
        })
    }

    /// Counts a failure of the request's source; an event, if that makes it one too many.
    fn failed(&self, cause: &Cause<'_>, exchange: &Summary<'_>, host: &dyn Host) -> Option<Event> {
        let source = address::network(exchange.facts.client(host)?, 32, 64);
        let failures = self
            .sources
            .failed(source, self.window, self.failures, host)?;
        self.happened(REPEATED, u64::from(failures), cause, exchange, host)
    }

    fn happened(
        &self,
        kind: &'static EventKind,
        count: u64,
        cause: &Cause<'_>,
        exchange: &Summary<'_>,
        host: &dyn Host,
    ) -> Option<Event> {
        self::count(kind, host);
        let now = host.monotonic();
        // A source is one, wherever it tries.
        let (route, most) = if kind.is_of_source() {
            (None, SOURCES_NAMED)
        } else {
            (exchange.route, 1)
        };
        let mut state = self.state.try_borrow_mut().ok()?;
        let same = |group: &&mut Group| group.kind == kind && group.route == route;
        match state.groups.iter_mut().find(same) {
            Some(group) if group.lines < most => group.lines = group.lines.saturating_add(1),
            Some(group) => {
                group.held = group.held.saturating_add(1);
                return None;
            }
            None => state.groups.push(Group {
                kind,
                route,
                since: now,
                lines: 1,
                held: 0,
            }),
        }
        drop(state);
        let mut line = self.line(kind, count, time_stamp(host));
        self.request(&mut line, cause, exchange, host);
        Some(Event {
            kind,
            line: line.finish(),
        })
    }

    fn line(&self, kind: &EventKind, count: u64, now: Duration) -> JsonLine {
        let mut line = JsonLine::new(LONGEST);
        line.time(TIMESTAMP.of(self.schema), now);
        line.trusted(EVENT.of(self.schema), "portcullis.security");
        if self.schema == Convention::Elastic {
            line.trusted("ecs.version", ECS_VERSION);
        }
        let is_change = kind == CONFIGURATION;
        line.trusted("event.kind", if is_change { "event" } else { "alert" });
        line.trusted("event.code", kind.id);
        line.number("event.severity", Some(kind.severity.number()));
        line.trusted("portcullis.event.severity", kind.severity.name());
        line.trusted("portcullis.event.owasp", kind.owasp);
        line.number("portcullis.event.count", Some(count));
        line
    }

    fn request(
        &self,
        line: &mut JsonLine,
        cause: &Cause<'_>,
        exchange: &Summary<'_>,
        host: &dyn Host,
    ) {
        if let Some(route) = exchange.route_name {
            line.trusted("portcullis.route", route);
        }
        line.trusted("portcullis.outcome", cause.outcome.name());
        // The service's answers have neither.
        if let Some(reason) = cause.reason {
            line.trusted("portcullis.code", reason.code.name);
            line.trusted("portcullis.reason", reason.name);
        }
        if let Some(detail) = cause.detail {
            // Events show nothing of a query.
            line.detail("portcullis.detail", detail, Parameters::Hidden);
        }
        if let Some(client) = exchange.facts.client(host) {
            line.trusted("client.address", &client.to_string());
        }
        let field = |name: &str| exchange.headers.all(name).next();
        line.optional("http.request.method", field(":method"));
        let path = field(":path").and_then(|path| path.split(|b| *b == b'?').next());
        line.path("url.path", path);
        if let Some(id) = field("x-request-id") {
            match self.schema {
                Convention::OpenTelemetry => {
                    line.list(REQUEST_ID.of(self.schema), std::iter::once(id));
                }
                Convention::Elastic => line.untrusted(REQUEST_ID.of(self.schema), id),
            }
        }
        let trace = exchange.headers.one("traceparent").ok().flatten();
        if let Some(trace) = trace.and_then(Trace::parse) {
            line.trusted(TRACE_ID.of(self.schema), trace.trace_id);
        }
    }
}

impl Section for SecurityEvents {
    const NAME: &'static str = "security_events";

    const MAY_BE_OFF: bool = true;

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Self::read(node, reading.problems)
    }
}

/// Why an event is one.
struct Cause<'c> {
    reason: Option<&'static Reason>,
    outcome: Outcome,
    detail: Option<&'c Detail>,
}

fn count(kind: &EventKind, host: &dyn Host) {
    if let Some(counter) = metrics::by_security_event(kind) {
        host.count(counter);
    }
}

impl std::fmt::Debug for SecurityEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecurityEvents({:?})", self.sinks)
    }
}
