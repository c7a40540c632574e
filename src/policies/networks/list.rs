//! One list: where its networks come from, and what is known of an address.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::meter::Event;
use portcullis_wire::networks::{NetworkSet, NetworkSetBuilder};

use super::{MOST_NETWORKS, read_addresses, read_range};
use crate::fetched_list::{FetchedContent, FetchedList, ItemList, ListWords, MostItems, Twice};

/// A list of networks.
pub struct NetworkList {
    pub(super) name: Rc<str>,
    pub(super) networks: NetworkSource,
}

/// Where its networks come from.
pub(super) enum NetworkSource {
    /// The document.
    Written(NetworkSet),
    /// A service.
    Fetched(Rc<FetchedList<FetchedNetworks>>),
}

/// Networks that were fetched.
pub(super) struct FetchedNetworks {
    set: NetworkSet,
    count: usize,
}

/// Whether an address is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It is.
    In,
    /// It is not.
    Out,
    /// The list is not there, or too old: nothing may be made of that but a refusal.
    Unknown,
}

impl NetworkList {
    /// Reads `addresses`, or `remote`.
    pub(super) fn read(name: &Rc<str>, node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"addresses\": […]}")?;
        let networks = NetworkSource::read(name, &mut fields, problems);
        fields.deny_unknown(problems);
        Some(Self {
            name: Rc::clone(name),
            networks: networks?,
        })
    }

    /// Its name in the document.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its networks, where the document has them.
    pub(crate) fn written(&self) -> Option<&NetworkSet> {
        match &self.networks {
            NetworkSource::Written(set) => Some(set),
            NetworkSource::Fetched(_) => None,
        }
    }

    /// Whether an address is in it, at `now` on the clock that does not step.
    pub fn contains(&self, address: IpAddr, now: Duration) -> Membership {
        let is_in = match &self.networks {
            NetworkSource::Written(set) => set.contains(address),
            NetworkSource::Fetched(fetched) => match fetched.in_force(now) {
                Some(networks) => networks.set.contains(address),
                None => return Membership::Unknown,
            },
        };
        match is_in {
            true => Membership::In,
            false => Membership::Out,
        }
    }
}

impl NetworkSource {
    fn read(name: &Rc<str>, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        match (fields.optional("addresses"), fields.optional("remote")) {
            (Some(addresses), None) => read_addresses(&addresses, problems).map(Self::Written),
            (None, Some(remote)) => {
                let fetched = FetchedList::read(name, &remote, problems, |fields, problems| {
                    let usual = MostItems::USUAL;
                    fields.or_default("max_networks", usual, problems, |node, problems| {
                        MostItems::read(node, MOST_NETWORKS, problems)
                    })
                });
                fetched.map(Rc::new).map(Self::Fetched)
            }
            (Some(_), Some(remote)) => {
                remote.report(
                    problems,
                    "cannot stand beside `addresses`; keep one of them, or make two lists",
                );
                None
            }
            (None, None) => {
                fields.lacks(
                    &["addresses", "remote"],
                    problems,
                    "has no networks; add `addresses` or `remote`",
                );
                None
            }
        }
    }
}

impl FetchedNetworks {
    /// How many networks were written.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl FetchedContent for FetchedNetworks {
    const PLACE: &'static str = "network list";
    const NOUN: &'static str = "networks";
    const CELLS: &'static str = "networks";
    const FETCHED: Event = Event::NetworksFetched;
    const FAILED: Event = Event::NetworksFetchFailed;
}

impl ItemList for FetchedNetworks {
    type Builder = NetworkSetBuilder;
    /// One that cannot be read would be missing where it is to be refused.
    const WORDS: ListWords = ListWords {
        member: "networks",
        item: "network",
        items: "networks",
        list: "list",
        most: "max_networks",
        is_spoilt: true,
    };
    const MEMORY_EACH: usize = 32;
    const TEXT_EACH: usize = 64;
    /// `"::1"` and a comma take 32 bytes, and twice that while lists of them become one.
    const GROWTH: usize = 16;

    fn push(
        builder: &mut NetworkSetBuilder,
        item: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<bool> {
        builder.add(&read_range(item, problems)?);
        Some(true)
    }

    fn memory(builder: &NetworkSetBuilder) -> usize {
        builder.memory()
    }

    /// Networks that are the same, or one in another, are one.
    fn twice(_: &NetworkSetBuilder) -> Option<Twice> {
        None
    }

    fn finish(builder: NetworkSetBuilder) -> Self {
        Self {
            count: builder.added(),
            set: builder.finish(),
        }
    }
}

impl fmt::Debug for NetworkList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkList({})", self.name)
    }
}
