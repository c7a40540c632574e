//! Expressions, classes and serialised objects of Java, and look-ups of its loggers.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
