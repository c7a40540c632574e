//! What is sent where there is no document to judge by, or no memory for an exchange: it needs no
//! memory.

use super::abi::{self, Action, HostError, LogLevel};
use super::vm;
use portcullis_engine::stream::PreparedReply;

/// Whether or not the reply can be sent, the request does not go on.
pub(super) fn send(reply: &PreparedReply) -> Action {
    vm::count_unjudged();
    let mut headers = [0; 96];
    let headers = one_field(&mut headers, "content-type", reply.content_type);
    if let Err(HostError(_)) = abi::send_local_response(
        reply.status,
        reply.grpc_status,
        headers.unwrap_or_default(),
        reply.body.as_bytes(),
        reply.details,
    ) {
        vm::say(
            LogLevel::Error,
            "the proxy does not send the refusal; the request is held",
        );
    }
    Action::Pause
}

/// The ABI's serialisation of one header field, in memory that is there.
fn one_field<'b>(block: &'b mut [u8], name: &str, value: &str) -> Option<&'b [u8]> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let parts: [&[u8]; 7] = [
        &number(1),
        &number(name.len()),
        &number(value.len()),
        name.as_bytes(),
        b"\0",
        value.as_bytes(),
        b"\0",
    ];
    let mut end: usize = 0;
    for part in parts {
        let next = end.checked_add(part.len())?;
        block.get_mut(end..next)?.copy_from_slice(part);
        end = next;
    }
    block.get(..end)
}
