//! The requests that wait in the midst of their chains: what wakes them, and with them the proxy.
//!
//! A request hears of its call in its own context, or in the root's if the call was made in a tick. Times
//! are seen in ticks: they come as often as somebody waits for, and no more often than is of use.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::abi::{self, Buffer, HostError, Map};
use super::filter::Live;
use super::pairs;
use crate::budget::{self, Reservation, Share};
use crate::call::{CallError, CallResponse, Token};
use crate::headers::Headers;
use crate::host::Host;

/// How often ticks come when nobody waits.
pub(super) const USUAL: Duration = Duration::from_millis(250);

/// The largest head, and the largest body, of a response that are read.
const LONGEST_HEAD: usize = 64 << 10;
const LONGEST_BODY: usize = 1 << 20;

/// The requests of a plugin that wait, by their contexts.
pub(super) struct Waits {
    waiting: RefCell<BTreeMap<u32, Waiting>>,
    /// The period of ticks as it was last asked for, and when the next comes.
    period: Cell<Duration>,
    next: Cell<Duration>,
}

struct Waiting {
    live: Weak<Live>,
    /// When its wait ends at the latest.
    deadline: Duration,
}

/// A response that has been read. Its memory has been asked for.
pub(super) struct Received {
    headers: Headers,
    body: Vec<u8>,
    _memory: Reservation,
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
            waiting.insert(id, Waiting { live, deadline });
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

    /// Wakes those whose time has come, and asks for the next tick. Host calls after this concern one of
    /// them, or the root context again.
    pub(super) fn tick(&self, root: u32, host: &dyn Host) {
        let now = host.monotonic();
        self.next.set(now.saturating_add(self.period.get()));
        let due = match self.waiting.try_borrow_mut() {
            Ok(mut waiting) => waiting
                .extract_if(.., |_, each| each.deadline <= now)
                .collect(),
            Err(_) => Vec::new(),
        };
        if due.is_empty() && self.is_usual() {
            return;
        }
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
        let wanted = first.map_or(USUAL, |first| first.saturating_sub(now));
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

    /// The end of a call of which the root context hears; it was made in a tick.
    pub(super) fn received(&self, token: u32, fields: usize, body: usize) {
        let live = match self.waiting.try_borrow() {
            Ok(waiting) => {
                let mut all = waiting.iter();
                all.find_map(|(id, each)| {
                    let live = each.live.upgrade()?;
                    live.awaits(token).then_some((*id, live))
                })
            }
            Err(_) => None,
        };
        if let Some((id, live)) = live {
            // What the proxy has at hand of the response is the root's.
            let response = Received::read(fields, body);
            if abi::set_effective_context(id).is_ok() {
                live.received(token, &response);
            }
        }
    }
}

/// A period for ticks: whole milliseconds, so that the time has come when the tick does.
fn rounded(wanted: Duration) -> Duration {
    let millis = wanted.as_micros().div_ceil(1000);
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    Duration::from_millis(millis).clamp(Duration::from_millis(1), USUAL)
}

impl Received {
    /// Reads the response of which the proxy tells in this callback. Nothing is copied before its length
    /// is known.
    pub(super) fn read(fields: usize, body: usize) -> Result<Self, CallError> {
        let unreadable = |HostError(_)| CallError::Unreachable;
        // Without any the call has failed, and there is nothing to read.
        if fields == 0 {
            return Err(CallError::Unreachable);
        }
        if abi::header_bytes(Map::CallResponse).is_ok_and(|bytes| bytes > LONGEST_HEAD) {
            return Err(CallError::TooLong(LONGEST_HEAD));
        }
        if body > LONGEST_BODY {
            return Err(CallError::TooLong(LONGEST_BODY));
        }
        let most = body.saturating_add(LONGEST_HEAD);
        let memory = budget::reserve(Share::Queues, most).ok_or(CallError::NoMemory)?;
        let block = abi::header_pairs_of(Map::CallResponse, LONGEST_HEAD).map_err(unreadable)?;
        let bytes = match body {
            0 => Vec::new(),
            _ => abi::buffer_of(Buffer::CallResponseBody, body).map_err(unreadable)?,
        };
        Ok(Self {
            headers: pairs::read(block).ok_or(CallError::Unreachable)?,
            body: bytes,
            _memory: memory,
        })
    }

    pub(super) fn as_response(&self) -> CallResponse<'_> {
        CallResponse {
            headers: &self.headers,
            body: &self.body,
        }
    }
}

impl Live {
    /// Whether it waits for the end of that call.
    pub(super) fn awaits(&self, token: u32) -> bool {
        let stream = self.stream.try_borrow();
        stream.is_ok_and(|stream| stream.awaits_call(Token(token)))
    }
}
