//! Calls of which several requests hear: those that would make one and the same.
//!
//! INVARIANT: whoever has joined hears of an end, or leaves: the call's, or that of the one which is made
//! in its place when the request that had made it leaves. That one is nobody's, and stays under way whoever
//! leaves: clients that come and go cannot keep the others from an answer.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use portcullis_exchange::call::{Call, CallError, Token};
use portcullis_wire::budget::{Reservation, Share, reserve};

/// The calls that may be shared, by the number that those who wait know them by: the proxy's number of
/// the first.
#[derive(Debug, Default)]
pub(super) struct SharedCalls {
    by_ticket: BTreeMap<Token, SharedCall>,
    /// Where to look for one that is equal. Two that only hash alike are not shared.
    by_hash: BTreeMap<u64, Token>,
    hasher: RandomState,
}

/// A call that may be shared.
#[derive(Debug)]
struct SharedCall {
    call: Call,
    hash: u64,
    maker: Maker,
    /// Those that wait as well, in the order in which they came.
    others: VecDeque<u32>,
    memory: Reservation,
}

/// Who has made a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// A request: the call ends with it.
    Request(u32),
    /// One that has left. It has to be made again.
    Gone,
    /// The root context, for all who wait.
    Root,
}

/// A shared call whose maker has left.
#[derive(Debug)]
pub(super) struct OrphanedCall {
    pub(super) ticket: Token,
    pub(super) call: Call,
}

impl SharedCalls {
    fn hash(&self, call: &Call) -> u64 {
        let Call {
            cluster,
            headers,
            body,
            timeout: _,
        } = call;
        self.hasher.hash_one((cluster, headers, body))
    }

    /// Joins a call that is equal, if one is on its way. Its number.
    pub(super) fn join(&mut self, stream: u32, call: &Call) -> Option<Token> {
        let ticket = *self.by_hash.get(&self.hash(call))?;
        let shared = self.by_ticket.get_mut(&ticket)?;
        (shared.call == *call && shared.has_room()).then(|| {
            shared.others.push_back(stream);
            ticket
        })
    }

    /// Notes a call that has been made. Without memory for that, nobody joins it.
    pub(super) fn note(&mut self, ticket: Token, stream: u32, call: &Call) {
        const AROUND: usize = 256;
        let hash = self.hash(call);
        let bytes = call.memory().saturating_add(AROUND);
        if self.by_hash.contains_key(&hash) {
            return;
        }
        let Some(memory) = reserve(Share::Streams, bytes) else {
            return;
        };
        let shared = SharedCall {
            call: call.clone(),
            hash,
            maker: Maker::Request(stream),
            others: VecDeque::new(),
            memory,
        };
        self.by_hash.insert(hash, ticket);
        self.by_ticket.insert(ticket, shared);
    }

    /// The call has ended. The requests that wait for it beside the one that made it.
    pub(super) fn end(&mut self, ticket: Token) -> VecDeque<u32> {
        let shared = self.by_ticket.remove(&ticket);
        shared.map_or_else(VecDeque::new, |shared| {
            self.by_hash.remove(&shared.hash);
            shared.others
        })
    }

    /// A request does not wait for it any more.
    pub(super) fn leave(&mut self, ticket: Token, stream: u32) -> Departure {
        let Some(shared) = self.by_ticket.get_mut(&ticket) else {
            return Departure::Unshared;
        };
        let has_made = shared.maker == Maker::Request(stream);
        match has_made {
            true => shared.maker = Maker::Gone,
            false => shared.others.retain(|other| *other != stream),
        }
        match (shared.maker, shared.others.is_empty()) {
            (Maker::Gone | Maker::Root, true) => {
                self.end(ticket);
                Departure::Last
            }
            _ if has_made => Departure::Leader,
            _ => Departure::Other,
        }
    }

    /// The calls whose makers have left: they are to be made again, by the root context.
    pub(super) fn orphaned(&mut self) -> Vec<OrphanedCall> {
        let all = self.by_ticket.iter_mut();
        let orphaned = all.filter(|(_, shared)| shared.maker == Maker::Gone);
        let orphaned = orphaned.map(|(ticket, shared)| {
            shared.maker = Maker::Root;
            OrphanedCall {
                ticket: *ticket,
                call: shared.call.clone(),
            }
        });
        orphaned.collect()
    }
}

impl SharedCall {
    /// Whether there is room in the list for one more. Places of those that have left are taken again.
    fn has_room(&mut self) -> bool {
        let many = self.others.len();
        if many < self.others.capacity() {
            return true;
        }
        let more = many.max(4);
        let grown = self.memory.grow(more.saturating_mul(size_of::<u32>()));
        if grown {
            self.others.reserve_exact(more);
        }
        grown
    }
}

/// What it comes to that a request leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// The call is its own.
    Unshared,
    /// Another makes the call, or will.
    Other,
    /// It made the call, or was to, and nobody else waits.
    Last,
    /// It made the call, and others wait.
    Leader,
}

/// Requests that hear of the end of a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Waiters {
    /// By which number they know it.
    pub ticket: Token,
    /// The proxy's numbers of their contexts.
    pub streams: Vec<u32>,
}

/// A call that could not be made again, and those who wait for it.
#[derive(Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// Who waits.
    pub awaiting: Waiters,
    /// Why it is not made.
    pub error: CallError,
}
