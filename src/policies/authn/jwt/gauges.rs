//! What gauges show of providers, and what their names must be for that.

use std::rc::Rc;

use super::provider::Provider;
use super::providers::Providers;
use portcullis_exchange::gauges::{Aggregation, Gauges, segment};

impl Providers {
    /// Shows how many keys each provider has, how old they are, and how many tokens are remembered.
    pub fn show(&self, gauges: &mut Gauges) {
        for provider in self.valid() {
            let name = |leaf: &str| format!("provider.{}.{leaf}", segment(&provider.name));
            let provider = Rc::clone(provider);
            if let Some(remote) = provider.keys.remote().map(Rc::clone) {
                let age = move |now| remote.age(now).map_or(0, |age| age.as_secs());
                gauges.add(&name("jwks_age_seconds"), Aggregation::Same, age);
            }
            let count = move |now| {
                provider
                    .keys
                    .keys_at(now)
                    .map_or(0, |keys| keys.len() as u64)
            };
            gauges.add(&name("jwks_keys"), Aggregation::Same, count);
        }
        let remembers = |provider: &&Rc<Provider>| provider.cache.is_some();
        let all: Vec<Rc<Provider>> = self.valid().filter(remembers).cloned().collect();
        if !all.is_empty() {
            let one = |provider: &Rc<Provider>| provider.cache.as_ref().map_or(0, |c| c.len());
            let entries = move |_| all.iter().map(one).sum::<usize>() as u64;
            gauges.add("jwt_cache_entries", Aggregation::Sum, entries);
        }
    }
}
