//! Showing the metrics of a document. The proxy has one of each for all workers: those that are
//! shared are set by each of them, and to those that are summed or counted each adds what has changed.

use std::rc::Rc;
use std::time::Duration;

use super::abi::{self, MetricKind};
use super::host::define;
use crate::engine::Engine;
use crate::metrics::{Gauge, Spread};

/// What this worker has told the proxy.
pub(super) struct Shown {
    engine: Rc<Engine>,
    /// By the order of the document's gauges; empty before the first tick.
    gauges: Vec<ShownGauge>,
}

struct ShownGauge {
    id: Option<u32>,
    /// The part of a sum or a count that is this worker's.
    added: u64,
}

impl Shown {
    pub(super) fn new(engine: Rc<Engine>) -> Self {
        Self {
            engine,
            gauges: Vec::new(),
        }
    }

    /// Shows what there is now. Gauges become known here and not while configuring: Envoy tries a
    /// document in a VM that never ticks, and may not take it.
    pub(super) fn tick(&mut self, now: Duration) {
        let engine = Rc::clone(&self.engine);
        if self.gauges.is_empty() {
            let make = |gauge: &Gauge| {
                let kind = match gauge.spread() {
                    Spread::Counted => MetricKind::Counter,
                    Spread::Shared | Spread::Summed => MetricKind::Gauge,
                };
                ShownGauge {
                    id: define(kind, gauge.name()),
                    added: 0,
                }
            };
            self.gauges = engine.gauges().iter().map(make).collect();
        }
        for (gauge, shown) in engine.gauges().iter().zip(&mut self.gauges) {
            let Some(value) = gauge.read(now) else {
                continue;
            };
            match gauge.spread() {
                Spread::Shared => shown.set(value),
                Spread::Summed | Spread::Counted => shown.add_up_to(value),
            }
        }
    }
}

impl ShownGauge {
    // A gauge that cannot be set changes nothing else.

    fn set(&self, value: u64) {
        let _ = self.id.map(|id| abi::record(id, value));
    }

    fn add_up_to(&mut self, value: u64) {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let change = signed(value).saturating_sub(signed(self.added));
        if change != 0 {
            let _ = self.id.map(|id| abi::increment(id, change));
            self.added = value;
        }
    }
}

/// A worker that leaves a document takes its part of each sum away. What it has counted stays.
impl Drop for Shown {
    fn drop(&mut self) {
        for (gauge, shown) in self.engine.gauges().iter().zip(&mut self.gauges) {
            match gauge.spread() {
                Spread::Shared => {}
                Spread::Summed => shown.add_up_to(0),
                Spread::Counted => {
                    shown.add_up_to(gauge.read(Duration::ZERO).unwrap_or(shown.added))
                }
            }
        }
    }
}
