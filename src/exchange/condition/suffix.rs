//! `suffix`: a text ends with another.

use super::found::Found;
use super::test::{Expected, Kinds, Test, read_name};
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "suffix",
    kinds: Kinds::TEXT,
    fault: "no_match",
    read: read_name,
    holds,
    compare: None,
};

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    let texts = expected.texts(found, effort)?;
    Ok(texts.is_some_and(|texts| {
        let begin = texts.found.len().checked_sub(texts.expected.len());
        texts.is_expected(begin.and_then(|begin| texts.found.get(begin..)))
    }))
}
