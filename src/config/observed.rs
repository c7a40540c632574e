//! What the document says about watching: the access log, metrics, security events, explanations.

use std::rc::Rc;

use super::fields::Fields;
use super::header::read_told;
use super::node::Node;
use super::problem::Problems;
use crate::access_log::collector::Collector;
use crate::access_log::security::SecurityEvents;
use crate::access_log::{AccessLog, Sink};
use crate::engine::Route;
use crate::exchange::PropertyName;
use crate::explain::Explain;
use crate::headers::HeaderName;
use crate::metrics::{Gauges, Measured, Spread};

/// The blocks that decide nothing, and tell what was decided.
pub(super) struct Observed {
    pub(super) access_log: Option<AccessLog>,
    pub(super) measured: Measured,
    pub(super) collector: Option<Rc<Collector>>,
    pub(super) security_events: Option<SecurityEvents>,
    pub(super) explain: Option<Explain>,
    pub(super) request_id: Option<HeaderName>,
}

impl Observed {
    /// Reads them. `None` when one is wrong.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let access_log = read_block(fields.optional("access_log"), problems, AccessLog::read);
        let measured = read_block(fields.optional("metrics"), problems, Measured::read);
        let events = fields.optional("security_events");
        let events = read_block(events, problems, SecurityEvents::read);
        let collector = fields.optional("otlp_http");
        let place = collector.clone();
        let collector = read_block(collector, problems, Collector::read);
        let explain = read_block(fields.optional("explain"), problems, Explain::read);
        let request_id = read_block(fields.optional("request_id"), problems, read_request_id);
        let (mut access_log, events, collector) = (access_log?, events?, collector?);
        let sinks = [
            ("access_log", access_log.as_ref().map(AccessLog::sinks)),
            (
                "security_events",
                events.as_ref().map(SecurityEvents::sinks),
            ),
        ];
        let mut used = false;
        for (block, sinks) in sinks {
            let sends = sinks.is_some_and(|sinks| sinks.contains(&Sink::Collector));
            used |= sends;
            if sends && collector.is_none() && !fields.misnames(&["otlp_http"], problems) {
                problems.report(
                    &fields.pointer().member(block).member("sinks"),
                    "`otlp_http` needs to know the collector: add `otlp_http: { cluster, uri }` to the document",
                );
            }
        }
        if let (false, Some(node), true) = (used, place, collector.is_some()) {
            notes.push(format!(
                "{}: nothing is sent there: it is no sink of `access_log` or `security_events`; name it there, or remove it",
                node.pointer()
            ));
        }
        let (explain, request_id) = (explain?, request_id?);
        if let (Some(log), Some(explain)) = (&mut access_log, &explain) {
            log.redact(explain.header());
        }
        Some(Self {
            access_log,
            measured: measured?.unwrap_or_default(),
            collector: collector.map(Rc::new),
            security_events: events,
            explain,
            request_id,
        })
    }

    /// The value that is left for the proxy's own access loggers, if one is.
    pub(super) fn export(&self) -> Option<PropertyName> {
        self.access_log.as_ref().and_then(AccessLog::export)
    }

    /// Reports what does not go together with the names of routes.
    pub(super) fn check_routes(&self, routes: &[Route], problems: &mut Problems) {
        if self.measured.by_route {
            let names = routes.iter().map(|route| &*route.name);
            Measured::check_names(names, problems);
        }
    }

    /// Adds the gauges of what waits to be sent.
    pub(super) fn show(&self, gauges: &mut Gauges) {
        if let Some(collector) = self.collector.as_ref().map(Rc::clone) {
            let queued = move |_| collector.queued() as u64;
            gauges.add("otlp.queued_bytes", Spread::Summed, queued);
        }
    }
}

/// `request_id`: the field of answers in which the request's id stands.
fn read_request_id(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    let mut fields = node.fields(problems)?;
    let name = fields.required("response_header", problems);
    let name = name.and_then(|node| read_told(&node, problems));
    fields.finish(problems);
    name
}

/// A block that may be absent, or `off`.
fn read_block<'d, T>(
    node: Option<Node<'d>>,
    problems: &mut Problems,
    read: impl FnOnce(&Node<'d>, &mut Problems) -> Option<T>,
) -> Option<Option<T>> {
    match node.filter(|node| !node.is_off()) {
        None => Some(None),
        Some(node) => read(&node, problems).map(Some),
    }
}
