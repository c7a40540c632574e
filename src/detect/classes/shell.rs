//! Commands of Unix and Windows shells.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
