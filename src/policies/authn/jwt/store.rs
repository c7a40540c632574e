//! What is remembered by tokens, within so many bytes, the longest unused forgotten first.

use std::cell::RefCell;
use std::collections::HashMap;

use super::cache_limits::CacheLimits;
use super::fingerprint::{ByFingerprint, Fingerprint, Fingerprints};
use portcullis_wire::budget::{Reservation, Share};

/// What is remembered of one token.
pub(in crate::authn) trait Weighed: Clone {
    /// The bytes that remembering it takes, beside its own size, [`AROUND`] that and its place in the table.
    fn weight(&self) -> usize;
}

/// What the allocator keeps around each piece of memory.
pub(in crate::authn) const AROUND: usize = 24;

/// Tokens in two generations: when the young one is full, the old one is forgotten and the young one
/// becomes old. A token in use moves to the young one, so what is forgotten has not been used for half
/// the capacity.
pub(in crate::authn) struct TokenStore<V> {
    limits: CacheLimits,
    fingerprints: Fingerprints,
    generations: RefCell<Generations<V>>,
}

struct Generations<V> {
    /// Whether another document has replaced the one whose tokens these are.
    released: bool,
    keys: u64,
    young: Generation<V>,
    old: Generation<V>,
}

/// Tokens, and the memory that is theirs.
struct Generation<V> {
    tokens: HashMap<Fingerprint, Box<V>, ByFingerprint>,
    memory: Reservation,
}

impl<V: Weighed> TokenStore<V> {
    pub(in crate::authn) fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            fingerprints: Fingerprints::default(),
            generations: RefCell::default(),
        }
    }

    /// Forgets everything unless it was judged with these keys.
    pub(in crate::authn) fn belong_to(&self, keys: u64) {
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
    pub(in crate::authn) fn release(&self) {
        self.forget_all();
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            generations.released = true;
        }
    }

    /// Forgets everything.
    pub(in crate::authn) fn forget_all(&self) {
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            *generations = Generations {
                keys: generations.keys,
                released: generations.released,
                ..Generations::default()
            };
        }
    }

    /// What is remembered of a token.
    pub(in crate::authn) fn find(&self, token: &[u8]) -> Option<V> {
        self.look_at(token, V::clone)
    }

    /// The same, where not all of it is wanted. `look` is not to ask the store.
    pub(in crate::authn) fn look_at<R>(
        &self,
        token: &[u8],
        look: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        let mut generations = self.generations.try_borrow_mut().ok()?;
        let token = self.fingerprints.of(token);
        if let Some(known) = generations.young.tokens.get(&token) {
            return Some(look(known));
        }
        let known = generations.old_one(token, self.limits)?;
        Some(look(&known))
    }

    /// Remembers that of a token.
    pub(in crate::authn) fn remember(&self, token: &[u8], known: V) {
        if token.len() > self.limits.max_token_bytes {
            return;
        }
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            let token = self.fingerprints.of(token);
            generations.insert(token, Box::new(known), self.limits);
        }
    }

    /// Changes what is remembered of a token that has just been found, and what that weighs. Whether it
    /// is remembered.
    pub(in crate::authn) fn change(&self, token: &[u8], change: impl FnOnce(&mut V)) -> bool {
        let Ok(mut generations) = self.generations.try_borrow_mut() else {
            return false;
        };
        let token = self.fingerprints.of(token);
        let Some(before) = generations.young.take(token) else {
            return false;
        };
        let mut after = before.clone();
        change(&mut after);
        // One that grows out of the store stays in it as it was.
        let fits = weight(&*after) <= self.limits.max_bytes / 2;
        generations.insert(token, if fits { after } else { before }, self.limits);
        true
    }

    /// Forgets a token.
    pub(in crate::authn) fn forget(&self, token: &[u8]) {
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            let token = self.fingerprints.of(token);
            generations.young.take(token);
            generations.old.take(token);
        }
    }

    /// How many tokens are remembered.
    pub(in crate::authn) fn len(&self) -> usize {
        let generations = self.generations.try_borrow();
        generations.map_or(0, |both| {
            let (young, old) = (both.young.tokens.len(), both.old.tokens.len());
            young.saturating_add(old)
        })
    }
}

impl<V: Weighed> Generations<V> {
    /// One of the old, a copy of it: it is young again.
    #[cold]
    #[inline(never)]
    fn old_one(&mut self, token: Fingerprint, limits: CacheLimits) -> Option<Box<V>> {
        let known = self.old.take(token)?;
        let found = known.clone();
        self.insert(token, known, limits);
        Some(found)
    }

    /// Puts a token among the young. It is not kept if there is no memory for it even without the old.
    fn insert(&mut self, token: Fingerprint, known: Box<V>, limits: CacheLimits) {
        let weight = weight(&*known);
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
        if let Some(before) = self.young.tokens.insert(token, known) {
            let once = self.young.memory.bytes();
            let once = once.saturating_sub(self::weight(&*before));
            self.young.memory.shrink_to(once);
        }
    }
}

impl<V: Weighed> Generation<V> {
    fn take(&mut self, token: Fingerprint) -> Option<Box<V>> {
        let known = self.tokens.remove(&token)?;
        let left = self.memory.bytes().saturating_sub(weight(&*known));
        self.memory.shrink_to(left);
        Some(known)
    }
}

impl<V> Default for Generations<V> {
    fn default() -> Self {
        Self {
            released: false,
            keys: 0,
            young: Generation::default(),
            old: Generation::default(),
        }
    }
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Self {
            tokens: HashMap::default(),
            memory: Reservation::none(Share::Caches),
        }
    }
}

/// The bytes that remembering it takes: what it keeps, what the allocator keeps around each of that, and
/// its place in a table, which is up to twice as large as it need be and exists twice while it grows.
fn weight<V: Weighed>(known: &V) -> usize {
    let place = 3_usize.saturating_mul(size_of::<(Fingerprint, Box<V>)>().saturating_add(1));
    let parts = [size_of::<V>(), AROUND, known.weight(), place];
    parts.into_iter().fold(0, usize::saturating_add)
}
