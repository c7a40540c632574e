//! Which variables of the VM's environment a provider needs.

use super::algorithm::ALGORITHMS;
use super::key_source::KeySource;
use super::provider::Provider;
use crate::authn::secret::too_short;
use portcullis_exchange::section::Variable;

/// The variables that a provider needs.
pub(super) fn variables(provider: &Provider) -> impl Iterator<Item = Variable> {
    let keys = match &provider.keys {
        KeySource::Fixed(keys) => &keys[..],
        KeySource::Remote(_) => &[],
    };
    let of_nonces = provider
        .binding
        .variable(&format!("provider {}", provider.name));
    let of_keys = keys.iter().filter_map(|key| {
        let variable = key.verifying.variable()?;
        let able = |algorithm| provider.allows(algorithm) && key.may_check(algorithm, None);
        let algorithms = ALGORITHMS.iter().filter(|(_, algorithm)| able(*algorithm));
        let algorithms: Vec<(&'static str, usize)> = algorithms
            .map(|(name, algorithm)| (*name, algorithm.least_secret()))
            .collect();
        let place = format!("provider {}", provider.name);
        let needed = Variable::new(place, variable, "its tokens are refused with 503");
        Some(needed.checked(move |value| too_short(value.len(), &algorithms)))
    });
    of_keys.chain(of_nonces)
}
