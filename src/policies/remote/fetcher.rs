//! Which documents of a VM fetch the same keys: of those, only the newest need ask.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// One document's part in fetching keys of a name.
pub(crate) struct Fetcher {
    name: String,
    released: Rc<Cell<bool>>,
}

thread_local! {
    static PARTS: RefCell<Vec<(String, Weak<Cell<bool>>)>> = const { RefCell::new(Vec::new()) };
}

impl Fetcher {
    pub(crate) fn new(name: String) -> Self {
        let released = Rc::new(Cell::new(false));
        PARTS.with_borrow_mut(|parts| {
            parts.retain(|(_, part)| part.strong_count() > 0);
            parts.push((name.clone(), Rc::downgrade(&released)));
        });
        Self { name, released }
    }

    /// Leaves fetching to another document, as long as there is one.
    pub(crate) fn release(&self) {
        self.released.set(true);
    }

    /// Whether another document fetches these keys.
    pub(crate) fn is_replaced(&self) -> bool {
        self.released.get()
            && PARTS.with_borrow(|parts| {
                let same = parts.iter().filter(|(name, _)| *name == self.name);
                let mut alive = same.filter_map(|(_, part)| part.upgrade());
                alive.any(|released| !released.get())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_rests_while_a_newer_one_fetches_the_same() {
        let old = Fetcher::new("a".to_owned());
        let other = Fetcher::new("b".to_owned());
        old.release();
        assert!(!old.is_replaced(), "nobody else fetches them");
        let new = Fetcher::new("a".to_owned());
        assert!(old.is_replaced() && !new.is_replaced() && !other.is_replaced());
        drop(new);
        assert!(!old.is_replaced());
    }
}
