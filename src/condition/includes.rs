//! `includes`, `includes_any`, `includes_all`: a list has a value, one of several, or all of them.

use super::operand::Found;
use super::test::{Asked, Choice, Expected, Kinds, Test, read_choice, read_scalar};
use crate::config::{Node, Problems};
use crate::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "includes",
    kinds: Kinds::LIST,
    fault: "not_included",
    read: |node, asked, problems| {
        let item = read_scalar(node, asked.kinds, problems)?;
        Some(Expected::Choice(Choice::of(vec![item], asked.case)))
    },
    holds,
};

pub(super) const ANY: Test = Test {
    name: "includes_any",
    read: read_choice,
    ..TEST
};

pub(super) const ALL: Test = Test {
    name: "includes_all",
    read: read_each,
    ..TEST
};

fn read_each(node: &Node<'_>, asked: Asked, problems: &mut Problems) -> Option<Expected> {
    let each = node.list(problems, |item, problems| {
        let item = read_scalar(item, asked.kinds, problems)?;
        Some(Choice::of(vec![item], asked.case))
    });
    each.map(Expected::Each)
}

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    match expected {
        Expected::Choice(choice) => has(found, choice, effort),
        Expected::Each(all) => {
            for each in all {
                if !has(found, each, effort)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Whether a list has one of these.
fn has(found: Found<'_>, choice: &Choice, effort: &Effort) -> Result<bool, TooCostly> {
    let Some((items, scalars)) = found.items() else {
        return Ok(false);
    };
    for item in items.iter() {
        effort.spend(1)?;
        if choice.has(Found::Json(item, scalars), effort)? {
            return Ok(true);
        }
    }
    Ok(false)
}
