//! The document's `networks`, by name.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_document::{DidYouMean, Node, Pointer, Problems, Quoted};
use portcullis_exchange::gauges::{Aggregation, Gauges, segment};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

use super::list::{FetchedNetworks, NetworkList, NetworkSource};
use crate::fetched_list::FetchedList;

/// The document's `networks`. A list whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct NetworkLists {
    named: Vec<NamedNetworks>,
}

#[derive(Debug)]
struct NamedNetworks {
    name: Rc<str>,
    list: Option<Rc<NetworkList>>,
    /// Whether anything has named it.
    used: Cell<bool>,
}

/// The longest name of a list, in bytes: it is a part of names of metrics.
const LONGEST_NAME: usize = 64;

impl NetworkLists {
    /// The list of that name; none if there is none, or if its block is wrong.
    pub fn find(&self, name: &str) -> Option<Rc<NetworkList>> {
        let named = self.named.iter().find(|each| *each.name == *name)?;
        named.used.set(true);
        named.list.clone()
    }

    /// Reads the name of a list. None is a problem, which has been reported: here, or where the block of that
    /// list stands.
    pub fn read_name(&self, node: &Node<'_>, problems: &mut Problems) -> Option<Rc<NetworkList>> {
        let name = node.non_empty(problems)?;
        let is_known = self.names().any(|each| each == name);
        let none_is_read = self.named.is_empty();
        let is_amiss = none_is_read && problems.is_amiss(&Pointer::default(), Self::NAME);
        if !is_known && !is_amiss {
            let near = DidYouMean(name, self.names());
            node.report(
                problems,
                format_args!("no list in `networks` is named {}{near}", Quoted(name)),
            );
        }
        self.find(name)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.iter().map(|each| &*each.name)
    }

    /// The lists that are fetched and whose blocks are right.
    fn fetched(&self) -> impl Iterator<Item = (&str, &Rc<FetchedList<FetchedNetworks>>)> {
        let valid = self.named.iter().filter_map(|each| each.list.as_ref());
        valid.filter_map(|list| match &list.networks {
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

impl Section for NetworkLists {
    const NAME: &'static str = "networks";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let problems = &mut *reading.problems;
        let entries = node.members(problems).unwrap_or_default();
        let mut named: Vec<NamedNetworks> = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            check_name(name, &named, &node, problems);
            let name: Rc<str> = name.into();
            let list = NetworkList::read(&name, &node, problems).map(Rc::new);
            named.push(NamedNetworks {
                name,
                list,
                used: Cell::new(false),
            });
        }
        Some(Self { named })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        let unused = self.named.iter().filter(|each| !each.used.get());
        finishing.notes.extend(unused.map(|each| {
            format!(
                "network list {} is used by nothing: name it in a rule of `access` or in a limit, or remove it",
                Quoted(&each.name)
            )
        }));
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
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

/// Reports a name that cannot be that of a list beside those.
fn check_name(name: &str, before: &[NamedNetworks], node: &Node<'_>, problems: &mut Problems) {
    if name.is_empty() || name.len() > LONGEST_NAME {
        node.report(
            problems,
            format_args!("the name of a list has from 1 to {LONGEST_NAME} bytes"),
        );
    }
    let own = segment(name);
    if let Some(other) = before.iter().find(|each| segment(&each.name) == own) {
        node.report(
            problems,
            format_args!(
                "in names of metrics this is {}, and so is list {}; let their names differ in letters or digits",
                Quoted(&own),
                Quoted(&other.name)
            ),
        );
    }
}
