//! What stands where there is no document to judge by, or no memory for a stream: it refuses, and
//! needs no memory for that.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use super::abi::{self, HostError, LogLevel};
use super::vm;
use portcullis_engine::stream::{NO_MEMORY_REPLY, NOT_CONFIGURED_REPLY, PreparedReply};

/// A plugin that there was no memory for. It has no size, so that its box needs none either.
pub(super) struct RefusingRoot;

/// An exchange that is refused for lack of a document. It has no size.
pub(super) struct NotConfigured;

/// An exchange that is refused for lack of memory. It has no size.
pub(super) struct NoMemory;

impl Context for RefusingRoot {}

impl RootContext for RefusingRoot {
    fn on_configure(&mut self, _: usize) -> bool {
        vm::say(
            LogLevel::Error,
            "there is no memory for this plugin in the worker's VM; it refuses every request until the next update",
        );
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(NoMemory))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for NotConfigured {}

impl HttpContext for NotConfigured {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        send(&NOT_CONFIGURED_REPLY)
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        Action::Pause
    }
}

impl Context for NoMemory {}

impl HttpContext for NoMemory {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        send(&NO_MEMORY_REPLY)
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        Action::Pause
    }
}

/// Whether or not the reply can be sent, the request does not go on.
fn send(reply: &PreparedReply) -> Action {
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
