//! `request_id`: the field of responses in which the request's id stands.

use super::node::Node;
use portcullis_document::header::read_told;
use portcullis_exchange::section::{Reading, Section};
use portcullis_wire::headers::HeaderName;

/// The field of responses in which the request's id stands.
pub(super) struct RequestId(pub(super) HeaderName);

impl Section for RequestId {
    const NAME: &'static str = "request_id";

    const MAY_BE_OFF: bool = true;

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let problems = &mut *reading.problems;
        let mut fields = node.fields(problems)?;
        let name = fields.required("response_header", problems);
        let name = name.and_then(|node| read_told(&node, problems));
        fields.deny_unknown(problems);
        name.map(Self)
    }
}
