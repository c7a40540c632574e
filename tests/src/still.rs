//! A proxy whose clock stands still.

use std::time::Duration;

use portcullis::host::{
    CellUnavailable, Counter, Host, HostVerdict, Mark, Property, SignatureCheck, Swap,
};

/// It has no environment and no cells, knows nothing of connections, checks no signatures and
/// forgets its metrics.
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

    fn property(&self, _: Property) -> Option<Vec<u8>> {
        None
    }

    fn cell(&self, _: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        Err(CellUnavailable)
    }

    fn swap_cell(&self, _: &str, _: Option<Mark>, _: &[u8]) -> Result<Swap, CellUnavailable> {
        Err(CellUnavailable)
    }

    fn random(&self) -> u64 {
        4
    }
}
