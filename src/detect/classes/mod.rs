//! What each class is known by: words, and what must stand around them to make them evidence.
//!
//! A word is in lower case and has no white space but `\n`. It begins with punctuation and is found wherever it stands,
//! or with a letter or digit and is found behind anything but a letter or `_`. What it ends with is for its verifier to
//! look at ([`Spot::is_whole`]), but one of two letters has no letter behind it. A verifier looks at no more than the
//! [`Spot`] shows, goes over that a small fixed number of times, and gives up soon: a text of nothing but beginnings is
//! to cost less than 100 ns for each byte.

mod around;
mod files;
mod java;
mod node;
mod null_bytes;
mod php;
mod script;
mod shell;
mod sql;
mod template;

use crate::{Class, Evidence, Spot};

/// Decides whether a word that was found is evidence.
pub type Verify = fn(&Spot<'_>) -> Option<Evidence>;

/// Words that one verifier looks at.
pub struct Words {
    /// With a space between each two. None: where a text begins.
    pub list: &'static str,
    pub verify: Verify,
}

impl Class {
    /// What it is known by.
    pub(crate) const fn words(self) -> &'static [Words] {
        match self {
            Class::Sql => sql::WORDS,
            Class::Script => script::WORDS,
            Class::Files => files::WORDS,
            Class::Shell => shell::WORDS,
            Class::Php => php::WORDS,
            Class::Java => java::WORDS,
            Class::Node => node::WORDS,
            Class::Template => template::WORDS,
            Class::NullBytes => null_bytes::WORDS,
        }
    }
}
