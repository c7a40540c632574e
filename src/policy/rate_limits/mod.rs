//! Limits on how often something may be asked.

pub mod key;
