//! A fixed number of shared cells that hold the states of any number of callers.

#![deny(clippy::arithmetic_side_effects)]

use std::cell::RefCell;
use std::rc::Rc;

use super::algorithm::{LimitAlgorithm, Receipt, State};
use super::counts::{Counts, count};
use super::lost_turns::{LostTurn, LostTurns};
use super::shard::{self, Placed, Shard, empty_length, entry_length};
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
    /// The key of the cell that was asked for last.
    key: RefCell<CellKey>,
    /// The turns that requests of this worker gave up and that could not be given back.
    lost: RefCell<LostTurns>,
}

/// The key of a cell, and which cell that is.
#[derive(Debug, Default)]
struct CellKey {
    place: Option<u64>,
    text: String,
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
    /// Which cell it is.
    place: u64,
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
            key: RefCell::default(),
            lost: RefCell::default(),
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
        let draft = self.look(caller, cost, now, host)?;
        self.note(&draft);
        Ok(draft)
    }

    /// Notes how full the cell is that a request has looked into.
    pub(super) fn note(&self, draft: &PendingCharge) {
        self.counts.looked(draft.shard.taken(), self.slots);
    }

    /// The same as [`CounterStore::draft`], and nothing is noted.
    pub(super) fn look(
        &self,
        caller: Hashed,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) -> Result<PendingCharge, CellUnavailable> {
        let place = self.place(caller);
        let (mark, shard) = self.read(place, now, host)?;
        Ok(self.drafted((place, mark, shard), caller, cost, now))
    }

    /// The same as [`CounterStore::draft`] for a request that is to be [charged](Self::charge) at once if it
    /// passes. What this worker remembers of the cell does for that, since the charge stands only where it
    /// is still so. Whoever would be refused by it is judged by what there is.
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
        let draft = self.look_to_charge(caller, cost, now, host)?;
        self.note(&draft);
        Ok(draft)
    }

    /// The same as [`CounterStore::draft_to_charge`], and nothing is noted.
    pub(super) fn look_to_charge(
        &self,
        caller: Hashed,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) -> Result<PendingCharge, CellUnavailable> {
        let place = self.place(caller);
        let remembered = self.with_key(place, |key| host.remembered(key));
        let remembered = remembered.and_then(|(bytes, mark)| {
            let shard = Shard::read(bytes, &self.rule, now)?;
            Some((place, Some(mark), shard))
        });
        if let Some(remembered) = remembered {
            let draft = self.drafted(remembered, caller, cost, now);
            if draft.after.is_ok() {
                return Ok(draft);
            }
        }
        self.look(caller, cost, now, host)
    }

    /// Charges a request whose caller is alone in a cell that is remembered, and notes how full that is: what
    /// drafting and charging come to, without what cells of many callers need. None, and nothing has been charged, if
    /// it is not so.
    #[inline]
    pub(super) fn charge_alone(
        &self,
        caller: Hashed,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) -> Option<(State, Receipt)> {
        let mut charged = None;
        let change = &mut |cell: &mut [u8]| {
            charged = Shard::charge_only(cell, caller.tag, cost, &self.rule, now);
            charged.is_some()
        };
        // Most requests ask for the same cell as the one before.
        let key = self.key.try_borrow().ok()?;
        (key.place == Some(self.place(caller))).then_some(())?;
        let became = host.change_remembered(&key.text, change)?;
        let (after, taken) = charged?;
        self.counts.looked(taken, self.slots);
        (became == Ok(CasResult::Written)).then(|| (after, self.rule.receipt(after)))
    }

    fn drafted(
        &self,
        (place, mark, shard): (u64, Option<CasToken>, Shard),
        caller: Hashed,
        cost: u64,
        now: u64,
    ) -> PendingCharge {
        let before = shard.state(caller.tag, self.slots, &self.rule, now);
        let after = self.rule.spend(before, now, cost);
        PendingCharge {
            place,
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
            let place = self.place(caller);
            let Ok((mark, mut shard)) = self.read(place, now, host) else {
                return;
            };
            let Some(state) = shard.known(caller.tag) else {
                return;
            };
            let state = self.rule.refund(state, receipt, now, cost);
            shard.put(caller.tag, state, self.slots, &self.rule, now);
            match self.store(place, mark, &shard, host) {
                Ok(CasResult::Changed) => {}
                Ok(CasResult::Written) | Err(CellUnavailable) => return,
            }
        }
        host.count(Event::RateLimitContended.counter());
    }

    /// Gives back the turn of a request that waits no more: it and those behind it that were given up as well. If
    /// others wait behind it, it is lost; that is noted, for they may leave too.
    pub fn give_turn_back(
        &self,
        caller: Hashed,
        receipt: Receipt,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) {
        for _ in 0..REFUND_ATTEMPTS {
            let place = self.place(caller);
            let Ok((mark, mut shard)) = self.read(place, now, host) else {
                return;
            };
            let Some(mut state) = shard.known(caller.tag) else {
                return;
            };
            if !receipt.is_last(state) {
                let Ok(mut lost) = self.lost.try_borrow_mut() else {
                    return;
                };
                let turn = LostTurn {
                    caller,
                    receipt,
                    cost,
                    at: now.saturating_add(self.rule.turn(receipt.state(), now)),
                };
                lost.note(turn, now);
                return;
            }
            state = self.rule.refund(state, receipt, now, cost);
            let behind = state;
            while let Some(turn) = self.lost_at(caller, state, now) {
                state = self.rule.refund(state, turn.receipt, now, turn.cost);
            }
            shard.put(caller.tag, state, self.slots, &self.rule, now);
            match self.store(place, mark, &shard, host) {
                Ok(CasResult::Changed) => {}
                Ok(CasResult::Written) => {
                    self.forget_lost(caller, behind, now);
                    return;
                }
                Err(CellUnavailable) => return,
            }
        }
        host.count(Event::RateLimitContended.counter());
    }

    /// The turn that was lost and led to that state, if it can still be given back.
    fn lost_at(&self, caller: Hashed, state: State, now: u64) -> Option<LostTurn> {
        let lost = self.lost.try_borrow().ok()?;
        lost.at(caller, state, now)
    }

    /// Forgets the turns that were lost and led to that state, one behind the other: they have been given back.
    fn forget_lost(&self, caller: Hashed, mut state: State, now: u64) {
        let Ok(mut lost) = self.lost.try_borrow_mut() else {
            return;
        };
        while let Some(turn) = lost.take_at(caller, state, now) {
            state = self.rule.refund(state, turn.receipt, now, turn.cost);
        }
    }

    /// Writes nothing of the request; only what time has made of the cell, if it must be kept.
    pub fn leave(&self, draft: PendingCharge, host: &dyn Host) {
        if !draft.shard.is_settled() {
            // Whoever was quicker has settled it as well.
            let _ = self.store(draft.place, draft.mark, &draft.shard, host);
        }
    }

    /// The cell that a caller has a place in.
    fn place(&self, caller: Hashed) -> u64 {
        shard::number(caller.place, self.shards)
    }

    fn read(
        &self,
        place: u64,
        now: u64,
        host: &dyn Host,
    ) -> Result<(Option<CasToken>, Shard), CellUnavailable> {
        let empty = || Shard::empty(&self.rule, now);
        Ok(match self.with_key(place, |key| host.cell(key))? {
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

    /// Does something with the key of a cell.
    fn with_key<T>(&self, place: u64, work: impl FnOnce(&str) -> T) -> T {
        let mut key = match self.key.try_borrow_mut() {
            Ok(mut kept) => std::mem::take(&mut *kept),
            Err(_) => CellKey::default(),
        };
        // Most requests ask for the same as the one before.
        if key.place != Some(place) {
            key.place = Some(place);
            key.text.clear();
            key.text.push_str(&self.prefix);
            digits::push(&mut key.text, place);
        }
        let done = work(&key.text);
        if let Ok(mut kept) = self.key.try_borrow_mut() {
            *kept = key;
        }
        done
    }

    fn write(
        &self,
        draft: PendingCharge,
        after: State,
        now: u64,
        host: &dyn Host,
    ) -> Result<CasResult, CellUnavailable> {
        let PendingCharge {
            place,
            mark,
            mut shard,
            tag,
            ..
        } = draft;
        let placed = shard.put(tag, after, self.slots, &self.rule, now);
        let written = self.store(place, mark, &shard, host)?;
        if (placed, written) == (Placed::Evicted, CasResult::Written) {
            host.count(Event::RateLimitEvicted.counter());
            count(&self.counts.evicted);
        }
        Ok(written)
    }

    fn store(
        &self,
        place: u64,
        mark: Option<CasToken>,
        shard: &Shard,
        host: &dyn Host,
    ) -> Result<CasResult, CellUnavailable> {
        self.with_key(place, |key| match mark {
            None => host.create_cell(key, shard.bytes()),
            Some(_) => host.compare_and_swap(key, mark, shard.bytes()),
        })
    }
}

impl PendingCharge {
    /// The caller's state before the request.
    pub fn before(&self) -> State {
        self.before
    }

    /// How long until the request would pass; none if it passes now, or waits for its turn.
    pub fn wait(&self) -> Option<u64> {
        self.after.err()
    }

    /// How long until the turn of the request; 0 if it has none to wait for.
    pub(super) fn turn(&self, rule: &LimitAlgorithm, now: u64) -> u64 {
        self.after.map_or(0, |after| rule.turn(after, now))
    }
}
