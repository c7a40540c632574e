//! What a worker does by one document besides judging requests: it fetches, exports, counts and
//! records. All of it in terms of [`WorkerHost`]; a proxy maps its callbacks to three methods,
//! [`tick`](Worker::tick), [`received`](Worker::received) and [`finished`](Worker::finished).

mod calls;
mod fetches;
mod gauges;
mod missing;
mod records;
mod response;
mod tallies;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;

use self::calls::InFlight;
use self::fetches::Fetches;
use self::gauges::ReportedGauges;
use self::records::Records;
use self::tallies::CounterBuffer;
use crate::engine::Engine;
use crate::metrics;
use crate::stream::Stream;
use portcullis_exchange::call::{Call, CallError, HostResponse, Owner, Token};
use portcullis_exchange::host::WorkerHost;
use portcullis_wire::headers::Headers;

pub use self::missing::report_missing;
pub use self::response::{LONGEST_HEAD, ReadBody, WholeResponse, read_body};
pub use self::tallies::PendingCount;

/// One worker, for one document.
pub struct Worker {
    engine: Rc<Engine>,
    host: Rc<dyn WorkerHost>,
    calls: RefCell<InFlight>,
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

    /// Does what is due.
    pub fn tick(&self) {
        let host = &*self.host;
        let Ok(mut calls) = self.calls.try_borrow_mut() else {
            return;
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
    }

    /// Makes a call for a request that waits, `stream`. When it ends, [`received`](Self::received)
    /// returns `stream`.
    ///
    /// # Errors
    /// The call is not made, and nothing will be told of it.
    pub fn call_for(&self, stream: u32, call: &Call) -> Result<Token, CallError> {
        let Ok(mut calls) = self.calls.try_borrow_mut() else {
            return Err(CallError::Unreachable);
        };
        calls.make(Owner::Stream(stream), call, &*self.host)
    }

    /// The request for which a call was made does not wait any more.
    pub fn forget(&self, token: Token) {
        if let Ok(mut calls) = self.calls.try_borrow_mut() {
            calls.end(token);
        }
    }

    /// A call has ended. Returns the number of the request that waits for it, if one does: the proxy has
    /// to wake it.
    pub fn received(&self, token: Token, response: &dyn HostResponse) -> Option<u32> {
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
            Owner::Stream(stream) => Some(stream),
        }
    }

    /// Counts and records a finished exchange. `late` are the request's fields where the filter saw
    /// none.
    pub fn finished(&self, stream: &Stream, late: &dyn Fn() -> Option<Headers>) {
        let Some(engine) = stream.engine() else {
            return;
        };
        let host = &*self.host;
        let exchange = stream.summary();
        self.tallies.count(&exchange, &self.engine);
        if !host.has_ticks() {
            self.tallies.tell(&self.engine, host);
        }
        records::finished(&exchange, late, engine, host);
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
