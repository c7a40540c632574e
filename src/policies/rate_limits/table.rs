//! A fixed number of shared cells that hold the states of any number of callers.

#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use super::algorithm::{LimitAlgorithm, Receipt, State};
use super::counts::{Counts, count};
use super::shard::{Placed, Shard, empty_length, entry_length};
use portcullis_exchange::host::{CasResult, CasToken, CellUnavailable, Host};
use portcullis_exchange::meter::Event;
use portcullis_exchange::seed::{Hashed, plain_hash};
use portcullis_wire::digits;

/// The cells of one limit, or of one of its tiers.
#[derive(Debug)]
pub struct CounterStore {
    /// The beginning of the cells' keys. It stands for all that a state means, so that nobody who
    /// means something else reads or writes it, and for nothing else of the document, so that
    /// states outlive a new one.
    prefix: String,
    rule: LimitAlgorithm,
    shards: u64,
    /// How many callers have a place in one shard.
    slots: usize,
    counts: Rc<Counts>,
}

/// How many callers share a cell, at most. More cells cost memory, larger ones time.
pub const SLOTS: u64 = 32;

/// How often a charge is tried again when another worker was quicker.
const ATTEMPTS: usize = 16;

/// How often taking a charge back is tried again; nobody waits for a better moment.
const REFUND_ATTEMPTS: usize = 64;

/// A cell as it was read, and what a request makes of it.
#[derive(Debug)]
pub struct PendingCharge {
    key: String,
    mark: Option<CasToken>,
    shard: Shard,
    tag: u64,
    /// The caller's state as it was.
    before: State,
    /// The caller's state after the request, or how long until it would pass.
    after: Result<State, u64>,
}

/// What came of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// It has been made.
    Made(State, Receipt),
    /// There is no room for it any more; how long until there is.
    Refused(State, u64),
    /// Others were quicker each time.
    Contended,
    /// The proxy does not give access to its cells.
    Unavailable,
}

impl CounterStore {
    /// The table of what is counted under these names, for at most `max_entries` callers. Tables
    /// that differ in a name, in a number of the rule, or in size have no cell in common.
    pub fn new(names: &[&str], rule: LimitAlgorithm, max_entries: u64) -> Self {
        let slots = max_entries.clamp(1, SLOTS);
        let numbers: Vec<[u8; 8]> = rule
            .meaning()
            .into_iter()
            .chain([max_entries])
            .map(u64::to_le_bytes)
            .collect();
        let numbers = numbers.iter().map(<[u8; 8]>::as_slice);
        let names = names.iter().map(|name| name.as_bytes());
        let pieces: Vec<&[u8]> = numbers.chain(names).collect();
        let [one, other] = plain_hash(&pieces);
        Self {
            prefix: format!("limits/{one:016x}{other:016x}/"),
            rule,
            shards: max_entries.div_ceil(slots),
            slots: usize::try_from(slots).unwrap_or(usize::MAX),
            counts: Rc::default(),
        }
    }

    /// The same table, which notes there how full it is and who had to make room.
    pub fn counting(self, counts: Rc<Counts>) -> Self {
        Self { counts, ..self }
    }

    /// With what the keys of its cells begin.
    #[cfg(test)]
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How requests are counted in it.
    pub fn rule(&self) -> &LimitAlgorithm {
        &self.rule
    }

    /// The number of cells.
    pub fn shards(&self) -> u64 {
        self.shards
    }

    /// The most bytes that its cells take up in the proxy: keys, values and what the proxy needs
    /// around them.
    pub fn most_bytes(&self) -> u64 {
        // A node of the proxy's map, and what allocations of these sizes round up to.
        const AROUND: usize = 256;
        let entries = entry_length(&self.rule).saturating_mul(self.slots);
        let value = empty_length(&self.rule).saturating_add(entries);
        let value = value.saturating_add(value.checked_div(8).unwrap_or(0));
        let cell = value.saturating_add(AROUND);
        u64::try_from(cell)
            .unwrap_or(u64::MAX)
            .saturating_mul(self.shards)
    }

    /// Reads the state of a caller, and says what a request of that cost would come to.
    /// Nothing is written.
    ///
    /// # Errors
    /// The proxy does not give access to its cells.
    pub fn draft(
        &self,
        caller: Hashed,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) -> Result<PendingCharge, CellUnavailable> {
        let key = self.key(caller);
        let (mark, shard) = self.read(&key, now, host)?;
        Ok(self.drafted((key, mark, shard), caller, cost, now))
    }

    /// The same for a request that is to be [charged](Self::charge) at once if it passes. What this worker
    /// remembers of the cell does for that, since the charge stands only where it is still so. Whoever would be
    /// refused by it is judged by what there is.
    ///
    /// # Errors
    /// The proxy does not give access to its cells.
    pub fn draft_to_charge(
        &self,
        caller: Hashed,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) -> Result<PendingCharge, CellUnavailable> {
        let key = self.key(caller);
        let remembered = host.remembered(&key).and_then(|(bytes, mark)| {
            let shard = Shard::read(bytes, &self.rule, now)?;
            Some((Some(mark), shard))
        });
        let Some((mark, shard)) = remembered else {
            let (mark, shard) = self.read(&key, now, host)?;
            return Ok(self.drafted((key, mark, shard), caller, cost, now));
        };
        let draft = self.drafted((key, mark, shard), caller, cost, now);
        match draft.after {
            Ok(_) => Ok(draft),
            Err(_) => self.draft(caller, cost, now, host),
        }
    }

    fn drafted(
        &self,
        (key, mark, shard): (String, Option<CasToken>, Shard),
        caller: Hashed,
        cost: u64,
        now: u64,
    ) -> PendingCharge {
        self.counts.looked(shard.taken(), self.slots);
        let before = shard.state(caller.tag, self.slots, &self.rule, now);
        let after = self.rule.spend(before, now, cost);
        PendingCharge {
            key,
            mark,
            shard,
            tag: caller.tag,
            before,
            after,
        }
    }

    /// Charges what a draft has come to. If the cell has changed since, that is judged anew.
    pub fn charge(
        &self,
        draft: PendingCharge,
        caller: Hashed,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) -> Charged {
        let mut draft = Ok(draft);
        for _ in 0..ATTEMPTS {
            let Ok(current) = draft else {
                return Charged::Unavailable;
            };
            let after = match current.after {
                Ok(after) => after,
                Err(wait) => {
                    let before = current.before;
                    self.leave(current, host);
                    return Charged::Refused(before, wait);
                }
            };
            match self.write(current, after, now, host) {
                Ok(CasResult::Written) => return Charged::Made(after, self.rule.receipt(after)),
                Ok(CasResult::Changed) => draft = self.draft(caller, cost, now, host),
                Err(CellUnavailable) => return Charged::Unavailable,
            }
        }
        Charged::Contended
    }

    /// Charges a cost whether or not there is room for it.
    pub fn charge_anyway(&self, caller: Hashed, cost: u64, now: u64, host: &dyn Host) -> Charged {
        for _ in 0..ATTEMPTS {
            let Ok(draft) = self.draft(caller, cost, now, host) else {
                return Charged::Unavailable;
            };
            let after = self.rule.charge(draft.before, now, cost);
            match self.write(draft, after, now, host) {
                Ok(CasResult::Written) => return Charged::Made(after, self.rule.receipt(after)),
                Ok(CasResult::Changed) => {}
                Err(CellUnavailable) => return Charged::Unavailable,
            }
        }
        host.count(Event::RateLimitContended.counter());
        Charged::Contended
    }

    /// Takes a charge back. One that is no longer to be found, because its caller had to make
    /// room, stays.
    pub fn refund(&self, caller: Hashed, receipt: Receipt, cost: u64, now: u64, host: &dyn Host) {
        for _ in 0..REFUND_ATTEMPTS {
            let key = self.key(caller);
            let Ok((mark, mut shard)) = self.read(&key, now, host) else {
                return;
            };
            let Some(state) = shard.known(caller.tag) else {
                return;
            };
            let state = self.rule.refund(state, receipt, now, cost);
            shard.put(caller.tag, state, self.slots, &self.rule, now);
            match self.store(&key, mark, &shard, host) {
                Ok(CasResult::Changed) => {}
                Ok(CasResult::Written) | Err(CellUnavailable) => return,
            }
        }
        host.count(Event::RateLimitContended.counter());
    }

    /// Writes nothing of the request; only what time has made of the cell, if it must be kept.
    pub fn leave(&self, draft: PendingCharge, host: &dyn Host) {
        if !draft.shard.is_settled() {
            // Whoever was quicker has settled it as well.
            let _ = self.store(&draft.key, draft.mark, &draft.shard, host);
        }
    }

    /// The key of the cell that a caller has a place in.
    fn key(&self, caller: Hashed) -> String {
        // The upper bits of a product: a hash scaled to the number of shards.
        let scaled = u128::from(caller.place).saturating_mul(self.shards.into());
        let shard = u64::try_from(scaled.wrapping_shr(64)).unwrap_or_default();
        let mut key = String::with_capacity(self.prefix.len().saturating_add(8));
        key.push_str(&self.prefix);
        digits::push(&mut key, shard);
        key
    }

    fn read(
        &self,
        key: &str,
        now: u64,
        host: &dyn Host,
    ) -> Result<(Option<CasToken>, Shard), CellUnavailable> {
        let empty = || Shard::empty(&self.rule, now);
        Ok(match host.cell(key)? {
            None => (None, empty()),
            Some((bytes, mark)) => {
                let shard = Shard::read(bytes, &self.rule, now).unwrap_or_else(|| {
                    host.count(Event::RateLimitForeign.counter());
                    empty()
                });
                (Some(mark), shard)
            }
        })
    }

    fn write(
        &self,
        draft: PendingCharge,
        after: State,
        now: u64,
        host: &dyn Host,
    ) -> Result<CasResult, CellUnavailable> {
        let PendingCharge {
            key,
            mark,
            mut shard,
            tag,
            ..
        } = draft;
        let placed = shard.put(tag, after, self.slots, &self.rule, now);
        let written = self.store(&key, mark, &shard, host)?;
        if (placed, written) == (Placed::Evicted, CasResult::Written) {
            host.count(Event::RateLimitEvicted.counter());
            count(&self.counts.evicted);
        }
        Ok(written)
    }

    fn store(
        &self,
        key: &str,
        mark: Option<CasToken>,
        shard: &Shard,
        host: &dyn Host,
    ) -> Result<CasResult, CellUnavailable> {
        match mark {
            None => host.create_cell(key, shard.bytes()),
            Some(_) => host.compare_and_swap(key, mark, shard.bytes()),
        }
    }
}

impl PendingCharge {
    /// The caller's state before the request.
    pub fn before(&self) -> State {
        self.before
    }

    /// How long until the request would pass; none if it passes now.
    pub fn wait(&self) -> Option<u64> {
        self.after.err()
    }
}
