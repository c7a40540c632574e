//! The members of one body that conditions look at.

use std::rc::Rc;

use crate::condition::found::Found;
use crate::condition::{ClaimPath, Scalars, Undecidable};
use portcullis_wire::budget::Reservation;
use portcullis_wire::json::compact::Compact;

/// The members of one body that conditions look at, or why none can be read.
#[derive(Debug)]
pub struct BodyMembers(Read);

#[derive(Debug)]
enum Read {
    /// There is no body.
    Empty,
    Fault(BodyFault),
    Whole {
        /// In order.
        pointers: Rc<[ClaimPath]>,
        /// What stands at each; nothing where it is not there.
        values: Vec<Result<Option<Compact>, BodyFault>>,
        _memory: Reservation,
    },
}

/// Why members of a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// It is of another type than JSON, or does not say its type once.
    Type,
    /// It is encoded, such as compressed.
    Encoding,
    /// What follows is no body: the connection leaves HTTP.
    Upgrade,
    /// It cannot be waited for: its sender waits for the service to ask for it.
    Expect,
    /// It is no JSON that everybody reads alike, as the gate of `payload` judges it.
    Malformed,
    /// It is larger than is read, or a member is.
    TooLarge,
    /// There is no memory for it, or the proxy does not hand it over.
    Unavailable,
    /// On the way to the member stands something else than an object, or a member whose name
    /// differs from the one that is asked for in the case of letters alone.
    Ambiguous,
    /// A number that many services round.
    Number,
}

impl BodyFault {
    /// The word for it in the log.
    pub fn word(self) -> &'static str {
        match self {
            BodyFault::Type => "body_type",
            BodyFault::Encoding => "body_encoding",
            BodyFault::Upgrade => "body_upgrade",
            BodyFault::Expect => "body_expect",
            BodyFault::Malformed => "body_malformed",
            BodyFault::TooLarge => "body_too_large",
            BodyFault::Unavailable => "body_unavailable",
            BodyFault::Ambiguous => "body_ambiguous",
            BodyFault::Number => "body_number",
        }
    }
}

impl BodyMembers {
    /// There is no body, and so no member.
    pub fn none() -> Self {
        Self(Read::Empty)
    }

    /// None can be read.
    pub fn unreadable(fault: BodyFault) -> Self {
        Self(Read::Fault(fault))
    }

    /// What stands at these pointers, which are in order.
    pub(super) fn whole(
        pointers: Rc<[ClaimPath]>,
        values: Vec<Result<Option<Compact>, BodyFault>>,
        memory: Reservation,
    ) -> Self {
        Self(Read::Whole {
            pointers,
            values,
            _memory: memory,
        })
    }

    /// What stands at a pointer.
    pub(in crate::condition) fn find(&self, path: &ClaimPath) -> Result<Found<'_>, Undecidable> {
        let (pointers, values) = match &self.0 {
            Read::Empty => return Ok(Found::Nothing),
            Read::Fault(fault) => return Err(Undecidable::Body(*fault)),
            Read::Whole {
                pointers, values, ..
            } => (pointers, values),
        };
        let place = pointers.binary_search(path).ok();
        let value = place.and_then(|place| values.get(place));
        // What was not looked for cannot be told.
        let value = value.ok_or(Undecidable::Unreadable)?;
        let value = value.as_ref().map_err(|fault| Undecidable::Body(*fault))?;
        let value = value.as_ref().map(Compact::value);
        Ok(Found::json(value, Scalars::Typed))
    }
}
