//! Formats other than JSON, read strictly and within limits, and text that says too much. Nothing here knows of
//! requests, documents or refusals.
//!
//! - [`graphql`]: documents of operations.
//! - [`sensitive`]: numbers of cards, keys, tokens and the like in texts.
//! - [`xml`]: XML texts and SOAP messages, judged while they come.

pub mod graphql;
pub mod sensitive;
pub mod xml;
