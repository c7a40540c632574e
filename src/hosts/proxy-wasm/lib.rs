//! The one crate that names `proxy_wasm`: callbacks in (those of plugins in [`callbacks`], for requests in [`exports`]),
//! host calls out ([`abi`]).
#![cfg(target_arch = "wasm32")]

mod abi;
mod allocator;
mod callbacks;
mod calls;
mod contexts;
mod edits;
#[cfg(feature = "own-exports")]
mod exports;
mod filter;
mod held;
mod host;
mod logger;
mod pairs;
mod planned;
mod plugin;
mod refusing;
mod request;
mod response;
#[cfg(not(feature = "own-exports"))]
mod sdk_exchange;
mod signature;
mod vm;
mod waits;

proxy_wasm::main! {{
    logger::install();
    proxy_wasm::set_root_context(callbacks::create);
    #[cfg(not(feature = "own-exports"))]
    proxy_wasm::set_http_context(sdk_exchange::create_exchange);
}}
