//! A list that asks for memory before it grows.

use portcullis_wire::budget::{Reservation, Share};

use super::XmlFault;

/// What is kept of a text that is under way.
#[derive(Debug)]
pub(super) struct Stack<T> {
    items: Vec<T>,
    memory: Reservation,
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            memory: Reservation::none(Share::Bodies),
        }
    }
}

impl<T: Copy> Stack<T> {
    #[inline]
    pub(super) fn push(&mut self, item: T) -> Result<(), XmlFault> {
        if self.items.len() == self.items.capacity() {
            self.make_room(1)?;
        }
        self.items.push(item);
        Ok(())
    }

    /// Puts them on top; where they begin.
    pub(super) fn extend(&mut self, items: &[T]) -> Result<usize, XmlFault> {
        let start = self.items.len();
        if self.items.capacity().saturating_sub(start) < items.len() {
            self.make_room(items.len())?;
        }
        self.items.extend_from_slice(items);
        Ok(start)
    }

    /// Takes room for so many more, and twice the room at least. The old and the new are both there for a moment.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, more: usize) -> Result<(), XmlFault> {
        const FIRST: usize = 16;
        let length = self.items.len();
        let room = length
            .saturating_add(more)
            .max(length.saturating_mul(2))
            .max(FIRST);
        let bytes = |items: usize| items.saturating_mul(size_of::<T>());
        let grown = self.memory.grow(bytes(room))
            && self
                .items
                .try_reserve_exact(room.saturating_sub(length))
                .is_ok();
        self.memory.shrink_to(bytes(self.items.capacity()));
        if grown { Ok(()) } else { Err(XmlFault::Memory) }
    }

    #[inline]
    pub(super) fn truncate(&mut self, length: usize) {
        self.items.truncate(length);
    }

    #[inline]
    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    pub(super) fn items_mut(&mut self) -> &mut [T] {
        &mut self.items
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}
