//! The members of a JSON body that conditions look at.
//!
//! A body is read once, through the gate that `payload` judges bodies by, and what is asked for is
//! taken out on the way: piece by piece where it is large, so that no callback has to do all of it. Nothing of
//! it counts before all of it has passed. A body in which two services may see two values has none.

mod collector;
mod members;
mod tree;

use std::rc::Rc;

use self::collector::Collector;
pub use self::members::{BodyFault, BodyMembers};
use self::tree::Tree;
use super::{ClaimPath, Condition, Operand};
use crate::body::{BodyNeed, Inspection, NoBytes, RequestBody, is_crowded};
use crate::exchange::BodyState;
use crate::media_type::{Format, MediaType};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::headers::Headers;
use portcullis_wire::json_gate::{Fault, Limits, Pieces, watch};
use portcullis_wire::upgrade::is_upgrade;

/// What is asked of bodies, and how much of one is read.
#[derive(Debug)]
pub struct BodyPlan {
    tree: Rc<Tree>,
    most: u64,
}

/// What a head says of the members of the body.
#[derive(Debug)]
pub enum BodyAhead {
    /// These.
    Known(BodyMembers),
    /// The body has to be waited for.
    Comes,
}

/// A body of which not all has come.
struct Arriving {
    gate: Pieces,
    collector: Collector,
    /// How much of it is done with.
    done: u64,
    /// How much must have come until it is looked at again.
    again: u64,
    fault: Option<BodyFault>,
    _memory: Reservation,
}

/// So much is read at a time, or more. Bodies of fewer bytes are read as a whole.
const STEP: u64 = 16 << 10;

/// What a text may nest to be read. What is deeper is not JSON that a service reads either.
const LIMITS: Limits = Limits {
    depth: 128,
    ..Limits::GENEROUS
};

impl BodyPlan {
    /// What of a request's head is asked again when its body comes.
    pub const LATER_FIELDS: &'static [&'static str] = &["content-encoding", "content-type"];

    /// What these conditions ask of bodies, of which so many bytes are read. None if they ask nothing.
    pub fn of<'c>(conditions: impl Iterator<Item = &'c Condition>, most: u64) -> Option<Self> {
        let operands = conditions.flat_map(Condition::operands);
        let pointers: Vec<ClaimPath> = operands.filter_map(Operand::body).cloned().collect();
        (!pointers.is_empty()).then(|| Self {
            tree: Rc::new(Tree::of(pointers)),
            most,
        })
    }

    /// What must be seen of a body.
    pub fn need(&self) -> BodyNeed {
        BodyNeed::Bytes { most: self.most }
    }

    /// What a head says of the body that may follow it.
    pub fn ahead(&self, headers: &Headers, body: BodyState, inspection: Inspection) -> BodyAhead {
        let fault = if is_upgrade(headers) {
            Some(BodyFault::Upgrade)
        } else if body == BodyState::Complete {
            return BodyAhead::Known(BodyMembers::none());
        } else if inspection == Inspection::HoldHeaders && headers.all("expect").next().is_some() {
            Some(BodyFault::Expect)
        } else {
            // Whether there is a body at all cannot be told from every head.
            let is_there = headers
                .all("content-length")
                .any(|length| length.iter().any(|digit| matches!(digit, b'1'..=b'9')));
            unread(headers).filter(|_| is_there)
        };
        fault.map_or(BodyAhead::Comes, |fault| {
            BodyAhead::Known(BodyMembers::unreadable(fault))
        })
    }

    /// Reads what has come of a body; its members, once they are known.
    pub fn read(&self, body: &mut RequestBody<'_>) -> Option<BodyMembers> {
        let size = body.progress.size;
        let fault = match size {
            0 => None,
            size if size > self.most => Some(BodyFault::TooLarge),
            _ => unread(body.request),
        };
        if let Some(fault) = fault {
            return Some(BodyMembers::unreadable(fault));
        }
        if body.progress.state == BodyState::Open {
            self.look(body);
            return None;
        }
        Some(match (size, body.under_way.take()) {
            (0, _) => BodyMembers::none(),
            (_, Some(known)) => match known.downcast::<Arriving>() {
                Ok(arriving) => self.end(*arriving, body),
                Err(_) => self.whole(body),
            },
            (_, None) => self.whole(body),
        })
    }

    /// Reads what has come of a body of which there is more, if it is enough.
    fn look(&self, body: &mut RequestBody<'_>) {
        let size = body.progress.size;
        if size < STEP {
            return;
        }
        let known = body.under_way.take();
        let known = known.and_then(|known| known.downcast::<Arriving>().ok());
        let Some(mut arriving) = known.or_else(|| self.begin()) else {
            return;
        };
        if size >= arriving.again && arriving.fault.is_none() && !is_crowded() {
            let done = arriving.done;
            let Arriving {
                gate, collector, ..
            } = &mut *arriving;
            let shown = body
                .content
                .show(done, self.most, |text| gate.more(text, collector));
            match shown {
                Some(Ok(done)) => {
                    let done = u64::try_from(done).unwrap_or(u64::MAX);
                    arriving.done = arriving.done.saturating_add(done);
                }
                Some(Err(fault)) => arriving.fault = Some(unreadable(fault)),
                None => {}
            }
            // What is left is looked at again: not before as much has come, or it would be over and over.
            let left = size.saturating_sub(arriving.done);
            arriving.again = size.saturating_add(left.max(STEP));
        }
        *body.under_way = Some(arriving);
    }

    fn begin(&self) -> Option<Box<Arriving>> {
        let memory = reserve(Share::Bodies, size_of::<Arriving>()).filter(|_| !is_crowded())?;
        Some(Box::new(Arriving {
            gate: Pieces::new(LIMITS),
            collector: Collector::new(&self.tree)?,
            done: 0,
            again: 0,
            fault: None,
            _memory: memory,
        }))
    }

    /// The members of a body of which some has been read.
    fn end(&self, arriving: Arriving, body: &RequestBody<'_>) -> BodyMembers {
        let Arriving {
            gate,
            mut collector,
            done,
            fault,
            ..
        } = arriving;
        match fault {
            // There may be enough when it is read as a whole.
            Some(BodyFault::Unavailable) => return self.whole(body),
            Some(fault) => return BodyMembers::unreadable(fault),
            None => {}
        }
        let shown = body
            .content
            .show(done, self.most, |text| gate.last(text, &mut collector));
        match shown {
            Some(Ok(())) => collector.into_members(),
            Some(Err(Fault::Memory)) | None => self.whole(body),
            Some(Err(fault)) => BodyMembers::unreadable(unreadable(fault)),
        }
    }

    /// The members of a whole body, whose bytes are read once for all who judge it.
    fn whole(&self, body: &RequestBody<'_>) -> BodyMembers {
        let bytes = match body.content.bytes(self.most) {
            Ok(bytes) => bytes,
            Err(NoBytes::TooMany) => return BodyMembers::unreadable(BodyFault::TooLarge),
            Err(NoBytes::Incomplete | NoBytes::Unavailable) => {
                return BodyMembers::unreadable(BodyFault::Unavailable);
            }
        };
        self.members_of(bytes)
    }

    /// The members of these bytes.
    pub fn members_of(&self, bytes: &[u8]) -> BodyMembers {
        let Some(mut collector) = Collector::new(&self.tree) else {
            return BodyMembers::unreadable(BodyFault::Unavailable);
        };
        match watch(bytes, &LIMITS, &mut collector) {
            Ok(()) => collector.into_members(),
            Err(fault) => BodyMembers::unreadable(unreadable(fault)),
        }
    }
}

fn unreadable(fault: Fault) -> BodyFault {
    match fault {
        Fault::Memory => BodyFault::Unavailable,
        _ => BodyFault::Malformed,
    }
}

/// Why a body cannot be read that comes with that head; none if it can.
fn unread(headers: &Headers) -> Option<BodyFault> {
    let identity = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"identity");
    if !headers.all("content-encoding").all(identity) {
        return Some(BodyFault::Encoding);
    }
    let sent = headers.one("content-type").ok().flatten();
    let media_type = sent.and_then(MediaType::parse);
    let is_json = media_type.is_some_and(|sent| sent.format() == Format::Json && sent.is_utf8());
    (!is_json).then_some(BodyFault::Type)
}

#[cfg(test)]
mod tests;
