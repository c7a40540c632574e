//! The one crate that names `proxy_wasm`: callbacks in, host calls out.
#![cfg(target_arch = "wasm32")]

mod abi;
mod allocator;
mod calls;
mod filter;
mod held;
mod host;
mod logger;
mod pairs;
mod plugin;
mod refusing;
mod root;
mod signature;
mod vm;
mod waits;

proxy_wasm::main! {{
    logger::install();
    proxy_wasm::set_root_context(root::create);
}}
