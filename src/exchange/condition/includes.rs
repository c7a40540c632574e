//! `includes`, `includes_any`, `includes_all`: a list has a value, one of several, or all of them.

use super::comparison::Compare;
use super::found::Found;
use super::test::{Choice, Expected, Kinds, Test, read_choice, read_scalar};
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "includes",
    kinds: Kinds::LIST,
    fault: "not_included",
    read: |node, asked, problems| {
        let item = read_scalar(node, asked.kinds, problems)?;
        Some(Expected::Choice(Choice::of(vec![item], asked.case)))
    },
    holds,
    compare: Some(Compare {
        with: Kinds::ALL,
        instead: "includes",
        holds: |pair| pair.includes(),
    }),
};

pub(super) const ANY: Test = Test {
    name: "includes_any",
    read: read_choice,
    compare: Some(Compare {
        with: Kinds::LIST,
        instead: "includes",
        holds: |pair| pair.includes_any(),
    }),
    ..TEST
};

pub(super) const ALL: Test = Test {
    name: "includes_all",
    read: read_choice,
    holds: holds_all,
    compare: Some(Compare {
        with: Kinds::LIST,
        instead: "includes",
        holds: |pair| pair.includes_all(),
    }),
    ..TEST
};

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    match expected {
        Expected::Choice(choice) => has(found, effort, |item| choice.has(item, effort)),
        _ => Ok(false),
    }
}

fn holds_all(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    let Expected::Choice(choice) = expected else {
        return Ok(false);
    };
    for text in &choice.texts {
        let is_text = |item: Found<'_>| choice.is(text, item, effort);
        if !has(found, effort, is_text)? {
            return Ok(false);
        }
    }
    for other in &choice.others {
        if !has(found, effort, |item| item.is(other, effort))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a list has such an item.
fn has(
    found: Found<'_>,
    effort: &Effort,
    is_wanted: impl Fn(Found<'_>) -> Result<bool, TooCostly>,
) -> Result<bool, TooCostly> {
    let Some((items, scalars)) = found.items() else {
        return Ok(false);
    };
    for item in items.iter() {
        effort.spend(1)?;
        if is_wanted(Found::Json(item, scalars))? {
            return Ok(true);
        }
    }
    Ok(false)
}
