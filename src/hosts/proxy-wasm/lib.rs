//! The one crate that knows proxy-wasm: callbacks in ([`exports`]), host calls out ([`abi`]).
#![cfg(target_arch = "wasm32")]

mod abi;
mod allocator;
mod calls;
mod contexts;
mod exports;
mod filter;
mod held;
mod host;
mod logger;
mod pairs;
mod plugin;
mod refusing;
mod signature;
mod vm;
mod waits;
