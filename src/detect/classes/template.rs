//! Expressions of template engines.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
