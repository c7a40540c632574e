//! HTTP calls by the proxy, and their responses in its hands.

use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use super::host::Envoy;
use crate::call::{Call, CallError, Calls, Token};

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
