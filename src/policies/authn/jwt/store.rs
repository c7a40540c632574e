//! What is remembered by tokens, within so many bytes, the longest unused forgotten first.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasher;

use super::cache_limits::CacheLimits;
use portcullis_wire::budget::{Reservation, Share};

/// What is remembered of one token.
pub(super) trait Weighed: Clone {
    /// The bytes that remembering it takes, beside the token, [`AROUND`] that and its place in the table.
    fn weight(&self) -> usize;
}

/// What the allocator keeps around each piece of memory.
pub(super) const AROUND: usize = 24;

/// Tokens in two generations: when the young one is full, the old one is forgotten and the young one
/// becomes old. A token in use moves to the young one, so what is forgotten has not been used for half
/// the capacity.
pub(super) struct TokenStore<V, S> {
    limits: CacheLimits,
    generations: RefCell<Generations<V, S>>,
}

struct Generations<V, S> {
    /// Whether another document has replaced the one whose tokens these are.
    released: bool,
    keys: u64,
    young: Generation<V, S>,
    old: Generation<V, S>,
}

/// Tokens, and the memory that is theirs.
struct Generation<V, S> {
    tokens: HashMap<Box<[u8]>, V, S>,
    memory: Reservation,
}

impl<V: Weighed, S: BuildHasher + Default> TokenStore<V, S> {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            generations: RefCell::default(),
        }
    }

    /// Forgets everything unless it was judged with these keys.
    pub(super) fn belong_to(&self, keys: u64) {
        if let Ok(mut generations) = self.generations.try_borrow_mut()
            && generations.keys != keys
        {
            *generations = Generations {
                keys,
                released: generations.released,
                ..Generations::default()
            };
        }
    }

    /// Forgets everything, and remembers little from then on: another document has replaced this
    /// one, or one of the same name stands beside it, which cannot be told apart.
    pub(super) fn release(&self) {
        self.forget_all();
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            generations.released = true;
        }
    }

    /// Forgets everything.
    pub(super) fn forget_all(&self) {
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            *generations = Generations {
                keys: generations.keys,
                released: generations.released,
                ..Generations::default()
            };
        }
    }

    /// What is remembered of a token.
    pub(super) fn find(&self, token: &[u8]) -> Option<V> {
        let mut generations = self.generations.try_borrow_mut().ok()?;
        if let Some(known) = generations.young.tokens.get(token) {
            return Some(known.clone());
        }
        let (token, known) = generations.old.take(token)?;
        generations.insert(token, known.clone(), self.limits);
        Some(known)
    }

    /// Remembers that of a token.
    pub(super) fn remember(&self, token: &[u8], known: V) {
        if token.len() > self.limits.max_token_bytes {
            return;
        }
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            generations.insert(token.into(), known, self.limits);
        }
    }

    /// Changes what is remembered of a token that has just been found, and what that weighs. Whether it
    /// is remembered.
    pub(super) fn change(&self, token: &[u8], change: impl FnOnce(&mut V)) -> bool {
        let Ok(mut generations) = self.generations.try_borrow_mut() else {
            return false;
        };
        let Some((token, before)) = generations.young.take(token) else {
            return false;
        };
        let mut after = before.clone();
        change(&mut after);
        // One that grows out of the store stays in it as it was.
        let fits = weight(&token, &after) <= self.limits.max_bytes / 2;
        generations.insert(token, if fits { after } else { before }, self.limits);
        true
    }

    /// Forgets a token.
    pub(super) fn forget(&self, token: &[u8]) {
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            generations.young.take(token);
            generations.old.take(token);
        }
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        let generations = self.generations.try_borrow();
        generations.map_or(0, |both| {
            let (young, old) = (both.young.tokens.len(), both.old.tokens.len());
            young.saturating_add(old)
        })
    }
}

impl<V: Weighed, S: BuildHasher + Default> Generations<V, S> {
    /// Puts a token among the young. It is not kept if there is no memory for it even without the old.
    fn insert(&mut self, token: Box<[u8]>, known: V, limits: CacheLimits) {
        let weight = weight(&token, &known);
        let limits = if self.released {
            limits.of_replaced()
        } else {
            limits
        };
        let (most_tokens, most_bytes) = (limits.max_entries / 2, limits.max_bytes / 2);
        if weight > most_bytes {
            return;
        }
        let bytes = self.young.memory.bytes().saturating_add(weight);
        if self.young.tokens.len() >= most_tokens || bytes > most_bytes {
            self.old = std::mem::take(&mut self.young);
        }
        if !self.young.memory.grow(weight) {
            self.old = Generation::default();
            if !self.young.memory.grow(weight) {
                return;
            }
        }
        // One judged twice may weigh another time what it did not before.
        let before = self.young.tokens.remove_entry(&token);
        if let Some((before, was)) = before {
            let once = self.young.memory.bytes();
            let once = once.saturating_sub(self::weight(&before, &was));
            self.young.memory.shrink_to(once);
        }
        self.young.tokens.insert(token, known);
    }
}

impl<V: Weighed, S: BuildHasher> Generation<V, S> {
    fn take(&mut self, token: &[u8]) -> Option<(Box<[u8]>, V)> {
        let (token, known) = self.tokens.remove_entry(token)?;
        let left = self.memory.bytes().saturating_sub(weight(&token, &known));
        self.memory.shrink_to(left);
        Some((token, known))
    }
}

impl<V, S: Default> Default for Generations<V, S> {
    fn default() -> Self {
        Self {
            released: false,
            keys: 0,
            young: Generation::default(),
            old: Generation::default(),
        }
    }
}

impl<V, S: Default> Default for Generation<V, S> {
    fn default() -> Self {
        Self {
            tokens: HashMap::default(),
            memory: Reservation::none(Share::Caches),
        }
    }
}

/// The bytes that remembering it takes, under that token: what it keeps, what the allocator keeps
/// around each of that, and its place in a table, which is up to twice as large as it need be and
/// exists twice while it grows.
fn weight<V: Weighed>(token: &[u8], known: &V) -> usize {
    let place = 3_usize.saturating_mul(size_of::<(Box<[u8]>, V)>().saturating_add(1));
    let parts = [token.len(), AROUND, known.weight(), place];
    parts.into_iter().fold(0, usize::saturating_add)
}
