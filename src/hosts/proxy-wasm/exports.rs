//! The functions that a proxy calls for requests, in place of the SDK's: `envoy/finish.rs` gives them the names of the
//! SDK's exports, `proxy_on_log` to `portcullis_on_log`.
//!
//! The SDK makes a context of its own for each request, and looks for it in a table in each callback. Here a request is
//! known by its number alone: nothing is made before it is heard of, and nothing is left that would have to be deleted.
//! Plugins are the SDK's still. INVARIANT: it knows no context but theirs, and is asked of no other: it would trap.
#![allow(
    unsafe_code,
    reason = "functions that the proxy finds by their names; none of them touches memory by a pointer"
)]

use std::cell::Cell;

use super::abi::{self, Action};
use super::contexts;

// The SDK has no other way to them.
// SAFETY: they take and return the same there, and are functions of safe code that take numbers.
unsafe extern "C" {
    safe fn proxy_on_context_create(context: u32, root: u32);
    safe fn proxy_on_done(context: u32) -> bool;
    safe fn proxy_on_delete(context: u32);
    safe fn proxy_on_http_call_response(
        root: u32,
        token: u32,
        fields: usize,
        body: usize,
        trailers: usize,
    );
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_context_create(context: u32, root: u32) {
    match root {
        0 => proxy_on_context_create(context, root),
        root => contexts::make_stream(context, root),
    }
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_request_headers(context: u32, fields: usize, ends: u32) -> Action {
    contexts::request_headers(context, fields, ends != 0)
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_request_body(context: u32, size: usize, ends: u32) -> Action {
    if !contexts::minds_bodies() {
        return Action::Continue;
    }
    contexts::request_body(context, size, ends != 0)
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_request_trailers(context: u32, fields: usize) -> Action {
    contexts::request_trailers(context, fields)
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_response_headers(context: u32, fields: usize, ends: u32) -> Action {
    contexts::response_headers(context, fields, ends != 0)
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_response_body(context: u32, size: usize, ends: u32) -> Action {
    if !contexts::minds_bodies() {
        return Action::Continue;
    }
    contexts::response_body(context, size, ends != 0)
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_response_trailers(context: u32, fields: usize) -> Action {
    contexts::response_trailers(context, fields)
}

// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_log(context: u32) {
    contexts::log(context);
}

/// A proxy may have one more tick for a plugin that has ended, which the SDK does not know any more.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_tick(root: u32) {
    contexts::tick(root);
}

/// A request or a plugin ends. The SDK keeps plugins until they are deleted, of which it is told at once.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_done(context: u32) -> bool {
    let is_recorded = RECORDED.get() == Some(context);
    // Its number may then be another's.
    RECORDED.set(RECORDED.get().filter(|_| !is_recorded));
    if !is_recorded {
        end(context);
    }
    true
}

thread_local! {
    /// The exchange that was recorded last on its plan, whose context has not ended: nothing is left of it.
    static RECORDED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Notes that an exchange has been recorded on its plan.
#[inline]
pub(super) fn note_recorded(context: u32) {
    RECORDED.set(Some(context));
}

#[cold]
#[inline(never)]
fn end(context: u32) {
    match contexts::is_root(context) {
        false => contexts::exchange_done(context),
        true => end_root(context),
    }
}

#[cold]
#[inline(never)]
fn end_root(context: u32) {
    proxy_on_done(context);
    proxy_on_delete(context);
}

/// The proxy says whose call it was. The SDK knows it by who was called last, which may be another plugin: it is told
/// for the sake of its table of calls, and tells nobody.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn portcullis_on_http_call_response(
    root: u32,
    token: u32,
    fields: usize,
    body: usize,
    trailers: usize,
) {
    proxy_on_http_call_response(root, token, fields, body, trailers);
    // The SDK may have made another context the one that host calls concern.
    if abi::set_effective_context(root).is_ok() {
        contexts::call_response(root, token, fields, body);
    }
}
