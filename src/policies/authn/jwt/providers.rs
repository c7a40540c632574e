//! The document's `providers`.

use std::rc::Rc;

use super::cache::TokenCache;
use super::cache_limits::CacheLimits;
use super::dotted::note_dotted;
use super::provider::Provider;
use super::remote::RemoteKeys;
use super::variables::variables;
use crate::named::{NamedBlock, NamedBlocks};
use portcullis_document::Node;
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

/// The document's `providers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct Providers {
    pub(in crate::authn) by_name: NamedBlocks<Provider>,
}

impl Providers {
    /// Which issuers stand behind which names: with others, a subject is another person.
    pub fn issuers(&self) -> String {
        let one = |provider: &Rc<Provider>| {
            let issuers = &provider.rules.issuers;
            format!("{:?}={issuers:?};", provider.name)
        };
        self.valid().map(one).collect()
    }

    /// The keys that providers publish.
    pub fn remote_keys(&self) -> Vec<Rc<RemoteKeys>> {
        self.valid()
            .filter_map(|provider| provider.keys.remote().cloned())
            .collect()
    }

    /// Forgets every token that was refused.
    pub fn forget_refused(&self) {
        let caches = self.valid().filter_map(|provider| provider.cache.as_ref());
        caches.for_each(TokenCache::forget_refused);
    }

    /// The providers whose blocks are right.
    pub(super) fn valid(&self) -> impl Iterator<Item = &Rc<Provider>> {
        self.by_name.valid()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.by_name.names()
    }
}

impl NamedBlock for Provider {
    const SECTION: &'static str = Providers::NAME;
    const NOUN: &'static str = "provider";
    const IN_METRICS: bool = true;
}

impl Section for Providers {
    const NAME: &'static str = "providers";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let entries = node.members(reading.problems).unwrap_or_default();
        let cache = CacheLimits::default_of(entries.len());
        let by_name = NamedBlocks::read(entries, reading, |name, node, reading| {
            Provider::read(name, node, cache, reading)
        });
        Some(Self { by_name })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.by_name.unused().map(|name| {
            format!("provider {name} is used by no `jwt` block: no route asks for its tokens")
        }));
        finishing.notes.extend(note_dotted(finishing.document));
        let unread = self
            .valid()
            .filter_map(|provider| provider.binding.note(finishing.document));
        finishing.notes.extend(unread);
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        let secrets = section.valid().flat_map(|provider| variables(provider));
        registry.environment.extend(secrets);
        for keys in section.remote_keys() {
            registry.fetch(keys);
        }
        let estimates = section
            .valid()
            .map(|provider| provider.binding.memory_estimate());
        registry.memory_estimates.extend(estimates.flatten());
        section.show(&mut registry.gauges);
    }

    /// Forgets every token that was judged.
    fn forget(&self) {
        let caches = self.valid().filter_map(|provider| provider.cache.as_ref());
        caches.for_each(TokenCache::forget_all);
    }

    /// Few tokens are remembered from then on. Keys are fetched no longer while another document fetches
    /// the same.
    fn release(&self) {
        for provider in self.valid() {
            if let Some(cache) = &provider.cache {
                cache.release();
            }
            if let Some(remote) = provider.keys.remote() {
                remote.release();
            }
        }
    }
}
