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
        let since = host.monotonic();
        self.0.insert(token, CallInFlight { owner, since });
        Ok(token)
    }

    /// A call has ended, or its owner wants to hear nothing more of it.
    pub(super) fn end(&mut self, token: Token) -> Option<CallInFlight> {
        self.0.remove(&token)
    }
}
