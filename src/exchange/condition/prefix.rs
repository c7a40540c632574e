//! `prefix`: a text begins with another. With what another part of the request has, it begins with whole
//! segments.

use super::comparison::Compare;
use super::found::Found;
use super::test::{Expected, Kinds, Test, read_name};
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "prefix",
    kinds: Kinds::TEXT,
    fault: "no_match",
    read: read_name,
    holds,
    compare: Some(Compare {
        with: Kinds::TEXT,
        instead: "exact",
        holds: |pair| pair.begins(),
    }),
};

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    let texts = expected.texts(found, effort)?;
    Ok(texts.is_some_and(|texts| texts.is_expected(texts.found.get(..texts.expected.len()))))
}
