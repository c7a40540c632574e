//! What one cell holds: a few callers of a limit, and what those left behind who had to make room.
//!
//! A caller is known by a tag. One who asks for nothing for long enough is as good as unknown, and
//! its place is free. When every place is taken, the one with the least on it makes room, and
//! what it had used is kept in the *floor*: whoever has no place is taken to have used as much.
//! So nobody comes back with more than they left with, whatever others do in between; and a
//! newcomer to a full shard starts like the best of those who are there.

#![deny(clippy::arithmetic_side_effects)]

use super::rule::{Rule, State};

/// The contents of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    floor: State,
    entries: Vec<Entry>,
    is_settled: bool,
}

/// One caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: u64,
    state: State,
}

/// What came of finding a place for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// There was one.
    Found,
    /// Somebody made room.
    Evicted,
}

/// The first bytes of a cell: ours, format 1.
const FORMAT: [u8; 3] = *b"pl\x01";

/// More entries than any shard has.
const MOST_ENTRIES: usize = 4096;

/// The length of a shard without entries.
pub fn empty_length(rule: &Rule) -> usize {
    entry_length(rule).saturating_add(FORMAT.len().saturating_add(1))
}

/// The length of one entry. A floor has one's, with the scale for a tag.
pub fn entry_length(rule: &Rule) -> usize {
    rule.width().saturating_add(1).saturating_mul(8)
}

impl Shard {
    /// One without callers.
    pub fn empty(rule: &Rule, now: u64) -> Self {
        Self {
            floor: rule.fresh(now),
            entries: Vec::new(),
            is_settled: true,
        }
    }

    /// Reads a cell. None if nobody of ours has written it, or for another kind of rule.
    pub fn read(bytes: &[u8], rule: &Rule, now: u64) -> Option<Self> {
        let rest = bytes.strip_prefix(&FORMAT)?;
        let (kind, rest) = rest.split_first()?;
        let width = rule.width();
        if usize::from(*kind) != width {
            return None;
        }
        let (words, []) = rest.as_chunks::<8>() else {
            return None;
        };
        let mut records = words.chunks_exact(width.checked_add(1)?);
        if !records.remainder().is_empty() || records.len() > MOST_ENTRIES {
            return None;
        }
        let (scale, floor) = record(records.next()?)?;
        let mut shard = Self {
            floor,
            entries: Vec::with_capacity(records.len().saturating_add(1)),
            is_settled: true,
        };
        shard.floor = shard.settle(floor, scale, rule, now);
        for words in records {
            let (tag, state) = record(words)?;
            let state = shard.settle(state, scale, rule, now);
            if !rule.is_fresh(state, now) {
                shard.entries.push(Entry { tag, state });
            }
        }
        Some(shard)
    }

    /// The bytes of the cell.
    pub fn write(&self, rule: &Rule) -> Vec<u8> {
        let entries = self.entries.len().saturating_mul(entry_length(rule));
        let mut bytes = Vec::with_capacity(empty_length(rule).saturating_add(entries));
        bytes.extend_from_slice(&FORMAT);
        bytes.push(u8::try_from(rule.width()).unwrap_or(0));
        let mut append = |tag: u64, State(numbers): State| {
            bytes.extend_from_slice(&tag.to_le_bytes());
            for number in numbers.iter().take(rule.width()) {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        };
        append(rule.scale(), self.floor);
        for entry in &self.entries {
            append(entry.tag, entry.state);
        }
        bytes
    }

    /// Whether all states stand as they were read. Times that no limit can have come to, because
    /// the clock stepped back or the limit's numbers changed, do not; they have to be written
    /// even when nothing is charged, or they would be read again and again.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// What is known of a caller who may take one of `slots` places.
    pub fn state(&self, tag: u64, slots: usize, rule: &Rule, now: u64) -> State {
        if let Some(entry) = self.entries.iter().find(|entry| entry.tag == tag) {
            return entry.state;
        }
        let floor = rule.join(self.floor, rule.fresh(now), now);
        match self.least(rule, now) {
            Some((_, least)) if self.entries.len() >= slots => rule.join(floor, least.state, now),
            _ => floor,
        }
    }

    /// How many callers have a place.
    pub fn taken(&self) -> usize {
        self.entries.len()
    }

    /// The state of a caller who has a place.
    pub fn known(&self, tag: u64) -> Option<State> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        Some(entry.state)
    }

    /// Keeps the state of a caller in one of `slots` places.
    pub fn put(&mut self, tag: u64, state: State, slots: usize, rule: &Rule, now: u64) -> Placed {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.tag == tag) {
            entry.state = state;
            return Placed::Found;
        }
        let mut placed = Placed::Found;
        while self.entries.len() >= slots.max(1) {
            let Some((place, least)) = self.least(rule, now) else {
                break;
            };
            self.entries.swap_remove(place);
            self.floor = rule.join(self.floor, least.state, now);
            placed = Placed::Evicted;
        }
        self.entries.push(Entry { tag, state });
        placed
    }

    fn least(&self, rule: &Rule, now: u64) -> Option<(usize, Entry)> {
        let entries = self.entries.iter().copied().enumerate();
        entries.min_by_key(|(_, entry)| rule.load(entry.state, now))
    }

    fn settle(&mut self, state: State, scale: u64, rule: &Rule, now: u64) -> State {
        if scale != rule.scale() {
            self.is_settled = false;
            return rule.convert(state, scale, now);
        }
        let settled = rule.settle(state, now);
        // A window that has gone by is settled by time alone, as often as one looks.
        if settled.0[0] < state.0[0] {
            self.is_settled = false;
        }
        settled
    }
}

fn record(words: &[[u8; 8]]) -> Option<(u64, State)> {
    let (tag, numbers) = words.split_first()?;
    let mut state = State::default();
    for (place, number) in state.0.iter_mut().zip(numbers) {
        *place = u64::from_le_bytes(*number);
    }
    Some((u64::from_le_bytes(*tag), state))
}
