//! The document's `revocation_lists`, by name.

use std::rc::Rc;

use portcullis_document::Node;
use portcullis_exchange::gauges::{Aggregation, Gauges, segment};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};

use super::list::{Entries, RevocationList};
use super::table::RevocationTable;
use crate::authn::left_out::{HAS_CREDENTIALS, left_out};
use crate::fetched_list::FetchedList;
use crate::named::{NamedBlock, NamedBlocks};

/// The document's `revocation_lists`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct RevocationLists {
    pub(super) by_name: NamedBlocks<RevocationList>,
}

impl RevocationLists {
    /// Shows how many entries each list has, and how old one is that is fetched.
    fn show(&self, gauges: &mut Gauges) {
        for list in self.by_name.valid() {
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

impl NamedBlock for RevocationList {
    const SECTION: &'static str = RevocationLists::NAME;
    const NOUN: &'static str = "revocation list";
    const IN_METRICS: bool = true;
}

impl Section for RevocationLists {
    const NAME: &'static str = "revocation_lists";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !HAS_CREDENTIALS {
            return left_out(node, reading);
        }
        let entries = node.members(reading.problems).unwrap_or_default();
        let by_name = NamedBlocks::read(entries, reading, |name, node, reading| {
            RevocationList::read(name, node, reading.notes, reading.problems)
        });
        Some(Self { by_name })
    }

    fn absent() -> Option<Self> {
        HAS_CREDENTIALS.then(Self::default)
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.by_name.unused().map(|name| {
            format!(
                "revocation list {name} is used by nothing: name it in `revocation_lists` of a provider, an introspection server, a store of API keys, a set of certificates or a signer"
            )
        }));
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        // There is none, and so no code that fetches one.
        if !HAS_CREDENTIALS {
            return;
        }
        for list in section.by_name.valid() {
            if let Entries::Fetched(fetched) = &list.entries {
                let fetched: Rc<FetchedList<RevocationTable>> = Rc::clone(fetched);
                registry.fetch(fetched);
            }
        }
        section.show(&mut registry.gauges);
    }

    /// What is being read can be fetched again.
    fn forget(&self) {
        for list in self.by_name.valid() {
            if let Entries::Fetched(fetched) = &list.entries {
                fetched.forget();
            }
        }
    }

    /// Lists are fetched no longer while another document fetches the same.
    fn release(&self) {
        for list in self.by_name.valid() {
            if let Entries::Fetched(fetched) = &list.entries {
                fetched.release();
            }
        }
    }
}
