//! Records on their way to an OpenTelemetry collector: a bounded queue in each worker, emptied in
//! batches. Nothing waits for it. What does not fit is dropped, and counted.
//!
//! It does no I/O itself: a worker asks what is [due](Collector::due), makes that call, and tells
//! what it [received](Collector::received).

mod encode;
mod queue;
mod response;

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use self::queue::{BATCH_BYTES, BATCH_FACTOR, QueueState, Record};
use self::response::{Partial, Receipt};
use super::line::quoted;
use super::redact;
use super::security::Severity;
use super::time_stamp;
use crate::metrics::Aggregation;
use portcullis_document::{Node, Problems};
use portcullis_exchange::call::{Call, CallError, CallResponse};
use portcullis_exchange::credentials::{Credential, LOOKED_THROUGH, tells};
use portcullis_exchange::host::Host;
use portcullis_exchange::http_uri::Uri;
use portcullis_exchange::section::{Reading, Registry, Section, Variable};
use portcullis_wire::budget::Share;

pub use self::response::LONGEST_RESPONSE;

/// `otlp_http`: where records are sent, and what waits to be.
pub struct OtlpExporter {
    cluster: Rc<str>,
    uri: Uri,
    credentials: Vec<Credential>,
    timeout: Duration,
    interval: Duration,
    most_queued: usize,
    resource: Vec<(String, String)>,
    state: RefCell<QueueState>,
}

/// What became of a batch. Where it will be sent again, nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Whether the collector took the batch.
    pub taken: bool,
    /// So many records have arrived.
    pub sent: u64,
    /// So many are lost.
    pub dropped: u64,
    /// What the collector said of records that it rejected, if that is to be told.
    pub said: Option<String>,
}

/// How often one batch is sent.
const ATTEMPTS: u32 = 5;

impl OtlpExporter {
    /// Reads the block.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let cluster = fields.required("cluster", problems);
        let cluster = cluster.and_then(|node| node.non_empty(problems));
        let uri = fields.required("uri", problems);
        let uri = uri.and_then(|node| Uri::read(&node, problems));
        let between = |least: u64, most: u64| {
            let range = Duration::from_millis(least)..=Duration::from_millis(most);
            move |node: &Node<'_>, problems: &mut Problems| {
                let time = node.duration(problems)?;
                if !range.contains(&time) {
                    node.report(problems, format_args!("must be from {least}ms to {most}ms"));
                    return None;
                }
                Some(time)
            }
        };
        let credentials = fields.or_default("headers", Vec::new(), problems, Credential::read_all);
        let second = Duration::from_secs(1);
        let timeout = fields.or_default("timeout", second, problems, between(100, 30_000));
        let interval = fields.or_default("interval", second, problems, between(250, 60_000));
        let most_queued =
            fields.or_default("max_queue_bytes", 1 << 20, problems, |node, problems| {
                let bytes = node.bytes(problems)?;
                if !((64 << 10)..=(32 << 20)).contains(&bytes) {
                    node.report(problems, "must be from 64KiB to 32MiB");
                    return None;
                }
                usize::try_from(bytes).ok()
            });
        let resource = fields.or_default("resource", Vec::new(), problems, |node, problems| {
            let entries = node.members(problems)?;
            let entry = |(name, value): (&str, Node<'_>)| {
                Some((name.to_owned(), value.text(problems)?.to_owned()))
            };
            let read: Vec<_> = entries.into_iter().map(entry).collect();
            read.into_iter().collect()
        });
        fields.deny_unknown(problems);
        let mut resource = resource?;
        if resource.iter().all(|(name, _)| name != "service.name") {
            resource.push(("service.name".to_owned(), "portcullis".to_owned()));
        }
        let most_queued = most_queued?;
        // A batch has less than twice `BATCH_BYTES`.
        let writing = BATCH_BYTES.saturating_mul(2).saturating_mul(BATCH_FACTOR);
        let most = most_queued.saturating_add(writing);
        problems.account(node.pointer(), Share::Queues, most);
        Some(Self {
            cluster: cluster?.into(),
            uri: uri?,
            credentials: credentials?,
            timeout: timeout?,
            interval: interval?,
            most_queued,
            resource,
            state: RefCell::default(),
        })
    }

    /// The proxy's cluster of the collector.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The fields with which it is asked, as far as their values are there.
    fn credentials(&self, host: &dyn Host) -> Vec<(&str, String)> {
        let mut fields = Vec::with_capacity(self.credentials.len());
        for credential in &self.credentials {
            fields.extend(credential.field(host));
        }
        fields
    }

    /// `ExportLogsServiceRequest` of OTLP 1, as JSON, on its way.
    fn call(&self, body: Vec<u8>, credentials: Vec<(&str, String)>) -> Call {
        let mut headers = self.uri.fields("POST");
        headers.push(("content-type".into(), "application/json".to_owned()));
        let owned = |(name, value): (&str, String)| (Cow::Owned(name.to_owned()), value);
        headers.extend(credentials.into_iter().map(owned));
        Call {
            cluster: Rc::clone(&self.cluster),
            headers,
            body,
            timeout: self.timeout,
        }
    }

    /// What the collector said, as text of a log: in quotes, cut, and nothing of it where a part of
    /// what it was asked with stands in it.
    pub fn quoted(&self, said: &str, host: &dyn Host) -> String {
        let mut end = said.len().min(LOOKED_THROUGH);
        while !said.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let said = said.get(..end).unwrap_or_default();
        let mut fields = self.credentials(host).into_iter();
        if fields.any(|(_, value)| tells(said, &value)) {
            return "its words are left out, since a part of a credential stands in them"
                .to_owned();
        }
        let mut out = String::new();
        quoted(&mut out, &redact::tokens(said.as_bytes()));
        out
    }

    /// Bytes that wait.
    pub fn queued(&self) -> usize {
        self.state
            .try_borrow()
            .map_or(0, |state| state.memory.bytes())
    }

    /// Takes a record, unless there is no room.
    #[must_use]
    pub fn push(&self, line: String, severity: Severity, host: &dyn Host) -> bool {
        self.push_at(line, severity, time_stamp(host), host.monotonic())
    }

    fn push_at(&self, line: String, severity: Severity, dated: Duration, since: Duration) -> bool {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return false;
        };
        let line = line.into_boxed_str();
        let record = Record {
            dated,
            since,
            severity,
            line,
        };
        let weight = record.weight();
        let queued = state.memory.bytes().saturating_add(weight);
        let fits = queued <= self.most_queued && record.line.len() <= BATCH_BYTES;
        let taken = fits && state.memory.grow(weight);
        if taken {
            state.queue.push_back(record);
        }
        taken
    }

    /// The call to make now. One is on its way at a time.
    pub fn due(&self, now: Duration, host: &dyn Host) -> Option<Rc<Call>> {
        self.due_with(now, || self.credentials(host))
    }

    fn due_with<'c>(
        &'c self,
        now: Duration,
        credentials: impl FnOnce() -> Vec<(&'c str, String)>,
    ) -> Option<Rc<Call>> {
        let mut state = self.state.try_borrow_mut().ok()?;
        let state = &mut *state;
        // An answer that never comes must not stop it for long.
        let before = |time: Duration| now < time;
        if state.awaited.is_some_and(before) || before(state.not_before) {
            return None;
        }
        if state.batch.is_none() {
            let oldest = state.queue.front()?.since;
            let is_old = now.saturating_sub(oldest) >= self.interval;
            if !is_old && state.memory.bytes() < BATCH_BYTES {
                return None;
            }
            let call = |body| self.call(body, credentials());
            state.batch = Some(state.gather(&self.resource, call)?);
        }
        let batch = state.batch.as_mut()?;
        batch.attempts = batch.attempts.saturating_add(1);
        let patience = self.timeout.saturating_add(Duration::from_secs(2));
        state.awaited = Some(now.saturating_add(patience));
        Some(Rc::clone(&batch.call))
    }

    /// Takes up the response to the call. The body of a response without success has not been read,
    /// nor one that is longer than [`LONGEST_RESPONSE`].
    pub fn received(
        &self,
        response: Result<CallResponse<'_>, CallError>,
        host: &dyn Host,
    ) -> BatchOutcome {
        self.settled(Receipt::of(response), host.monotonic(), host.random())
    }

    /// Takes up what came of a request. Pauses are longer by a share of `random`, so that not all
    /// workers come back at once.
    fn settled(&self, receipt: Receipt, now: Duration, random: u64) -> BatchOutcome {
        let mut fate = BatchOutcome {
            taken: matches!(receipt, Receipt::Taken(_)),
            ..BatchOutcome::default()
        };
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return fate;
        };
        state.awaited = None;
        let Some(batch) = state.batch.take() else {
            return fate;
        };
        match receipt {
            Receipt::Taken(Partial { rejected, message }) => {
                fate.dropped = rejected.min(batch.records);
                fate.sent = batch.records.saturating_sub(fate.dropped);
                let says = rejected > 0 || !message.is_empty();
                fate.said = (says && !state.told).then_some(message);
                state.told |= says;
            }
            Receipt::Later(after) if batch.attempts < ATTEMPTS => {
                let seconds = 1_u64 << batch.attempts.min(4);
                let jitter = Duration::from_millis(random % (seconds * 500));
                let pause = Duration::from_secs(seconds).saturating_add(jitter);
                let pause = after.map_or(pause, |after| after.saturating_add(jitter));
                state.not_before = now.saturating_add(pause);
                state.batch = Some(batch);
            }
            Receipt::Later(_) | Receipt::Refused => fate.dropped = batch.records,
        }
        fate
    }

    /// Forgets what waits; how many records that were.
    pub fn abandon(&self) -> u64 {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return 0;
        };
        let batch = state.batch.take().map_or(0, |batch| batch.records);
        state.memory.shrink_to(0);
        let queue = std::mem::take(&mut state.queue);
        batch.saturating_add(queue.len() as u64)
    }
}

impl Section for OtlpExporter {
    const NAME: &'static str = "otlp_http";

    const MAY_BE_OFF: bool = true;

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Self::read(node, reading.problems)
    }

    /// Its credentials, and the gauge of what waits to be sent.
    fn register(section: &Rc<Self>, registry: &mut Registry) {
        let variables = section.credentials.iter().filter_map(Credential::variable);
        let without = "the collector is asked without it";
        let variables = variables.map(|name| Variable::new(Self::NAME, name, without));
        registry.environment.extend(variables);
        let collector = Rc::clone(section);
        let queued = move |_| collector.queued() as u64;
        registry
            .gauges
            .add("otlp.queued_bytes", Aggregation::Sum, queued);
    }
}

impl std::fmt::Debug for OtlpExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collector({})", self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::queue::AROUND_RECORD;
    use super::*;
    use portcullis_wire::budget::{reserve, used};
    use portcullis_wire::json::Json;

    /// What the date is has no part in when something is due.
    const DATE: Duration = Duration::from_secs(1_700_000_000);

    fn collector(more: &str) -> OtlpExporter {
        let text = format!(r#"{{"cluster": "c", "uri": "http://c/v1/logs"{more}}}"#);
        let json = Json::parse(text.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let read = OtlpExporter::read(&Node::root(&json), &mut problems);
        problems.into_result(read).unwrap()
    }

    fn push(collector: &OtlpExporter, bytes: usize, at: u64) -> bool {
        let line = format!("{{\"a\":\"{}\"}}", "x".repeat(bytes.saturating_sub(8)));
        collector.push_at(line, Severity::Info, DATE, Duration::from_secs(at))
    }

    fn due(collector: &OtlpExporter, second: u64) -> Option<Rc<Call>> {
        collector.due_with(at(second), Vec::new)
    }

    const fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn taken(rejected: u64) -> Receipt {
        let message = "why".to_owned();
        Receipt::Taken(Partial { rejected, message })
    }

    /// What was sent and what was dropped.
    fn settled(collector: &OtlpExporter, receipt: Receipt, second: u64) -> (u64, u64) {
        let fate = collector.settled(receipt, at(second), 0);
        (fate.sent, fate.dropped)
    }

    #[test]
    fn what_is_rejected_is_told_once() {
        let collector = collector("");
        for (rejected, said) in [(1, Some("why".to_owned())), (9, None)] {
            assert!(push(&collector, 100, 100) && push(&collector, 100, 100));
            assert!(due(&collector, 200).is_some());
            let fate = collector.settled(taken(rejected), at(200), 0);
            assert_eq!(fate.sent + fate.dropped, 2);
            assert_eq!(fate.dropped, rejected.min(2));
            assert_eq!(fate.said, said);
        }
        assert!(push(&collector, 100, 300));
        assert_eq!((collector.abandon(), collector.queued()), (1, 0));
        assert_eq!(collector.abandon(), 0);
    }

    #[test]
    fn a_collector_may_say_when_and_not_all_come_at_once() {
        let collector = collector("");
        assert!(push(&collector, 100, 100));
        assert!(due(&collector, 200).is_some());
        let later = Receipt::Later(Some(at(60)));
        let _ = collector.settled(later, at(200), 999);
        assert!(due(&collector, 260).is_none(), "999 ms later");
        assert!(due(&collector, 261).is_some());
    }

    #[test]
    fn the_queue_has_a_bound_and_a_batch_too() {
        let collector = collector(r#", "max_queue_bytes": "256KiB""#);
        let pushed = (0..1000).filter(|_| push(&collector, 1024, 100)).count();
        let weight = 1024 + AROUND_RECORD;
        assert_eq!(pushed, (256 << 10) / weight);
        assert_eq!(collector.queued(), pushed * weight);
        assert_eq!(used(Share::Queues), collector.queued());
        assert!(due(&collector, 100).is_some(), "a full batch does not wait");
        assert_eq!(collector.queued(), (pushed - 128) * weight);
        assert!(due(&collector, 100).is_none(), "one at a time");
        assert_eq!(settled(&collector, taken(0), 100), (128, 0));
        assert!(due(&collector, 200).is_some());
        let rest = pushed as u64 - 128;
        assert_eq!(settled(&collector, Receipt::Refused, 200), (0, rest));
        assert_eq!(used(Share::Queues), 0);
        assert!(due(&collector, 300).is_none(), "there is nothing left");
        assert!(!push(&collector, BATCH_BYTES + 1, 300));
    }

    #[test]
    fn without_memory_records_wait_and_then_are_dropped() {
        let collector = collector("");
        assert!(push(&collector, 100, 100));
        let rest = Share::Queues.most() - used(Share::Queues);
        let others = reserve(Share::Queues, rest).unwrap();
        assert!(!push(&collector, 100, 100));
        assert!(due(&collector, 200).is_none());
        drop(others);
        assert!(due(&collector, 200).is_some());
        assert_eq!(settled(&collector, taken(0), 200), (1, 0));
    }

    /// Small values grow most on their way to OTLP.
    #[test]
    fn a_batch_is_no_larger_than_what_was_asked_for() {
        let collector = collector(r#", "max_queue_bytes": "1MiB""#);
        let line = format!(r#"{{"a":[{}]}}"#, vec!["0"; BATCH_BYTES / 2 - 10].join(","));
        for _ in 0..2 {
            assert!(collector.push_at(line.clone(), Severity::Info, DATE, at(100)));
        }
        let body = due(&collector, 200).unwrap().body.clone();
        assert!(body.len() > 8 * 2 * line.len());
        // Twice while it grows, and once more as it is kept.
        assert!(3 * body.len() < 2 * line.len() * BATCH_FACTOR);
        assert_eq!(used(Share::Queues), body.len());
    }

    #[test]
    fn a_record_waits_for_others_and_a_batch_for_the_collector() {
        let collector = collector("");
        assert!(push(&collector, 100, 100));
        assert!(due(&collector, 100).is_none());
        let first = due(&collector, 101).unwrap().body.clone();
        assert_eq!(settled(&collector, Receipt::Later(None), 101), (0, 0));
        let mut now = 101;
        for pause in [2, 4, 8, 16] {
            assert!(due(&collector, now + pause - 1).is_none());
            now += pause;
            assert_eq!(due(&collector, now).unwrap().body, first);
            let fate = settled(&collector, Receipt::Later(None), now);
            assert_eq!(fate, (0, u64::from(pause == 16)));
        }
    }

    #[test]
    fn a_silent_collector_does_not_stop_it() {
        let collector = collector("");
        assert!(push(&collector, 100, 1000));
        assert!(due(&collector, 1001).is_some());
        assert!(due(&collector, 1002).is_none());
        assert!(due(&collector, 1005).is_some(), "the answer never came");
        assert_eq!(settled(&collector, Receipt::Later(None), 1005), (0, 0));
    }
}
