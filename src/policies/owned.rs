//! Names that policies claim for what they tell others.

pub(super) use portcullis_document::header::read_claimed as read_header;
use portcullis_document::{Node, Problems};
use portcullis_exchange::exchange::FilterStateKey;

/// Reads the name of a value for other filters.
pub(super) fn read_property(node: &Node<'_>, problems: &mut Problems) -> Option<FilterStateKey> {
    let name = FilterStateKey::parse(node.text(problems)?);
    if name.is_none() {
        node.report(
            problems,
            "must be 1 to 64 lower-case letters, digits and `_`",
        );
    }
    name
}
