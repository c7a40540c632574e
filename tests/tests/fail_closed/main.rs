//! What an attacker, an operator and a full VM can make of the filter on a real Envoy: a request
//! without a token gets 401 or 503, whatever happens, and good requests pass again afterwards.
//!
//! The sizes are small enough for every run of the suites; `make attack` takes those at which
//! the filter once failed, and prints what it measures.
#![allow(
    clippy::disallowed_methods,
    reason = "what is measured is a real proxy's real time"
)]

mod answers;
mod bodies;
mod brim;
mod cache;
mod documents;
mod generations;
mod heads;
mod keys;
mod patterns;
mod returned;
mod stage;
mod streams;
mod waits;

/// `small`, or `full` in an attack at full size.
fn size<T>(small: T, full: T) -> T {
    match std::env::var_os("ATTACK") {
        Some(_) => full,
        None => small,
    }
}
