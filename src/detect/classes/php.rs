//! Code of PHP, and its serialised objects.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
