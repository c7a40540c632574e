//! `contains`: a text has another somewhere.

use super::found::Found;
use super::test::{Expected, Kinds, Test, read_name};
use portcullis_document::Case;
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "contains",
    kinds: Kinds::TEXT,
    fault: "no_match",
    read: read_name,
    holds,
    compare: None,
};

/// How many bytes of a text a step of the effort is enough for.
const BYTES_SEARCHED_BY_A_STEP: u64 = 2;

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    let Some(texts) = expected.texts(found, effort)? else {
        return Ok(false);
    };
    effort.spend(texts.found.len() as u64 / BYTES_SEARCHED_BY_A_STEP)?;
    Ok(match texts.case {
        Case::Significant => texts.found.contains(&*texts.expected),
        // The one test that takes memory: a search without it would take a product of both lengths.
        Case::Ignored => texts.found.to_ascii_lowercase().contains(&*texts.expected),
    })
}
