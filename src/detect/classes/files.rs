//! Files of the service, or of others, that nobody should reach.

use super::Words;

pub(super) const WORDS: &[Words] = &[];
