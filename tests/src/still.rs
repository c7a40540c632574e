//! A proxy whose clock stands still.

use std::time::Duration;

use portcullis::host::{
    CellUnavailable, Counter, Failure, Host, HostVerdict, Mark, Property, Side, SignatureCheck,
    Swap,
};

/// It tells the same of every exchange, checks no signatures, and forgets its cells and metrics.
pub struct Still {
    /// Seconds since the epoch.
    pub now: u64,
}

impl Still {
    /// The one variable of its environment.
    pub const LOG_KEY: &str = "LOG_KEY";
}

impl Host for Still {
    fn wall_clock(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    fn count(&self, _: Counter) {}

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        (name == Self::LOG_KEY).then(|| b"a key for logs".to_vec())
    }

    fn verify_signature(&self, _: SignatureCheck<'_>) -> HostVerdict {
        HostVerdict::Unavailable
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        let number = |number: u64| number.to_le_bytes().to_vec();
        Some(match property {
            Property::ClientAddress => b"192.0.2.1:40000".to_vec(),
            Property::TlsVersion => b"TLSv1.3".to_vec(),
            Property::Protocol => b"HTTP/2".to_vec(),
            Property::RequestSize => number(600),
            Property::ResponseStatus => number(200),
            Property::ResponseDetails => b"via_upstream".to_vec(),
            Property::ResponseFlags => number(0),
            Property::ResponseSize => number(300),
            Property::UpstreamAddress => b"192.0.2.2:8080".to_vec(),
        })
    }

    fn cell(&self, _: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        Ok(None)
    }

    fn swap_cell(&self, _: &str, _: Option<Mark>, _: &[u8]) -> Result<Swap, CellUnavailable> {
        Ok(Swap::Written)
    }

    fn random(&self) -> u64 {
        4
    }

    fn body(&self, _: Side, _: usize) -> Result<Vec<u8>, Failure> {
        Ok(b"{}".to_vec())
    }
}

/// A proxy at the beginning of time that holds one body, for either side, and nothing else.
pub struct Holding<'b>(pub &'b [u8]);

impl Host for Holding<'_> {
    fn wall_clock(&self) -> Duration {
        Duration::ZERO
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

    fn body(&self, _: Side, _: usize) -> Result<Vec<u8>, Failure> {
        Ok(self.0.to_vec())
    }
}
