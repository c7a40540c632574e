//! What waits for a collector, and the memory that is its.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::encode::Batch;
use crate::access_log::security::Severity;
use portcullis_exchange::call::Call;
use portcullis_wire::budget::{Reservation, Share, reserve};

/// Records in order, and the batch that is on its way.
pub(super) struct QueueState {
    pub(super) queue: VecDeque<Record>,
    /// What the records in the queue weigh. `OtlpExporter::queued` is the size of it.
    pub(super) memory: Reservation,
    /// What has been sent and not been answered, or is to be sent again.
    pub(super) batch: Option<Sent>,
    /// Until when a response may come; none if none is awaited.
    pub(super) awaited: Option<Duration>,
    pub(super) not_before: Duration,
    /// Whether what the collector said of a part that it rejected has been told.
    pub(super) told: bool,
}

impl Default for QueueState {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            memory: Reservation::none(Share::Queues),
            batch: None,
            awaited: None,
            not_before: Duration::ZERO,
            told: false,
        }
    }
}

/// One record.
pub(super) struct Record {
    /// Its date, for those who read it.
    pub(super) dated: Duration,
    /// Since when it waits, on the clock that does not step.
    pub(super) since: Duration,
    pub(super) severity: Severity,
    pub(super) line: Box<str>,
}

/// One batch.
pub(super) struct Sent {
    pub(super) call: Rc<Call>,
    _memory: Reservation,
    pub(super) records: u64,
    pub(super) attempts: u32,
}

/// A batch ends after so many bytes of records. One record is not larger.
pub(super) const BATCH_BYTES: usize = 128 << 10;
/// What a record weighs beside its text: its place in a queue, which is up to twice as large as it
/// need be and exists twice while it grows, and what the allocator keeps around it.
pub(super) const AROUND_RECORD: usize = 128;
/// So many times the bytes of its records a batch takes while it is written: in OTLP a small value
/// has nine times the bytes that it has in a record, what is written grows by doubling, and one
/// record is a tree meanwhile.
pub(super) const BATCH_FACTOR: usize = 32;
impl QueueState {
    /// Makes a batch of the oldest records; none while there is no memory to write it.
    pub(super) fn gather(
        &mut self,
        resource: &[(String, String)],
        call: impl FnOnce(Vec<u8>) -> Call,
    ) -> Option<Sent> {
        let mut bytes = 0_usize;
        let sizes = self.queue.iter().map(|record| record.line.len());
        let records = sizes
            .take_while(|size| {
                let begins = bytes < BATCH_BYTES;
                bytes = bytes.saturating_add(if begins { *size } else { 0 });
                begins
            })
            .count();
        let mut memory = reserve(Share::Queues, bytes.saturating_mul(BATCH_FACTOR))?;
        let mut batch = Batch::new(resource);
        let mut weight = 0_usize;
        for record in self.queue.drain(..records) {
            weight = weight.saturating_add(record.weight());
            batch.add(&record.line, record.severity, record.dated);
        }
        let left = self.memory.bytes().saturating_sub(weight);
        self.memory.shrink_to(left);
        let mut body = batch.finish();
        body.shrink_to_fit();
        memory.shrink_to(body.len());
        Some(Sent {
            call: Rc::new(call(body)),
            _memory: memory,
            records: records as u64,
            attempts: 0,
        })
    }
}

impl Record {
    pub(super) fn weight(&self) -> usize {
        self.line.len().saturating_add(AROUND_RECORD)
    }
}
