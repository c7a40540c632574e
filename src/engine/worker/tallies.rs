//! What has been counted in this worker since the proxy was last told. Telling it on ticks takes the
//! calls from requests; a worker that ends tells what it still has.

use std::cell::{Cell, RefCell};

use crate::engine::Engine;
use crate::metrics::ExchangeCounter;
use crate::record::Summary;
use portcullis_exchange::host::{MetricId, MetricKind, Metrics};

/// What one counter of the proxy lacks.
#[derive(Default)]
pub struct PendingCount(Cell<u64>);

impl PendingCount {
    /// Counts.
    pub fn add(&self, many: u64) {
        self.0.set(self.0.get().saturating_add(many));
    }

    /// Tells the proxy. Without a number it has refused the counter.
    pub fn tell(&self, id: Option<MetricId>, metrics: &dyn Metrics) {
        let pending = self.0.take();
        if let Some(id) = id.filter(|_| pending > 0) {
            metrics.add(id, i64::try_from(pending).unwrap_or(i64::MAX));
        }
    }
}

/// The counters of what became of exchanges by one document. The proxy learns of each when there
/// is something to tell of it.
///
/// By [`crate::metrics::Of::place`]. There are at most as many as routes, policies, codes and
/// outcomes allow.
#[derive(Default)]
pub(super) struct CounterBuffer(RefCell<Vec<Vec<Known>>>);

struct Known {
    counter: ExchangeCounter,
    /// None before the proxy has heard of it.
    id: Option<Option<MetricId>>,
    pending: PendingCount,
}

impl CounterBuffer {
    /// Counts a finished exchange.
    pub(super) fn count(&self, exchange: &Summary<'_>, engine: &Engine) {
        let Ok(mut all) = self.0.try_borrow_mut() else {
            return;
        };
        ExchangeCounter::of(exchange, engine.measured().by_route, |counter| {
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
                    let pending = PendingCount::default();
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
    pub(super) fn tell(&self, engine: &Engine, metrics: &dyn Metrics) {
        let Ok(mut all) = self.0.try_borrow_mut() else {
            return;
        };
        for known in all.iter_mut().flatten() {
            if known.pending.0.get() > 0 {
                let name = || known.counter.name(|route| engine.route_name(route));
                let define = || metrics.define(MetricKind::Counter, &name());
                let id = *known.id.get_or_insert_with(define);
                known.pending.tell(id, metrics);
            }
        }
    }
}
