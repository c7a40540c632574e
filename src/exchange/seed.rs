//! The seed of all tables: the workers share it, and nobody outside can guess it, so that nobody
//! can tell which callers would meet in one place.

use std::cell::OnceCell;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::host::{CasResult, CellUnavailable, Host};

/// Asked for once, then remembered.
#[derive(Debug, Default)]
pub struct Seed {
    keys: OnceCell<[u64; 2]>,
}

/// A key of a caller, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// Says in which shard it belongs.
    pub place: u64,
    /// Tells it apart there.
    pub tag: u64,
}

const CELL: &str = "limits/seed";

/// The first bytes of the cell: ours, format 1.
const FORMAT: [u8; 8] = *b"pl-seed\x01";

/// How often to look again when others write at the same moment.
const ATTEMPTS: usize = 16;

impl Seed {
    /// Hashes a key.
    ///
    /// # Errors
    /// The proxy does not give access to its cells.
    pub fn hash(&self, key: &[u8], host: &dyn Host) -> Result<Hashed, CellUnavailable> {
        let mut hasher = self.hasher(host)?;
        hasher.write(key);
        Ok(Hashed::of(&hasher))
    }

    /// What hashes a key piece by piece.
    ///
    /// # Errors
    /// The proxy does not give access to its cells.
    pub fn hasher(&self, host: &dyn Host) -> Result<SipHasher13, CellUnavailable> {
        let keys = match self.keys.get() {
            Some(keys) => *keys,
            None => {
                let agreed = agree(host)?;
                *self.keys.get_or_init(|| agreed)
            }
        };
        let [one, other] = keys;
        Ok(SipHasher13::new_with_keys(one, other))
    }
}

impl Hashed {
    /// What has come of all pieces.
    pub fn of(hasher: &SipHasher13) -> Self {
        let hash = hasher.finish128();
        Self {
            place: hash.h1,
            tag: hash.h2,
        }
    }
}

/// A hash that anybody can compute, of pieces that operators choose: so long that no two of them meet.
pub fn plain_hash(pieces: &[&[u8]]) -> [u64; 2] {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    for piece in pieces {
        // Its length first, so that no two lists of pieces look alike.
        hasher.write(&(piece.len() as u64).to_le_bytes());
        hasher.write(piece);
    }
    let Hashed { place, tag } = Hashed::of(&hasher);
    [place, tag]
}

/// Whoever comes first chooses; everybody else takes what is there.
fn agree(host: &dyn Host) -> Result<[u64; 2], CellUnavailable> {
    let offer = [host.random(), host.random()];
    for _ in 0..ATTEMPTS {
        let written = match host.cell(CELL)? {
            None => host.create_cell(CELL, &bytes(offer))?,
            Some((found, mark)) => match keys(&found) {
                Some(keys) => return Ok(keys),
                // Somebody else's bytes.
                None => host.compare_and_swap(CELL, Some(mark), &bytes(offer))?,
            },
        };
        if written == CasResult::Written {
            return Ok(offer);
        }
    }
    Err(CellUnavailable)
}

fn bytes([one, other]: [u64; 2]) -> Vec<u8> {
    [FORMAT, one.to_le_bytes(), other.to_le_bytes()].concat()
}

fn keys(bytes: &[u8]) -> Option<[u64; 2]> {
    let (words, []) = bytes.as_chunks::<8>() else {
        return None;
    };
    match words {
        [FORMAT, one, other] => Some([*one, *other].map(u64::from_le_bytes)),
        _ => None,
    }
}
