//! Names that policies claim for what they tell others.

use crate::config::{Node, Problems};
use crate::exchange::PropertyName;
use crate::headers::{HeaderName, are_alike};
use crate::route::read_header_name;

/// Reads the name of a field that the filter may claim for itself: a client's own is removed on
/// every route.
pub(super) fn read_header(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    const NEEDED: [&str; 12] = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "keep-alive",
        "origin",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    ];
    let name = read_header_name(node, problems)?;
    // Whatever is spelled alike is removed with it.
    if NEEDED
        .iter()
        .any(|needed| are_alike(needed.as_bytes(), name.as_str().as_bytes()))
    {
        node.report(
            problems,
            "has a meaning of its own, and would be removed from every request; choose another name",
        );
        return None;
    }
    Some(name)
}

/// Reads the name of a value for other filters.
pub(super) fn read_property(node: &Node<'_>, problems: &mut Problems) -> Option<PropertyName> {
    let name = PropertyName::parse(node.text(problems)?);
    if name.is_none() {
        node.report(
            problems,
            "must be 1 to 64 lower-case letters, digits and `_`",
        );
    }
    name
}
