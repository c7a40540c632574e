//! What stands in a document and is not enforced: each kind in one line, with some of its places.

use portcullis_document::{Node, Pointer};

/// How many places are named.
const SHOWN: usize = 3;
/// How many kinds are listed.
const KINDS: usize = 40;

/// A list of what is written and asks for nothing.
#[derive(Debug, Default)]
pub struct Notes {
    kinds: Vec<(String, Vec<String>, usize)>,
}

impl Notes {
    /// Notes one.
    pub fn add(&mut self, kind: &str, node: &Node<'_>) {
        self.add_at(kind, node.pointer());
    }

    /// Notes one at a place.
    pub fn add_at(&mut self, kind: &str, place: &Pointer) {
        let found = self.kinds.iter().position(|(each, _, _)| each == kind);
        let index = found.unwrap_or(self.kinds.len());
        if found.is_none() {
            if index == KINDS {
                return;
            }
            self.kinds.push((kind.to_owned(), Vec::new(), 0));
        }
        if let Some((_, places, count)) = self.kinds.get_mut(index) {
            if places.len() < SHOWN {
                places.push(place.to_string());
            }
            *count = count.saturating_add(1);
        }
    }

    /// Takes in others.
    pub fn extend(&mut self, others: Self) {
        for (kind, places, count) in others.kinds {
            let at = self.kinds.iter().position(|(each, _, _)| *each == kind);
            if let Some((_, known, before)) = at.and_then(|at| self.kinds.get_mut(at)) {
                let room = SHOWN.saturating_sub(known.len());
                known.extend(places.into_iter().take(room));
                *before = before.saturating_add(count);
            } else if self.kinds.len() < KINDS {
                self.kinds.push((kind, places, count));
            }
        }
    }

    /// As lines for the log, each behind who notes it.
    pub fn lines(self, who: &str) -> impl Iterator<Item = String> {
        self.kinds.into_iter().map(move |(kind, places, count)| {
            let places_shown = places.join(", ");
            let more = match count.saturating_sub(places.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{who}: {kind}: {places_shown}{more}")
        })
    }
}
