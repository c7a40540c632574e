//! The one crate that names `proxy_wasm`: callbacks in ([`callbacks`]), host calls out ([`abi`]).
#![cfg(target_arch = "wasm32")]

mod abi;
mod allocator;
mod callbacks;
mod calls;
mod contexts;
mod edits;
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
mod signature;
mod vm;
mod waits;

proxy_wasm::main! {{
    logger::install();
    proxy_wasm::set_root_context(callbacks::create);
    proxy_wasm::set_http_context(callbacks::create_exchange);
}}
