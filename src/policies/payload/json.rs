//! `json`: which JSON texts may pass.

use super::refusals::{
    JSON_DEPTH, JSON_DUPLICATE_KEY, JSON_ELEMENTS, JSON_KEY_BYTES, JSON_MEMBERS, JSON_NUMBER_BYTES,
    JSON_NUMBER_RANGE, JSON_STRING_BYTES, JSON_SURROGATE, JSON_SYNTAX, JSON_UTF8, JSON_VALUES,
};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_wire::json_gate::{Fault, Limits, Numbers};

/// How many values a worker reads, and makes a tree of, in less than 10 ms, whatever they are.
pub(super) const MOST_VALUES: usize = 100_000;

/// What may pass where the document sets no limits.
pub const USUAL: Limits = Limits {
    depth: 32,
    values: MOST_VALUES,
    members: 1000,
    elements: 10_000,
    key_bytes: 256,
    string_bytes: usize::MAX,
    number_bytes: 128,
    numbers: Numbers::Double,
};

/// Reads the block.
pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Limits> {
    let mut fields = node.fields(problems)?;
    let depth = fields.or_default("max_depth", USUAL.depth, problems, |node, problems| {
        node.integer(problems, 0..=1000).map(limit)
    });
    let values = fields.or_default("max_values", USUAL.values, problems, read_count);
    let members = fields.or_default("max_members", USUAL.members, problems, read_count);
    let elements = fields.or_default("max_elements", USUAL.elements, problems, read_count);
    let key_bytes = fields.or_default("max_key_bytes", USUAL.key_bytes, problems, read_size);
    let string_bytes =
        fields.or_default("max_string_bytes", USUAL.string_bytes, problems, read_size);
    let number_bytes =
        fields.or_default("max_number_bytes", USUAL.number_bytes, problems, read_size);
    let numbers = read_numbers(&mut fields, problems);
    fields.deny_unknown(problems);
    Some(Limits {
        depth: depth?,
        values: values?,
        members: members?,
        elements: elements?,
        key_bytes: key_bytes?,
        string_bytes: string_bytes?,
        number_bytes: number_bytes?,
        numbers: numbers?,
    })
}

fn read_count(node: &Node<'_>, problems: &mut Problems) -> Option<usize> {
    node.integer(problems, 0..=10_000_000).map(limit)
}

fn read_size(node: &Node<'_>, problems: &mut Problems) -> Option<usize> {
    node.bytes(problems).map(limit)
}

fn limit(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn read_numbers(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Numbers> {
    fields.or_default("numbers", USUAL.numbers, problems, |node, problems| {
        let choices = [
            ("double", Numbers::Double),
            ("exact", Numbers::Exact),
            ("any", Numbers::Any),
        ];
        node.choice(problems, &choices)
    })
}

/// Why a text with that fault is refused.
pub(super) fn refusal(fault: Fault) -> Refusal {
    let reason = match fault {
        Fault::Syntax => &JSON_SYNTAX,
        Fault::Utf8 => &JSON_UTF8,
        Fault::Surrogate => &JSON_SURROGATE,
        Fault::DuplicateKey => &JSON_DUPLICATE_KEY,
        Fault::Depth => &JSON_DEPTH,
        Fault::Values => &JSON_VALUES,
        Fault::Members => &JSON_MEMBERS,
        Fault::Elements => &JSON_ELEMENTS,
        Fault::KeyBytes => &JSON_KEY_BYTES,
        Fault::StringBytes => &JSON_STRING_BYTES,
        Fault::NumberBytes => &JSON_NUMBER_BYTES,
        Fault::NumberRange => &JSON_NUMBER_RANGE,
        Fault::Memory => &NO_MEMORY,
    };
    Refusal::new(reason)
}
