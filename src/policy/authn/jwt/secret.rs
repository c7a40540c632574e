//! Secrets that only the environment of the VM knows.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use super::key_source::KeySource;
use super::provider::Provider;
use super::signature::ALGORITHMS;
use crate::host::Host;

/// A secret in a variable of the VM's environment. The environment of a VM does not change, so it
/// is asked once, when the first token needs it; that it is not there is remembered too.
pub(super) struct EnvironmentSecret {
    variable: String,
    value: OnceCell<Option<Box<[u8]>>>,
}

/// A variable of the VM's environment that a provider needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVariable {
    /// The name of the provider.
    pub provider: Rc<str>,
    /// The name of the variable.
    pub variable: String,
    /// The algorithms of its tokens, each with the bytes that a secret for it has at least.
    pub algorithms: Vec<(&'static str, usize)>,
}

impl SecretVariable {
    /// What an operator should know of it, as it is in this VM. Nothing is said of the secret but
    /// that it is too short.
    pub fn fault(&self, host: &dyn Host) -> Option<SecretFault> {
        let Some(value) = host.environment(&self.variable) else {
            return Some(SecretFault::Missing);
        };
        let algorithms = self.algorithms.iter();
        let short: Vec<(&'static str, usize)> = algorithms
            .filter(|(_, least)| value.len() < *least)
            .copied()
            .collect();
        match short.len() {
            0 => None,
            all if all == self.algorithms.len() => Some(SecretFault::TooShort(short)),
            _ => Some(SecretFault::TooShortForSome(short)),
        }
    }
}

/// The variables that a provider needs.
pub(super) fn variables(provider: &Provider) -> impl Iterator<Item = SecretVariable> {
    let keys = match &provider.keys {
        KeySource::Fixed(keys) => &keys[..],
        KeySource::Remote(_) => &[],
    };
    keys.iter().filter_map(|key| {
        let variable = key.verifying.variable()?;
        let able = |algorithm| provider.allows(algorithm) && key.may_check(algorithm, None);
        let algorithms = ALGORITHMS.iter().filter(|(_, algorithm)| able(*algorithm));
        Some(SecretVariable {
            provider: Rc::clone(&provider.name),
            variable: variable.to_owned(),
            algorithms: algorithms
                .map(|(name, algorithm)| (*name, algorithm.least_secret()))
                .collect(),
        })
    })
}

/// What is wrong with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// There is none.
    Missing,
    /// It is shorter than RFC 7518 §3.2 has it for each of the algorithms.
    TooShort(Vec<(&'static str, usize)>),
    /// For these, and not for others.
    TooShortForSome(Vec<(&'static str, usize)>),
}

impl fmt::Display for SecretFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (SecretFault::TooShort(short) | SecretFault::TooShortForSome(short)) = self else {
            return f.write_str("is not there; name it in vm_config.environment_variables");
        };
        f.write_str("is too short: ")?;
        for (index, (name, least)) in short.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name} needs {least} bytes at least")?;
        }
        Ok(())
    }
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
    fn a_secret_is_missing_too_short_or_neither() {
        let fault = |variable: &str, algorithms: &[(&'static str, usize)]| {
            let variable = SecretVariable {
                provider: "corp".into(),
                variable: variable.to_owned(),
                algorithms: algorithms.to_vec(),
            };
            variable.fault(&Proxy::default())
        };
        let (four, five) = (("HS256", 4), ("HS512", 5));
        assert_eq!(fault("MISSING", &[four]), Some(SecretFault::Missing));
        assert_eq!(fault("SECRET", &[four]), None);
        let short = fault("SECRET", &[five]).unwrap();
        assert_eq!(short, SecretFault::TooShort(vec![five]));
        assert_eq!(
            short.to_string(),
            "is too short: HS512 needs 5 bytes at least"
        );
        let some = Some(SecretFault::TooShortForSome(vec![five]));
        assert_eq!(fault("SECRET", &[four, five]), some);
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
