//! Secrets that only the environment of the VM knows.

use std::cell::OnceCell;
use std::fmt;

use crate::host::Host;

/// A secret in a variable of the VM's environment. The environment of a VM does not change, so it
/// is asked once, when the first token needs it; that it is not there is remembered too.
pub(super) struct EnvironmentSecret {
    variable: String,
    value: OnceCell<Option<Box<[u8]>>>,
}

impl EnvironmentSecret {
    pub(super) fn new(variable: String) -> Self {
        Self {
            variable,
            value: OnceCell::new(),
        }
    }

    /// The name of the variable.
    pub(super) fn variable(&self) -> &str {
        &self.variable
    }

    /// The secret, if it is there.
    pub(super) fn value(&self, host: &dyn Host) -> Option<&[u8]> {
        let read = || host.environment(&self.variable).map(Vec::into_boxed_slice);
        self.value.get_or_init(read).as_deref()
    }
}

/// The name, and nothing of the secret.
impl fmt::Debug for EnvironmentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvironmentSecret({})", self.variable)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;
    use crate::host::{
        CellUnavailable, Counter, HostVerdict, Mark, Property, SignatureCheck, Swap,
    };

    /// A proxy with one variable; it counts how often it is asked.
    #[derive(Default)]
    struct Proxy {
        asked: Cell<u32>,
    }

    impl Host for Proxy {
        fn wall_clock(&self) -> Duration {
            Duration::ZERO
        }

        fn count(&self, _: Counter) {}

        fn environment(&self, name: &str) -> Option<Vec<u8>> {
            self.asked.set(self.asked.get() + 1);
            (name == "SECRET").then(|| b"hush".to_vec())
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

    #[test]
    fn the_environment_is_asked_once() {
        let proxy = Proxy::default();
        for (name, expected) in [("SECRET", Some(&b"hush"[..])), ("MISSING", None)] {
            let secret = EnvironmentSecret::new(name.to_owned());
            let before = proxy.asked.get();
            for _ in 0..3 {
                assert_eq!(secret.value(&proxy), expected);
            }
            assert_eq!(proxy.asked.get(), before + 1);
            assert!(!format!("{secret:?}").contains("hush"));
        }
    }
}
