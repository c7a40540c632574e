//! The calls in flight, by their tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_exchange::call::{Call, CallError, Owner, Token};
use portcullis_exchange::host::WorkerHost;

/// The one table of tokens: who hears of the end of a call.
///
/// INVARIANT: a token stands here from the call to its end, or until its owner has made another
/// call or wants to hear nothing more. What is not here is told to nobody.
#[derive(Debug, Default)]
pub(super) struct InFlight(BTreeMap<Token, CallInFlight>);

/// A call in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallInFlight {
    pub(super) owner: Owner,
    /// When it was made.
    pub(super) since: Duration,
    /// By which number those who wait know it: its own, unless it is made in the place of another.
    pub(super) ticket: Token,
}

impl InFlight {
    /// Makes a call.
    pub(super) fn make(
        &mut self,
        owner: Owner,
        call: &Call,
        host: &dyn WorkerHost,
    ) -> Result<Token, CallError> {
        let token = host.call(call)?;
        self.insert(token, token, owner, host);
        Ok(token)
    }

    /// Makes a call in the place of another, by whose number its owner goes on to know it.
    pub(super) fn make_for(
        &mut self,
        owner: Owner,
        ticket: Token,
        call: &Call,
        host: &dyn WorkerHost,
    ) -> Result<(), CallError> {
        let token = host.call(call)?;
        self.insert(token, ticket, owner, host);
        Ok(())
    }

    fn insert(&mut self, token: Token, ticket: Token, owner: Owner, host: &dyn WorkerHost) {
        let since = host.monotonic();
        let call = CallInFlight {
            owner,
            since,
            ticket,
        };
        self.0.insert(token, call);
    }

    /// A call has ended.
    pub(super) fn end(&mut self, token: Token) -> Option<CallInFlight> {
        self.0.remove(&token)
    }

    /// No request wants to hear more of a call.
    pub(super) fn end_for(&mut self, ticket: Token) {
        if self.0.remove(&ticket).is_none() {
            // It was made again, under another number: few are.
            self.0.retain(|_, call| call.ticket != ticket);
        }
    }

    /// When the call was made that its owner knows by that number.
    pub(super) fn since(&self, ticket: Token) -> Option<Duration> {
        let known = self.0.get(&ticket).filter(|call| call.ticket == ticket);
        let again = || self.0.values().find(|call| call.ticket == ticket);
        known.or_else(again).map(|call| call.since)
    }
}
