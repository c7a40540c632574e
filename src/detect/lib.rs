//! Texts judged by what they could do where they are run: evidence of injection, in classes, with scores.
//!
//! A text is looked at as an attacker's target would read it, and what is found adds up over one request.
//! Nothing here knows of requests, documents or refusals.
//!
//! - [`Detector`] goes through a text once and finds words that attacks are made of. What stands around each of
//!   them decides whether it is [`Evidence`], and how much it weighs: a class's file in [`classes`] says so.
//! - A text that hides others, in escapes or entities, is judged as each of them (`forms`).
//! - A text that is all in Base64 is another one too: [`base64`]. Who knows where a text stands looks at both.
//! - [`Scores`] adds up over the texts of one request, so that one odd word is nothing and long prose does not
//!   become an attack by its length.

pub mod base64;
pub mod classes;
mod detector;
mod forms;
mod index;
mod list;
mod scores;
pub mod spot;

pub use detector::{Detector, allowance};
pub use scores::{Evidence, Found, Scores, Sensitivity};
pub use spot::{Context, Spot};

/// What an attack is written in, or is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Statements of a database.
    Sql,
    /// What a browser runs.
    Script,
    /// Files of the service, or of others, that nobody should reach.
    Files,
    /// Commands of Unix and Windows shells.
    Shell,
    /// Code of PHP, and its serialised objects.
    Php,
    /// Expressions, classes and serialised objects of Java, and look-ups of its loggers.
    Java,
    /// Code of Node.js.
    Node,
    /// Expressions of template engines.
    Template,
    /// NUL, which ends a text for some readers.
    NullBytes,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 9] = [
        Class::Sql,
        Class::Script,
        Class::Files,
        Class::Shell,
        Class::Php,
        Class::Java,
        Class::Node,
        Class::Template,
        Class::NullBytes,
    ];

    /// Its name in documents and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Sql => "sql",
            Class::Script => "script",
            Class::Files => "files",
            Class::Shell => "shell",
            Class::Php => "php",
            Class::Java => "java",
            Class::Node => "node",
            Class::Template => "template",
            Class::NullBytes => "null_bytes",
        }
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u16);

impl Classes {
    /// No class.
    pub const NONE: Classes = Classes(0);
    /// Every class.
    pub const ALL: Classes = Classes((1 << Class::ALL.len()) - 1);

    /// These and one more.
    #[must_use]
    pub const fn with(self, class: Class) -> Self {
        Self(self.0 | (1 << class as u16))
    }

    /// These, but not those.
    #[must_use]
    pub const fn without(self, others: Classes) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether a class is one of them.
    pub const fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u16) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Class> for Classes {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        classes.into_iter().fold(Self::NONE, Self::with)
    }
}
