//! The one room that names `proxy_wasm`: callbacks in, host calls out.

mod abi;
mod allocator;
mod calls;
mod fetch;
mod filter;
mod gauges;
mod held;
mod host;
mod logger;
mod pairs;
mod plugin;
mod refusing;
mod root;
mod signature;
mod tallies;
mod vm;
mod waits;
mod watch;

proxy_wasm::main! {{
    logger::install();
    proxy_wasm::set_root_context(root::create);
}}
