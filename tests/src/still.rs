//! A proxy whose clock stands still.

use std::time::Duration;

use portcullis::host::{Counter, Host, HostVerdict, SignatureCheck};

/// It has no environment, checks no signatures and forgets its counters.
pub struct Still {
    /// Seconds since the epoch.
    pub now: u64,
}

impl Host for Still {
    fn now(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    fn count(&self, _: Counter) {}

    fn environment(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn verify_signature(&self, _: SignatureCheck<'_>) -> HostVerdict {
        HostVerdict::Unavailable
    }
}
