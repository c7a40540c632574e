//! The document's `apis`.

use std::cell::Cell;
use std::collections::BTreeMap;

use portcullis_document::{Node, Quoted};
use portcullis_exchange::section::{Finishing, Reading, Section};
use portcullis_wire::sort;

/// OpenAPI documents by name, and whether a route has named them. They are compiled where one does.
#[derive(Debug, Default)]
pub struct Apis {
    used: BTreeMap<String, Cell<bool>>,
}

impl Apis {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.used.keys().map(String::as_str)
    }

    /// The OpenAPI document of that name, as it is written in the filter's document.
    pub fn named<'d>(&self, name: &str, document: &Node<'d>) -> Option<Node<'d>> {
        self.used.get(name)?.set(true);
        document.member(Self::NAME)?.member(name)
    }
}

impl Section for Apis {
    const NAME: &'static str = "apis";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let entries = node.members(reading.problems).unwrap_or_default();
        let used = entries.into_iter();
        let used = used.map(|(name, _)| (name.to_owned(), Cell::new(false)));
        Some(Self {
            used: sort::map(used),
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    /// Tells of documents that no route names: they have not been looked at.
    fn finish(&self, finishing: &mut Finishing<'_>) {
        let unused = self.used.iter().filter(|(_, used)| !used.get());
        let note = |(name, _): (&String, _)| format!("apis: no route names {}", Quoted(name));
        finishing.notes.extend(unused.map(note));
    }
}
