//! The functions that the proxy calls, proxy-wasm ABI 0.2.1. Each hands over to [`contexts`] and
//! does nothing else.
//!
//! The SDK's dispatcher keeps three tables of boxed contexts, makes them before they are wanted, and
//! panics on a number that it does not know: that would stop a worker. So the functions are our own.
//! What is not here, the proxy does not call:
//!
//! - `proxy_on_delete`: a context is dropped with the last that is heard of it, be that the log or
//!   its end.
//! - Queues, connections, gRPC calls and foreign functions: nothing here asks for any.
#![allow(
    unsafe_code,
    reason = "functions that the proxy finds by their names; none of them touches memory by a pointer"
)]

use super::abi::Action;
use super::contexts;
use super::logger;

// SAFETY: `wasm-ld` makes this function; it runs what is to run before all else.
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Which ABI this is.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// The first that is called, once in a VM. By calling the constructors itself it keeps the linker from
/// having every function here call them.
// SAFETY: nothing else has this name; the proxy calls it once, before all others.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: this is before all else, and not again.
    unsafe { __wasm_call_ctors() };
    logger::install();
}

/// There is nothing to start. A constant cannot trap, which would leave the filter out of the chain.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_: u32, _: usize) -> u32 {
    1
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    match root {
        0 => contexts::make_root(context),
        root => contexts::make_stream(context, root),
    }
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    contexts::configure(root, size).into()
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    contexts::tick(root);
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    token: u32,
    fields: usize,
    body: usize,
    _: usize,
) {
    contexts::call_response(root, token, fields, body);
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, fields: usize, ends: u32) -> u32 {
    contexts::request_headers(context, fields, ends != 0) as u32
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, ends: u32) -> u32 {
    if !contexts::minds_bodies() {
        return Action::Continue as u32;
    }
    contexts::request_body(context, size, ends != 0) as u32
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, fields: usize) -> u32 {
    contexts::request_trailers(context, fields) as u32
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, fields: usize, ends: u32) -> u32 {
    contexts::response_headers(context, fields, ends != 0) as u32
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, size: usize, ends: u32) -> u32 {
    if !contexts::minds_bodies() {
        return Action::Continue as u32;
    }
    contexts::response_body(context, size, ends != 0) as u32
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, fields: usize) -> u32 {
    contexts::response_trailers(context, fields) as u32
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    contexts::log(context);
}

/// Whether the context may go: it always may.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    contexts::done(context);
    1
}
