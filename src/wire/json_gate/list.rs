//! A list that asks for memory before it grows.

use super::Fault;
use crate::budget::{Reservation, Share};

/// What the gate notes of a text.
#[derive(Debug)]
pub(super) struct List<T> {
    items: Vec<T>,
    memory: Reservation,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            memory: Reservation::none(Share::Bodies),
        }
    }
}

impl<T> List<T> {
    #[inline]
    pub(super) fn push(&mut self, item: T) -> Result<(), Fault> {
        if self.items.len() == self.items.capacity() {
            self.grow()?;
        }
        self.items.push(item);
        Ok(())
    }

    /// Takes twice the room. The old and the new are both there for a moment.
    #[cold]
    fn grow(&mut self) -> Result<(), Fault> {
        const FIRST: usize = 16;
        let length = self.items.len();
        let room = length.saturating_mul(2).max(FIRST);
        let grown = self.memory.grow(bytes::<T>(room));
        let more = room.saturating_sub(length);
        let grown = grown && self.items.try_reserve_exact(more).is_ok();
        self.memory.shrink_to(bytes::<T>(self.items.capacity()));
        if grown { Ok(()) } else { Err(Fault::Memory) }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.items.truncate(length);
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.items.get_mut(place)
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.items
    }
}

fn bytes<T>(items: usize) -> usize {
    items.saturating_mul(size_of::<T>())
}
