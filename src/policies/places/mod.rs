//! Places that requests take for as long as they are under way, counted by all workers together.
//!
//! A [`PlaceStore`] is the cells of one limit. In a cell stands who has how many requests under way in which
//! worker: places are taken and given back by compare and swap, so that there are never more than there may be.
//! Nobody gives back what a worker held that is gone. So each [says from time to time](PlaceHolder) that it is
//! there, and what those hold who have not for long enough counts no more.

mod counts;
mod holder;
mod records;
mod store;

pub(crate) use self::counts::{PlaceCounts, PlaceMetrics};
pub(crate) use self::holder::PlaceHolder;
#[cfg(test)]
use self::holder::{LEASE, is_another_vm};
pub(crate) use self::store::{HeldPlace, PlaceAnswer, PlaceStore};

#[cfg(test)]
mod tests;
