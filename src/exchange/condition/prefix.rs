//! `prefix`: a text begins with another.

use super::operand::Found;
use super::test::{Expected, Kinds, Test, read_name};
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "prefix",
    kinds: Kinds::TEXT,
    fault: "no_match",
    read: read_name,
    holds,
};

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    let texts = expected.texts(found, effort)?;
    Ok(texts.is_some_and(|texts| texts.is_expected(texts.found.get(..texts.expected.len()))))
}
