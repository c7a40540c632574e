//! The keys of a store, found by their digests: flat memory, and as many steps however many there are.
//!
//! Nobody learns from the time of a look-up how near a guess was. What is compared is the digest of the key that
//! was sent: of that the sender chooses no bit, and to come nearer to a digest says nothing about the
//! key behind it. A key is found whole or not at all.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use crate::authn::leading::{LeadingBits, arrange, has_repeated};
use crate::fetched_list::Twice;
use portcullis_wire::sort;

/// What is kept of a key in place of itself.
pub(super) type Digest = [u8; 32];

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyState {
    Active,
    /// It is known, and no longer accepted.
    Revoked,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyEntry<'e> {
    pub(super) digest: Digest,
    /// Its name.
    pub(super) id: &'e str,
    /// Whose it is.
    pub(super) client: &'e str,
    /// What it grants: the scopes and attributes, as members of a JSON object, each behind a comma.
    pub(super) grants: &'e str,
    /// The first second in which it is accepted.
    pub(super) not_before: u32,
    /// The first second in which it no longer is; [`NEVER`] for none.
    pub(super) not_after: u32,
    pub(super) state: KeyState,
}

/// Of so many texts it is known that several keys may have them. Where clients are as many as keys there is
/// nothing to share, and looking for it takes time.
const MOST_SHARED: usize = 1024;

/// The end of a key that has none.
pub(super) const NEVER: u32 = u32::MAX;

/// The most keys of a store.
pub(super) const MOST_KEYS: usize = 100_000;

/// The keys of a store.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    /// In the order of the digests.
    slots: Box<[KeySlot]>,
    leading: LeadingBits,
    texts: Box<str>,
}

/// A key in a table: 60 bytes.
#[derive(Clone, Copy, Debug)]
struct KeySlot {
    digest: Digest,
    /// Where its texts begin, and how long they are: id, client, grants.
    at: [u32; 3],
    length: [u16; 3],
    not_before: u32,
    not_after: u32,
    state: KeyState,
}

/// A table in the making.
#[derive(Default)]
pub(crate) struct TableBuilder {
    slots: Vec<KeySlot>,
    texts: String,
    /// Where texts stand that several keys may have.
    shared: BTreeMap<Box<str>, u32>,
}

impl KeyTable {
    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many bytes of memory it takes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.slots)
            .saturating_add(self.leading.memory())
            .saturating_add(self.texts.len())
    }

    /// The key with that digest.
    pub(super) fn find(&self, digest: &Digest) -> Option<KeyEntry<'_>> {
        let near = self.slots.get(self.leading.near(first(digest))?)?;
        let place = near.binary_search_by(|slot| slot.digest.cmp(digest)).ok()?;
        near.get(place).map(|slot| self.entry(slot))
    }

    fn entry(&self, slot: &KeySlot) -> KeyEntry<'_> {
        let [id, client, grants] = slot.texts().map(|place| text(&self.texts, place));
        KeyEntry {
            digest: slot.digest,
            id,
            client,
            grants,
            not_before: slot.not_before,
            not_after: slot.not_after,
            state: slot.state,
        }
    }
}

impl KeySlot {
    fn texts(&self) -> [Range<usize>; 3] {
        let place = |at: u32, length: u16| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            at..at.saturating_add(usize::from(length))
        };
        let ([a, b, c], [x, y, z]) = (self.at, self.length);
        [place(a, x), place(b, y), place(c, z)]
    }
}

impl TableBuilder {
    /// How many bytes of memory the table would take.
    pub(super) fn memory(&self) -> usize {
        let each = size_of::<KeySlot>().saturating_add(size_of::<u32>());
        let slots = self.slots.len().saturating_mul(each);
        slots.saturating_add(self.texts.len())
    }

    /// Adds a key, if its texts are of a length that can be kept.
    pub(super) fn push(&mut self, entry: &KeyEntry<'_>) -> bool {
        let texts = [entry.id, entry.client, entry.grants];
        let [Some(a), Some(b), Some(c)] = texts.map(|text| u16::try_from(text.len()).ok()) else {
            return false;
        };
        let (Some(id), Some(client), Some(grants)) = (
            self.append(entry.id),
            self.share(entry.client),
            self.share(entry.grants),
        ) else {
            return false;
        };
        self.slots.push(KeySlot {
            digest: entry.digest,
            at: [id, client, grants],
            length: [a, b, c],
            not_before: entry.not_before,
            not_after: entry.not_after,
            state: entry.state,
        });
        true
    }

    fn append(&mut self, text: &str) -> Option<u32> {
        let at = u32::try_from(self.texts.len()).ok()?;
        self.texts.push_str(text);
        Some(at)
    }

    /// A text that stands there once.
    fn share(&mut self, text: &str) -> Option<u32> {
        if let Some(at) = self.shared.get(text) {
            return Some(*at);
        }
        let at = self.append(text)?;
        if self.shared.len() < MOST_SHARED {
            self.shared.insert(text.into(), at);
        }
        Some(at)
    }

    /// Two keys that have the same digest, or the same id: it would not be known which of them counts, or
    /// which is meant.
    pub(super) fn twice(&self) -> Option<Twice> {
        let id = |place: u32| {
            let slot = self.slot(place)?;
            let [id, ..] = slot.texts();
            Some(text(&self.texts, id))
        };
        let digest = |place: u32| self.slot(place).map(|slot| &slot.digest);
        // Which they are takes long to tell, and hardly ever are there any.
        let hasher = RandomState::new();
        let ids = (0_u32..)
            .zip(&self.slots)
            .map(|(place, _)| hasher.hash_one(id(place)));
        let digests = self.slots.iter().map(|slot| {
            let first = slot.digest.first_chunk();
            first.map_or(0, |first| u64::from_be_bytes(*first))
        });
        if !has_repeated(ids) && !has_repeated(digests) {
            return None;
        }
        let found = same(self.slots.len(), digest).map(|pair| ("hash", pair));
        let found = found.or_else(|| same(self.slots.len(), id).map(|pair| ("id", pair)));
        found.map(|(field, (first, second))| Twice {
            field,
            first,
            second,
        })
    }

    fn slot(&self, place: u32) -> Option<&KeySlot> {
        self.slots.get(usize::try_from(place).ok()?)
    }

    /// The table.
    pub(super) fn finish(self) -> KeyTable {
        let order = |one: &KeySlot, other: &KeySlot| one.digest.cmp(&other.digest);
        let (slots, leading) = arrange(&self.slots, |slot| first(&slot.digest), order);
        KeyTable {
            leading,
            slots,
            texts: self.texts.into_boxed_str(),
        }
    }
}

/// How a digest begins.
fn first(digest: &Digest) -> u32 {
    let first = digest.first_chunk();
    first.map_or(0, |first| u32::from_be_bytes(*first))
}

fn text(texts: &str, place: Range<usize>) -> &str {
    texts.get(place).unwrap_or_default()
}

/// The first two of so many places that have the same.
fn same<T: Ord>(count: usize, of: impl Fn(u32) -> Option<T>) -> Option<(usize, usize)> {
    let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    sort::sort(&mut order, |one, other| {
        of(*one).cmp(&of(*other)).then(one.cmp(other))
    });
    let pairs = order.windows(2).filter_map(|pair| match pair {
        [one, other] if of(*one) == of(*other) => Some((*other, *one)),
        _ => None,
    });
    let (second, first) = pairs.min()?;
    Some((usize::try_from(first).ok()?, usize::try_from(second).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac_sha256::Hash;

    fn entry<'e>(key: &[u8], id: &'e str, client: &'e str) -> KeyEntry<'e> {
        KeyEntry {
            digest: Hash::hash(key),
            id,
            client,
            grants: r#","scope":"orders.read","plan":"gold""#,
            not_before: 0,
            not_after: NEVER,
            state: KeyState::Active,
        }
    }

    fn number(of: usize) -> [u8; 8] {
        of.to_le_bytes()
    }

    #[test]
    fn each_key_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 4, 5, 17, 1000] {
            let ids: Vec<String> = (0..count).map(|each| format!("k{each}")).collect();
            let mut builder = TableBuilder::default();
            for (place, id) in ids.iter().enumerate() {
                assert!(builder.push(&entry(&number(place), id, "acme")));
            }
            assert_eq!(builder.twice(), None);
            let table = builder.finish();
            assert_eq!(table.len(), count);
            for (place, id) in ids.iter().enumerate() {
                let expected = entry(&number(place), id, "acme");
                assert_eq!(table.find(&expected.digest), Some(expected));
            }
            for other in count..count + 1000 {
                assert_eq!(table.find(&Hash::hash(&number(other))), None);
            }
            assert_eq!(table.find(&[0; 32]), None);
            assert_eq!(table.find(&[0xff; 32]), None);
        }
        assert_eq!(KeyTable::default().find(&[0; 32]), None);
    }

    #[test]
    fn digests_that_begin_alike_are_told_apart() {
        let mut builder = TableBuilder::default();
        for last in 0..=255 {
            let mut digest = [0xab; 32];
            digest[31] = last;
            assert!(builder.push(&KeyEntry {
                digest,
                id: &last.to_string(),
                ..entry(b"", "", "acme")
            }));
        }
        let table = builder.finish();
        for last in 0..=255 {
            let mut digest = [0xab; 32];
            digest[31] = last;
            let found = table.find(&digest).map(|found| found.id.to_owned());
            assert_eq!(found, Some(last.to_string()));
        }
        assert_eq!(table.find(&[0xab; 32]).unwrap().id, "171");
        assert_eq!(table.find(&[0xac; 32]), None);
    }

    #[test]
    fn what_is_there_twice_is_seen() {
        let mut builder = TableBuilder::default();
        for (key, id) in [(1, "a"), (2, "b"), (3, "a"), (1, "c"), (1, "d")] {
            assert!(builder.push(&entry(&number(key), id, "acme")));
        }
        let twice = |field, first, second| Twice {
            field,
            first,
            second,
        };
        assert_eq!(builder.twice(), Some(twice("hash", 0, 3)));
        builder.slots[3].digest = [0; 32];
        assert_eq!(builder.twice(), Some(twice("hash", 0, 4)));
        builder.slots[4].digest = [1; 32];
        assert_eq!(builder.twice(), Some(twice("id", 0, 2)));
    }

    #[test]
    fn a_text_that_is_too_long_is_not_kept() {
        let long = "x".repeat(1 << 16);
        let mut builder = TableBuilder::default();
        assert!(!builder.push(&entry(b"", &long, "acme")));
        assert!(!builder.push(&entry(b"", "id", &long)));
        assert!(builder.push(&entry(b"", "id", &"x".repeat((1 << 16) - 1))));
    }

    /// The memory that the reference states.
    #[test]
    fn a_hundred_thousand_keys_take_less_than_a_hundred_bytes_each() {
        let mut builder = TableBuilder::default();
        for place in 0..MOST_KEYS {
            let (id, client) = (format!("key-{place:06}"), format!("client-{place:06}"));
            assert!(builder.push(&entry(&number(place), &id, &client)));
        }
        assert_eq!(builder.twice(), None);
        let estimated = builder.memory();
        let table = builder.finish();
        let taken = table.memory();
        assert!(taken <= estimated, "{taken} of {estimated}");
        assert_eq!(taken / MOST_KEYS, 84, "{taken}");
        // A look-up goes through so many digests, of however many there are.
        let longest = table.leading.longest();
        assert!(longest < Some(24), "{longest:?}");
    }
}
