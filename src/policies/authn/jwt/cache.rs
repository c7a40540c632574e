//! Tokens that have been verified, so that a signature is checked once and not at every request.
//!
//! A token is found by a [fingerprint](super::fingerprint) of all its bytes, since its text would take
//! more memory than all that is known of it. Only one that passed every check is kept. What
//! changes with time is checked again at every use. The cache belongs to one provider of one
//! document in one VM and ends with it, and with its keys.
//!
//! It is bounded by bytes: each entry weighs what it keeps, and is asked of the VM's budget.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::cache_limits::CacheLimits;
use super::claims::Times;
use super::fingerprint::{ByFingerprint, Fingerprint, Fingerprints};
use portcullis_exchange::exchange::Edit;
use portcullis_wire::budget::{Reservation, Share};
use portcullis_wire::json::compact::Compact;

/// What is remembered of a token.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) claims: Compact,
    pub(super) times: Times,
    /// What tells the service and other filters of it.
    pub(super) edits: Rc<[Edit]>,
    /// Which demands on plans it meets, a bit for each.
    pub(super) met: u64,
    /// What records say of it, once that has been noted.
    pub(super) words: Option<Rc<str>>,
}

/// Verified tokens in two generations: when the young one is full, the old one is forgotten and
/// the young one becomes old. A token in use moves to the young one, so what is forgotten has
/// not been used for half the capacity.
pub(super) struct TokenCache {
    limits: CacheLimits,
    fingerprints: Fingerprints,
    generations: RefCell<Generations>,
    /// How many demands have a bit of [`Verified::met`].
    bits: Cell<u32>,
}

#[derive(Default)]
struct Generations {
    /// Whether another document has replaced the one whose tokens these are.
    released: bool,
    keys: u64,
    young: Generation,
    old: Generation,
}

/// Tokens, and the memory that is theirs.
struct Generation {
    tokens: HashMap<Fingerprint, Box<Verified>, ByFingerprint>,
    memory: Reservation,
}

impl TokenCache {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            fingerprints: Fingerprints::default(),
            generations: RefCell::default(),
            bits: Cell::new(0),
        }
    }

    /// Forgets everything unless it was verified with these keys.
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
    pub(super) fn find(&self, token: &[u8]) -> Option<Verified> {
        let mut generations = self.generations.try_borrow_mut().ok()?;
        let token = self.fingerprints.of(token);
        if let Some(verified) = generations.young.tokens.get(&token) {
            return Some((**verified).clone());
        }
        let verified = generations.old.take(token)?;
        let found = (*verified).clone();
        generations.insert(token, verified, self.limits);
        Some(found)
    }

    /// Remembers a token that has passed every check.
    pub(super) fn remember(&self, token: &[u8], verified: Verified) {
        if token.len() > self.limits.max_token_bytes {
            return;
        }
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            let token = self.fingerprints.of(token);
            generations.insert(token, Box::new(verified), self.limits);
        }
    }

    /// A bit of [`Verified::met`] for one more demand; none if all are taken.
    pub(super) fn next_bit(&self) -> Option<u64> {
        let bit = 1_u64.checked_shl(self.bits.get())?;
        self.bits.set(self.bits.get().saturating_add(1));
        Some(bit)
    }

    /// Changes what is remembered of a token, if it is, and what that weighs.
    pub(super) fn change(&self, token: &[u8], change: impl FnOnce(&mut Verified)) {
        if let Ok(mut generations) = self.generations.try_borrow_mut()
            && let token = self.fingerprints.of(token)
            && let Some(before) = generations.young.take(token)
        {
            let mut after = before.clone();
            change(&mut after);
            // One that grows out of the cache stays in it as it was.
            let fits = after.weight() <= self.limits.max_bytes / 2;
            generations.insert(token, if fits { after } else { before }, self.limits);
        }
    }

    /// Forgets a token.
    pub(super) fn forget(&self, token: &[u8]) {
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            let token = self.fingerprints.of(token);
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

impl Generations {
    /// Puts a token among the young. It is not kept if there is no memory for it even without the old.
    fn insert(&mut self, token: Fingerprint, verified: Box<Verified>, limits: CacheLimits) {
        let weight = verified.weight();
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
        if let Some(before) = self.young.tokens.insert(token, verified) {
            // The same token, verified twice, weighs the same.
            drop(before);
            let once = self.young.memory.bytes().saturating_sub(weight);
            self.young.memory.shrink_to(once);
        }
    }
}

impl Generation {
    fn take(&mut self, token: Fingerprint) -> Option<Box<Verified>> {
        let verified = self.tokens.remove(&token)?;
        let left = self.memory.bytes().saturating_sub(verified.weight());
        self.memory.shrink_to(left);
        Some(verified)
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            tokens: HashMap::default(),
            memory: Reservation::none(Share::Caches),
        }
    }
}

impl Verified {
    /// The bytes that remembering it takes: what it keeps, what the allocator keeps around each of
    /// that, and its place in a table, which is up to twice as large as it need be and exists twice
    /// while it grows.
    fn weight(&self) -> usize {
        const AROUND: usize = 24;
        const PLACE: usize = 3 * (size_of::<(Fingerprint, Box<Verified>)>() + 1);
        let edits = self.edits.iter().map(|edit| {
            let kept = edit.value().map_or(0, |value| value.as_bytes().len());
            size_of::<Edit>()
                .saturating_add(kept)
                .saturating_add(AROUND)
        });
        [
            PLACE,
            size_of::<Self>() + AROUND,
            self.claims.size(),
            AROUND,
            AROUND,
            self.words
                .as_ref()
                .map_or(0, |words| words.len().saturating_add(AROUND)),
        ]
        .into_iter()
        .chain(edits)
        .fold(0, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::budget::{reserve, used};

    fn verified() -> Verified {
        of_claims("{}")
    }

    fn of_claims(claims: &str) -> Verified {
        Verified {
            claims: Compact::parse(claims.as_bytes(), 8).unwrap(),
            times: Times::default(),
            edits: Rc::from([]),
            met: 0,
            words: None,
        }
    }

    fn cache(max_entries: usize) -> TokenCache {
        TokenCache::new(CacheLimits {
            max_entries,
            max_token_bytes: 100,
            max_bytes: 1 << 20,
        })
    }

    #[test]
    fn a_flood_moves_no_bound() {
        let cache = cache(10);
        for number in 0..10_000 {
            cache.remember(format!("t{number}").as_bytes(), verified());
            assert!(cache.len() <= 10);
        }
        assert!(cache.find(b"t9999").is_some());
        assert!(cache.find(b"t0").is_none());
    }

    #[test]
    fn what_is_used_stays() {
        let cache = cache(10);
        cache.remember(b"used", verified());
        for number in 0..1000 {
            cache.remember(format!("t{number}").as_bytes(), verified());
            assert!(cache.find(b"used").is_some(), "after {number}");
        }
    }

    #[test]
    fn a_token_is_looked_up_whole() {
        let cache = cache(10);
        cache.remember(b"abcdef", verified());
        for other in [&b"abcde"[..], b"abcdefg", b"abcdeF", b""] {
            assert!(cache.find(other).is_none());
        }
        cache.forget(b"abcdef");
        assert!(cache.find(b"abcdef").is_none());
    }

    #[test]
    fn tokens_that_end_alike_are_told_apart() {
        let cache = cache(10);
        let token = |first: u8| [&[first][..], &[b'x'; 60]].concat();
        cache.remember(&token(b'a'), verified());
        assert!(cache.find(&token(b'a')).is_some());
        assert!(cache.find(&token(b'b')).is_none());
    }

    #[test]
    fn long_tokens_are_not_kept() {
        let cache = cache(10);
        cache.remember(&[b'a'; 101], verified());
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn large_claims_stay_within_its_bytes_and_go_with_it() {
        const MOST: usize = 4 << 20;
        let claims = format!(r#"{{"x":[{}]}}"#, vec![r#"{"":0}"#; 1150].join(","));
        let cache = TokenCache::new(CacheLimits {
            max_entries: 100_000,
            max_token_bytes: 16 << 10,
            max_bytes: MOST,
        });
        for number in 0..2000 {
            let token = format!("{number:013900}");
            cache.remember(token.as_bytes(), of_claims(&claims));
            assert!(used(Share::Caches) <= MOST);
            assert!(cache.find(token.as_bytes()).is_some());
        }
        assert!(cache.len() > 60, "{}", cache.len());
        cache.belong_to(7);
        assert_eq!((cache.len(), used(Share::Caches)), (0, 0));
    }

    #[test]
    fn a_token_too_large_for_half_of_it_is_not_kept() {
        let cache = TokenCache::new(CacheLimits {
            max_entries: 10,
            max_token_bytes: 100,
            max_bytes: 2000,
        });
        cache.remember(b"small", verified());
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(2000));
        cache.remember(b"large", of_claims(&long));
        assert_eq!(cache.len(), 1);
        assert!(cache.find(b"small").is_some());
    }

    #[test]
    fn without_memory_the_old_are_forgotten_and_then_nothing_is_kept() {
        let cache = cache(4);
        for token in [b"a", b"b", b"c"] {
            cache.remember(token, verified());
        }
        let left = Share::Caches.most() - used(Share::Caches);
        let others = reserve(Share::Caches, left).unwrap();
        cache.remember(b"d", verified());
        assert_eq!(cache.len(), 2, "the old made room");
        assert!(cache.find(b"d").is_some());
        let rest = reserve(Share::Caches, Share::Caches.most() - used(Share::Caches)).unwrap();
        cache.forget(b"c");
        let more = reserve(Share::Caches, Share::Caches.most() - used(Share::Caches)).unwrap();
        cache.remember(b"e", verified());
        assert!(cache.find(b"e").is_none());
        assert!(cache.find(b"d").is_some());
        drop((others, rest, more));
        cache.remember(b"e", verified());
        assert!(cache.find(b"e").is_some());
    }

    #[test]
    fn a_replaced_document_remembers_little() {
        let cache = cache(10);
        cache.remember(b"a", verified());
        cache.forget_all();
        assert_eq!((cache.len(), used(Share::Caches)), (0, 0));
        cache.remember(b"a", verified());
        assert_eq!(cache.len(), 1);
        cache.release();
        assert_eq!((cache.len(), used(Share::Caches)), (0, 0));
        cache.belong_to(1);
        for number in 0..100 {
            cache.remember(format!("t{number}").as_bytes(), verified());
            assert!(cache.len() <= 2, "after {number}");
        }
        assert!(cache.find(b"t99").is_some());
    }

    #[test]
    fn a_token_that_is_remembered_twice_weighs_once() {
        let cache = cache(10);
        cache.remember(b"a", verified());
        let once = used(Share::Caches);
        cache.remember(b"a", verified());
        assert_eq!(used(Share::Caches), once);
        cache.forget(b"a");
        assert_eq!(used(Share::Caches), 0);
    }
}
