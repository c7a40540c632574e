//! HTTP calls by the proxy, and their responses in its hands.

use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use super::abi::{self, Buffer, HostError, Map};
use super::host::Envoy;
use super::pairs;
use portcullis_engine::worker::LONGEST_HEAD;
use portcullis_exchange::call::{Call, CallError, Calls, HostResponse, Token};
use portcullis_wire::headers::Headers;

impl Calls for Envoy {
    fn call(&self, call: &Call) -> Result<Token, CallError> {
        let headers = call.headers.iter();
        let headers = headers.map(|(name, value)| (&**name, value.as_str()));
        let body = (!call.body.is_empty()).then_some(&*call.body);
        let timeout = Duration::from_millis(call.millis().into());
        let made = hostcalls::dispatch_http_call(
            &call.cluster,
            headers.collect(),
            body,
            Vec::new(),
            timeout,
        );
        made.map(Token).map_err(|status| match status {
            // All else that Envoy asks of a call is there.
            Status::BadArgument => CallError::NoCluster,
            _ => CallError::Unreachable,
        })
    }
}

/// The response of which the proxy tells in this callback.
pub(super) struct Arrived {
    /// How many fields it has. Without any the call has failed, and there is nothing to read.
    pub(super) fields: usize,
    pub(super) body: usize,
}

impl HostResponse for Arrived {
    fn headers(&self) -> Result<Headers, CallError> {
        if self.fields == 0 {
            return Err(CallError::Unreachable);
        }
        let bytes = abi::header_bytes(Map::CallResponse).unwrap_or(LONGEST_HEAD);
        if bytes > LONGEST_HEAD {
            return Err(CallError::TooLong(LONGEST_HEAD));
        }
        let size = pairs::memory(bytes, self.fields);
        let block = abi::header_pairs_of(Map::CallResponse, size).map_err(unreadable)?;
        pairs::read(block).ok_or(CallError::Unreachable)
    }

    fn body_size(&self) -> usize {
        self.body
    }

    fn body(&self) -> Result<Vec<u8>, CallError> {
        abi::buffer_of(Buffer::CallResponseBody, 0, self.body).map_err(unreadable)
    }
}

fn unreadable(error: HostError) -> CallError {
    match error {
        HostError::NO_MEMORY => CallError::NoMemory,
        HostError(_) => CallError::Unreachable,
    }
}
