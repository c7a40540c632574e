//! The document's `apis`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::versions::{Versions, read_scheme, show};
use portcullis_document::{Node, Quoted};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};
use portcullis_exchange::versions::VersionScheme;
use portcullis_wire::sort;

/// OpenAPI documents by name, and whether a route has named them. They are compiled where one does.
#[derive(Debug, Default)]
pub struct Apis {
    used: BTreeMap<String, Cell<bool>>,
    /// How requests name the versions of those that say so.
    versions: Vec<(Box<str>, Rc<VersionScheme>)>,
}

impl Apis {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.used.keys().map(String::as_str)
    }

    /// Whether one of them says how requests name versions.
    pub fn have_versions(&self) -> bool {
        !self.versions.is_empty()
    }

    /// How requests name the versions of an API, if it says so.
    pub(super) fn versions(&self, name: &str) -> Option<&Rc<VersionScheme>> {
        let mut all = self.versions.iter();
        all.find(|(each, _)| **each == *name)
            .map(|(_, scheme)| scheme)
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
        let mut versions = Vec::new();
        for (name, node) in &entries {
            if let Some(node) = node.member(Versions::NAME) {
                let scheme = read_scheme(&node, reading.notes, reading.problems)?;
                versions.push((Box::from(*name), Rc::new(scheme)));
            }
        }
        let used = entries.into_iter();
        let used = used.map(|(name, _)| (name.to_owned(), Cell::new(false)));
        Some(Self {
            used: sort::map(used),
            versions,
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        for (name, scheme) in &section.versions {
            show(scheme, name, &mut registry.gauges);
        }
    }

    /// Tells of documents that no route names: they have not been looked at.
    fn finish(&self, finishing: &mut Finishing<'_>) {
        let unused = self.used.iter().filter(|(_, used)| !used.get());
        let note = |(name, _): (&String, _)| format!("apis: no route names {}", Quoted(name));
        finishing.notes.extend(unused.map(note));
    }
}
