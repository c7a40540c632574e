//! `regex`: an expression matches a whole text. The search takes its own price.

use super::found::Found;
use super::test::{Expected, Kinds, Test, TestInput};
use portcullis_document::{Node, Problems};
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "regex",
    kinds: Kinds::TEXT,
    fault: "no_match",
    read,
    holds,
    compare: None,
};

fn read(node: &Node<'_>, asked: TestInput, problems: &mut Problems) -> Option<Expected> {
    let regex = node.regex(problems, asked.case)?;
    Some(Expected::Regex(regex, asked.case))
}

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    match (expected, found.text(effort)?) {
        (Expected::Regex(regex, _), Some(text)) => regex.is_match(text, effort),
        _ => Ok(false),
    }
}
