//! What one cell holds: a few callers of a limit, and what those left behind who had to make room.
//!
//! A caller is known by a tag. One who asks for nothing for long enough is as good as unknown, and
//! its place is free. When every place is taken, the one with the least on it makes room, and
//! what it had used is kept in the *floor*: a caller without a place is taken to have used as much.
//! So nobody comes back with more than they left with, whatever others do in between; and a
//! newcomer to a full shard starts like the best of those who are there.

#![deny(clippy::arithmetic_side_effects)]

use super::algorithm::{LimitAlgorithm, State};

/// The contents of a cell, kept as the bytes that they are: a request changes one record of up to
/// many, in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// As it is to be written: the head, the floor with the scale for a tag, the callers.
    cell: Vec<u8>,
    /// The length of a record.
    size: usize,
    is_settled: bool,
}

/// One caller, or the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    tag: u64,
    state: State,
}

/// What came of finding a place for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// There was one.
    Found,
    /// Another caller made room.
    Evicted,
}

/// The first bytes of a cell: ours, format 1.
const FORMAT: [u8; 3] = *b"pl\x01";

/// More entries than any shard has.
const MOST_ENTRIES: usize = 4096;

/// The length of what comes before the first record.
const HEAD: usize = FORMAT.len().saturating_add(1);

/// Which of so many cells is a caller's, by its hash.
pub fn number(hash: u64, shards: u64) -> u64 {
    if shards <= 1 {
        return 0;
    }
    // The upper bits of a product: a hash scaled to the number of shards.
    let scaled = u128::from(hash).saturating_mul(shards.into());
    u64::try_from(scaled.wrapping_shr(64)).unwrap_or_default()
}

/// The length of a number.
const WORD: usize = 8;

/// The record of that size at a place of a cell.
fn slot(cell: &[u8], at: usize, size: usize) -> Option<Slot> {
    let word = |at: usize| {
        let word = cell.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*word))
    };
    let first = at.saturating_add(WORD);
    let second = match size > 2 * WORD {
        true => word(first.saturating_add(WORD))?,
        false => 0,
    };
    Some(Slot {
        tag: word(at)?,
        state: State([word(first)?, second]),
    })
}

/// The length of a shard without entries.
pub fn empty_length(rule: &LimitAlgorithm) -> usize {
    entry_length(rule).saturating_add(HEAD)
}

/// The length of one entry. A floor has one's, with the scale for a tag.
pub fn entry_length(rule: &LimitAlgorithm) -> usize {
    rule.width().saturating_add(1).saturating_mul(8)
}

impl Shard {
    /// One without callers.
    pub fn empty(rule: &LimitAlgorithm, now: u64) -> Self {
        let size = entry_length(rule);
        let mut cell = Vec::with_capacity(empty_length(rule).saturating_add(size));
        cell.extend_from_slice(&head(rule));
        let mut shard = Self {
            cell,
            size,
            is_settled: true,
        };
        shard.push(Slot {
            tag: rule.scale(),
            state: rule.fresh(now),
        });
        shard
    }

    /// Reads a cell. None if nobody of ours has written it, or for another rule. Callers who
    /// are as good as unknown are left out.
    pub fn read(cell: Vec<u8>, rule: &LimitAlgorithm, now: u64) -> Option<Self> {
        let size = entry_length(rule);
        let records = cell.strip_prefix(&head(rule))?.chunks_exact(size);
        let count = records.len();
        let is_whole = records.remainder().is_empty();
        if !is_whole || count == 0 || count > MOST_ENTRIES {
            return None;
        }
        let mut shard = Self {
            cell,
            size,
            is_settled: true,
        };
        let floor = shard.record(0)?;
        if floor.tag != rule.scale() {
            return None;
        }
        let settled = shard.settle(floor.state, rule, now);
        shard.set_floor(settled, rule);
        let stands = |bytes| {
            let record: Option<Slot> = Slot::read(bytes);
            record.is_some_and(|Slot { state, .. }| {
                rule.settle(state, now) == state && !rule.is_fresh(state, now)
            })
        };
        if !shard.callers().all(|(_, bytes)| stands(bytes)) {
            shard.settle_callers(rule, now)?;
        }
        Some(shard)
    }

    /// Charges the only caller of a cell, in its bytes: what reading it, finding the caller's state and putting it
    /// there come to for a request that passes. The state after that, and how many callers it had when it was
    /// looked into. None, and nothing is written, for every other cell and request.
    #[inline]
    pub fn charge_only(
        cell: &mut [u8],
        tag: u64,
        cost: u64,
        rule: &LimitAlgorithm,
        now: u64,
    ) -> Option<(State, usize)> {
        let size = entry_length(rule);
        let caller = HEAD.saturating_add(size);
        let is_alone = cell.len() == caller.saturating_add(size);
        (is_alone && cell.first_chunk() == Some(&head(rule))).then_some(())?;
        let (floor, known) = (slot(cell, HEAD, size)?, slot(cell, caller, size)?);
        (floor.tag == rule.scale() && known.tag == tag).then_some(())?;
        let (state, is_fresh) = rule.charge_alone(floor.state, known.state, now, cost)?;
        let State([one, other]) = state;
        let numbers = cell.get_mut(caller.saturating_add(WORD)..)?;
        *numbers.first_chunk_mut()? = one.to_le_bytes();
        if size > 2 * WORD {
            *numbers.last_chunk_mut()? = other.to_le_bytes();
        }
        Some((state, usize::from(!is_fresh)))
    }

    /// The bytes of the cell.
    pub fn bytes(&self) -> &[u8] {
        &self.cell
    }

    /// Whether all states stand as they were read. Times that no limit can have come to do not;
    /// they have to be written even when nothing is charged, or they would be read again and again.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// What is known of a caller who may take one of `slots` places.
    pub fn state(&self, tag: u64, slots: usize, rule: &LimitAlgorithm, now: u64) -> State {
        if let Some(state) = self.known(tag) {
            return state;
        }
        let floor = rule.merge(self.floor(), rule.fresh(now), now);
        match self.least(rule, now) {
            Some((_, least)) if self.taken() >= slots => rule.merge(floor, least.state, now),
            _ => floor,
        }
    }

    /// How many callers have a place.
    pub fn taken(&self) -> usize {
        self.callers().len()
    }

    /// The state of a caller who has a place.
    pub fn known(&self, tag: u64) -> Option<State> {
        let (_, record) = self.find(tag)?;
        Some(record.state)
    }

    /// Keeps the state of a caller in one of `slots` places.
    pub fn put(
        &mut self,
        tag: u64,
        state: State,
        slots: usize,
        rule: &LimitAlgorithm,
        now: u64,
    ) -> Placed {
        if let Some((place, _)) = self.find(tag) {
            self.set(place, Slot { tag, state });
            return Placed::Found;
        }
        let mut placed = Placed::Found;
        while self.taken() >= slots.max(1) {
            let Some((place, least)) = self.least(rule, now) else {
                break;
            };
            self.set_floor(rule.merge(self.floor(), least.state, now), rule);
            // The last of them takes the place; records are counted from the floor.
            let last = self.taken();
            if let Some(moved) = self.record(last) {
                self.set(place, moved);
            }
            self.truncate(last);
            placed = Placed::Evicted;
        }
        self.push(Slot { tag, state });
        placed
    }

    fn floor(&self) -> State {
        self.record(0).map_or(State::default(), |floor| floor.state)
    }

    fn set_floor(&mut self, state: State, rule: &LimitAlgorithm) {
        let tag = rule.scale();
        self.set(0, Slot { tag, state });
    }

    /// The records of callers, each with its place.
    fn callers(&self) -> impl ExactSizeIterator<Item = (usize, &[u8])> {
        let records = self.cell.get(HEAD..).unwrap_or_default();
        records.chunks_exact(self.size).enumerate().skip(1)
    }

    fn find(&self, tag: u64) -> Option<(usize, Slot)> {
        let wanted = tag.to_le_bytes();
        let mut callers = self.callers();
        let (place, bytes) = callers.find(|(_, bytes)| bytes.starts_with(&wanted))?;
        Some((place, Slot::read(bytes)?))
    }

    fn least(&self, rule: &LimitAlgorithm, now: u64) -> Option<(usize, Slot)> {
        let callers = self.callers();
        let records = callers.filter_map(|(place, bytes)| Some((place, Slot::read(bytes)?)));
        records.min_by_key(|(_, record)| rule.load(record.state, now))
    }

    fn settle(&mut self, state: State, rule: &LimitAlgorithm, now: u64) -> State {
        let settled = rule.settle(state, now);
        // A window that has gone by is settled by time alone, as often as one looks.
        if settled.0[0] < state.0[0] {
            self.is_settled = false;
        }
        settled
    }

    /// Brings callers to what they are now, and leaves out those who are as good as unknown.
    fn settle_callers(&mut self, rule: &LimitAlgorithm, now: u64) -> Option<()> {
        let mut kept = 1_usize;
        for place in 1..=self.taken() {
            let found = self.record(place)?;
            let state = self.settle(found.state, rule, now);
            if rule.is_fresh(state, now) {
                continue;
            }
            self.set(kept, Slot { state, ..found });
            kept = kept.saturating_add(1);
        }
        self.truncate(kept);
        Some(())
    }

    fn place(&self, index: usize) -> usize {
        index.saturating_mul(self.size).saturating_add(HEAD)
    }

    fn record(&self, index: usize) -> Option<Slot> {
        let bytes = self.cell.get(self.place(index)..)?;
        Slot::read(bytes.get(..self.size)?)
    }

    fn set(&mut self, index: usize, record: Slot) {
        let (start, size) = (self.place(index), self.size);
        let rest = self.cell.get_mut(start..).unwrap_or_default();
        for (place, word) in rest.chunks_exact_mut(8).zip(record.words(size)) {
            place.copy_from_slice(&word);
        }
    }

    fn push(&mut self, record: Slot) {
        for word in record.words(self.size) {
            self.cell.extend_from_slice(&word);
        }
    }

    /// Keeps so many records.
    fn truncate(&mut self, count: usize) {
        self.cell.truncate(self.place(count));
    }
}

impl Slot {
    /// From as many bytes as a record has.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (tag, mut rest) = bytes.split_first_chunk()?;
        let mut state = State::default();
        for number in &mut state.0 {
            if let Some((word, after)) = rest.split_first_chunk() {
                *number = u64::from_le_bytes(*word);
                rest = after;
            }
        }
        let tag = u64::from_le_bytes(*tag);
        Some(Self { tag, state })
    }

    /// As many words as a record of that size has.
    fn words(&self, size: usize) -> impl Iterator<Item = [u8; 8]> {
        let State([one, other]) = self.state;
        let words = [self.tag, one, other].map(u64::to_le_bytes);
        words.into_iter().take(size.wrapping_div(8))
    }
}

fn head(rule: &LimitAlgorithm) -> [u8; HEAD] {
    let [one, two, three] = FORMAT;
    [one, two, three, u8::try_from(rule.width()).unwrap_or(0)]
}
