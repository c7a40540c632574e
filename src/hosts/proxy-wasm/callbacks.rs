//! The contexts that the SDK's dispatcher calls. Each hands over to [`contexts`] with its number and does
//! nothing else.
//!
//! What makes an exchange is put off until it is first heard of, and what is kept of it goes with its record:
//! the dispatcher's own context is a number.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use super::contexts;
use super::vm;

/// A plugin, by the number of its root context.
struct Root(u32);

/// A plugin that there was no memory for. It has no size, so that its box needs none either.
struct NoRoot;

/// An exchange, by the numbers of its context and of its plugin's.
struct ExchangeContext {
    id: u32,
    root: u32,
}

/// An exchange for which there is no memory even for that. It has no size.
struct NoExchange;

/// A context for a request, of the plugin with that root context.
pub(super) fn create_exchange(id: u32, root: u32) -> Box<dyn HttpContext> {
    /// For the number, and for what the SDK notes of it.
    const MOST_BYTES: usize = 256;
    if !vm::has_room(MOST_BYTES) {
        return Box::new(NoExchange);
    }
    contexts::make_stream(id, root);
    Box::new(ExchangeContext { id, root })
}

/// A root context for a configuration: one that refuses, where there is no memory for another.
pub(super) fn create(id: u32) -> Box<dyn RootContext> {
    match contexts::make_root(id) {
        true => Box::new(Root(id)),
        false => Box::new(NoRoot),
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, fields: usize, body: usize, _: usize) {
        contexts::call_response(self.0, token, fields, body);
    }

    fn on_done(&mut self) -> bool {
        contexts::done(self.0);
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        contexts::configure(self.0, size)
    }

    fn on_tick(&mut self) {
        contexts::tick(self.0);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for NoRoot {}

impl RootContext for NoRoot {
    fn on_configure(&mut self, _: usize) -> bool {
        contexts::no_root();
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for ExchangeContext {
    fn on_done(&mut self) -> bool {
        contexts::exchange_done(self.id);
        true
    }

    /// The dispatcher tells whichever context made the call; the plugin knows for whom it was.
    fn on_http_call_response(&mut self, token: u32, fields: usize, body: usize, _: usize) {
        contexts::call_response(self.root, token, fields, body);
    }
}

impl HttpContext for ExchangeContext {
    fn on_http_request_headers(&mut self, fields: usize, ends: bool) -> Action {
        contexts::request_headers(self.id, fields, ends)
    }

    fn on_http_request_body(&mut self, size: usize, ends: bool) -> Action {
        if !contexts::minds_bodies() {
            return Action::Continue;
        }
        contexts::request_body(self.id, size, ends)
    }

    fn on_http_request_trailers(&mut self, fields: usize) -> Action {
        contexts::request_trailers(self.id, fields)
    }

    fn on_http_response_headers(&mut self, fields: usize, ends: bool) -> Action {
        contexts::response_headers(self.id, fields, ends)
    }

    fn on_http_response_body(&mut self, size: usize, ends: bool) -> Action {
        if !contexts::minds_bodies() {
            return Action::Continue;
        }
        contexts::response_body(self.id, size, ends)
    }

    fn on_http_response_trailers(&mut self, fields: usize) -> Action {
        contexts::response_trailers(self.id, fields)
    }

    fn on_log(&mut self) {
        contexts::log(self.id);
    }
}

impl Context for NoExchange {}

impl HttpContext for NoExchange {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        contexts::refuse_for_memory()
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        Action::Pause
    }
}
