//! Records on their way to an OpenTelemetry collector: a bounded queue in each worker, emptied in
//! batches. Nothing waits for it. What does not fit is dropped, and counted.
//!
//! It does no I/O itself: somebody asks what is [due](Collector::due), sends that, and tells what
//! came of it.

mod encode;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use self::encode::Batch;
use super::security::Severity;
use crate::config::{Node, Problems};
use crate::policy::jwt::Uri;

/// `otlp_http`: where records are sent, and what waits to be.
pub struct Collector {
    cluster: String,
    uri: Uri,
    timeout: Duration,
    interval: Duration,
    most_queued: usize,
    resource: Vec<(String, String)>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Record>,
    /// Bytes of the records in the queue.
    queued: usize,
    /// What has been sent and not been answered, or is to be sent again.
    batch: Option<Sent>,
    /// Until when an answer may come; none if none is awaited.
    awaited: Option<Duration>,
    not_before: Duration,
}

struct Record {
    at: Duration,
    severity: Severity,
    line: String,
}

struct Sent {
    body: Vec<u8>,
    records: u64,
    attempts: u32,
}

/// One request to the collector.
pub struct Delivery {
    /// `ExportLogsServiceRequest` of OTLP 1, as JSON.
    pub body: Vec<u8>,
}

/// What the collector made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It took the records.
    Taken,
    /// It may take them later.
    Later,
    /// It never will.
    Refused,
}

/// What became of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// So many have arrived.
    Sent(u64),
    /// So many are lost.
    Dropped(u64),
    /// They will be sent again.
    Kept,
}

/// A batch ends after so many bytes of records.
const BATCH_BYTES: usize = 128 << 10;
/// How often one batch is sent.
const ATTEMPTS: u32 = 5;

impl Collector {
    /// Reads the block.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let cluster = fields.required("cluster", problems);
        let cluster = cluster.and_then(|node| node.name(problems));
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
        let second = Duration::from_secs(1);
        let timeout = fields.or("timeout", second, problems, between(100, 30_000));
        let interval = fields.or("interval", second, problems, between(250, 60_000));
        let most_queued = fields.or("max_queue_bytes", 1 << 20, problems, |node, problems| {
            let bytes = node.bytes(problems)?;
            if !((64 << 10)..=(64 << 20)).contains(&bytes) {
                node.report(problems, "must be from 64KiB to 64MiB");
                return None;
            }
            usize::try_from(bytes).ok()
        });
        let resource = fields.or("resource", Vec::new(), problems, |node, problems| {
            let entries = node.entries(problems)?;
            let entry = |(name, value): (&str, Node<'_>)| {
                Some((name.to_owned(), value.text(problems)?.to_owned()))
            };
            let read: Vec<_> = entries.into_iter().map(entry).collect();
            read.into_iter().collect()
        });
        fields.finish(problems);
        let mut resource = resource?;
        if resource.iter().all(|(name, _)| name != "service.name") {
            resource.push(("service.name".to_owned(), "portcullis".to_owned()));
        }
        Some(Self {
            cluster: cluster?.to_owned(),
            uri: uri?,
            timeout: timeout?,
            interval: interval?,
            most_queued: most_queued?,
            resource,
            state: RefCell::default(),
        })
    }

    /// The proxy's cluster of the collector.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Where in it records are taken.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Bytes that wait.
    pub fn queued(&self) -> usize {
        self.state.try_borrow().map_or(0, |state| state.queued)
    }

    /// Takes a record, unless there is no room.
    #[must_use]
    pub fn push(&self, line: String, severity: Severity, at: Duration) -> bool {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return false;
        };
        let queued = state.queued.saturating_add(line.len());
        if queued > self.most_queued {
            return false;
        }
        state.queued = queued;
        state.queue.push_back(Record { at, severity, line });
        true
    }

    /// What is to be sent now. One request is on its way at a time.
    pub fn due(&self, now: Duration) -> Option<Delivery> {
        let mut state = self.state.try_borrow_mut().ok()?;
        let state = &mut *state;
        // A clock that stepped back must not stop it for long, and neither may an answer that
        // never comes.
        let before = |time: Duration| now < time && time < now.saturating_add(LONGEST_PAUSE);
        if state.awaited.is_some_and(before) || before(state.not_before) {
            return None;
        }
        if state.batch.is_none() {
            let oldest = state.queue.front()?.at;
            let is_old = now.saturating_sub(oldest) >= self.interval || now < oldest;
            if !is_old && state.queued < BATCH_BYTES {
                return None;
            }
            let mut batch = Batch::new(&self.resource);
            let mut bytes = 0_usize;
            let mut records = 0;
            while bytes < BATCH_BYTES
                && let Some(record) = state.queue.pop_front()
            {
                bytes = bytes.saturating_add(record.line.len());
                records += 1;
                batch.add(&record.line, record.severity, record.at);
            }
            state.queued = state.queued.saturating_sub(bytes);
            state.batch = Some(Sent {
                body: batch.finish(),
                records,
                attempts: 0,
            });
        }
        let batch = state.batch.as_mut()?;
        batch.attempts = batch.attempts.saturating_add(1);
        let patience = self.timeout.saturating_add(Duration::from_secs(2));
        state.awaited = Some(now.saturating_add(patience));
        Some(Delivery {
            body: batch.body.clone(),
        })
    }

    /// Takes up what came of a request.
    pub fn settled(&self, receipt: Receipt, now: Duration) -> Fate {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Fate::Kept;
        };
        state.awaited = None;
        let Some(batch) = state.batch.take() else {
            return Fate::Kept;
        };
        match receipt {
            Receipt::Taken => Fate::Sent(batch.records),
            Receipt::Later if batch.attempts < ATTEMPTS => {
                let pause = Duration::from_secs(1 << batch.attempts.min(4));
                state.not_before = now.saturating_add(pause);
                state.batch = Some(batch);
                Fate::Kept
            }
            Receipt::Later | Receipt::Refused => Fate::Dropped(batch.records),
        }
    }
}

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(40);

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collector({})", self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    fn collector(more: &str) -> Collector {
        let text = format!(r#"{{"cluster": "c", "uri": "http://c/v1/logs"{more}}}"#);
        let json = Json::parse(text.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let read = Collector::read(&Node::root(&json), &mut problems);
        problems.settle(read).unwrap()
    }

    fn push(collector: &Collector, bytes: usize, at: u64) -> bool {
        let line = format!("{{\"a\":\"{}\"}}", "x".repeat(bytes.saturating_sub(8)));
        collector.push(line, Severity::Info, Duration::from_secs(at))
    }

    const fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn the_queue_has_a_bound_and_a_batch_too() {
        let collector = collector(r#", "max_queue_bytes": "256KiB""#);
        let taken = (0..1000).filter(|_| push(&collector, 1024, 100)).count();
        assert_eq!((taken, collector.queued()), (256, 256 << 10));
        assert!(
            collector.due(at(100)).is_some(),
            "a full batch does not wait"
        );
        assert_eq!(collector.queued(), 128 << 10);
        assert!(collector.due(at(100)).is_none(), "one at a time");
        assert_eq!(collector.settled(Receipt::Taken, at(100)), Fate::Sent(128));
        assert!(collector.due(at(100)).is_some());
        assert_eq!(
            collector.settled(Receipt::Refused, at(100)),
            Fate::Dropped(128)
        );
        assert!(collector.due(at(200)).is_none(), "there is nothing left");
    }

    #[test]
    fn a_record_waits_for_others_and_a_batch_for_the_collector() {
        let collector = collector("");
        assert!(push(&collector, 100, 100));
        assert!(collector.due(at(100)).is_none());
        let first = collector.due(at(101)).unwrap().body;
        assert_eq!(collector.settled(Receipt::Later, at(101)), Fate::Kept);
        let mut now = 101;
        for pause in [2, 4, 8, 16] {
            assert!(collector.due(at(now + pause - 1)).is_none());
            now += pause;
            assert_eq!(collector.due(at(now)).unwrap().body, first);
            let fate = collector.settled(Receipt::Later, at(now));
            let last = pause == 16;
            assert_eq!(fate, if last { Fate::Dropped(1) } else { Fate::Kept });
        }
    }

    #[test]
    fn neither_a_silent_collector_nor_a_clock_that_steps_back_stops_it() {
        let collector = collector("");
        assert!(push(&collector, 100, 1000));
        assert!(collector.due(at(1001)).is_some());
        assert!(collector.due(at(1002)).is_none());
        assert!(collector.due(at(1005)).is_some(), "the answer never came");
        assert_eq!(collector.settled(Receipt::Later, at(1005)), Fate::Kept);
        assert!(collector.due(at(10)).is_some());
    }
}
