//! What gauges show of providers, and what their names must be for that.

use std::rc::Rc;

use super::provider::Provider;
use super::providers::Providers;
use portcullis_document::{Node, Problems, Quoted};
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

/// The names of providers so far, as they are in names of metrics and as the document has them.
#[derive(Default)]
pub(super) struct ProviderNames<'d> {
    segments: Vec<(String, &'d str)>,
}

impl<'d> ProviderNames<'d> {
    /// The longest name, in bytes. It is a part of names of metrics and of shared cells.
    const LONGEST: usize = 64;

    /// Reports a name that cannot be that of a provider.
    pub(super) fn check(&mut self, name: &'d str, node: &Node<'_>, problems: &mut Problems) {
        if name.is_empty() || name.len() > Self::LONGEST {
            let longest = Self::LONGEST;
            node.report(
                problems,
                format_args!("the name of a provider has from 1 to {longest} bytes"),
            );
        }
        let own = segment(name);
        match self.segments.iter().find(|(each, _)| *each == own) {
            Some((_, other)) => node.report(
                problems,
                format_args!(
                    "in names of metrics this is {}, and so is provider {}; let their names differ in letters or digits",
                    Quoted(&own),
                    Quoted(other)
                ),
            ),
            None => self.segments.push((own, name)),
        }
    }
}
