//! The configuration document: how it is read, and what is said when it is wrong.

mod document;
mod expression;
#[cfg(test)]
mod faults;
mod fields;
mod foreign;
mod form;
pub(crate) mod header;
mod lint;
mod misplaced;
mod node;
mod problem;
mod reach;
mod request_id;
mod routes;
mod sections;
mod size;
mod units;

pub use document::compile;
pub use expression::Case;
pub use fields::Fields;
pub use node::Node;
pub use problem::{
    ConfigError, DidYouMean, MAX_COMPILED, Pointer, Problem, Problems, Quoted, is_near, nearest,
};
pub use size::bound;
