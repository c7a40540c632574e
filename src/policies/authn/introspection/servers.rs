//! The servers of a document.

use std::cell::Cell;
use std::rc::Rc;

use super::cache::AnswerCache;
use super::form::LONGEST_TOKEN;
use super::server::IntrospectionServer;
use crate::authn::jwt::cache_limits::CacheLimits;
use crate::authn::left_out::is_there;
use portcullis_document::{Node, Quoted};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

/// The document's `introspection_servers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct IntrospectionServers {
    named: Vec<NamedServer>,
}

#[derive(Debug)]
struct NamedServer {
    name: Rc<str>,
    server: Option<Rc<IntrospectionServer>>,
    /// Whether anything has named it.
    used: Cell<bool>,
}

/// The longest name of a server, in bytes.
const LONGEST_NAME: usize = 64;

/// The most bytes that the caches of a document take unless it says otherwise, all servers together.
const ALL_BY_DEFAULT: usize = 12 << 20;

impl IntrospectionServers {
    /// The server of that name; `Some(None)` if its block is wrong.
    pub(super) fn named(&self, name: &str) -> Option<Option<Rc<IntrospectionServer>>> {
        let named = self.named.iter().find(|each| *each.name == *name)?;
        named.used.set(true);
        Some(named.server.clone())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.iter().map(|each| &*each.name)
    }

    /// The servers whose blocks are right.
    fn valid(&self) -> impl Iterator<Item = &Rc<IntrospectionServer>> {
        self.named.iter().filter_map(|each| each.server.as_ref())
    }

    fn caches(&self) -> impl Iterator<Item = &AnswerCache> {
        self.valid().filter_map(|server| server.cache.as_ref())
    }

    /// The header fields, parameters and cookies in which tokens stand.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.valid().flat_map(|server| {
            let locations = &server.locations;
            let headers = locations.headers().map(|(name, _)| name.as_str());
            headers.chain(locations.params()).chain(locations.cookies())
        })
    }
}

impl Section for IntrospectionServers {
    const NAME: &'static str = "introspection_servers";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        is_there(node, reading).then_some(())?;
        let entries = node.members(reading.problems).unwrap_or_default();
        let share = ALL_BY_DEFAULT.checked_div(entries.len());
        let limits = CacheLimits {
            max_token_bytes: LONGEST_TOKEN,
            max_bytes: share.unwrap_or(ALL_BY_DEFAULT).clamp(64 << 10, 4 << 20),
            ..CacheLimits::default_of(1)
        };
        let named = entries.into_iter().map(|(name, node)| {
            if name.is_empty() || name.len() > LONGEST_NAME {
                node.report(
                    reading.problems,
                    format_args!("the name of a server has from 1 to {LONGEST_NAME} bytes"),
                );
            }
            let name: Rc<str> = name.into();
            let server = IntrospectionServer::read(&name, &node, limits, reading);
            NamedServer {
                name,
                server: server.map(Rc::new),
                used: Cell::new(false),
            }
        });
        Some(Self {
            named: named.collect(),
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        let unused = self.named.iter().filter(|each| !each.used.get());
        finishing.notes.extend(unused.map(|each| {
            format!(
                "introspection server {} is used by no block: no route asks for its tokens",
                Quoted(&each.name)
            )
        }));
        for server in self.valid() {
            server.binding.finish(finishing);
        }
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        let variables = section.valid().flat_map(|server| server.variables());
        registry.environment.extend(variables);
        let estimates = section
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
