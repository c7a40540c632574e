//! What has been counted of the limits of one name, in this worker.

use std::cell::Cell;
use std::rc::Rc;

use super::shared::SharedLimits;
use portcullis_exchange::gauges::{Aggregation, Gauges, segment};

/// Counts, all from the beginning.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that the limit had room for.
    pub(super) ok: Cell<u64>,
    /// Requests that it refused.
    pub(super) rate_limited: Cell<u64>,
    /// Requests that it would have refused, being in shadow mode.
    pub(super) shadow_denied: Cell<u64>,
    /// Requests that waited for their turn, or began to.
    pub(super) delayed: Cell<u64>,
    /// Requests that would have waited, were it not in shadow mode.
    pub(super) shadow_delayed: Cell<u64>,
    /// Requests that wait now.
    pub(super) waiting: Cell<u64>,
    /// Callers that made room for others.
    pub(super) evicted: Cell<u64>,
    /// Cells that have been looked into since the gauge was last read, and the sum of that.
    looks: Cell<u64>,
    percents: Cell<u64>,
}

/// Adds one.
pub(super) fn count(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_add(1));
}

/// Adds or takes away.
pub(super) fn add(gauge: &Cell<u64>, change: i64) {
    gauge.set(gauge.get().saturating_add_signed(change));
}

impl Counts {
    /// Notes how many places of a cell are taken.
    pub(super) fn looked(&self, taken: usize, places: usize) {
        let percent = taken.saturating_mul(100).checked_div(places).unwrap_or(0);
        let percent = u64::try_from(percent).unwrap_or(100).min(100);
        self.percents
            .set(self.percents.get().saturating_add(percent));
        count(&self.looks);
    }

    /// How full they were on average since the last time; none if nobody looked.
    fn occupancy(&self) -> Option<u64> {
        self.percents.take().checked_div(self.looks.take())
    }
}

impl SharedLimits {
    /// The counts of all limits of that name, as it is in names of metrics.
    pub(super) fn counts(&self, name: &str) -> Rc<Counts> {
        match self.counts.try_borrow_mut() {
            Ok(mut counts) => Rc::clone(counts.entry(segment(name)).or_default()),
            Err(_) => Rc::default(),
        }
    }

    /// Shows what has been counted.
    pub fn show(&self, gauges: &mut Gauges) {
        type Leaf = (&'static str, fn(&Counts) -> &Cell<u64>);
        const LEAVES: [Leaf; 6] = [
            ("ok", |counts| &counts.ok),
            ("rate_limited", |counts| &counts.rate_limited),
            ("shadow_denied", |counts| &counts.shadow_denied),
            ("delayed", |counts| &counts.delayed),
            ("shadow_delayed", |counts| &counts.shadow_delayed),
            ("evicted", |counts| &counts.evicted),
        ];
        let Ok(counts) = self.counts.try_borrow() else {
            return;
        };
        for (name, counts) in counts.iter() {
            for (leaf, cell) in LEAVES {
                let counts = Rc::clone(counts);
                let name = format!("rate_limit.{name}.{leaf}");
                gauges.add(&name, Aggregation::Counter, move |_| cell(&counts).get());
            }
            let waiting = Rc::clone(counts);
            let gauge = format!("rate_limit.{name}.waiting");
            gauges.add(&gauge, Aggregation::Sum, move |_| waiting.waiting.get());
            let counts = Rc::clone(counts);
            let name = format!("rate_limit.{name}.occupancy_percent");
            gauges.add(&name, Aggregation::Same, move |_| counts.occupancy());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use portcullis_exchange::gauges::Gauge;

    #[test]
    fn an_average_is_told_once() {
        let counts = Counts::default();
        assert_eq!(counts.occupancy(), None);
        counts.looked(0, 32);
        counts.looked(16, 32);
        counts.looked(40, 32);
        assert_eq!(counts.occupancy(), Some(50));
        assert_eq!(counts.occupancy(), None);
    }

    #[test]
    fn limits_of_one_name_count_together() {
        let limits = SharedLimits::default();
        count(&limits.counts("Per-User").ok);
        count(&limits.counts("per_user").ok);
        let mut gauges = Gauges::default();
        limits.show(&mut gauges);
        let all: Vec<(&str, Option<u64>)> = gauges
            .iter()
            .map(|gauge: &Gauge| (gauge.name(), gauge.read(Duration::ZERO)))
            .collect();
        assert_eq!(all.len(), 8);
        assert_eq!(all[0], ("portcullis.rate_limit.per_user.ok", Some(2)));
        assert_eq!(
            all[7],
            ("portcullis.rate_limit.per_user.occupancy_percent", None)
        );
    }
}
