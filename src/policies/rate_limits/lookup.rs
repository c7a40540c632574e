//! Whom a request counts for: its key, hashed, or what becomes of it without one.

use std::hash::Hasher as _;

use super::key::{Caller, Key, KeyError};
use super::limit::Missing;
use portcullis_exchange::seed::{Hashed, Seed};

/// What is found for a key.
pub enum KeyLookup {
    /// What asks for it is not for this request.
    No,
    /// It counts for that caller.
    Of(Hashed),
    /// It cannot be told.
    Failed,
    /// The request has no key, and that refuses it.
    Unkeyed(KeyError),
}

impl KeyLookup {
    /// Looks for the key of a request.
    pub fn of(key: &Key, missing: Missing, seed: &Seed, caller: &Caller<'_>) -> Self {
        let hasher = seed.hasher(caller.host);
        let mut hashed = hasher.unwrap_or_default();
        let pieces = key.pieces(caller, &mut |piece| hashed.write(piece));
        match (pieces, missing, hasher) {
            (Err(KeyError::Missing), Missing::Skip, _) => KeyLookup::No,
            (Err(unkeyed), Missing::Skip | Missing::Refuse, _)
            | (
                Err(unkeyed @ (KeyError::Repeated | KeyError::Effort | KeyError::Unknown)),
                Missing::Anonymous,
                _,
            ) => KeyLookup::Unkeyed(unkeyed),
            (_, _, Err(_)) => KeyLookup::Failed,
            (Ok(()), _, Ok(_)) => KeyLookup::Of(Hashed::of(&hashed)),
            // Every part of a key has a length in front, so that no key is empty but this one
            // and that of a list without parts, which cannot miss any.
            (Err(KeyError::Missing), Missing::Anonymous, Ok(empty)) => {
                KeyLookup::Of(Hashed::of(&empty))
            }
        }
    }
}
