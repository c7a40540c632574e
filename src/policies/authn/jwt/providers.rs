//! The document's `providers`.

use std::cell::Cell;
use std::rc::Rc;

use super::cache::TokenCache;
use super::cache_limits::CacheLimits;
use super::dotted::note_dotted;
use super::gauges::ProviderNames;
use super::provider::Provider;
use super::remote::RemoteKeys;
use super::variables::variables;
use portcullis_document::{Node, Quoted};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

/// The document's `providers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct Providers {
    named: Vec<NamedProvider>,
}

#[derive(Debug)]
struct NamedProvider {
    name: Rc<str>,
    provider: Option<Rc<Provider>>,
    /// Whether anything has named it.
    used: Cell<bool>,
}

impl Providers {
    fn read_all(node: &Node<'_>, reading: &mut Reading<'_>) -> Self {
        let entries = node.members(reading.problems).unwrap_or_default();
        let mut names = ProviderNames::default();
        let cache = CacheLimits::default_of(entries.len());
        let named = entries.into_iter().map(|(name, node)| {
            names.check(name, &node, reading.problems);
            let name: Rc<str> = name.into();
            let provider = Provider::read(&name, &node, cache, reading).map(Rc::new);
            NamedProvider {
                name,
                provider,
                used: Cell::new(false),
            }
        });
        Self {
            named: named.collect(),
        }
    }

    /// The provider of that name; `Some(None)` if its block is wrong.
    pub(super) fn named(&self, name: &str) -> Option<Option<Rc<Provider>>> {
        let named = self.named.iter().find(|each| *each.name == *name)?;
        named.used.set(true);
        Some(named.provider.clone())
    }

    /// A note for each provider that nothing has named so far.
    fn unused(&self) -> impl Iterator<Item = String> {
        let unused = self.named.iter().filter(|each| !each.used.get());
        unused.map(|each| {
            format!(
                "provider {} is used by no `jwt` block: no route asks for its tokens",
                Quoted(&each.name)
            )
        })
    }

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
        self.named.iter().filter_map(|each| each.provider.as_ref())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.iter().map(|each| &*each.name)
    }
}

impl Section for Providers {
    const NAME: &'static str = "providers";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Some(Self::read_all(node, reading))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.unused());
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
