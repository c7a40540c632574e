//! `exact`: a value is equal. Numbers are compared by value: `1` is `1.0`.

use super::comparison::Compare;
use super::found::Found;
use super::test::{Expected, Kinds, Test, TestInput};
use portcullis_document::{Node, Problems};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::Json;

pub(super) const TEST: Test = Test {
    name: "exact",
    kinds: Kinds::TEXT.or(Kinds::NUMBER).or(Kinds::BOOLEAN),
    fault: "not_equal",
    read,
    holds,
    compare: Some(Compare {
        with: Kinds::ALL,
        instead: "exact",
        holds: |pair| pair.are_equal(),
    }),
};

fn read(node: &Node<'_>, asked: TestInput, problems: &mut Problems) -> Option<Expected> {
    match node.json() {
        value @ Json::Number(_) if asked.kinds.meet(Kinds::NUMBER) => {
            Some(Expected::Value(value.clone()))
        }
        value @ Json::Bool(_) if asked.kinds.meet(Kinds::BOOLEAN) => {
            Some(Expected::Value(value.clone()))
        }
        // The empty text is one to be equal to.
        _ => node.text(problems).map(|text| asked.text(text)),
    }
}

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    if let Expected::Value(value) = expected {
        return found.is(value, effort);
    }
    let texts = expected.texts(found, effort)?;
    Ok(texts.is_some_and(|texts| texts.is_expected(Some(&texts.found))))
}
