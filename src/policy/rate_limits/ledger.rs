//! What limits said of one request, and what it has been charged.

use std::rc::Rc;

use super::limit::Limit;
use super::rule::{Receipt, State};
use super::seed::Hashed;
use super::table::Table;
use crate::headers::HeaderName;
use crate::host::Host;

/// All that limits said of a request, in the order in which they were asked.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(super) entries: Vec<Entry>,
}

impl Ledger {
    /// How many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.entries.capacity().saturating_mul(size_of::<Entry>())
    }
}

/// What one limit said.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) limit: Rc<Limit>,
    pub(super) tier: usize,
    pub(super) caller: Hashed,
    /// What the request costs, as far as is known.
    pub(super) cost: u64,
    /// What has been charged.
    pub(super) receipt: Option<Receipt>,
    /// The field of the answer that says what it came to.
    pub(super) afterwards: Option<HeaderName>,
    /// What was known of the caller after that.
    pub(super) state: State,
    /// When that was.
    pub(super) at: u64,
    pub(super) enforced: bool,
}

/// How a caller stands with a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The most that passes at once.
    pub quota: u64,
    /// The time in which so much passes, in nanoseconds.
    pub period: u64,
    /// How much more passes now.
    pub remaining: u64,
    /// How long until a request passes if none does now, and otherwise until all passes
    /// again; in nanoseconds.
    pub reset: u64,
}

impl Standing {
    /// How a caller with that state stands.
    pub(super) fn of(table: &Table, state: State, now: u64, cost: u64) -> Self {
        let rule = table.rule();
        let reset = match rule.spend(state, now, cost) {
            Ok(_) => rule.whole_in(state, now),
            Err(wait) => wait,
        };
        Self {
            quota: rule.quota(),
            period: rule.period(),
            remaining: rule.remaining(state, now),
            reset,
        }
    }
}

impl Entry {
    pub(super) fn table(&self) -> Option<&Table> {
        self.limit.table(self.tier)
    }

    /// How the caller stands: worked out for those who ask.
    pub(super) fn standing(&self) -> Standing {
        let table = self.table();
        let standing = table.map(|table| Standing::of(table, self.state, self.at, self.cost));
        standing.unwrap_or_default()
    }
}

impl Ledger {
    /// The limit that is nearest to refusing: its name, and how the caller stands with it.
    pub fn tightest(&self) -> Option<(&str, Standing)> {
        let entries = self.entries.iter().filter(|entry| entry.enforced);
        tightest(entries).map(|(entry, standing)| (&*entry.limit.name, standing))
    }

    /// Takes back all that has been charged.
    pub(super) fn take_back(&mut self, now: u64, host: &dyn Host) {
        for entry in &mut self.entries {
            let Some(receipt) = entry.receipt.take() else {
                continue;
            };
            if let Some(table) = entry.limit.table(entry.tier) {
                table.refund(entry.caller, receipt, entry.cost, now, host);
            }
        }
    }
}

/// The least remains; among equals, the one that takes longest.
pub(super) fn tightest<'e>(
    entries: impl Iterator<Item = &'e Entry>,
) -> Option<(&'e Entry, Standing)> {
    let all = entries.map(|entry| (entry, entry.standing()));
    all.min_by_key(|(_, standing)| (standing.remaining, std::cmp::Reverse(standing.reset)))
}
