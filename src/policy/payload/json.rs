//! `json`: which JSON texts may pass.

use super::refusals::{MALFORMED, STRUCTURE};
use crate::config::{Fields, Node, Problems};
use crate::json_gate::{Fault, Limits, Numbers};
use crate::refusal::Refusal;

/// Reads the block.
pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Limits> {
    const DEPTH: u64 = 32;
    const MEMBERS: u64 = 1000;
    const ELEMENTS: u64 = 10_000;
    const KEY_BYTES: u64 = 256;
    const NUMBER_BYTES: u64 = 128;
    let mut fields = node.fields(problems)?;
    let depth = fields.or("max_depth", DEPTH, problems, |node, problems| {
        node.integer(problems, 0..=1000)
    });
    let members = fields.or("max_members", MEMBERS, problems, read_count);
    let elements = fields.or("max_elements", ELEMENTS, problems, read_count);
    let key_bytes = fields.or("max_key_bytes", KEY_BYTES, problems, Node::bytes);
    let string_bytes = fields.or("max_string_bytes", u64::MAX, problems, Node::bytes);
    let number_bytes = fields.or("max_number_bytes", NUMBER_BYTES, problems, Node::bytes);
    let numbers = read_numbers(&mut fields, problems);
    fields.finish(problems);
    let limit = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Some(Limits {
        depth: limit(depth?),
        members: limit(members?),
        elements: limit(elements?),
        key_bytes: limit(key_bytes?),
        string_bytes: limit(string_bytes?),
        number_bytes: limit(number_bytes?),
        numbers: numbers?,
    })
}

fn read_count(node: &Node<'_>, problems: &mut Problems) -> Option<u64> {
    node.integer(problems, 0..=10_000_000)
}

fn read_numbers(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Numbers> {
    fields.or("numbers", Numbers::Double, problems, |node, problems| {
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
    let (code, reason) = match fault {
        Fault::Syntax => (&MALFORMED, "json_syntax"),
        Fault::Utf8 => (&MALFORMED, "json_utf8"),
        Fault::Surrogate => (&MALFORMED, "json_surrogate"),
        Fault::DuplicateKey => (&STRUCTURE, "json_duplicate_key"),
        Fault::Depth => (&STRUCTURE, "json_depth"),
        Fault::Members => (&STRUCTURE, "json_members"),
        Fault::Elements => (&STRUCTURE, "json_elements"),
        Fault::KeyBytes => (&STRUCTURE, "json_key_bytes"),
        Fault::StringBytes => (&STRUCTURE, "json_string_bytes"),
        Fault::NumberBytes => (&STRUCTURE, "json_number_bytes"),
        Fault::NumberRange => (&STRUCTURE, "json_number_range"),
    };
    Refusal::new(code, reason)
}
