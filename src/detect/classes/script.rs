//! What a browser runs.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
