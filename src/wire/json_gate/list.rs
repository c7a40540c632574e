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

    /// Adds them behind the others.
    pub(super) fn extend(&mut self, items: &[T]) -> Result<(), Fault>
    where
        T: Copy,
    {
        let length = self.items.len().saturating_add(items.len());
        if length > self.items.capacity() {
            self.make_room(length)?;
        }
        self.items.extend_from_slice(items);
        Ok(())
    }

    #[cold]
    fn grow(&mut self) -> Result<(), Fault> {
        self.make_room(self.items.len().saturating_add(1))
    }

    /// Takes room for so many, and twice the room at least. The old and the new are both there for a moment.
    #[cold]
    fn make_room(&mut self, least: usize) -> Result<(), Fault> {
        const FIRST: usize = 16;
        let length = self.items.len();
        let room = length.saturating_mul(2).max(least).max(FIRST);
        let grown = self.memory.grow(bytes::<T>(room));
        let more = room.saturating_sub(length);
        let grown = grown && self.items.try_reserve_exact(more).is_ok();
        self.memory.shrink_to(bytes::<T>(self.items.capacity()));
        if grown { Ok(()) } else { Err(Fault::Memory) }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    pub(super) fn truncate(&mut self, length: usize) {
        self.items.truncate(length);
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.items.get_mut(place)
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.items
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        &self.items
    }
}

fn bytes<T>(items: usize) -> usize {
    items.saturating_mul(size_of::<T>())
}
