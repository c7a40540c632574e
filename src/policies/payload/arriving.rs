//! JSON bodies that are judged while they come.
//!
//! A large body is judged piece by piece, so that no callback has to do all of it. What a piece comes to is
//! only told at the end, as if all of it had been judged then: a fault in a first piece refuses no earlier,
//! and no otherwise, than one in the last. Whatever stands in the way, such as too little memory, leaves
//! the body to be judged at the end as a whole.

use portcullis_exchange::body::{BodyNeed, BufferedBody, UnderWay, is_crowded};
use portcullis_exchange::exchange::{BodyProgress, BodyState};
use portcullis_schema::{Passed, Pieces as SchemaPieces, Schema};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::json_gate::{Fault, Limits, Pieces as GatePieces};

use super::schema::MAX_DEPTH;

/// So much is judged at a time, or more. Bodies of fewer bytes are judged as a whole.
const STEP: u64 = 16 << 10;

/// A body, as those who judge it see it.
pub(super) struct Coming<'b> {
    pub(super) content: &'b BufferedBody<'b>,
    pub(super) progress: BodyProgress,
    pub(super) need: BodyNeed,
    pub(super) under_way: &'b mut UnderWay,
}

/// What has been found out of a body.
struct Arriving {
    found: Found,
    /// How much of it is done with.
    done: u64,
    /// How much must have come until it is looked at again.
    again: u64,
    _memory: Reservation,
}

enum Found {
    Gate(Box<GatePieces>),
    Schema(Box<SchemaPieces>),
    Broken(Fault),
    /// It is to be judged as a whole.
    Nothing,
}

impl Arriving {
    /// Before the first byte. None if there is too little memory to begin with.
    fn new(schema: Option<&Schema>, limits: &Limits) -> Option<Box<Self>> {
        let needed = size_of::<Self>().saturating_add(size_of::<GatePieces>());
        let memory = reserve(Share::Bodies, needed).filter(|_| !is_crowded())?;
        Some(Box::new(Self {
            found: Found::new(schema, limits),
            done: 0,
            again: 0,
            _memory: memory,
        }))
    }
}

impl Found {
    /// Before the first byte.
    fn new(schema: Option<&Schema>, limits: &Limits) -> Self {
        match schema {
            None => Found::Gate(Box::new(GatePieces::new(*limits))),
            Some(schema) => SchemaPieces::new(schema, *limits, MAX_DEPTH)
                .map_or(Found::Nothing, |pieces| Found::Schema(Box::new(pieces))),
        }
    }

    /// What it is with these bytes, and how many of them are done with.
    fn with(mut self, text: &[u8]) -> (Self, usize) {
        let judged = match &mut self {
            Found::Gate(pieces) => pieces.pass(text),
            Found::Schema(pieces) => pieces.more(text),
            Found::Broken(_) | Found::Nothing => Ok(0),
        };
        match judged {
            Ok(done) => (self, done),
            // There may be enough when it is judged as a whole.
            Err(Fault::Memory) => (Found::Nothing, 0),
            Err(fault) => (Found::Broken(fault), 0),
        }
    }
}

impl Coming<'_> {
    /// Judges what has come of a body of which there is more, if it is enough. None of it says anything yet.
    pub(super) fn look(&mut self, schema: Option<&Schema>, limits: &Limits) {
        if self.progress.state == BodyState::Complete || self.progress.size < STEP {
            return;
        }
        let known = self
            .under_way
            .take()
            .and_then(|known| known.downcast::<Arriving>().ok());
        let known = known.or_else(|| Arriving::new(schema, limits));
        let Some(mut arriving) = known else {
            return;
        };
        if self.progress.size >= arriving.again {
            self.advance(&mut arriving);
        }
        *self.under_way = Some(arriving);
    }

    fn advance(&self, arriving: &mut Arriving) {
        let found = std::mem::replace(&mut arriving.found, Found::Nothing);
        if matches!(found, Found::Broken(_)) {
            arriving.found = found;
            return;
        }
        if matches!(found, Found::Nothing) || is_crowded() {
            return;
        }
        let shown = self
            .content
            .show(arriving.done, self.need.most(), |text| found.with(text));
        let Some((found, done)) = shown else {
            return;
        };
        arriving.found = found;
        let size = self.progress.size;
        arriving.done = arriving
            .done
            .saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        // What is left is looked at again: not before as much has come, or it would be over and over.
        let left = size.saturating_sub(arriving.done);
        arriving.again = size.saturating_add(left.max(STEP));
    }

    /// What a whole body comes to, if it has been judged while it came.
    pub(super) fn end(&mut self) -> Option<Result<Passed, Fault>> {
        let known = self.under_way.take()?.downcast::<Arriving>().ok()?;
        let (done, most) = (known.done, self.need.most());
        let judged = match known.found {
            Found::Gate(pieces) => self.content.show(done, most, |text| {
                pieces.pass_last(text).map(|()| Passed::Valid)
            }),
            Found::Schema(pieces) => self.content.show(done, most, |text| pieces.last(text)),
            Found::Broken(fault) => Some(Err(fault)),
            Found::Nothing => None,
        };
        judged.filter(|judged| !matches!(judged, Err(Fault::Memory)))
    }
}

#[cfg(test)]
mod tests;
