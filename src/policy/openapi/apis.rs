//! The document's `apis`.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::config::{Node, Problems, Quoted};

/// OpenAPI documents by name. They are compiled where a route names them.
#[derive(Debug, Default)]
pub struct Apis<'d> {
    named: BTreeMap<&'d str, Api<'d>>,
}

#[derive(Debug)]
struct Api<'d> {
    node: Node<'d>,
    is_used: Cell<bool>,
}

impl<'d> Apis<'d> {
    /// Reads `apis`.
    pub fn read(node: &Node<'d>, problems: &mut Problems) -> Self {
        let entries = node.entries(problems).unwrap_or_default();
        let named = entries.into_iter().map(|(name, node)| {
            let is_used = Cell::new(false);
            (name, Api { node, is_used })
        });
        Self {
            named: named.collect(),
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.keys().copied()
    }

    /// The document of that name.
    pub fn named(&self, name: &str) -> Option<&Node<'d>> {
        let found = self.named.get(name)?;
        found.is_used.set(true);
        Some(&found.node)
    }

    /// What is said of documents that no route names: they have not been looked at.
    pub fn unused(&self) -> impl Iterator<Item = String> {
        let unused = self.named.iter().filter(|(_, api)| !api.is_used.get());
        unused.map(|(name, _)| format!("apis: no route names {}", Quoted(name)))
    }
}
