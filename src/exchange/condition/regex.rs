//! `regex`: an expression matches a whole text. The search takes its own price.

use super::operand::Found;
use super::test::{Expected, Kinds, Test, TestInput};
use portcullis_document::{Node, Problems};
use portcullis_wire::effort::{Effort, TooCostly};

pub(super) const TEST: Test = Test {
    name: "regex",
    kinds: Kinds::TEXT,
    fault: "no_match",
    read,
    holds,
};

fn read(node: &Node<'_>, asked: TestInput, problems: &mut Problems) -> Option<Expected> {
    node.regex(problems, asked.case).map(Expected::Regex)
}

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    match (expected, found.text(effort)?) {
        (Expected::Regex(regex), Some(text)) => regex.is_match(text, effort),
        _ => Ok(false),
    }
}
