//! Changes of heads, as calls to the proxy.

use crate::abi::{self, HostError, Map};
use portcullis_exchange::exchange::Edit;

pub(super) fn apply(map: Map, edits: &[Edit]) -> Result<(), HostError> {
    edits.iter().try_for_each(|edit| carry(map, edit))
}

pub(super) fn carry(map: Map, edit: &Edit) -> Result<(), HostError> {
    match edit {
        Edit::Remove(name) => abi::remove_header(map, name.as_str()),
        Edit::Set(name, value) => abi::replace_header(map, name.as_str(), value.as_bytes()),
        Edit::Add(name, value) => abi::add_header(map, name.as_str(), value.as_bytes()),
        Edit::SetPath(value) => abi::replace_header(map, ":path", value.as_bytes()),
        Edit::Export(name, value) => abi::set_property(name.as_str(), value.as_bytes()),
        Edit::Hits(hits) => set_hits(*hits),
        Edit::Shared(edits) => apply(map, edits),
    }
}

/// Tells Envoy's own rate limit filter how much the request costs.
fn set_hits(hits: u32) -> Result<(), HostError> {
    // `SetEnvoyFilterStateArguments`: `path`, of 27 bytes, and `value`, of fewer than 128.
    let mut message = b"\x0a\x1benvoy.ratelimit.hits_addend\x12".to_vec();
    let value = hits.to_string();
    message.extend(u8::try_from(value.len()));
    message.extend_from_slice(value.as_bytes());
    abi::foreign_function("set_envoy_filter_state", &message).map(|_| ())
}
