//! The plugin as the proxy calls it, and the contexts it makes for requests.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::calls::Arrived;
use super::filter::Filter;
use super::plugin::Plugin;
use super::refusing::{NoMemory, NotConfigured, RefusingRoot};
use super::vm;

/// Carries callbacks to a [`Plugin`].
pub(super) struct Root {
    plugin: Rc<Plugin>,
}

/// A root context for a configuration: one that refuses, where there is no memory for another.
pub(super) fn create(id: u32) -> Box<dyn RootContext> {
    /// For the plugin, and for what the SDK notes of it.
    const MOST_BYTES: usize = 4096;
    if vm::has_room(MOST_BYTES) {
        Box::new(Root {
            plugin: Rc::new(Plugin::new(id)),
        })
    } else {
        Box::new(RefusingRoot)
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, fields: usize, body: usize, _: usize) {
        self.plugin.call_response(token, &Arrived { fields, body });
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        self.plugin.configure(size)
    }

    fn on_tick(&mut self) {
        self.plugin.tick();
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let Some(running) = self.plugin.running() else {
            return Some(Box::new(NotConfigured));
        };
        Some(match Filter::new(id, &running) {
            Some(filter) => Box::new(filter),
            None => Box::new(NoMemory),
        })
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
