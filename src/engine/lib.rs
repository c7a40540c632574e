//! A document compiled, an exchange on its way through the policies of its route, and the worker
//! beside it.

pub mod access_log;
pub mod config;
pub mod engine;
pub mod explain;
pub mod metrics;
pub mod plan;
pub mod proof;
pub mod stream;
pub mod worker;
