//! Waiting in the midst of a chain: for what, and what ends it.
//!
//! A policy that cannot say yet whether a request may pass answers with
//! [`Verdict::Wait`](crate::policy::Verdict::Wait). The chain stops there, nothing of the request
//! goes on, and the policy is asked again, by [`Policy::resume`](crate::policy::Policy::resume),
//! when the wait is over. Policies before it are not asked again; those behind it follow then. (Waiting
//! for the body is something else: the chain goes on meanwhile, and several may wait at once.)
//!
//! INVARIANT: every wait ends, in one of four ways.
//!
//! | end | verdict |
//! | --- | --- |
//! | what was waited for has come | the policy's, in [`Policy::resume`](crate::policy::Policy::resume) |
//! | the deadline has passed: the call's timeout and [`GRACE`], measured by our own ticks | the policy's as well: it is told [`CallError::Timeout`], or [`CallError::CutShort`] |
//! | the client is gone, or the proxy has ended the exchange | none: the wait is dropped, and policies are told, as at every [end](crate::policy::Policy::finished) |
//! | the VM is gone | none, and none goes on to the service: Envoy (1.36 and 1.40) answers 503 to a request whose callback trapped; others of that VM hang until a timeout of the proxy's |
//!
//! A new document ends no wait: the request keeps the engine that it began with.
//!
//! There are bounds: [`MOST`] requests of a VM wait at once, [`MOST_OF_ASKER`] of them for one that asks by
//! shared calls, each at most [`MOST_OF_REQUEST`] times and
//! [`LONGEST`] at a time, and the memory for each is taken from the budget. Those that wait for their
//! [turn](crate::turn) are counted apart, so that neither kind takes the room of the other. Beyond them the
//! request is refused: `unavailable`, with the reason `wait` or `memory`.
//!
//! In shadow mode, of the block or of the document, and beside a block in force, no request waits: the chain
//! goes on, no call is made, and the record says `waiting` of the policy.

use std::time::Duration;

use crate::call::{Call, CallError, CallResponse};

/// What a policy waits for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait {
    /// For the response to a call, which the proxy is to make.
    Response(Call),
    /// The same, where another request's response will do: while one waits for a call that is equal in all,
    /// others wait for that one, and hear what it hears. If the request that made it leaves, it is made again,
    /// once, for those who are left. Each has its own deadline.
    Shared(Call),
    /// Until that time of [`Clock::monotonic`](crate::host::Clock::monotonic).
    Until(Duration),
    /// The same, by a policy that holds a [`TurnPlace`](crate::turn::TurnPlace) for it. It may be said as often as
    /// that policy likes: it has a bound of its own for the time of them all.
    Turn(Duration),
}

/// What ends a wait.
#[derive(Debug)]
pub enum Wake<'a> {
    /// The response to the call, or why there is none. What the proxy itself says in place of a server
    /// that cannot be reached or is too slow looks like a response: Envoy's have the status 503
    /// and 504.
    Response(Result<CallResponse<'a>, CallError>),
    /// The time has come.
    Time,
}

/// How many requests of a VM wait at once.
pub const MOST: usize = 1000;

/// How many of them wait for the answers of one server: one that is slow takes no room from the others.
pub const MOST_OF_ASKER: usize = MOST / 2;

/// How often one request waits.
pub const MOST_OF_REQUEST: u32 = 8;

/// The longest wait. A call's timeout is cut to it; a request that would wait for a time beyond it is refused.
pub const LONGEST: Duration = Duration::from_secs(60);

/// How long after its timeout a call counts as lost: the proxy may say so itself until then.
pub const GRACE: Duration = Duration::from_millis(500);
