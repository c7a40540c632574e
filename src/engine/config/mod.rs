//! The configuration document: how it is compiled.

#[cfg(test)]
mod blocks;
mod catch_all;
mod circles;
mod document;
#[cfg(test)]
mod faults;
mod fit;
mod lint;
mod plan;
mod reach;
mod request_id;
mod rollout;
mod routes;
mod sections;
mod size;
mod uneven;
mod written;

use portcullis_document::{fields, form, node, problem};

use crate::engine::Engine;

pub use portcullis_document::{
    Case, ConfigError, DidYouMean, Fields, MAX_COMPILED, Node, Pointer, Problem, Problems, Quoted,
    is_near, nearest,
};
pub use size::bound;

impl Engine {
    /// Compiles a document. The result depends on nothing but these bytes.
    ///
    /// # Errors
    /// Everything that is wrong with the document, each with its place.
    pub fn compile(document: &[u8]) -> Result<Self, ConfigError> {
        document::compile(document)
    }

    /// The same engine with the plans of its routes, for hosts that go by them. Without, each request is
    /// judged by asking every policy.
    #[must_use]
    pub fn with_plans(self) -> Self {
        let plans = plan::compile(&self);
        Self { plans, ..self }
    }
}
