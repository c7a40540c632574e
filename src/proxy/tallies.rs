//! What has been counted in this VM since the proxy was last told. Telling it on ticks takes the
//! calls from requests; a VM that ends tells what it still has.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::abi::{self, MetricKind};
use super::host::define;
use crate::engine::Engine;
use crate::metrics::Tallied;
use crate::stream::Stream;

/// What one counter of the proxy lacks.
#[derive(Default)]
pub(super) struct Pending(Cell<u64>);

impl Pending {
    pub(super) fn add(&self, many: u64) {
        self.0.set(self.0.get().saturating_add(many));
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.get() == 0
    }

    /// Tells the proxy. Without a number it has refused the counter.
    pub(super) fn tell(&self, id: Option<u32>) {
        let pending = self.0.take();
        if let Some(id) = id.filter(|_| pending > 0) {
            // A counter that cannot be raised changes nothing else.
            let _ = abi::increment(id, i64::try_from(pending).unwrap_or(i64::MAX));
        }
    }
}

/// The counters of what became of exchanges by one document. The proxy learns of each when there
/// is something to tell of it.
#[derive(Default)]
pub(super) struct Tallies {
    engine: Option<Rc<Engine>>,
    /// By [`crate::metrics::Of::place`]. There are at most as many as routes, policies, codes and
    /// outcomes allow.
    known: RefCell<Vec<Vec<Known>>>,
}

struct Known {
    counter: Tallied,
    /// None before the proxy has heard of it.
    id: Option<Option<u32>>,
    pending: Pending,
}

impl Tallies {
    pub(super) fn new(engine: Rc<Engine>) -> Self {
        Self {
            engine: Some(engine),
            known: RefCell::default(),
        }
    }

    /// Counts a finished exchange.
    pub(super) fn count(&self, stream: &Stream) {
        let Some(engine) = &self.engine else {
            return;
        };
        let Ok(mut all) = self.known.try_borrow_mut() else {
            return;
        };
        Tallied::of(stream, engine.measured().by_route, |counter| {
            let place = counter.of.place();
            if all.len() <= place {
                all.resize_with(place.saturating_add(1), Vec::new);
            }
            let Some(known) = all.get_mut(place) else {
                return;
            };
            match known.iter().find(|each| each.counter == counter) {
                Some(found) => found.pending.add(1),
                None => {
                    let pending = Pending::default();
                    pending.add(1);
                    let id = None;
                    known.push(Known {
                        counter,
                        id,
                        pending,
                    });
                }
            }
        });
    }

    /// Tells the proxy what has been counted.
    pub(super) fn tell(&self) {
        let (Some(engine), Ok(mut all)) = (&self.engine, self.known.try_borrow_mut()) else {
            return;
        };
        for known in all.iter_mut().flatten() {
            if !known.pending.is_zero() {
                let name = || define(MetricKind::Counter, &known.counter.name(engine));
                known.pending.tell(*known.id.get_or_insert_with(name));
            }
        }
    }
}

impl Drop for Tallies {
    fn drop(&mut self) {
        self.tell();
    }
}
