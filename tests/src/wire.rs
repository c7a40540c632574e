//! Requests and responses as bytes, as the backends exchange them.

pub use portcullis_cases::wire::{Request, Response, Version};
