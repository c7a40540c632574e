//! What has been counted of places, in this worker.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_exchange::gauges::{Aggregation, Gauges, segment};

/// Counts of the limits of one name.
#[derive(Debug, Default)]
pub(crate) struct PlaceCounts {
    /// Requests that got a place.
    pub(crate) ok: Cell<u64>,
    /// Requests that were refused.
    pub(crate) limited: Cell<u64>,
    /// Requests that waited for a place, or began to.
    pub(crate) delayed: Cell<u64>,
    /// Requests that have a place now.
    pub(crate) in_flight: Cell<u64>,
    /// Requests that wait now.
    pub(crate) waiting: Cell<u64>,
}

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct PlaceMetrics(RefCell<BTreeMap<String, Rc<PlaceCounts>>>);

impl PlaceCounts {
    /// Adds to a count, or takes away from one of requests that are there now.
    pub(crate) fn add(count: &Cell<u64>, change: i64) {
        count.set(count.get().saturating_add_signed(change));
    }
}

impl PlaceMetrics {
    /// The counts of a name, as it is in names of metrics.
    pub(crate) fn of(&self, name: &str) -> Rc<PlaceCounts> {
        match self.0.try_borrow_mut() {
            Ok(mut counts) => Rc::clone(counts.entry(segment(name)).or_default()),
            Err(_) => Rc::default(),
        }
    }

    /// Shows what has been counted.
    pub(crate) fn show(&self, gauges: &mut Gauges) {
        type Leaf = (&'static str, Aggregation, fn(&PlaceCounts) -> &Cell<u64>);
        const LEAVES: [Leaf; 5] = [
            ("ok", Aggregation::Counter, |counts| &counts.ok),
            ("limited", Aggregation::Counter, |counts| &counts.limited),
            ("delayed", Aggregation::Counter, |counts| &counts.delayed),
            ("in_flight", Aggregation::Sum, |counts| &counts.in_flight),
            ("waiting", Aggregation::Sum, |counts| &counts.waiting),
        ];
        let Ok(counts) = self.0.try_borrow() else {
            return;
        };
        for (name, counts) in counts.iter() {
            for (leaf, aggregation, cell) in LEAVES {
                let counts = Rc::clone(counts);
                let name = format!("concurrency_limit.{name}.{leaf}");
                gauges.add(&name, aggregation, move |_| cell(&counts).get());
            }
        }
    }
}
