//! The proxy as the core knows it: a clock, counters, and a checker of signatures.

use std::time::{Duration, SystemTime};

use super::abi::{self, HostError};
use super::signature;
use crate::host::{Counter, Host, HostVerdict, SignatureCheck};
use crate::metrics;

/// The proxy of this worker.
pub(super) struct Envoy {
    counters: Vec<Option<u32>>,
    signatures: signature::Support,
}

impl Envoy {
    /// Makes every counter known to the proxy. One that it refuses is not counted.
    pub(super) fn new() -> Self {
        let define = |name: &String| abi::define_counter(name).map_err(|error| report(name, error));
        Self {
            counters: metrics::names()
                .iter()
                .map(|name| define(name).ok())
                .collect(),
            signatures: signature::Support::probe(),
        }
    }
}

fn report(name: &str, HostError(status): HostError) {
    log::warn!("the proxy refuses the counter {name} with status {status}");
}

impl Host for Envoy {
    fn now(&self) -> Duration {
        #[allow(
            clippy::disallowed_methods,
            reason = "this is the clock that everything else is given"
        )]
        let now = SystemTime::now();
        now.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn count(&self, Counter(number): Counter) {
        if let Some(id) = self.counters.get(number).copied().flatten() {
            // A counter that cannot be raised must not change a verdict.
            let _ = abi::increment(id, 1);
        }
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        // An empty name, or one with `=` or NUL, is no variable's; asking for one may panic.
        let is_name = !name.is_empty() && !name.contains(['=', '\0']);
        let value = is_name.then(|| std::env::var_os(name)).flatten()?;
        Some(value.into_encoded_bytes())
    }

    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        self.signatures.verify(check)
    }
}
