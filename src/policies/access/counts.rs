//! How often rules have decided, in this worker.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_exchange::gauges::{Aggregation, Gauges};

/// Counts of the rules of one name, all from the beginning.
#[derive(Debug, Default)]
pub(super) struct RuleCounts {
    /// Requests that it allowed.
    allowed: Cell<u64>,
    /// Requests that it denied.
    denied: Cell<u64>,
    /// Requests that it would have allowed, being in shadow mode.
    shadow_allowed: Cell<u64>,
    /// Requests that it would have denied.
    shadow_denied: Cell<u64>,
}

/// Whether what a rule says is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Enforced,
    Shadow,
}

impl RuleCounts {
    pub(super) fn allowed(&self, effect: Effect) {
        count(match effect {
            Effect::Enforced => &self.allowed,
            Effect::Shadow => &self.shadow_allowed,
        });
    }

    pub(super) fn denied(&self, effect: Effect) {
        count(match effect {
            Effect::Enforced => &self.denied,
            Effect::Shadow => &self.shadow_denied,
        });
    }

    /// Shows them under a name.
    pub(super) fn show(counts: &Rc<Self>, name: &str, gauges: &mut Gauges) {
        type Leaf = (&'static str, fn(&RuleCounts) -> &Cell<u64>);
        const LEAVES: [Leaf; 4] = [
            ("allowed", |counts| &counts.allowed),
            ("denied", |counts| &counts.denied),
            ("shadow_allowed", |counts| &counts.shadow_allowed),
            ("shadow_denied", |counts| &counts.shadow_denied),
        ];
        for (leaf, cell) in LEAVES {
            let counts = Rc::clone(counts);
            let name = format!("access_rule.{name}.{leaf}");
            gauges.add(&name, Aggregation::Counter, move |_| cell(&counts).get());
        }
    }
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_add(1));
}
