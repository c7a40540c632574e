//! Formats other than JSON, read strictly and within limits, and text that says too much. Nothing here knows of
//! requests, documents or refusals.

pub mod sensitive;
