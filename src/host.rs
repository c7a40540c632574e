//! What the core asks of the proxy it runs in.

use std::time::Duration;

/// The proxy, as far as policies may know it.
pub trait Host {
    /// The wall clock, as time since the Unix epoch. It may step back.
    fn now(&self) -> Duration;
    /// Adds one to a counter. Names come from [`crate::metrics`]; nothing a client sends is one.
    fn count(&self, counter: Counter);
}

/// A counter: its place in [`crate::metrics::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(pub usize);
