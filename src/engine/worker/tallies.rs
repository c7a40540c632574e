//! What has been counted in this worker since the proxy was last told. Telling it on ticks takes the
//! calls from requests; a worker that ends tells what it still has.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::metrics::ExchangeCounter;
use crate::stream::Stream;
use portcullis_exchange::host::{MetricId, MetricKind, Metrics};

/// What one counter of the proxy lacks.
#[derive(Default)]
pub struct PendingCount(Cell<u64>);

impl PendingCount {
    /// Counts.
    #[inline]
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
/// By [`crate::metrics::CounterScope::place`]. There are at most as many as routes, policies, codes and
/// outcomes allow.
#[derive(Default)]
pub(super) struct CounterBuffer {
    known: RefCell<Vec<Vec<Known>>>,
    /// Which of them requests raise that end in one way on one plan.
    by_plan: RefCell<BTreeMap<usize, Box<[Place]>>>,
}

/// The place of a counter.
type Place = (usize, usize);

struct Known {
    counter: ExchangeCounter,
    /// None before the proxy has heard of it.
    id: Option<Option<MetricId>>,
    pending: PendingCount,
}

impl CounterBuffer {
    /// Counts a finished exchange.
    pub(super) fn count(&self, stream: &Stream, engine: &Engine) {
        let (Ok(mut all), Ok(mut by_plan)) =
            (self.known.try_borrow_mut(), self.by_plan.try_borrow_mut())
        else {
            return;
        };
        let plan = stream.plan_number();
        if !again(&all, &by_plan, plan) {
            first(&mut all, &mut by_plan, plan, stream, engine);
        }
    }

    /// Counts a finished exchange by the number of its plan. False, and nothing is counted, if that is not known.
    #[inline]
    pub(super) fn count_on_plan(&self, plan: Option<usize>) -> bool {
        match (self.known.try_borrow(), self.by_plan.try_borrow()) {
            (Ok(all), Ok(by_plan)) => again(&all, &by_plan, plan),
            _ => false,
        }
    }

    /// Tells the proxy what has been counted.
    pub(super) fn tell(&self, engine: &Engine, metrics: &dyn Metrics) {
        let Ok(mut all) = self.known.try_borrow_mut() else {
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

/// Counts an exchange that ends as one before it did on the same plan; whether there was one.
#[inline]
fn again(all: &[Vec<Known>], by_plan: &BTreeMap<usize, Box<[Place]>>, plan: Option<usize>) -> bool {
    let Some(places) = plan.and_then(|plan| by_plan.get(&plan)) else {
        return false;
    };
    for (place, index) in places {
        let known = all.get(*place).and_then(|all| all.get(*index));
        known.iter().for_each(|known| known.pending.add(1));
    }
    true
}

/// Counts an exchange: the first of its plan, or one without.
#[cold]
#[inline(never)]
fn first(
    all: &mut Vec<Vec<Known>>,
    by_plan: &mut BTreeMap<usize, Box<[Place]>>,
    plan: Option<usize>,
    stream: &Stream,
    engine: &Engine,
) {
    let raised = raise(all, stream, engine);
    if let Some(plan) = plan {
        by_plan.insert(plan, raised.into());
    }
}

/// Counts an exchange; the places of the counters that it raises.
fn raise(all: &mut Vec<Vec<Known>>, stream: &Stream, engine: &Engine) -> Vec<Place> {
    let mut raised: Vec<Place> = Vec::new();
    ExchangeCounter::of(&stream.outcome(), engine.measured().by_route, |counter| {
        let place = counter.of.place();
        if all.len() <= place {
            all.resize_with(place.saturating_add(1), Vec::new);
        }
        let Some(known) = all.get_mut(place) else {
            return;
        };
        let found = known.iter().position(|each| each.counter == counter);
        let index = found.unwrap_or_else(|| {
            known.push(Known {
                counter,
                id: None,
                pending: PendingCount::default(),
            });
            known.len().saturating_sub(1)
        });
        if let Some(known) = known.get(index) {
            known.pending.add(1);
        }
        raised.push((place, index));
    });
    raised
}
