//! The requests that wait in the midst of their chains: what wakes them, and with them the proxy.
//!
//! A request hears of its call in its own context, or in the root's if the call was made in a tick. Times
//! are seen in ticks: they come as often as a request waits for, and no more often than is of use.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::abi::{self, HostError};
use super::calls::Arrived;
use super::filter::Live;
use portcullis_engine::worker::{Waiters, WholeResponse};
use portcullis_exchange::call::CallError;
use portcullis_exchange::host::Host;

/// How often ticks come when nobody waits.
pub(super) const USUAL: Duration = Duration::from_millis(250);

/// The largest body of a response that is read.
const LONGEST_BODY: usize = 1 << 20;

/// How long requests have the worker for themselves between two slices of what is read bit by bit.
const BETWEEN_SLICES: Duration = Duration::from_millis(5);

/// When the next tick comes where something has to be done in one.
const SOON: Duration = Duration::from_millis(1);

/// The requests of a plugin that wait, by their contexts.
pub(super) struct Waits {
    waiting: RefCell<BTreeMap<u32, PausedStream>>,
    /// The period of ticks as it was last asked for, and when the next comes.
    period: Cell<Duration>,
    next: Cell<Duration>,
}

struct PausedStream {
    live: Weak<Live>,
    /// When its wait ends at the latest.
    deadline: Duration,
}

impl Waits {
    /// Ticks come as usual.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            waiting: RefCell::default(),
            period: Cell::new(USUAL),
            next: Cell::new(now.saturating_add(USUAL)),
        }
    }

    /// A request waits until then at the latest.
    pub(super) fn add(&self, id: u32, live: &Rc<Live>, deadline: Duration, now: Duration) {
        let live = Rc::downgrade(live);
        if let Ok(mut waiting) = self.waiting.try_borrow_mut() {
            waiting.insert(id, PausedStream { live, deadline });
        }
        // Asking anew starts the period anew: never for a later tick than is due, or with many who
        // come none would ever be.
        if deadline < self.next.get() {
            self.ask(deadline.saturating_sub(now), now);
        }
    }

    /// It does not wait any more.
    pub(super) fn remove(&self, id: u32) {
        if let Ok(mut waiting) = self.waiting.try_borrow_mut() {
            waiting.remove(&id);
        }
    }

    /// Wakes those whose time has come, and asks for the next tick: for one soon while the worker is busy. Host
    /// calls after this concern one of them, or the root context again.
    pub(super) fn tick(&self, root: u32, is_busy: bool, host: &dyn Host) {
        let now = host.monotonic();
        self.next.set(now.saturating_add(self.period.get()));
        let mut due: Vec<_> = match self.waiting.try_borrow_mut() {
            Ok(mut waiting) => waiting
                .extract_if(.., |_, each| each.deadline <= now)
                .collect(),
            Err(_) => Vec::new(),
        };
        if due.is_empty() && self.is_usual() && !is_busy {
            return;
        }
        // In the order of their turns, should several have come.
        due.sort_by_key(|(id, each)| (each.deadline, *id));
        for (id, each) in due {
            if let Some(live) = each.live.upgrade()
                && abi::set_effective_context(id).is_ok()
            {
                live.passed(now);
            }
        }
        let _ = abi::set_effective_context(root);
        let now = host.monotonic();
        let first = match self.waiting.try_borrow() {
            Ok(waiting) => waiting.values().map(|each| each.deadline).min(),
            Err(_) => None,
        };
        let usual = if is_busy { BETWEEN_SLICES } else { USUAL };
        let wanted = first.map_or(usual, |first| first.saturating_sub(now).min(usual));
        if rounded(wanted) != self.period.get() {
            self.ask(wanted, now);
        }
    }

    /// Nobody waits, and ticks come as usual.
    fn is_usual(&self) -> bool {
        let none = self
            .waiting
            .try_borrow()
            .is_ok_and(|waiting| waiting.is_empty());
        none && self.period.get() == USUAL
    }

    fn ask(&self, wanted: Duration, now: Duration) {
        let period = rounded(wanted);
        let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        match abi::set_tick_period(millis) {
            Ok(()) => {
                self.period.set(period);
                self.next.set(now.saturating_add(period));
            }
            Err(HostError(status)) => {
                log::error!("the proxy gives no ticks as often as is asked for (status {status})");
            }
        }
    }

    /// Asks for a tick at once.
    pub(super) fn tick_soon(&self, now: Duration) {
        if self.next.get() > now.saturating_add(SOON) {
            self.ask(SOON, now);
        }
    }

    /// The end of a call, for all who wait for it. Host calls after this concern one of them.
    pub(super) fn received(&self, awaiting: &Waiters, response: &Result<WholeResponse, CallError>) {
        for stream in &awaiting.streams {
            let live = match self.waiting.try_borrow() {
                Ok(waiting) => waiting.get(stream).and_then(|each| each.live.upgrade()),
                Err(_) => None,
            };
            if let Some(live) = live
                && abi::set_effective_context(*stream).is_ok()
            {
                live.received(awaiting.ticket, response);
            }
        }
    }
}

/// Reads the response to the call of a request that waits.
pub(super) fn read(response: &Arrived) -> Result<WholeResponse, CallError> {
    WholeResponse::read(response, LONGEST_BODY, |_| true)
}

/// A period for ticks: whole milliseconds, so that the time has come when the tick does.
fn rounded(wanted: Duration) -> Duration {
    let millis = wanted.as_micros().div_ceil(1000);
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    Duration::from_millis(millis).clamp(Duration::from_millis(1), USUAL)
}
