//! A document compiled, an exchange on its way through the policies of its route, and the worker
//! beside it.
//!
//! From the ground up, each module knows those before it and no other; `tests/src/layers.rs` holds
//! that: [`record`], [`metrics`], [`access_log`], [`refused`], [`plan`], [`explain`], [`engine`], [`stream`],
//! [`config`], [`worker`].

pub mod access_log;
pub mod config;
pub mod engine;
pub mod explain;
pub mod metrics;
pub mod plan;
pub mod proof;
pub mod record;
pub mod refused;
pub mod stream;
pub mod worker;
