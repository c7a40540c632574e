//! Regular expressions that need time in proportion to a text, and keep little memory of it.

use ::regex::RegexBuilder;

pub use ::regex::Error;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Regex(::regex::Regex);

/// What matching a longer text took is given back: what it takes grows with the text, up to a
/// quarter of a megabyte, and an expression would keep it.
const KEPT_BYTES: usize = 1024;

impl Regex {
    /// Compiles an expression, which may take `largest` bytes.
    ///
    /// # Errors
    /// Those of the `regex` crate.
    pub fn compile(pattern: &str, ignore_case: bool, largest: usize) -> Result<Self, Error> {
        let mut builder = RegexBuilder::new(pattern);
        builder
            .case_insensitive(ignore_case)
            .size_limit(largest)
            .dfa_size_limit(largest);
        builder.build().map(Self)
    }

    /// Whether it is found in a text.
    pub fn is_match(&self, text: &str) -> bool {
        if text.len() > KEPT_BYTES {
            // A clone shares the expression, and has working memory of its own.
            return self.0.clone().is_match(text);
        }
        self.0.is_match(text)
    }
}
