//! The memory of a VM: asked for before it is taken.
//!
//! A VM that finds no memory traps, and a trap takes the worker's requests with it. INVARIANT: whatever a
//! client, a document or another service can make grow is asked of the budget first, with
//! [`reserve`]. Who is told no refuses, or does not remember, or drops the oldest; which of these
//! stands where it asks.
//!
//! The budget has [`Share`]s, so that a flood of one kind leaves the others theirs. What is in use
//! is known twice: by what has been reserved, which is what each share is bounded by, and by what
//! the allocator has handed out ([`live`]), which bounds all of them together, whatever an estimate
//! says. [`CEILING`] stands well below the 1 GiB at which a VM of Envoy's ends, so that small
//! allocations that nobody asks for, and the holes between allocations, have room above it.
//!
//! There is one budget for each VM, as there is one memory: all plugins and all generations of
//! their documents share it. Natively, each thread has its own.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most bytes that may be in use when something is reserved.
pub const CEILING: usize = 576 << 20;

/// Whose part of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Compiled documents, of all generations that still have requests.
    Documents,
    /// What requests keep while they last, bodies apart.
    Streams,
    /// What is remembered to make answers quicker: tokens that were verified.
    Caches,
    /// Bodies while they are judged, and what is made of them.
    Bodies,
    /// Records that wait for a collector, and responses of other services that are being read.
    Queues,
}

/// Every share.
pub const SHARES: [Share; 5] = [
    Share::Documents,
    Share::Streams,
    Share::Caches,
    Share::Bodies,
    Share::Queues,
];

impl Share {
    /// The most bytes that may be reserved of it.
    pub const fn most(self) -> usize {
        match self {
            Share::Documents => 208 << 20,
            Share::Streams => 96 << 20,
            Share::Caches => 64 << 20,
            Share::Bodies => 128 << 20,
            Share::Queues => 48 << 20,
        }
    }

    /// Its name in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Share::Documents => "documents",
            Share::Streams => "streams",
            Share::Caches => "caches",
            Share::Bodies => "bodies",
            Share::Queues => "queues",
        }
    }
}

/// What one share stands at.
struct Account {
    used: Cell<usize>,
    refused: Cell<u64>,
}

thread_local! {
    static ACCOUNTS: [Account; SHARES.len()] = const {
        [const {
            Account {
                used: Cell::new(0),
                refused: Cell::new(0),
            }
        }; SHARES.len()]
    };
}

/// Bytes that the allocator has handed out. Only the module counts them.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Memory that may be taken. It goes back to its share when this is dropped.
#[derive(Debug)]
#[must_use = "the memory goes back as soon as this is dropped"]
pub struct Reservation {
    share: Share,
    bytes: usize,
}

/// Asks for memory. None if the share, or the whole budget, is spent; that is counted.
#[inline]
pub fn reserve(share: Share, bytes: usize) -> Option<Reservation> {
    // Made only then: one that is dropped gives back.
    take(share, bytes).then(|| Reservation { share, bytes })
}

/// Whether so much can be had of a share. Asking is not counted.
#[inline]
pub fn has(share: Share, bytes: usize) -> bool {
    account(share, |account| fits(account, share, bytes).is_some())
}

/// Bytes that are reserved of a share.
#[inline]
pub fn used(share: Share) -> usize {
    account(share, |account| account.used.get())
}

/// How often a share was asked for more than it had.
pub fn refused(share: Share) -> u64 {
    account(share, |account| account.refused.get())
}

/// Bytes that the allocator of the VM has handed out and not taken back; 0 natively.
#[inline]
pub fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// Notes that the allocator has handed out memory.
#[cfg(target_arch = "wasm32")]
#[inline]
pub fn allocated(bytes: usize) {
    LIVE.fetch_add(bytes, Ordering::Relaxed);
}

/// Notes that it has taken memory back.
#[cfg(target_arch = "wasm32")]
#[inline]
pub fn freed(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::Relaxed);
}

impl Reservation {
    /// No memory of a share, to be grown.
    pub const fn none(share: Share) -> Self {
        Self { share, bytes: 0 }
    }

    /// How much it is.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Asks for more; whether there is as much. If not, what has been reserved stays.
    #[must_use]
    #[inline]
    pub fn grow(&mut self, more: usize) -> bool {
        let grown = take(self.share, more);
        if grown {
            self.bytes = self.bytes.saturating_add(more);
        }
        grown
    }

    /// Gives back what is over `bytes`.
    #[inline]
    pub fn shrink_to(&mut self, bytes: usize) {
        let over = self.bytes.saturating_sub(bytes);
        give(self.share, over);
        self.bytes = self.bytes.saturating_sub(over);
    }
}

impl Drop for Reservation {
    #[inline]
    fn drop(&mut self) {
        give(self.share, self.bytes);
    }
}

// Once in the code, for all its callers.
#[inline(never)]
fn take(share: Share, bytes: usize) -> bool {
    account(share, |account| {
        let used = fits(account, share, bytes);
        match used {
            Some(used) => account.used.set(used),
            None => account.refused.set(account.refused.get().saturating_add(1)),
        }
        used.is_some()
    })
}

/// What would be used of a share with so much more; none if that is more than there is.
#[inline]
fn fits(account: &Account, share: Share, bytes: usize) -> Option<usize> {
    let used = account.used.get().saturating_add(bytes);
    let fits = used <= share.most() && live().saturating_add(bytes) <= CEILING;
    fits.then_some(used)
}

#[inline(never)]
fn give(share: Share, bytes: usize) {
    account(share, |account| {
        account.used.set(account.used.get().saturating_sub(bytes));
    });
}

#[inline]
fn account<T: Default>(share: Share, read: impl FnOnce(&Account) -> T) -> T {
    ACCOUNTS.with(|accounts| accounts.get(share as usize).map(read).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_leave_room_under_the_ceiling() {
        let all: usize = SHARES.iter().map(|share| share.most()).sum();
        assert!(all < CEILING);
        for (place, share) in SHARES.iter().enumerate() {
            assert_eq!(*share as usize, place);
        }
    }

    #[test]
    fn a_share_gives_no_more_than_it_has_and_gets_back_what_it_gave() {
        let most = Share::Queues.most();
        let mut one = reserve(Share::Queues, most - 10).unwrap();
        assert!(reserve(Share::Queues, 11).is_none());
        assert!(!one.grow(11));
        assert_eq!((one.bytes(), refused(Share::Queues)), (most - 10, 2));
        assert!(one.grow(10));
        assert!(reserve(Share::Queues, 1).is_none());
        one.shrink_to(5);
        assert_eq!(used(Share::Queues), 5);
        drop(one);
        assert_eq!((used(Share::Queues), used(Share::Streams)), (0, 0));
    }

    #[test]
    fn nothing_overflows() {
        assert!(reserve(Share::Streams, usize::MAX).is_none());
        let mut none = Reservation::none(Share::Streams);
        none.shrink_to(100);
        assert!(!none.grow(usize::MAX));
        assert_eq!((none.bytes(), used(Share::Streams)), (0, 0));
    }
}
