//! What a worker does by one document besides judging requests: it fetches, exports, counts and
//! records. All of it in terms of [`WorkerHost`]; a proxy maps its callbacks to three methods,
//! [`tick`](Worker::tick), [`received`](Worker::received) and [`finished`](Worker::finished).

mod calls;
mod fetches;
mod gauges;
mod missing;
mod records;
mod shared;
mod tallies;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use self::calls::InFlight;
use self::fetches::Fetches;
use self::gauges::ReportedGauges;
use self::records::Records;
use self::shared::{Departure, OrphanedCall, SharedCalls};
use self::tallies::CounterBuffer;
use crate::engine::Engine;
use crate::metrics;
use crate::stream::{PlannedStream, Stream};
use portcullis_exchange::call::{Call, CallError, HostResponse, Owner, Token};
use portcullis_exchange::host::WorkerHost;
use portcullis_wire::headers::Headers;

pub use self::missing::report_missing;
pub use self::shared::{FailedCall, Waiters};
pub use self::tallies::PendingCount;
pub use portcullis_exchange::whole_response::{LONGEST_HEAD, ReadBody, WholeResponse, read_body};

/// One worker, for one document.
pub struct Worker {
    engine: Rc<Engine>,
    host: Rc<dyn WorkerHost>,
    calls: RefCell<InFlight>,
    shared: RefCell<SharedCalls>,
    fetches: RefCell<Fetches>,
    records: RefCell<Records>,
    gauges: RefCell<ReportedGauges>,
    tallies: CounterBuffer,
}

impl Worker {
    /// Begins to work. No call is made before the first tick: a proxy may not be able to make any
    /// while it configures.
    pub fn new(engine: Rc<Engine>, host: Rc<dyn WorkerHost>) -> Self {
        let fetches = Fetches::new(engine.fetched(), &*host);
        Self {
            engine,
            host,
            calls: RefCell::default(),
            shared: RefCell::default(),
            fetches: RefCell::new(fetches),
            records: RefCell::default(),
            gauges: RefCell::default(),
            tallies: CounterBuffer::default(),
        }
    }

    /// The document.
    pub fn engine(&self) -> &Rc<Engine> {
        &self.engine
    }

    /// Does what is due. Whether there is more to [read](Self::read_on).
    pub fn tick(&self) -> bool {
        let host = &*self.host;
        let is_reading = self.read_on();
        for each in self.engine.ticks() {
            each.tick(host);
        }
        let Ok(mut calls) = self.calls.try_borrow_mut() else {
            return is_reading;
        };
        if let Ok(mut fetches) = self.fetches.try_borrow_mut() {
            fetches.tick(&mut calls, host);
        }
        if let Ok(mut gauges) = self.gauges.try_borrow_mut() {
            gauges.tick(self.engine.gauges(), host.monotonic(), host);
        }
        self.tallies.tell(&self.engine, host);
        if let Ok(mut records) = self.records.try_borrow_mut() {
            records.tick(&mut calls, &self.engine, host);
        }
        is_reading
    }

    /// Reads on in what was fetched and takes longer to read than requests should wait: a slice of it. Whether
    /// there may be more, for which a tick should come soon.
    pub fn read_on(&self) -> bool {
        let (Ok(mut calls), Ok(mut fetches)) =
            (self.calls.try_borrow_mut(), self.fetches.try_borrow_mut())
        else {
            return false;
        };
        fetches.read_on(&mut calls, &*self.host)
    }

    /// Makes a call for a request that waits, `stream`. When it ends, [`received`](Self::received)
    /// tells of `stream`.
    ///
    /// # Errors
    /// The call is not made, and nothing will be told of it.
    pub fn call_for(&self, stream: u32, call: &Call) -> Result<Token, CallError> {
        let Ok(mut calls) = self.calls.try_borrow_mut() else {
            return Err(CallError::Unreachable);
        };
        calls.make(Owner::Stream(stream), call, &*self.host)
    }

    /// The same, unless one that is equal is on its way for another request: then this one hears of the end of
    /// that. The number by which it is known to all who wait.
    ///
    /// # Errors
    /// The call is not made, and nothing will be told of it.
    pub fn share_call(&self, stream: u32, call: &Call) -> Result<Token, CallError> {
        let Ok(mut shared) = self.shared.try_borrow_mut() else {
            return self.call_for(stream, call);
        };
        if let Some(ticket) = shared.join(stream, call) {
            return Ok(ticket);
        }
        let token = self.call_for(stream, call)?;
        shared.note(token, stream, call);
        Ok(token)
    }

    /// A request does not wait any more for a call. Whether others do, for whom it has to be made again:
    /// [`call_again`](Self::call_again), in a callback of the root's.
    pub fn forget(&self, stream: u32, ticket: Token) -> bool {
        let departure = match self.shared.try_borrow_mut() {
            Ok(mut shared) => shared.leave(ticket, stream),
            Err(_) => Departure::Unshared,
        };
        if departure != Departure::Other
            && let Ok(mut calls) = self.calls.try_borrow_mut()
        {
            calls.end_for(ticket);
        }
        departure == Departure::Leader
    }

    /// Since when a call is under way that requests know by that number, on the clock that does not step. None
    /// if it has to be made again.
    pub fn call_since(&self, ticket: Token) -> Option<Duration> {
        self.calls.try_borrow().ok()?.since(ticket)
    }

    /// Makes calls again that others wait for than those who had made them: once, for what the root makes
    /// stays under way. Who has to be woken, since one cannot be made.
    pub fn call_again(&self) -> Vec<FailedCall> {
        let (Ok(mut shared), Ok(mut calls)) =
            (self.shared.try_borrow_mut(), self.calls.try_borrow_mut())
        else {
            return Vec::new();
        };
        let mut failed = Vec::new();
        for orphaned in shared.orphaned() {
            let OrphanedCall { ticket, call } = orphaned;
            if let Err(error) = calls.make_for(Owner::Shared, ticket, &call, &*self.host) {
                let streams = shared.end(ticket).into();
                let awaiting = Waiters { ticket, streams };
                failed.push(FailedCall { awaiting, error });
            }
        }
        failed
    }

    /// A call has ended. Returns the requests that wait for it, if any do: the proxy has to wake them.
    pub fn received(&self, token: Token, response: &dyn HostResponse) -> Option<Waiters> {
        let host = &*self.host;
        let mut calls = self.calls.try_borrow_mut().ok()?;
        let pending = calls.end(token)?;
        match pending.owner {
            Owner::Fetch(index) => {
                if let Ok(mut fetches) = self.fetches.try_borrow_mut() {
                    fetches.received(index, pending, response, &mut calls, host);
                }
                None
            }
            Owner::Export => {
                if let Ok(mut records) = self.records.try_borrow_mut() {
                    records.received(response, &self.engine, host);
                }
                None
            }
            owner @ (Owner::Stream(_) | Owner::Shared) => {
                let ticket = pending.ticket;
                let maker = match owner {
                    Owner::Stream(stream) => Some(stream),
                    _ => None,
                };
                let shared = self.shared.try_borrow_mut();
                let others = shared.map(|mut shared| shared.end(ticket));
                let others = others.unwrap_or_default();
                let streams = maker.into_iter().chain(others).collect();
                Some(Waiters { ticket, streams })
            }
        }
    }

    /// Counts and records a finished exchange. `late` are the request's fields where the filter saw
    /// none.
    pub fn finished(&self, stream: &Stream, late: &dyn Fn() -> Option<Headers>) {
        let Some(engine) = stream.engine() else {
            return;
        };
        let host = &*self.host;
        self.tallies.count(stream, &self.engine);
        if !host.has_ticks() {
            self.tallies.tell(&self.engine, host);
        }
        records::finished(stream, late, engine, host);
    }

    /// The same of one that is on its plan. `host` is the worker's own, by its type.
    #[inline]
    pub fn finished_on_plan(&self, stream: Box<PlannedStream>, host: &dyn WorkerHost) {
        let engine = stream.engine();
        let is_usual = host.has_ticks() && engine.security_events().is_none();
        let is_counted = is_usual && self.tallies.count_on_plan(stream.plan_number());
        if !is_counted || !records::on_plan(&stream, engine, host) {
            self.finished_off_plan(*stream, is_counted);
        }
    }

    // Most end in the same way as one before them, and this is not among their code.
    #[cold]
    #[inline(never)]
    fn finished_off_plan(&self, stream: PlannedStream, is_counted: bool) {
        let stream = stream.into_stream();
        let host = &*self.host;
        if !is_counted {
            self.tallies.count(&stream, &self.engine);
        }
        if !host.has_ticks() {
            self.tallies.tell(&self.engine, host);
        }
        if let Some(engine) = stream.engine() {
            records::finished(&stream, &|| None, engine, host);
        }
    }

    /// Ends the work for this document: there will be no tick. Records that still wait for the
    /// collector are lost.
    pub fn leave(&self) {
        let host = &*self.host;
        let lost = self.engine.collector().map(|collector| collector.abandon());
        let dropped = metrics::Event::RecordDropped.counter();
        host.count_many(dropped, lost.unwrap_or_default());
        if let Ok(mut gauges) = self.gauges.try_borrow_mut() {
            gauges.leave(self.engine.gauges(), host);
        }
    }
}

/// Exchanges in flight keep it alive. When the last has ended, it tells what they have counted.
impl Drop for Worker {
    fn drop(&mut self) {
        self.tallies.tell(&self.engine, &*self.host);
    }
}
