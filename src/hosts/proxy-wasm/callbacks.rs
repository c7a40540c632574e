//! The contexts of plugins, which the SDK's dispatcher calls. Each hands over to [`contexts`] with its number and does
//! nothing else.

use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::ContextType;

use super::contexts;

/// A plugin, by the number of its root context.
struct Root(u32);

/// A plugin that there was no memory for. It has no size, so that its box needs none either.
struct NoRoot;

/// A root context for a configuration: one that refuses, where there is no memory for another.
pub(super) fn create(id: u32) -> Box<dyn RootContext> {
    match contexts::make_root(id) {
        true => Box::new(Root(id)),
        false => Box::new(NoRoot),
    }
}

impl Context for Root {
    /// With exports of its own, the module is told by these.
    #[cfg(not(feature = "own-exports"))]
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
