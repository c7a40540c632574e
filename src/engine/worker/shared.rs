//! Calls of which several requests hear: those that would make one and the same.
//!
//! INVARIANT: whoever has joined hears of an end, or leaves: the call's, or that of the one which is made
//! in its place when the request that had made it leaves.

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
    /// The request that made it; none once that has left.
    leader: Option<u32>,
    /// Those that wait as well, in the order in which they came.
    others: VecDeque<u32>,
    _memory: Reservation,
}

/// A shared call whose maker has left.
#[derive(Debug)]
pub(super) struct OrphanedCall {
    pub(super) ticket: Token,
    pub(super) call: Call,
    /// The request for which it is made again.
    pub(super) leader: u32,
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
        /// What a place in the list takes at most, which grows by doubling.
        const PLACE: usize = 2 * size_of::<u32>();
        let ticket = *self.by_hash.get(&self.hash(call))?;
        let shared = self.by_ticket.get_mut(&ticket)?;
        let may_join = shared.call == *call && shared._memory.grow(PLACE);
        may_join.then(|| {
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
            leader: Some(stream),
            others: VecDeque::new(),
            _memory: memory,
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
        if shared.leader != Some(stream) {
            shared.others.retain(|other| *other != stream);
            if shared.leader.is_some() || !shared.others.is_empty() {
                return Departure::Other;
            }
            self.end(ticket);
            return Departure::Last;
        }
        shared.leader = None;
        if shared.others.is_empty() {
            self.end(ticket);
            return Departure::Last;
        }
        Departure::Leader
    }

    /// The calls whose makers have left, each for the one that has waited longest: it makes the call again.
    pub(super) fn orphaned(&mut self) -> Vec<OrphanedCall> {
        let all = self.by_ticket.iter_mut();
        let orphaned = all.filter(|(_, shared)| shared.leader.is_none());
        let orphaned = orphaned.filter_map(|(ticket, shared)| {
            let leader = shared.others.pop_front()?;
            shared.leader = Some(leader);
            Some(OrphanedCall {
                ticket: *ticket,
                call: shared.call.clone(),
                leader,
            })
        });
        orphaned.collect()
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
