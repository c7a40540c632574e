//! Tokens that have been verified, so that a signature is checked once and not at every request.
//!
//! A token is looked up whole, byte by byte; only one that passed every check is kept. What
//! changes with time is checked again at every use. The cache belongs to one provider of one
//! document in one VM and ends with it, and with its keys.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::rc::Rc;

use super::claims::Times;
use crate::config::{Node, Problems};
use crate::exchange::Edit;
use crate::json::Json;

/// `jwt_cache: { max_entries, max_token_bytes }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheLimits {
    max_entries: usize,
    max_token_bytes: usize,
}

/// What is remembered of a token.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) claims: Rc<Json>,
    pub(super) times: Times,
    /// What tells the service and other filters of it.
    pub(super) edits: Rc<[Edit]>,
}

/// Verified tokens in two generations: when the young one is full, the old one is forgotten and
/// the young one becomes old. A token in use moves to the young one, so what is forgotten has
/// not been used for half the capacity.
pub(super) struct TokenCache {
    limits: CacheLimits,
    generations: RefCell<Generations>,
}

#[derive(Default)]
struct Generations {
    keys: u64,
    young: HashMap<Box<[u8]>, Verified, ByEnding>,
    old: HashMap<Box<[u8]>, Verified, ByEnding>,
}

/// Hashes the length and the last bytes of a token, which are its signature's, with the standard
/// library's keyed hash. Whole tokens are compared after that: those that end alike cost time and
/// nothing else, and only tokens that an issuer has signed are ever in the table.
#[derive(Clone, Default)]
struct ByEnding(RandomState);

struct EndingHasher(DefaultHasher);

impl BuildHasher for ByEnding {
    type Hasher = EndingHasher;

    fn build_hasher(&self) -> EndingHasher {
        EndingHasher(self.0.build_hasher())
    }
}

impl Hasher for EndingHasher {
    fn write(&mut self, bytes: &[u8]) {
        const ENDING: usize = 32;
        let start = bytes.len().saturating_sub(ENDING);
        self.0.write(bytes.get(start..).unwrap_or(bytes));
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl CacheLimits {
    /// 1000 tokens of up to 4 KiB.
    const DEFAULT: Self = Self {
        max_entries: 1000,
        max_token_bytes: 4096,
    };

    /// Reads the block; `None` inside for `off`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Option<Self>> {
        if node.is_off() {
            return Some(None);
        }
        let mut fields = node.fields(problems)?;
        let mut number = |name, default: usize, most: u64, problems: &mut Problems| {
            fields.or(name, default, problems, |node, problems| {
                usize::try_from(node.integer(problems, 2..=most)?).ok()
            })
        };
        let max_entries = number("max_entries", Self::DEFAULT.max_entries, 100_000, problems);
        let max_token_bytes = number(
            "max_token_bytes",
            Self::DEFAULT.max_token_bytes,
            16 << 10,
            problems,
        );
        fields.finish(problems);
        Some(Some(Self {
            max_entries: max_entries?,
            max_token_bytes: max_token_bytes?,
        }))
    }
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TokenCache {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            generations: RefCell::default(),
        }
    }

    /// Forgets everything unless it was verified with these keys.
    pub(super) fn belong_to(&self, keys: u64) {
        if let Ok(mut generations) = self.generations.try_borrow_mut()
            && generations.keys != keys
        {
            *generations = Generations {
                keys,
                ..Generations::default()
            };
        }
    }

    /// What is remembered of a token.
    pub(super) fn find(&self, token: &[u8]) -> Option<Verified> {
        let mut generations = self.generations.try_borrow_mut().ok()?;
        if let Some(verified) = generations.young.get(token) {
            return Some(verified.clone());
        }
        let (token, verified) = generations.old.remove_entry(token)?;
        generations.insert(token, verified.clone(), self.half());
        Some(verified)
    }

    /// Remembers a token that has passed every check.
    pub(super) fn remember(&self, token: &[u8], verified: Verified) {
        if token.len() > self.limits.max_token_bytes {
            return;
        }
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            generations.insert(token.into(), verified, self.half());
        }
    }

    /// Forgets a token.
    pub(super) fn forget(&self, token: &[u8]) {
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            generations.young.remove(token);
            generations.old.remove(token);
        }
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        let generations = self.generations.try_borrow();
        generations.map_or(0, |both| both.young.len().saturating_add(both.old.len()))
    }

    fn half(&self) -> usize {
        self.limits.max_entries / 2
    }
}

impl Generations {
    fn insert(&mut self, token: Box<[u8]>, verified: Verified, half: usize) {
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified() -> Verified {
        Verified {
            claims: Rc::new(Json::Null),
            times: Times::default(),
            edits: Rc::from([]),
        }
    }

    fn cache(max_entries: usize) -> TokenCache {
        TokenCache::new(CacheLimits {
            max_entries,
            max_token_bytes: 16,
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
        let cache = TokenCache::new(CacheLimits {
            max_entries: 10,
            max_token_bytes: 100,
        });
        let token = |first: u8| [&[first][..], &[b'x'; 60]].concat();
        cache.remember(&token(b'a'), verified());
        assert!(cache.find(&token(b'a')).is_some());
        assert!(cache.find(&token(b'b')).is_none());
    }

    #[test]
    fn long_tokens_are_not_kept() {
        let cache = cache(10);
        cache.remember(&[b'a'; 17], verified());
        assert_eq!(cache.len(), 0);
    }
}
