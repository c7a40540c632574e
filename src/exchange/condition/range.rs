//! `range`: a number lies between others. Arithmetic is exact.

use super::found::Found;
use super::test::{Expected, Kinds, Range, Test, TestInput};
use portcullis_document::{Node, Problems};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::Json;
use portcullis_wire::json::decimal::Decimal;

pub(super) const TEST: Test = Test {
    name: "range",
    kinds: Kinds::NUMBER.or(Kinds::NUMERAL),
    fault: "out_of_range",
    read,
    holds,
    compare: None,
};

fn read(node: &Node<'_>, _: TestInput, problems: &mut Problems) -> Option<Expected> {
    let mut fields = node.object(problems, "{\"minimum\": …}")?;
    let minimum = fields.or_default("minimum", None, problems, read_number);
    let more_than = fields.or_default("more_than", None, problems, read_number);
    let maximum = fields.or_default("maximum", None, problems, read_number);
    let less_than = fields.or_default("less_than", None, problems, read_number);
    fields.deny_unknown(problems);
    let (low, high) = match (minimum?, more_than?, maximum?, less_than?) {
        (Some(_), Some(_), ..) | (_, _, Some(_), Some(_)) => {
            let reason = "has two numbers for one end; keep one of them";
            node.report(problems, reason);
            return None;
        }
        (minimum, more_than, maximum, less_than) => {
            let inside = |number| (number, false);
            let outside = |number| (number, true);
            (
                minimum.map(inside).or(more_than.map(outside)),
                maximum.map(inside).or(less_than.map(outside)),
            )
        }
    };
    let is_empty = match (&low, &high) {
        (None, None) => {
            let reason =
                "needs \"minimum\" or \"more_than\", \"maximum\" or \"less_than\", or one of each";
            problems.lacks(node.pointer(), reason);
            return None;
        }
        (Some((low, false)), Some((high, false))) => low > high,
        (Some((low, _)), Some((high, _))) => low >= high,
        _ => false,
    };
    if is_empty {
        node.report(problems, "has no number in it");
        return None;
    }
    Some(Expected::Range(Box::new(Range { low, high })))
}

fn read_number(node: &Node<'_>, problems: &mut Problems) -> Option<Option<Decimal>> {
    match node.json() {
        Json::Number(number) => Some(Some(number.decimal())),
        other => {
            let kind = other.kind();
            node.report(problems, format_args!("must be a number, not {kind}"));
            None
        }
    }
}

fn holds(expected: &Expected, found: Found<'_>, effort: &Effort) -> Result<bool, TooCostly> {
    let Expected::Range(range) = expected else {
        return Ok(false);
    };
    let number = found.number(effort)?;
    Ok(number.is_some_and(|number| range.has(&number)))
}
