//! What is fetched on a schedule: by one worker, for all of them.
//!
//! A document declares instances of [`Fetched`] (key sets and discovery documents so far), and the
//! worker does for each what is the same for all: it takes up what another
//! worker has published, asks for the lease before a call, makes the call, bounds the response,
//! publishes, counts and logs. What an instance adds is when, what to ask, and what a response means.

use std::time::Duration;

use crate::call::{Call, CallError};
use crate::credentials::Credential;
use crate::host::{Host, Level};
use crate::meter::{Event, Timing};
use crate::whole_response::WholeResponse;

/// One thing that is fetched on a schedule. All times are [`crate::host::Clock::monotonic`].
pub trait Fetched {
    /// Its place in messages, `provider corp`.
    fn place(&self) -> String;

    /// What it brings, in the plural, as messages have it: `keys`.
    fn noun(&self) -> &'static str;

    /// The cells under which the workers of a proxy share it.
    fn cells(&self, host: &dyn Host) -> SharedCells;

    /// The credentials with which it is asked for.
    fn credentials(&self) -> &[Credential];

    /// The shortest time between two fetches by all workers together.
    fn cooldown(&self) -> Duration;

    /// The histogram of how long responses take.
    fn timing(&self) -> Timing;

    /// What to ask at `now`; none if nothing is due.
    fn due(&self, now: Duration, host: &dyn Host) -> Option<Errand>;

    /// The longest body that is read of the response to a call for that.
    fn longest(&self, purpose: Purpose) -> usize;

    /// Takes up the response to a call for that. The body of a response whose status is not 200 has
    /// not been read. None while it takes longer to read than one callback should: [`read_on`](Self::read_on)
    /// tells the rest.
    ///
    /// INVARIANT: it is told of no other call than the last that was made. [`due`](Self::due) is
    /// asked on every tick, also while a call is on its way, and most of what it says is not done;
    /// so what a call was for goes with the call.
    fn received(
        &self,
        now: Duration,
        purpose: Purpose,
        response: Result<WholeResponse, CallError>,
        host: &dyn Host,
    ) -> Option<Received>;

    /// Reads on in what has come, as much as requests may wait for. None where there is nothing to read.
    fn read_on(&self, now: Duration, host: &dyn Host) -> Option<Progress> {
        let _ = (now, host);
        None
    }

    /// Takes up what another worker published, and says whether it was of use, as far as that is known at once:
    /// the bytes of a shared cell may come from another document or release. What is large stands in another cell, of
    /// its own name: this one is read on every tick.
    fn adopt(&self, published: &[u8], now: Duration, host: &dyn Host) -> bool;
}

/// The names of cells, after the host's own prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedCells {
    /// The cell of what was fetched. Its name contains everything that decides the result, the
    /// credentials included: no document takes up what another has fetched in another way.
    pub published: String,
    /// The cell that says until when one worker alone may ask. Its name also contains how often
    /// the document asks.
    pub lease: String,
}

/// A call, and what it is for.
#[derive(Debug)]
pub struct Errand {
    /// The call.
    pub call: Call,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a call is for, where an instance makes several kinds of them: a number of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purpose(pub u8);

/// What has become of a call.
#[derive(Debug)]
pub struct Received {
    /// What is counted.
    pub event: Event,
    /// What an operator should know, a line each.
    pub notes: Vec<Note>,
    /// What to do now.
    pub next: Next,
}

/// How far something has been read that takes longer than one callback should.
#[derive(Debug)]
pub enum Progress {
    /// There is more to read.
    Reading,
    /// What has become of a response.
    Received(Received),
    /// Whether what another worker published was of use.
    Adopted(bool),
}

/// What to do after a response.
#[derive(Debug)]
pub enum Next {
    /// Make this call.
    Call(Errand),
    /// Leave these bytes for the other workers, which need not ask then.
    Publish(Vec<u8>),
    /// Wait for so long before the next call.
    Wait(Duration),
}

/// A line for the proxy's log, without the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub level: Level,
    /// Its text. Nothing of a credential stands in it.
    pub text: String,
}
