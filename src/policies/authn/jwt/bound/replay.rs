//! Which proofs have been used: RFC 9449 §11.1, for all workers and in memory that is bounded.
//!
//! A proof has a place in one cell of a fixed number, and is known there by a mark of 64 bits: a hash under a
//! key that nobody outside knows, so that nobody makes two proofs that meet. A mark stays for as long as its
//! proof would be accepted. Where every place of a cell is taken by such a mark, the next proof is refused: to
//! forget one would be to let it be used again.

#![deny(clippy::arithmetic_side_effects)]

use std::hash::Hasher as _;
use std::rc::Rc;

use super::authority::TokenAuthority;
use portcullis_exchange::host::{CasResult, CellUnavailable, Host};
use portcullis_exchange::seed::{Hashed, Seed, plain_hash};

/// The proofs of one authority.
pub(super) struct ReplayTable {
    /// With what the keys of its cells begin.
    prefix: String,
    /// Tells it apart from others.
    name: [u64; 2],
    shards: u64,
    seed: Rc<Seed>,
}

/// What came of using a proof up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is the first time.
    First,
    /// It has been used before.
    Again,
    /// There is no place to note it.
    Full,
    /// Others were quicker each time.
    Contended,
    /// The proxy does not give access to its cells.
    Unavailable,
}

/// The places of a cell: when two thirds of all are taken, some one in 100 000 finds its cell full.
const SLOTS: u64 = 128;
/// A mark, and the second until which it stays.
const ENTRY: usize = 12;
/// The first bytes of a cell: ours, format 1.
const FORMAT: [u8; 8] = *b"pl-dpop\x01";
/// A key has this part of all cells, so that none fills the places of all others.
const PART: u64 = 8;
/// How often noting a proof is tried again when another worker was quicker.
const ATTEMPTS: usize = 16;

impl ReplayTable {
    /// For at most so many proofs, rounded up to whole cells.
    pub(super) fn new(authority: &TokenAuthority, most: u64) -> Self {
        let shards = most.div_ceil(SLOTS).max(1);
        let name = plain_hash(&[
            authority.proofs(),
            &FORMAT,
            authority.name().as_bytes(),
            &shards.to_le_bytes(),
        ]);
        let [one, other] = name;
        Self {
            prefix: format!("dpop/{one:016x}{other:016x}/"),
            name,
            shards,
            seed: Rc::default(),
        }
    }

    /// What hashes under a key that all workers of the proxy share.
    pub(super) fn seed(&self) -> &Rc<Seed> {
        &self.seed
    }

    /// The most bytes that its cells take up in the proxy: keys, values and what the proxy needs around them.
    pub(super) fn most_bytes(&self) -> u64 {
        // A node of the proxy's map, and what allocations of these sizes round up to.
        const AROUND: u64 = 450;
        let entries = SLOTS.saturating_mul(u64::try_from(ENTRY).unwrap_or(u64::MAX));
        entries.saturating_add(AROUND).saturating_mul(self.shards)
    }

    /// The mark of a proof by a key, whose thumbprint that is; its place is the number of a cell.
    pub(super) fn mark(
        &self,
        thumbprint: &str,
        id: &str,
        host: &dyn Host,
    ) -> Result<Hashed, CellUnavailable> {
        let mut hasher = self.seed.hasher(host)?;
        // Thumbprints have one length.
        hasher.write(thumbprint.as_bytes());
        let first = scaled(Hashed::of(&hasher).place, self.shards);
        hasher.write(id.as_bytes());
        let Hashed { place, tag } = Hashed::of(&hasher);
        // The cells of the key are the first and those that follow it, in a ring.
        let place = first.saturating_add(scaled(place, self.cells_of_key()));
        Ok(Hashed {
            place: place.checked_rem(self.shards).unwrap_or_default(),
            tag,
        })
    }

    /// How many cells the proofs of one key may be in.
    fn cells_of_key(&self) -> u64 {
        self.shards.div_ceil(PART).max(PART).min(self.shards)
    }

    /// The same for a request that asks whether it was itself that used the proof up.
    pub(super) fn own(&self, mark: Hashed) -> [u64; 4] {
        let [one, other] = self.name;
        [one, other, mark.place, mark.tag]
    }

    /// Notes a proof that is accepted until that second, if it has not been noted.
    pub(super) fn use_up(&self, mark: Hashed, until: u32, now: u32, host: &dyn Host) -> Use {
        let key = format!("{}{}", self.prefix, mark.place);
        for _ in 0..ATTEMPTS {
            let Ok(cell) = host.cell(&key) else {
                return Use::Unavailable;
            };
            let (bytes, seen) = match cell {
                None => (Vec::new(), None),
                Some((bytes, seen)) => (bytes, Some(seen)),
            };
            let cell = match with(&bytes, mark.tag, until, now) {
                Ok(cell) => cell,
                Err(known) => return known,
            };
            if host.is_read_only() {
                return Use::First;
            }
            let written = match seen {
                None => host.create_cell(&key, &cell),
                Some(_) => host.compare_and_swap(&key, seen, &cell),
            };
            match written {
                Ok(CasResult::Written) => return Use::First,
                Ok(CasResult::Changed) => {}
                Err(CellUnavailable) => return Use::Unavailable,
            }
        }
        Use::Contended
    }
}

/// A hash scaled to a number below `most`: the upper bits of a product.
fn scaled(hash: u64, most: u64) -> u64 {
    let product = u128::from(hash).saturating_mul(most.into());
    u64::try_from(product.wrapping_shr(64)).unwrap_or_default()
}

/// A cell with one more mark, without those whose time is over. What is not ours is written over: its key is of
/// this format alone.
fn with(cell: &[u8], tag: u64, until: u32, now: u32) -> Result<Vec<u8>, Use> {
    let entries = cell.strip_prefix(&FORMAT).unwrap_or_default();
    let (entries, _) = entries.as_chunks::<ENTRY>();
    let mut out = Vec::with_capacity(cell.len().max(FORMAT.len()).saturating_add(ENTRY));
    out.extend_from_slice(&FORMAT);
    let mut taken = 0_u64;
    for entry in entries {
        let (mark, end) = parts(entry);
        if end < now {
            continue;
        }
        if mark == tag {
            return Err(Use::Again);
        }
        taken = taken.saturating_add(1);
        out.extend_from_slice(entry);
    }
    if taken >= SLOTS {
        return Err(Use::Full);
    }
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&until.to_le_bytes());
    Ok(out)
}

fn parts(entry: &[u8; ENTRY]) -> (u64, u32) {
    let [a, b, c, d, e, f, g, h, end @ ..] = *entry;
    (
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u32::from_le_bytes(end),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;

    fn table_of(name: &str, most: u64) -> ReplayTable {
        ReplayTable::new(&TokenAuthority::Provider(name.into()), most)
    }

    fn mark(table: &ReplayTable, id: &str, host: &MemoryHost) -> Hashed {
        table.mark("key", id, host).unwrap()
    }

    #[test]
    fn a_proof_is_used_once_by_all_workers_together() {
        let host = MemoryHost::new();
        let other = MemoryHost::new().with_cells_of(&host).with_seed(7);
        let (table, another) = (table_of("a", 1000), table_of("a", 1000));
        let used = |table: &ReplayTable, id, host: &MemoryHost, now| {
            table.use_up(mark(table, id, host), 100, now, host)
        };
        assert_eq!(used(&table, "1", &host, 50), Use::First);
        assert_eq!(used(&table, "1", &host, 50), Use::Again);
        assert_eq!(used(&another, "1", &other, 100), Use::Again);
        assert_eq!(used(&another, "2", &other, 50), Use::First);
        // Of another provider it is another.
        let third = table_of("b", 1000);
        assert_eq!(used(&third, "1", &host, 50), Use::First);
        let fourth = TokenAuthority::IntrospectionServer("a".into());
        let fourth = ReplayTable::new(&fourth, 1000);
        assert_eq!(used(&fourth, "1", &host, 50), Use::First);
        // When it would not be accepted any more, nothing of it is left.
        assert_eq!(used(&table, "1", &host, 101), Use::First);
    }

    #[test]
    fn of_two_keys_the_proofs_are_two() {
        let host = MemoryHost::new();
        let table = table_of("a", 1000);
        let of = |key| table.mark(key, "1", &host).unwrap();
        assert_ne!(of("k1"), of("k2"));
        assert_ne!(table.own(of("k1")), table.own(of("k2")));
    }

    #[test]
    fn a_full_cell_refuses_and_forgets_nothing() {
        let host = MemoryHost::new();
        let table = table_of("a", 1);
        let used = |number: u64, now| {
            let id = number.to_string();
            table.use_up(mark(&table, &id, &host), 100, now, &host)
        };
        for number in 0..SLOTS {
            assert_eq!(used(number, 1), Use::First, "{number}");
        }
        for number in SLOTS..SLOTS + 1000 {
            assert_eq!(used(number, 1), Use::Full, "{number}");
        }
        for number in 0..SLOTS {
            assert_eq!(used(number, 100), Use::Again, "{number}");
        }
        assert_eq!(used(SLOTS, 101), Use::First);
    }

    #[test]
    fn one_key_fills_its_own_cells_alone() {
        let host = MemoryHost::new();
        let table = ReplayTable::new(&TokenAuthority::Provider("a".into()), 200 * SLOTS);
        let used = |key: &str, number: u64| {
            let mark = table.mark(key, &number.to_string(), &host).unwrap();
            table.use_up(mark, 100, 1, &host)
        };
        let most = table.cells_of_key() * SLOTS;
        assert_eq!(most, 25 * SLOTS);
        let uses = (0..3 * most).map(|number| used("greedy", number));
        let first = uses.filter(|used| *used == Use::First).count() as u64;
        assert_eq!(first, most);
        let others = (0..200_u64).map(|key| used(&format!("key {key}"), 0));
        let refused = others.filter(|used| *used == Use::Full).count();
        // An eighth of them, give or take.
        assert!((5..60).contains(&refused), "{refused}");
    }

    #[test]
    fn cells_are_bounded_whatever_comes() {
        let host = MemoryHost::new();
        let table = table_of("a", 1000);
        let mut full = 0;
        for number in 0..5000_u32 {
            let id = number.to_string();
            let used = table.use_up(mark(&table, &id, &host), 100, 1, &host);
            full += usize::from(used == Use::Full);
        }
        let cells = format!("{:?}", host.cells());
        assert!(full > 3900, "{full}");
        assert!(
            cells.len() < 200_000 && table.most_bytes() < 20_000,
            "{}",
            cells.len()
        );
    }

    #[test]
    fn without_cells_no_proof_is_accepted() {
        let host = MemoryHost::new();
        let table = table_of("a", 1000);
        let mark = mark(&table, "1", &host);
        host.fail_cells(true);
        assert_eq!(table.use_up(mark, 100, 1, &host), Use::Unavailable);
        host.fail_cells(false);
        host.lose_writes(u32::MAX);
        assert_eq!(table.use_up(mark, 100, 1, &host), Use::Contended);
    }

    #[test]
    fn foreign_bytes_are_written_over() {
        for foreign in [&b""[..], b"x", b"pl-dpop\x02aaaaaaaaaaaa", &[0; 500]] {
            let cell = with(foreign, 7, 100, 1).unwrap();
            assert_eq!(cell.len(), FORMAT.len() + ENTRY);
            assert_eq!(with(&cell, 7, 100, 1), Err(Use::Again));
        }
        let torn = [&FORMAT[..], &[1; 13]].concat();
        assert_eq!(
            with(&torn, 7, 100, 1).unwrap().len(),
            FORMAT.len() + 2 * ENTRY
        );
    }
}
