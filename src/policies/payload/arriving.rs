//! Bodies that are judged while they come.
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
use super::xml::XmlRules;
use crate::HAS_FORMATS;
use portcullis_formats::xml::{SoapMessage, XmlError, XmlFault, XmlPieces};

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
    Xml(Box<XmlArriving>),
    Broken(Fault),
    BrokenXml(XmlError),
    /// It is to be judged as a whole.
    Nothing,
}

/// What has been found out of an XML body.
struct XmlArriving {
    pieces: XmlPieces,
    message: SoapMessage,
}

/// What a body is judged by.
#[derive(Clone, Copy)]
enum JudgedBy<'j> {
    Json(Option<&'j Schema>, &'j Limits),
    Xml(&'j XmlRules<'j>),
}

impl Arriving {
    /// Before the first byte. None if there is too little memory to begin with.
    fn new(by: JudgedBy<'_>) -> Option<Box<Self>> {
        let pieces = size_of::<GatePieces>().max(size_of::<XmlArriving>());
        let needed = size_of::<Self>().saturating_add(pieces);
        let memory = reserve(Share::Bodies, needed).filter(|_| !is_crowded())?;
        Some(Box::new(Self {
            found: Found::new(by),
            done: 0,
            again: 0,
            _memory: memory,
        }))
    }
}

impl Found {
    /// Before the first byte.
    fn new(by: JudgedBy<'_>) -> Self {
        match by {
            JudgedBy::Json(None, limits) => Found::Gate(Box::new(GatePieces::new(*limits))),
            JudgedBy::Json(Some(schema), limits) => SchemaPieces::new(schema, *limits, MAX_DEPTH)
                .map_or(Found::Nothing, |pieces| Found::Schema(Box::new(pieces))),
            JudgedBy::Xml(rules) => Found::Xml(Box::new(XmlArriving {
                pieces: XmlPieces::new(rules.limits),
                message: SoapMessage::default(),
            })),
        }
    }

    /// What it is with these bytes, and how many of them are done with.
    fn with(mut self, text: &[u8], by: JudgedBy<'_>) -> (Self, usize) {
        let judged = match (&mut self, by) {
            (Found::Gate(pieces), _) => pieces.pass(text),
            (Found::Schema(pieces), _) => pieces.more(text),
            (Found::Xml(xml), JudgedBy::Xml(rules)) if HAS_FORMATS => {
                let mut shape = rules.shape(&mut xml.message);
                match xml.pieces.more(text, &mut shape) {
                    Ok(done) => Ok(done),
                    Err(error) if error.fault == XmlFault::Memory => Err(Fault::Memory),
                    Err(error) => return (Found::BrokenXml(error), 0),
                }
            }
            _ => Ok(0),
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
        self.look_by(JudgedBy::Json(schema, limits));
    }

    /// The same of a body that is XML.
    pub(super) fn look_at_xml(&mut self, rules: &XmlRules<'_>) {
        self.look_by(JudgedBy::Xml(rules));
    }

    fn look_by(&mut self, by: JudgedBy<'_>) {
        if self.progress.state == BodyState::Complete || self.progress.size < STEP {
            return;
        }
        let known = self
            .under_way
            .take()
            .and_then(|known| known.downcast::<Arriving>().ok());
        let known = known.or_else(|| Arriving::new(by));
        let Some(mut arriving) = known else {
            return;
        };
        if self.progress.size >= arriving.again {
            self.advance(&mut arriving, by);
        }
        *self.under_way = Some(arriving);
    }

    fn advance(&self, arriving: &mut Arriving, by: JudgedBy<'_>) {
        let found = std::mem::replace(&mut arriving.found, Found::Nothing);
        if matches!(found, Found::Broken(_) | Found::BrokenXml(_)) {
            arriving.found = found;
            return;
        }
        if matches!(found, Found::Nothing) || is_crowded() {
            return;
        }
        let shown = self
            .content
            .show(arriving.done, self.need.most(), |text| found.with(text, by));
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
            Found::Xml(_) | Found::BrokenXml(_) | Found::Nothing => None,
        };
        judged.filter(|judged| !matches!(judged, Err(Fault::Memory)))
    }

    /// The same of a body that is XML.
    pub(super) fn end_of_xml(&mut self, rules: &XmlRules<'_>) -> Option<Result<(), XmlError>> {
        let known = self.under_way.take()?.downcast::<Arriving>().ok()?;
        let judged = match known.found {
            Found::Xml(xml) => {
                let XmlArriving {
                    pieces,
                    mut message,
                } = *xml;
                self.content.show(known.done, self.need.most(), |text| {
                    pieces.last(text, &mut rules.shape(&mut message))
                })
            }
            Found::BrokenXml(error) => Some(Err(error)),
            _ => None,
        };
        let is_memory = |error: &XmlError| error.fault == XmlFault::Memory;
        judged.filter(|judged| !judged.as_ref().is_err_and(is_memory))
    }
}

#[cfg(test)]
mod tests;
