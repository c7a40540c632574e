//! Code of Node.js.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
