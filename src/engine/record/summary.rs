//! What is counted and recorded of an exchange, as a value: those who count and record know nothing of
//! streams.

use std::time::Duration;

use super::{Decision, Ending, Verdicts};
use portcullis_exchange::exchange::Facts;
use portcullis_exchange::host::Host;
use portcullis_wire::headers::Headers;

/// One exchange, as it is counted and recorded.
#[derive(Debug)]
pub struct Summary<'s> {
    /// The request's header fields that are kept; none if the request never reached the filter.
    pub headers: &'s Headers,
    /// What policies learned.
    pub facts: &'s Facts,
    /// What became of it.
    pub record: &'s Decision,
    /// What each policy of its route said.
    pub verdicts: Verdicts,
    /// How it ended.
    pub ending: Ending,
    /// The place of its route.
    pub route: Option<usize>,
    /// The name of its route.
    pub route_name: Option<&'s str>,
    /// When its head arrived.
    pub started: Option<Duration>,
    /// The same on the clock that does not step; none if nobody wants to know how long it took.
    pub began: Option<Duration>,
    /// How long its head was judged; none if nobody wants to know.
    pub judging: Option<Duration>,
    /// How long it waited in the midst of its chain.
    pub waited: Duration,
}

impl Summary<'_> {
    /// How long ago its head came; none if nobody wanted to know.
    pub fn elapsed(&self, host: &dyn Host) -> Option<Duration> {
        host.monotonic().checked_sub(self.began?)
    }
}
