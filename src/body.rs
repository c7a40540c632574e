//! Bodies on their way through the policies: how much of one has come, and its bytes.
//!
//! A policy says with [`BodyNeed`] what it must see. While the proxy holds a body, its bytes are
//! read once, when all of it is there. Of a body that passes on meanwhile, as in shadow mode,
//! copies of the pieces are kept; a [`Ledger`] bounds what all streams of a worker keep together.
//! Nothing here changes a body.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use crate::exchange::{BodyProgress, BodyState, Facts, Request};
use crate::headers::Headers;
use crate::host::{Host, Side};
use crate::target::Target;

/// What becomes of the head of a message while policies judge its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inspection {
    /// It goes ahead. Whoever gets it may see the head of a message that is then refused.
    #[default]
    Stream,
    /// It is held with the body. The proxy must be told to call back for the body all the same.
    HoldHeaders,
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
    /// The request as the client sent it.
    pub request: Request<'b>,
    /// What policies have found out.
    pub facts: &'b mut Facts,
    /// How much of it has come.
    pub progress: BodyProgress,
    /// What the policy said last that it must see.
    pub need: BodyNeed,
    pub(crate) content: &'b Content<'b>,
}

/// The body of the service's answer, as policies judge it.
#[derive(Debug)]
pub struct ResponseBody<'b> {
    /// The request's fields as the client sent them, pseudo-header fields included.
    pub request: &'b Headers,
    /// The path and query of the request.
    pub target: Option<&'b Target>,
    /// What policies have found out.
    pub facts: &'b mut Facts,
    /// How much of it has come.
    pub progress: BodyProgress,
    /// What the policy said last that it must see.
    pub need: BodyNeed,
    pub(crate) content: &'b Content<'b>,
}

/// Why there are no bytes to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBytes {
    /// More is to come.
    Incomplete,
    /// There are more than any policy wants to read.
    TooMany,
    /// The proxy does not hand them over, or too many copies are kept already. Whatever the
    /// policy says then, the request is refused, unless the policy is in shadow mode.
    Unavailable,
}

impl<'b> RequestBody<'b> {
    /// All bytes of the body, once it is complete. They are read from the proxy when a first
    /// policy asks for them, and only if one asked for them with [`BodyNeed::Bytes`].
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn bytes(&self) -> Result<&'b [u8], NoBytes> {
        self.content.bytes()
    }
}

impl<'b> ResponseBody<'b> {
    /// All bytes of the body, as [`RequestBody::bytes`].
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn bytes(&self) -> Result<&'b [u8], NoBytes> {
        self.content.bytes()
    }
}

impl BodyNeed {
    /// Whether the proxy has to hold the body for it.
    pub(crate) fn holds(self) -> bool {
        self != BodyNeed::Count
    }

    /// How many bytes are to be read.
    pub(crate) fn most(self) -> u64 {
        match self {
            BodyNeed::Count | BodyNeed::Size => 0,
            BodyNeed::Bytes { most } => most,
        }
    }
}

/// The bytes of a body, read when they are asked for.
#[derive(Debug)]
pub(crate) struct Content<'c> {
    progress: BodyProgress,
    most: u64,
    kept: Option<&'c Kept>,
    /// Where what has not been kept is read.
    rest: Option<Rest<'c>>,
    read: OnceCell<Option<Vec<u8>>>,
}

/// What the proxy has at hand of a body.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'c> {
    pub(crate) host: &'c dyn Host,
    pub(crate) side: Side,
}

impl std::fmt::Debug for Rest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.side.fmt(f)
    }
}

impl<'c> Content<'c> {
    /// A body of which so much has come: what was kept of it, then the rest.
    pub(crate) fn new(
        progress: BodyProgress,
        most: u64,
        kept: Option<&'c Kept>,
        rest: Option<Rest<'c>>,
    ) -> Self {
        Self {
            progress,
            most,
            kept,
            rest,
            read: OnceCell::new(),
        }
    }

    /// Whether a policy asked for bytes that could not be had.
    pub(crate) fn failed(&self) -> bool {
        matches!(self.read.get(), Some(None))
    }

    pub(crate) fn bytes(&self) -> Result<&[u8], NoBytes> {
        let BodyProgress { size, state } = self.progress;
        if state == BodyState::Open {
            return Err(NoBytes::Incomplete);
        }
        if size > self.most {
            return Err(NoBytes::TooMany);
        }
        let read = self.read.get_or_init(|| self.read_all());
        read.as_deref().ok_or(NoBytes::Unavailable)
    }

    /// None unless there are as many bytes as the proxy has counted.
    fn read_all(&self) -> Option<Vec<u8>> {
        let size = usize::try_from(self.progress.size).ok()?;
        let kept = match self.kept {
            None => &[],
            Some(kept) => kept.bytes()?,
        };
        let missing = size.checked_sub(kept.len())?;
        let rest = match self.rest {
            Some(Rest { host, side }) if missing > 0 => host.body(side)?,
            _ => Vec::new(),
        };
        if rest.len() != missing {
            return None;
        }
        Some(if kept.is_empty() {
            rest
        } else {
            [kept, &rest].concat()
        })
    }
}

/// How many bytes of passing bodies a worker keeps in all.
#[derive(Debug)]
pub struct Ledger {
    free: Cell<usize>,
}

impl Ledger {
    /// So many.
    pub fn new(most: usize) -> Rc<Self> {
        Rc::new(Self {
            free: Cell::new(most),
        })
    }
}

/// What has been kept of a body that passes on.
#[derive(Debug)]
pub(crate) struct Kept {
    ledger: Rc<Ledger>,
    bytes: Option<Vec<u8>>,
}

impl Kept {
    pub(crate) fn new(ledger: &Rc<Ledger>) -> Self {
        Self {
            ledger: Rc::clone(ledger),
            bytes: Some(Vec::new()),
        }
    }

    /// Keeps a piece, if there is room for it. Otherwise nothing is kept any more.
    pub(crate) fn push(&mut self, piece: Option<Vec<u8>>, most: u64) {
        let Some(bytes) = &mut self.bytes else {
            return;
        };
        let free = self.ledger.free.get();
        let fits = |piece: &Vec<u8>| {
            let total = bytes.len().saturating_add(piece.len());
            u64::try_from(total).is_ok_and(|total| total <= most)
        };
        let piece = piece.filter(fits);
        let left = piece
            .as_ref()
            .and_then(|piece| free.checked_sub(piece.len()));
        match (piece, left) {
            (Some(piece), Some(left)) => {
                self.ledger.free.set(left);
                bytes.extend_from_slice(&piece);
            }
            _ => self.give_up(),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    fn give_up(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            let free = self.ledger.free.get();
            self.ledger.free.set(free.saturating_add(bytes.len()));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_streams_keep_together_is_bounded() {
        let ledger = Ledger::new(10);
        let mut one = Kept::new(&ledger);
        let mut other = Kept::new(&ledger);
        one.push(Some(vec![1; 6]), 100);
        other.push(Some(vec![2; 6]), 100);
        assert_eq!(one.bytes(), Some(&[1; 6][..]));
        assert_eq!(other.bytes(), None);
        drop(one);
        assert_eq!(ledger.free.get(), 10);
        let mut third = Kept::new(&ledger);
        third.push(Some(vec![3; 10]), 9);
        assert_eq!((third.bytes(), ledger.free.get()), (None, 10));
    }

    #[test]
    fn a_body_is_shown_whole_or_not_at_all() {
        let progress = |size, state| BodyProgress { size, state };
        let kept = {
            let mut kept = Kept::new(&Ledger::new(100));
            kept.push(Some(b"abc".to_vec()), 9);
            kept
        };
        let open = Content::new(progress(3, BodyState::Open), 9, Some(&kept), None);
        assert_eq!(open.bytes(), Err(NoBytes::Incomplete));
        let whole = Content::new(progress(3, BodyState::Complete), 9, Some(&kept), None);
        assert_eq!((whole.bytes(), whole.failed()), (Ok(&b"abc"[..]), false));
        let short = Content::new(progress(4, BodyState::Complete), 9, Some(&kept), None);
        assert_eq!(
            (short.bytes(), short.failed()),
            (Err(NoBytes::Unavailable), true)
        );
        let large = Content::new(progress(3, BodyState::Complete), 2, Some(&kept), None);
        assert_eq!(
            (large.bytes(), large.failed()),
            (Err(NoBytes::TooMany), false)
        );
    }
}
