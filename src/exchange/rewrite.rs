//! A body that goes out in place of one that was judged, and what a record says of that.

use crate::edit::Edit;
use portcullis_wire::budget::Reservation;

/// What goes out in place of the body of a response. Whoever makes it has seen to the response's length: that its
/// head has gone without one, or that an edit here says the new one.
#[derive(Debug)]
pub struct Rewrite {
    /// Changes of the response's head, if that still waits.
    pub edits: Vec<Edit>,
    /// Changes of its trailers, if there are any.
    pub trailers: Vec<Edit>,
    /// The body.
    pub body: Vec<u8>,
    /// What was asked for it.
    pub memory: Reservation,
    /// For the record: why.
    pub found: FoundInBody,
}

/// What was found in a body: kinds and places, and never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundInBody {
    /// How many there are of each kind.
    pub counts: Vec<(&'static str, u32)>,
    /// The first of them: kinds, and JSON pointers, in which names are the service's.
    pub places: Vec<(&'static str, String)>,
}

impl FoundInBody {
    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let counts = self.counts.capacity();
        let counts = counts.saturating_mul(size_of::<(&str, u32)>());
        let places = self.places.capacity();
        let places = places.saturating_mul(size_of::<(&str, String)>());
        let texts = self.places.iter().map(|(_, place)| place.capacity());
        texts.fold(counts.saturating_add(places), usize::saturating_add)
    }
}
