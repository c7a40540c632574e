//! Who holds places: a VM, which says from time to time that it is there.
//!
//! INVARIANT: a worker that is there loses no place. Whether another is gone, each worker finds out for itself:
//! it is, when that has said nothing new for [`LEASE`] of the time in which this one has looked. A tick that
//! comes late counts for little: while the whole proxy stands still, nobody looks, and nobody lapses.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::store::PlaceStore;
use portcullis_exchange::host::{CasResult, Host};
use portcullis_exchange::section::Ticking;
use portcullis_exchange::seed::Hashed;

/// How long a worker says nothing before its places count no more.
pub(crate) const LEASE: u64 = 10 * SECOND;

const SECOND: u64 = 1_000_000_000;

/// How often each says that it is there.
const BEAT: u64 = SECOND;

/// What one look counts for at most.
const MOST_OF_LOOK: u64 = 2 * BEAT;

/// When one that is gone is no longer listed: by then all have found out.
const UNLISTED: u64 = 6 * LEASE;

/// Where all say so.
const CELL: &str = "places/there";

/// The first bytes of the cell: ours, format 1.
const FORMAT: [u8; 8] = *b"places\x00\x01";

/// More workers than a proxy has, and what some of them were before.
const MOST: usize = 1024;

const ATTEMPTS: usize = 8;

thread_local! {
    /// This VM's number, once it has one. All documents and generations of a VM have the same: what an old one
    /// holds is held for as long as any of them says that the VM is there.
    static NUMBER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on, this counts as another VM: what a test does to have several, or to lose one.
#[cfg(test)]
pub(crate) fn is_another_vm() {
    NUMBER.set(None);
}

/// This VM, for the limits of one document.
#[derive(Debug, Default)]
pub(crate) struct PlaceHolder {
    number: Cell<Option<u64>>,
    /// When it last said that it is there, and looked who is.
    looked: Cell<Option<u64>>,
    others: RefCell<BTreeMap<u64, SeenHolder>>,
    /// What could not be given back when it should have been.
    owed: RefCell<Vec<OwedPlace>>,
}

/// What has been seen of another VM.
#[derive(Clone, Copy, Debug, Default)]
struct SeenHolder {
    /// What it said last.
    beat: u64,
    /// For how long that has been so.
    unchanged: u64,
}

/// A place that is to be given back.
#[derive(Debug)]
pub(super) struct OwedPlace {
    pub(super) store: Rc<PlaceStore>,
    pub(super) caller: Hashed,
    pub(super) is_waiting: bool,
}

impl PlaceHolder {
    /// The number of this VM.
    pub(super) fn number(&self, host: &dyn Host) -> u64 {
        if let Some(number) = self.number.get() {
            return number;
        }
        let number = NUMBER.get().unwrap_or_else(|| host.random());
        NUMBER.set(Some(number));
        self.number.set(Some(number));
        number
    }

    /// Whether a VM is gone. One that is not known is looked for from now on.
    pub(super) fn is_gone(&self, number: u64) -> bool {
        let Ok(mut others) = self.others.try_borrow_mut() else {
            return false;
        };
        if others.len() >= MOST {
            // Nobody is gone until it is known anew.
            others.clear();
        }
        let seen = others.entry(number).or_default();
        self.number.get() != Some(number) && seen.unchanged >= LEASE
    }

    /// Notes that something is to be given back.
    pub(super) fn owe(&self, owed: OwedPlace) {
        if let Ok(mut all) = self.owed.try_borrow_mut()
            && all.try_reserve(1).is_ok()
        {
            all.push(owed);
        }
    }

    /// Gives back what is owed.
    pub(super) fn pay(&self, host: &dyn Host) {
        let owed = match self.owed.try_borrow_mut() {
            Ok(mut all) if !all.is_empty() => std::mem::take(&mut *all),
            _ => return,
        };
        for each in owed {
            let OwedPlace {
                store,
                caller,
                is_waiting,
            } = &each;
            if !store.give_back(*caller, *is_waiting, host) {
                self.owe(each);
            }
        }
    }

    /// Says that this VM is there, and looks who else is.
    fn say(&self, host: &dyn Host) {
        // One that has never held a place has nothing to say. What an old document holds, a new one speaks for.
        let Some(number) = self.number.get().or(NUMBER.get()) else {
            return;
        };
        let now = super::store::now(host);
        let since = self.looked.get().map(|looked| now.saturating_sub(looked));
        if since.is_some_and(|since| since < BEAT) {
            return;
        }
        self.pay(host);
        self.looked.set(Some(now));
        let looked_for = since.unwrap_or_default().min(MOST_OF_LOOK);
        for attempt in 0..ATTEMPTS {
            let Ok(found) = host.cell(CELL) else {
                return;
            };
            let (mut all, mark) = match found {
                Some((bytes, mark)) => (read(&bytes).unwrap_or_default(), Some(mark)),
                None => (BTreeMap::new(), None),
            };
            if attempt == 0 {
                self.look(&all, looked_for);
            }
            all.retain(|other, _| !self.is_long_gone(*other));
            if all.len() < MOST {
                all.insert(number, now);
            }
            let written = match mark {
                None => host.create_cell(CELL, &bytes(&all)),
                Some(_) => host.compare_and_swap(CELL, mark, &bytes(&all)),
            };
            if written != Ok(CasResult::Changed) {
                return;
            }
        }
    }

    fn look(&self, all: &BTreeMap<u64, u64>, looked_for: u64) {
        let Ok(mut others) = self.others.try_borrow_mut() else {
            return;
        };
        for other in all.keys() {
            if others.len() < MOST {
                others.entry(*other).or_default();
            }
        }
        for (other, seen) in others.iter_mut() {
            let beat = all.get(other).copied().unwrap_or_default();
            *seen = match beat == seen.beat {
                true => SeenHolder {
                    beat,
                    unchanged: seen.unchanged.saturating_add(looked_for),
                },
                false => SeenHolder { beat, unchanged: 0 },
            };
        }
        // Who has not been listed for long and is in no cell is forgotten.
        others.retain(|other, seen| all.contains_key(other) || seen.unchanged < UNLISTED);
    }

    fn is_long_gone(&self, number: u64) -> bool {
        let others = self.others.try_borrow();
        others.is_ok_and(|others| {
            let seen = others.get(&number);
            seen.is_some_and(|seen| seen.unchanged >= UNLISTED)
        })
    }
}

impl Ticking for PlaceHolder {
    fn tick(&self, host: &dyn Host) {
        self.say(host);
    }
}

fn read(bytes: &[u8]) -> Option<BTreeMap<u64, u64>> {
    let rest = bytes.strip_prefix(&FORMAT)?;
    let (pairs, []) = rest.as_chunks::<16>() else {
        return None;
    };
    if pairs.len() > MOST {
        return None;
    }
    let pair = |pair: &[u8; 16]| {
        let (number, beat) = pair.split_first_chunk::<8>()?;
        let beat = beat.first_chunk::<8>()?;
        Some((u64::from_le_bytes(*number), u64::from_le_bytes(*beat)))
    };
    pairs.iter().map(pair).collect()
}

fn bytes(all: &BTreeMap<u64, u64>) -> Vec<u8> {
    let mut bytes = FORMAT.to_vec();
    for (number, beat) in all {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&beat.to_le_bytes());
    }
    bytes
}
