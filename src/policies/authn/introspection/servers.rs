//! The servers of a document.

use std::rc::Rc;

use super::cache::AnswerCache;
use super::form::LONGEST_TOKEN;
use super::server::IntrospectionServer;
use crate::authn::jwt::cache_limits::CacheLimits;
use crate::authn::left_out::{HAS_CREDENTIALS, left_out};
use crate::named::{NamedBlock, NamedBlocks};
use portcullis_document::Node;
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

/// The document's `introspection_servers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct IntrospectionServers {
    pub(in crate::authn) by_name: NamedBlocks<IntrospectionServer>,
}

/// The most bytes that the caches of a document take unless it says otherwise, all servers together.
const ALL_BY_DEFAULT: usize = 12 << 20;

impl IntrospectionServers {
    fn caches(&self) -> impl Iterator<Item = &AnswerCache> {
        self.by_name
            .valid()
            .filter_map(|server| server.cache.as_ref())
    }

    /// The header fields, parameters and cookies in which tokens stand.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.by_name.valid().flat_map(|server| {
            let locations = &server.locations;
            let headers = locations.headers().map(|(name, _)| name.as_str());
            headers.chain(locations.params()).chain(locations.cookies())
        })
    }
}

impl NamedBlock for IntrospectionServer {
    const SECTION: &'static str = IntrospectionServers::NAME;
    const NOUN: &'static str = "introspection server";
}

impl Section for IntrospectionServers {
    const NAME: &'static str = "introspection_servers";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !HAS_CREDENTIALS {
            return left_out(node, reading);
        }
        let entries = node.members(reading.problems).unwrap_or_default();
        let share = ALL_BY_DEFAULT.checked_div(entries.len());
        let limits = CacheLimits {
            max_token_bytes: LONGEST_TOKEN,
            max_bytes: share.unwrap_or(ALL_BY_DEFAULT).clamp(64 << 10, 4 << 20),
            ..CacheLimits::default_of(1)
        };
        let by_name = NamedBlocks::read(entries, reading, |name, node, reading| {
            IntrospectionServer::read(name, node, limits, reading)
        });
        Some(Self { by_name })
    }

    fn absent() -> Option<Self> {
        HAS_CREDENTIALS.then(Self::default)
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.by_name.unused().map(|name| {
            format!("introspection server {name} is used by no block: no route asks for its tokens")
        }));
        for server in self.by_name.valid() {
            server.binding.finish(finishing);
        }
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        let variables = section
            .by_name
            .valid()
            .flat_map(|server| server.variables());
        registry.environment.extend(variables);
        let estimates = section
            .by_name
            .valid()
            .map(|server| server.binding.memory_estimate());
        registry.memory_estimates.extend(estimates.flatten());
    }

    fn forget(&self) {
        self.caches().for_each(AnswerCache::forget_all);
    }

    fn release(&self) {
        self.caches().for_each(AnswerCache::release);
    }
}
