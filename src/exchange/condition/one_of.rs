//! `in`: a value is one of several. Texts are found in a sorted list.

use super::comparison::Compare;
use super::found::Found;
use super::test::{Expected, Kinds, Test, read_choice};
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "in",
    kinds: Kinds::TEXT.or(Kinds::NUMBER).or(Kinds::BOOLEAN),
    fault: "not_listed",
    read: read_choice,
    holds,
    compare: Some(Compare {
        with: Kinds::LIST,
        instead: "exact",
        holds: |pair| pair.is_in(),
    }),
};

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    match expected {
        Expected::Choice(choice) => choice.has(found, effort),
        _ => Ok(false),
    }
}
