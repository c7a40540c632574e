//! Formats other than JSON, read strictly and within limits. Nothing here knows of requests, documents or refusals.

pub mod graphql;
