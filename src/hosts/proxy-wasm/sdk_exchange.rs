//! The contexts of requests, which the SDK's dispatcher calls in a module without
//! [exports of its own](super::exports): as Cargo makes it, and not `envoy/build.sh`. Each hands over to [`contexts`]
//! with its number and does nothing else.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::contexts;
use super::vm;

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
