//! Statements of a database.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
