//! Bodies on their way through the policies: how much of one has come, and its bytes.
//!
//! A policy says with [`BodyNeed`] what it must see. While the proxy holds a body, its bytes are
//! read when all of it is there, or as they come, by a policy that can judge them so. Of a body that
//! passes on meanwhile, as in shadow mode, copies of the pieces are kept. The memory for either is asked
//! of the budget first.
//! Nothing here changes a body.

use std::any::Any;
use std::cell::{Cell, OnceCell};

use crate::exchange::{BodyProgress, BodyState, Facts};
use crate::host::{Bodies, Failure, Side};
use crate::section::{Reading, Section};
use portcullis_document::Node;
use portcullis_wire::budget;
use portcullis_wire::budget::{Reservation, Share};
use portcullis_wire::headers::Headers;

/// What becomes of the head of a message while policies judge its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inspection {
    /// It goes ahead. Its receiver may see the head of a message that is then refused.
    #[default]
    Stream,
    /// It is held with the body. The proxy must be told to call back for the body all the same.
    HoldHeaders,
}

impl Section for Inspection {
    const NAME: &'static str = "body_inspection";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let choices = [
            ("stream", Inspection::Stream),
            ("hold_headers", Inspection::HoldHeaders),
        ];
        node.choice(reading.problems, &choices)
    }
}

/// What a policy must see of a body to judge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyNeed {
    /// How much has come, while each piece goes on. A refusal ends it midway.
    Count,
    /// How much it is in all: it is held until then.
    Size,
    /// Its bytes: it is held until all of them are there. Of a body that is longer than `most`,
    /// none are shown.
    Bytes {
        /// How many bytes are read at most.
        most: u64,
    },
}

/// A request's body, as policies judge it.
#[derive(Debug)]
pub struct RequestBody<'b> {
    /// Those of the request's fields that are kept, pseudo-header fields included
    /// ([`crate::policy::Declaration::later_request_fields`]).
    pub request: &'b Headers,
    /// What policies have found out.
    pub facts: &'b mut Facts,
    /// How much of it has come.
    pub progress: BodyProgress,
    /// What the policy said last that it must see.
    pub need: BodyNeed,
    pub content: &'b BufferedBody<'b>,
    /// What the policy knows of it from before.
    pub under_way: &'b mut UnderWay,
}

/// The body of the service's response, as policies judge it.
#[derive(Debug)]
pub struct ResponseBody<'b> {
    /// As in [`RequestBody::request`].
    pub request: &'b Headers,
    /// What policies have found out.
    pub facts: &'b mut Facts,
    /// How much of it has come.
    pub progress: BodyProgress,
    /// What the policy said last that it must see.
    pub need: BodyNeed,
    pub content: &'b BufferedBody<'b>,
    /// What the policy knows of it from before.
    pub under_way: &'b mut UnderWay,
}

/// What a policy keeps of a body until more of it comes. It asks the budget for it.
pub type UnderWay = Option<Box<dyn Any>>;

/// Why there are no bytes to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBytes {
    /// More is to come.
    Incomplete,
    /// There are more than the policy wants to read.
    TooMany,
    /// The proxy does not hand them over, or there is no memory for them. Whatever the policy says then, the request is refused, unless the policy is in shadow mode.
    Unavailable,
}

impl<'b> RequestBody<'b> {
    /// All bytes of the body, once it is complete. They are read from the proxy when a first
    /// policy asks for them, and only if one asked for them with [`BodyNeed::Bytes`].
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn bytes(&self) -> Result<&'b [u8], NoBytes> {
        self.content.bytes(self.need.most())
    }
}

impl<'b> ResponseBody<'b> {
    /// All bytes of the body, as [`RequestBody::bytes`].
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn bytes(&self) -> Result<&'b [u8], NoBytes> {
        self.content.bytes(self.need.most())
    }
}

impl BodyNeed {
    /// Whether the proxy has to hold the body for it.
    pub fn holds(self) -> bool {
        self != BodyNeed::Count
    }

    /// How many bytes are to be read.
    pub fn most(self) -> u64 {
        match self {
            BodyNeed::Count | BodyNeed::Size => 0,
            BodyNeed::Bytes { most } => most,
        }
    }
}

/// The bytes of a body, read when they are asked for.
pub struct BufferedBody<'c> {
    progress: BodyProgress,
    most: u64,
    kept: Cell<Option<BodyCopy>>,
    /// Where what has not been kept is read.
    rest: Option<HostBuffer<'c>>,
    read: OnceCell<Result<Read, Failure>>,
}

/// Bytes, and the memory that they take.
#[derive(Debug)]
struct Read {
    bytes: Vec<u8>,
    _memory: Reservation,
}

/// What the proxy has at hand of a body.
#[derive(Clone, Copy)]
pub struct HostBuffer<'c> {
    pub host: &'c dyn Bodies,
    pub side: Side,
}

impl std::fmt::Debug for BufferedBody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.progress.fmt(f)
    }
}

impl std::fmt::Debug for HostBuffer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.side.fmt(f)
    }
}

impl HostBuffer<'_> {
    /// Reads so many bytes, which must be there. The memory for them is asked for first.
    fn read(&self, start: usize, size: usize) -> Result<Read, Failure> {
        let memory = budget::reserve(Share::Bodies, size).ok_or(Failure::Memory)?;
        let bytes = match size {
            0 => Vec::new(),
            _ => self.host.body(self.side, start, size)?,
        };
        if bytes.len() != size {
            return Err(Failure::HostCall);
        }
        Ok(Read {
            bytes,
            _memory: memory,
        })
    }
}

impl<'c> BufferedBody<'c> {
    /// A body of which so much has come: what was kept of it, then the rest.
    pub fn new(
        progress: BodyProgress,
        most: u64,
        kept: Option<BodyCopy>,
        rest: Option<HostBuffer<'c>>,
    ) -> Self {
        Self {
            progress,
            most,
            kept: Cell::new(kept),
            rest,
            read: OnceCell::new(),
        }
    }

    /// What was kept, unless it has been read.
    pub fn into_kept(self) -> Option<BodyCopy> {
        self.kept.take()
    }

    /// Why bytes that a policy asked for could not be had.
    pub fn failed(&self) -> Option<Failure> {
        self.read.get()?.as_ref().err().copied()
    }

    /// All bytes, for one who wants to read so many at most: what others read is nothing to it.
    pub fn bytes(&self, most: u64) -> Result<&[u8], NoBytes> {
        let BodyProgress { size, state } = self.progress;
        if state == BodyState::Open {
            return Err(NoBytes::Incomplete);
        }
        if size > self.most.min(most) {
            return Err(NoBytes::TooMany);
        }
        let read = self.read.get_or_init(|| self.read_all());
        let read = read.as_ref().map_err(|_| NoBytes::Unavailable)?;
        Ok(&read.bytes)
    }

    /// Shows the bytes that have come behind the first `done`, if they can be had: all that have come are no
    /// more than `most`, and there is memory for them.
    pub fn show<T>(&self, done: u64, most: u64, see: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let size = self.progress.size;
        if size > self.most.min(most) {
            return None;
        }
        let (done, size) = (usize::try_from(done).ok()?, usize::try_from(size).ok()?);
        let new = size.checked_sub(done)?;
        let Some(mut kept) = self.kept.take() else {
            let read = match self.rest {
                Some(rest) => rest.read(done, new).ok()?,
                None => return None,
            };
            return Some(see(&read.bytes));
        };
        match (self.rest, self.progress.state) {
            (Some(rest), BodyState::Open) => kept.push(rest, self.progress.size, self.most),
            (Some(rest), BodyState::Complete) => {
                let missing = size.saturating_sub(kept.bytes.len());
                kept.append(rest, missing, size);
            }
            (None, _) => {}
        }
        let is_whole = kept.failed.is_none() && kept.bytes.len() == size;
        let shown = kept.bytes.get(done..).filter(|_| is_whole).map(see);
        self.kept.set(Some(kept));
        shown
    }

    /// An error unless there are as many bytes as the proxy has counted.
    fn read_all(&self) -> Result<Read, Failure> {
        let size = usize::try_from(self.progress.size).map_err(|_| Failure::Memory)?;
        let Some(mut kept) = self.kept.take() else {
            return match self.rest {
                Some(rest) => rest.read(0, size),
                None if size == 0 => Ok(Read {
                    bytes: Vec::new(),
                    _memory: Reservation::none(Share::Bodies),
                }),
                None => Err(Failure::HostCall),
            };
        };
        let missing = size.checked_sub(kept.bytes.len());
        let missing = missing.ok_or(Failure::HostCall)?;
        if let Some(rest) = self.rest {
            kept.append(rest, missing, size);
        }
        match kept.failed {
            Some(failure) => Err(failure),
            None if kept.bytes.len() == size => Ok(Read {
                bytes: kept.bytes,
                _memory: kept.memory,
            }),
            None => Err(Failure::HostCall),
        }
    }
}

/// What has been kept of a body that passes on.
#[derive(Debug)]
pub struct BodyCopy {
    bytes: Vec<u8>,
    memory: Reservation,
    /// Why nothing is kept any more.
    failed: Option<Failure>,
}

impl Default for BodyCopy {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            memory: Reservation::none(Share::Bodies),
            failed: None,
        }
    }
}

/// Whether too much is taken for anything to be kept of a body that is still to come. Bodies that are held, and
/// judged by policies that refuse, have half of the room to themselves when all of them is there.
pub fn is_crowded() -> bool {
    budget::used(Share::Bodies) > Share::Bodies.most() / 2
}

impl BodyCopy {
    /// Keeps the piece at hand, if there is room for it; with it, so many bytes have come. Otherwise
    /// nothing is kept any more.
    pub fn push(&mut self, rest: HostBuffer<'_>, size: u64, most: u64) {
        let (size, most) = (usize::try_from(size), usize::try_from(most));
        match (size, most) {
            (Ok(size), Ok(most)) if !is_crowded() => {
                let piece = size.saturating_sub(self.bytes.len());
                self.append(rest, piece, most);
            }
            _ => self.give_up(Failure::Memory),
        }
    }

    fn append(&mut self, rest: HostBuffer<'_>, piece: usize, most: usize) {
        if self.failed.is_some() || piece == 0 {
            return;
        }
        let total = self.bytes.len().saturating_add(piece);
        if total > most || !self.make_room(total, most) {
            return self.give_up(Failure::Memory);
        }
        match rest.read(0, piece) {
            Ok(read) => self.bytes.extend_from_slice(&read.bytes),
            Err(failure) => self.give_up(failure),
        }
    }

    /// Makes room for so many bytes, and for more to come: what is copied in all is bounded by the
    /// size of the body, however small its pieces. Whether there is memory for that.
    fn make_room(&mut self, total: usize, most: usize) -> bool {
        if total <= self.bytes.capacity() {
            return true;
        }
        let room = total.max(self.bytes.capacity().saturating_mul(2)).min(most);
        // Both copies are there for a moment.
        let more = room.saturating_sub(self.bytes.len());
        let made = self.memory.grow(room) && self.bytes.try_reserve_exact(more).is_ok();
        self.memory.shrink_to(self.bytes.capacity());
        made
    }

    fn give_up(&mut self, failure: Failure) {
        *self = Self {
            failed: Some(failure),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests;
