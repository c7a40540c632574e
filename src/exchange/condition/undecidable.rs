//! Why conditions come to neither yes nor no.

use super::BodyFault;
use crate::versions::VersionFault;
use portcullis_wire::effort::TooCostly;

/// Why it cannot be told whether a condition holds. It counts neither as true nor as false: the caller
/// refuses the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecidable {
    /// A header field, or a parameter of the query, came more than once, or a field beside it whose name some
    /// services take for the same: which of them counts is not for the client to choose.
    Repeated,
    /// Which version of the API it is for.
    Version(VersionFault),
    /// It would take too much work.
    Effort,
    /// The query is malformed, or has what some services take for the parameter and others do not.
    Query,
    /// The path may be read in several ways, and not in all of them it comes to the same.
    Path,
    /// A value that is no text, no number where one is asked for, or no path.
    Unreadable,
    /// A value of a kind that cannot be compared so, such as an object.
    Kind,
    /// Two values that are the same to some services, and different to others: `07` and `7`, `DELETE` and `delete`.
    Spelling,
    /// A text, or a list, that has nothing in it and stands for everything to some services.
    Empty,
    /// The body has no members that can be read.
    Body(BodyFault),
    /// It is about the body, which has not come. Nothing else that there is to ask says so.
    NotYet,
}

impl Undecidable {
    /// The word for it in the log.
    pub fn word(self) -> &'static str {
        match self {
            Undecidable::Repeated => "repeated",
            Undecidable::Version(_) => "version",
            Undecidable::Effort => "too_costly",
            Undecidable::Query => "query",
            Undecidable::Path => "path",
            Undecidable::Unreadable => "unreadable",
            Undecidable::Kind => "kind",
            Undecidable::Spelling => "spelling",
            Undecidable::Empty => "empty",
            Undecidable::Body(fault) => fault.word(),
            Undecidable::NotYet => "body",
        }
    }
}

impl From<TooCostly> for Undecidable {
    fn from(_: TooCostly) -> Self {
        Undecidable::Effort
    }
}
