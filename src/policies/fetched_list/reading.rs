//! A response that is read a slice at a time.
//!
//! First its digest is made, by which a response is told from the one before and from another that stands in
//! the shared cell; then its items are read; then what has been read is brought into order.

use std::time::Duration;

use hmac_sha256::Hash;

use super::items::{ItemList, ListError, ListReader, MostItems, ReadItems, Work};
use super::record::Record;
use portcullis_exchange::whole_response::ReadBody;

/// A response that is being read, with the memory for it.
pub(super) struct ListReading<L: ItemList> {
    pub(super) body: ReadBody,
    pub(super) origin: ListOrigin,
    /// Its digest, once that is known.
    pub(super) digest: [u8; 32],
    /// Which items were passed over, and why, once that is known.
    pub(super) notes: Vec<String>,
    stage: ReadStage<L>,
}

/// Where a response comes from.
#[derive(Clone, Copy)]
pub(super) enum ListOrigin {
    /// The service: when it came, and for how long it is good.
    Response {
        since: Duration,
        age: Option<Duration>,
    },
    /// Another worker, which has read it.
    Shared(Record),
}

enum ReadStage<L: ItemList> {
    /// So many bytes have been digested.
    Digest(Hash, usize),
    Items(ListReader<L>),
    Ended,
}

/// How far a response has been read.
pub(super) enum ReadOn<L: ItemList> {
    /// There is more to do.
    Reading(ListReading<L>),
    /// It has been read, or is of no use. No list is one that is known: that of the same response.
    Ended(Result<Option<L>, ListError>, ListReading<L>),
}

/// Bytes of which a digest is made in the time in which one byte of items is read.
const DIGESTED: usize = 4;

impl ListOrigin {
    /// When the response came.
    pub(super) fn since(&self) -> Duration {
        match self {
            ListOrigin::Response { since, .. } => *since,
            ListOrigin::Shared(record) => record.fetched,
        }
    }

    /// Whether another response has come in the place of the one that was to be read.
    fn is_of_another(&self, digest: &[u8; 32]) -> bool {
        matches!(self, ListOrigin::Shared(record) if record.digest != *digest)
    }
}

impl<L: ItemList> ListReading<L> {
    pub(super) fn new(body: ReadBody, origin: ListOrigin) -> Self {
        Self {
            body,
            origin,
            digest: [0; 32],
            notes: Vec::new(),
            stage: ReadStage::Digest(Hash::new(), 0),
        }
    }

    /// Reads a slice. `known` is the digest of the response that is in force.
    pub(super) fn read_on(mut self, known: Option<[u8; 32]>, most: MostItems) -> ReadOn<L> {
        let mut work = Work::slice();
        while !work.is_spent() {
            match std::mem::replace(&mut self.stage, ReadStage::Ended) {
                ReadStage::Digest(hash, from) => {
                    self.digest_on(hash, from, &mut work);
                    if let ReadStage::Digest(..) = self.stage {
                        continue;
                    }
                    if self.origin.is_of_another(&self.digest) {
                        return ReadOn::Ended(Err(ListError::NoList), self);
                    }
                    if known == Some(self.digest) {
                        return ReadOn::Ended(Ok(None), self);
                    }
                    match ListReader::begin(self.body.bytes(), most) {
                        Ok(reader) => self.stage = ReadStage::Items(reader),
                        Err(error) => return ReadOn::Ended(Err(error), self),
                    }
                }
                ReadStage::Items(reader) => match reader.read_on(self.body.bytes(), &mut work) {
                    Ok(ReadItems::Reading(reader)) => self.stage = ReadStage::Items(reader),
                    Ok(ReadItems::Whole(list, notes)) => {
                        self.notes = notes;
                        return ReadOn::Ended(Ok(Some(list)), self);
                    }
                    Err((error, notes)) => {
                        self.notes = notes;
                        return ReadOn::Ended(Err(error), self);
                    }
                },
                ReadStage::Ended => return ReadOn::Ended(Err(ListError::NoList), self),
            }
        }
        ReadOn::Reading(self)
    }

    /// Makes more of its digest.
    fn digest_on(&mut self, mut hash: Hash, from: usize, work: &mut Work) {
        let body = self.body.bytes();
        let to = from.saturating_add(work.left().saturating_mul(DIGESTED));
        let to = to.min(body.len());
        hash.update(body.get(from..to).unwrap_or_default());
        work.spend(to.saturating_sub(from).div_ceil(DIGESTED));
        if to < body.len() {
            self.stage = ReadStage::Digest(hash, to);
        } else {
            self.digest = hash.finalize();
        }
    }
}
