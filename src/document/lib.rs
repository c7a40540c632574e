//! How a configuration document is read, and what is said when it is wrong.
//!
//! A [`Node`] is a value with its place. Every reader notes what is wrong with its own part in
//! [`Problems`] and goes on, so that all problems of a document appear at once, each with its place
//! and its cure. [`Fields`] are the members of an object; one that nobody asked for is a problem, and
//! the message names the nearest one that is known ([`mod@foreign`] and [`misplaced`] know other
//! products' names, and our own in the wrong place).
//!
//! Nothing here knows what a document may say.

/// Notes a question for who wants to know what readers ask; nothing without the feature `record`.
macro_rules! ask {
    ($place:expr, $question:ident $($details:tt)?) => {
        #[cfg(feature = "record")]
        crate::record::note($place, || crate::record::Question::$question $($details)?);
    };
}

pub mod expression;
pub mod fields;
pub mod foreign;
pub mod form;
pub mod header;
mod left_out;
pub mod misplaced;
pub mod node;
pub mod problem;
#[cfg(feature = "record")]
pub mod record;
pub mod units;

pub use expression::Case;
pub use fields::Fields;
pub use left_out::LeftOut;
pub use node::Node;
pub use problem::{
    ConfigError, DidYouMean, MAX_COMPILED, Pointer, Problem, Problems, Quoted, Words, is_near,
    nearest,
};
