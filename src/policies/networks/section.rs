//! The document's `networks`, by name.

use std::rc::Rc;

use portcullis_document::{LeftOut, Node, Problems};
use portcullis_exchange::gauges::{Aggregation, Gauges, segment};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

use super::list::{FetchedNetworks, NetworkList, NetworkSource};
use crate::fetched_list::FetchedList;
use crate::named::{NamedBlock, NamedBlocks};

/// Whether they are there; they are left out with what asks them most.
const HAS_NETWORKS: bool = cfg!(feature = "access");

/// The document's `networks`. A list whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct NetworkLists {
    by_name: NamedBlocks<NetworkList>,
}

impl NetworkLists {
    /// Reads the name of a list. None is a problem, which has been reported: here, or where the block of that
    /// list stands.
    pub fn read_name(&self, node: &Node<'_>, problems: &mut Problems) -> Option<Rc<NetworkList>> {
        self.by_name.asked(node, problems).flatten()
    }

    /// The lists that are fetched and whose blocks are right.
    fn fetched(&self) -> impl Iterator<Item = (&str, &Rc<FetchedList<FetchedNetworks>>)> {
        self.by_name
            .valid()
            .filter_map(|list| match &list.networks {
                NetworkSource::Fetched(fetched) => Some((&*list.name, fetched)),
                NetworkSource::Written(_) => None,
            })
    }

    /// Shows how many networks each list has that is fetched, and how old it is.
    fn show(&self, gauges: &mut Gauges) {
        for (name, fetched) in self.fetched() {
            let name = |leaf: &str| format!("network_list.{}.{leaf}", segment(name));
            let counted = Rc::clone(fetched);
            let count = move |_| counted.last().map_or(0, |list| list.len() as u64);
            gauges.add(&name("networks"), Aggregation::Same, count);
            let aged = Rc::clone(fetched);
            let age = move |now| aged.age(now).map_or(0, |age| age.as_secs());
            gauges.add(&name("age_seconds"), Aggregation::Same, age);
        }
    }
}

impl NamedBlock for NetworkList {
    const SECTION: &'static str = NetworkLists::NAME;
    const NOUN: &'static str = "network list";
    const IN_METRICS: bool = true;
}

impl Section for NetworkLists {
    const NAME: &'static str = "networks";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !HAS_NETWORKS {
            node.report(reading.problems, LeftOut::ACCESS);
            return None;
        }
        let entries = node.members(reading.problems).unwrap_or_default();
        let by_name = NamedBlocks::read(entries, reading, |name, node, reading| {
            NetworkList::read(name, node, reading.problems)
        });
        Some(Self { by_name })
    }

    fn absent() -> Option<Self> {
        HAS_NETWORKS.then(Self::default)
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.by_name.unused().map(|name| {
            format!(
                "network list {name} is used by nothing: name it in a rule of `access` or in a limit, or remove it"
            )
        }));
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        // There is none, and so no code that fetches one.
        if !HAS_NETWORKS {
            return;
        }
        for (_, fetched) in section.fetched() {
            let fetched: Rc<FetchedList<FetchedNetworks>> = Rc::clone(fetched);
            registry.fetch(fetched);
        }
        section.show(&mut registry.gauges);
    }

    /// What is being read can be fetched again.
    fn forget(&self) {
        self.fetched().for_each(|(_, fetched)| fetched.forget());
    }

    /// Lists are fetched no longer while another document fetches the same.
    fn release(&self) {
        self.fetched().for_each(|(_, fetched)| fetched.release());
    }
}
