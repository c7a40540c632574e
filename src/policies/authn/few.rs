//! Lists of what is looked for, or written, at every request: they have a bound.

use portcullis_document::{Node, Problems};
use portcullis_wire::json::Json;

/// The most items of such a list.
const MOST: usize = 16;

/// A list with at least one item and at most [`MOST`], each read by `read`.
pub(super) fn read_few<'d, T>(
    node: &Node<'d>,
    problems: &mut Problems,
    read: impl FnMut(&Node<'d>, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    if matches!(node.json(), Json::Array(items) if items.len() > MOST) {
        node.report(problems, format_args!("has more than {MOST} items"));
        return None;
    }
    node.list(problems, read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_named_with_its_bound() {
        let read = |count: usize| {
            let text = format!("[{}]", vec!["1"; count].join(","));
            let json = Json::parse(text.as_bytes(), 2).unwrap();
            let mut problems = Problems::default();
            let read = read_few(&Node::root(&json), &mut problems, |_, _| Some(()));
            problems.into_result(read.map(|items| items.len()))
        };
        assert_eq!(read(16).unwrap(), 16);
        let error = read(17).unwrap_err();
        assert_eq!(
            error.problems[0].to_string(),
            "document: has more than 16 items"
        );
    }
}
