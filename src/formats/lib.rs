//! Formats other than JSON, read strictly and within limits. Nothing here knows of requests, documents or refusals.
//!
//! - [`graphql`]: documents of operations.
//! - [`xml`]: XML texts and SOAP messages, judged while they come.

pub mod graphql;
pub mod xml;
