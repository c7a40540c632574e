//! The document's `revocation_lists`, by name.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_document::{Node, Problems, Quoted};
use portcullis_exchange::gauges::{Aggregation, Gauges, segment};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

use super::list::{Entries, RevocationList};
use super::table::RevocationTable;
use crate::authn::left_out::is_there;
use crate::fetched_list::FetchedList;

/// The document's `revocation_lists`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct RevocationLists {
    named: Vec<NamedList>,
}

#[derive(Debug)]
struct NamedList {
    name: Rc<str>,
    list: Option<Rc<RevocationList>>,
    /// Whether anything has named it.
    used: Cell<bool>,
}

/// The longest name of a list, in bytes: it is a part of names of metrics.
const LONGEST_NAME: usize = 64;

impl RevocationLists {
    /// The list of that name; `Some(None)` if its block is wrong.
    pub(super) fn named(&self, name: &str) -> Option<Option<Rc<RevocationList>>> {
        let named = self.named.iter().find(|each| *each.name == *name)?;
        named.used.set(true);
        Some(named.list.clone())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.iter().map(|each| &*each.name)
    }

    /// The lists whose blocks are right.
    fn valid(&self) -> impl Iterator<Item = &Rc<RevocationList>> {
        self.named.iter().filter_map(|each| each.list.as_ref())
    }

    /// Shows how many entries each list has, and how old one is that is fetched.
    fn show(&self, gauges: &mut Gauges) {
        for list in self.valid() {
            let name = |leaf: &str| format!("revocation_list.{}.{leaf}", segment(&list.name));
            match &list.entries {
                Entries::Written(table) => {
                    let count = table.len() as u64;
                    gauges.add(&name("entries"), Aggregation::Same, move |_| count);
                }
                Entries::Fetched(fetched) => {
                    let counted = Rc::clone(fetched);
                    let count = move |_| counted.last().map_or(0, |table| table.len() as u64);
                    gauges.add(&name("entries"), Aggregation::Same, count);
                    let aged = Rc::clone(fetched);
                    let age = move |now| aged.age(now).map_or(0, |age| age.as_secs());
                    gauges.add(&name("age_seconds"), Aggregation::Same, age);
                }
            }
        }
    }
}

impl Section for RevocationLists {
    const NAME: &'static str = "revocation_lists";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        is_there(node, reading).then_some(())?;
        let Reading {
            notes, problems, ..
        } = reading;
        let entries = node.members(problems).unwrap_or_default();
        let mut named: Vec<NamedList> = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            check_name(name, &named, &node, problems);
            let name: Rc<str> = name.into();
            let list = RevocationList::read(&name, &node, notes, problems).map(Rc::new);
            named.push(NamedList {
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
                "revocation list {} is used by nothing: name it in `revocation_lists` of a provider, an introspection server, a store of API keys, a set of certificates or a signer",
                Quoted(&each.name)
            )
        }));
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        for list in section.valid() {
            if let Entries::Fetched(fetched) = &list.entries {
                let fetched: Rc<FetchedList<RevocationTable>> = Rc::clone(fetched);
                registry.fetch(fetched);
            }
        }
        section.show(&mut registry.gauges);
    }

    /// What is being read can be fetched again.
    fn forget(&self) {
        for list in self.valid() {
            if let Entries::Fetched(fetched) = &list.entries {
                fetched.forget();
            }
        }
    }

    /// Lists are fetched no longer while another document fetches the same.
    fn release(&self) {
        for list in self.valid() {
            if let Entries::Fetched(fetched) = &list.entries {
                fetched.release();
            }
        }
    }
}

/// Reports a name that cannot be that of a list beside those.
fn check_name(name: &str, before: &[NamedList], node: &Node<'_>, problems: &mut Problems) {
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
