//! A body that is written anew, in memory that is asked of the budget.

use portcullis_wire::budget::{Reservation, Share};

/// There is no memory to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// A body that goes out in place of another. Its memory goes back when it is dropped.
#[derive(Debug)]
pub struct Rewritten {
    bytes: Vec<u8>,
    memory: Reservation,
}

impl Rewritten {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts bytes before it.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn begin_with(&mut self, bytes: &[u8]) -> Result<(), NoMemory> {
        if bytes.is_empty() {
            return Ok(());
        }
        let room = self.bytes.len().saturating_add(bytes.len());
        let made = self.memory.grow(room) && self.bytes.try_reserve_exact(bytes.len()).is_ok();
        self.memory.shrink_to(self.bytes.capacity());
        if !made {
            return Err(NoMemory);
        }
        self.bytes.splice(..0, bytes.iter().copied());
        Ok(())
    }

    /// Its bytes, and what was asked for them.
    pub fn into_parts(self) -> (Vec<u8>, Reservation) {
        (self.bytes, self.memory)
    }
}

/// One that is being written.
pub(super) struct Output {
    bytes: Vec<u8>,
    memory: Reservation,
}

impl Output {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::of(Vec::new(), Reservation::none(Share::Bodies))
    }

    /// Bytes for which memory has been asked.
    pub(super) fn of(bytes: Vec<u8>, memory: Reservation) -> Self {
        Self { bytes, memory }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), NoMemory> {
        let length = self.bytes.len().saturating_add(bytes.len());
        if length > self.bytes.capacity() {
            self.make_room(length)?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes room for so many bytes, and twice the room at least. The old and the new are both there for a moment.
    pub(super) fn make_room(&mut self, least: usize) -> Result<(), NoMemory> {
        let length = self.bytes.len();
        let room = length.saturating_mul(2).max(least);
        let more = room.saturating_sub(length);
        let made = self.memory.grow(room) && self.bytes.try_reserve_exact(more).is_ok();
        self.memory.shrink_to(self.bytes.capacity());
        if made { Ok(()) } else { Err(NoMemory) }
    }

    pub(super) fn finish(self) -> Rewritten {
        Rewritten {
            bytes: self.bytes,
            memory: self.memory,
        }
    }
}
