//! Noticing that the proxy does not do its part where heads wait for bodies.
//!
//! Without `allow_on_headers_stop_iteration` Envoy holds the body together with the head and never
//! shows it: the request would wait for ever. Nothing says so, but the proxy counts the bytes that
//! come. Once a body has been shown, the setting is known to be right and nothing is watched.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::abi;
use super::filter::{self, Live};
use portcullis_exchange::host::{Host, Property, Side};

/// How long bytes may have come of a body without being shown: other filters may sit on them.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the service may take from the head of a response to its first bytes, which the proxy
/// does not count.
const PATIENCE_WITH_RESPONSES: Duration = Duration::from_secs(5);

/// The heads that wait in this VM.
#[derive(Default)]
pub(super) struct BodyHoldWatchdog {
    works: Cell<bool>,
    fails: Cell<bool>,
    waiting: RefCell<Vec<HeldBody>>,
}

struct HeldBody {
    context: u32,
    live: Weak<Live>,
    side: Side,
    /// What had come with the head, as that is now.
    size: Option<u64>,
    /// Since when it is overdue to be shown.
    since: Option<Duration>,
}

impl BodyHoldWatchdog {
    /// A head waits for its body, of which so much had come with it. Nothing changes the head from now on.
    pub(super) fn wait(&self, live: &Rc<Live>, side: Side, size: Option<u64>, host: &dyn Host) {
        if self.works.get() {
            return;
        }
        let since = match side {
            Side::Request => None,
            Side::Response => Some(host.monotonic()),
        };
        self.waiting.borrow_mut().push(HeldBody {
            context: live.id,
            live: Rc::downgrade(live),
            side,
            size,
            since,
        });
    }

    /// What has come of a request by now, unless that is of no use: bodies are known to be shown.
    pub(super) fn size(&self, host: &dyn Host) -> Option<u64> {
        match self.works.get() {
            true => None,
            false => received(host),
        }
    }

    /// A body for which a head waits is shown.
    pub(super) fn body_arrived(&self) {
        if !self.works.replace(true) {
            self.waiting.borrow_mut().clear();
        }
    }

    /// Answers those who wait in vain. Host calls after this concern one of them.
    pub(super) fn tick(&self, host: &dyn Host) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let now = host.monotonic();
        let mut waiting = self.waiting.take();
        waiting.retain_mut(|each| self.goes_on(each, now, host));
        self.waiting.borrow_mut().append(&mut waiting);
    }

    fn goes_on(&self, waiting: &mut HeldBody, now: Duration, host: &dyn Host) -> bool {
        let Some(live) = waiting.live.upgrade() else {
            return false;
        };
        if abi::set_effective_context(waiting.context).is_err() {
            return false;
        }
        let patience = match waiting.side {
            Side::Request => PATIENCE,
            Side::Response => PATIENCE_WITH_RESPONSES,
        };
        let came = self.fails.get() || received(host) > waiting.size;
        if waiting.since.is_none() && came {
            waiting.since = Some(now);
        }
        let overdue = waiting.since.and_then(|since| now.checked_sub(since));
        if overdue.is_none_or(|overdue| overdue < patience) {
            return true;
        }
        if !self.fails.replace(true) {
            log::error!(
                "body_inspection is hold_headers, and the proxy does not show the bodies of held heads; set allow_on_headers_stop_iteration: true in the filter's PluginConfig (Envoy 1.35), or body_inspection: stream. Until then requests with bodies that are to be judged get 503"
            );
        }
        // Nobody else runs while the root ticks.
        if let Ok(mut stream) = live.stream.try_borrow_mut()
            && let Some(reply) = stream.body_withheld(waiting.side, host)
        {
            filter::send(&reply);
        }
        false
    }
}

/// How many bytes of the request have come, its head included.
fn received(host: &dyn Host) -> Option<u64> {
    let size = host.property(Property::RequestSize)?;
    Some(u64::from_le_bytes(size.try_into().ok()?))
}
