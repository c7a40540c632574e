//! Regular expressions in the document.

use super::left_out::LeftOut;
use super::node::Node;
use super::problem::Problems;
use portcullis_wire::regex::{self, Regex};

/// Whether upper and lower case ASCII are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They are different.
    Significant,
    /// They are the same.
    Ignored,
}

impl Node<'_> {
    /// A regular expression of the `regex` crate: linear time, bounded when compiled.
    /// It must match the whole value, as everywhere in Envoy.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn regex(&self, problems: &mut Problems, case: Case) -> Option<Regex> {
        self.compile_regex(problems, case, ["^(?:", ")$"])
    }

    /// The same, and it matches wherever it is found.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn search(&self, problems: &mut Problems, case: Case) -> Option<Regex> {
        self.compile_regex(problems, case, ["", ""])
    }

    #[cfg_attr(feature = "record", track_caller)]
    fn compile_regex(
        &self,
        problems: &mut Problems,
        case: Case,
        [before, after]: [&str; 2],
    ) -> Option<Regex> {
        ask!(self.pointer(), Pattern);
        if problems.is_full() {
            return None;
        }
        let pattern = self.non_empty(problems)?;
        let whole = [before, pattern, after].concat();
        let compiled = Regex::compile(&whole, case == Case::Ignored);
        match compiled {
            Ok(regex) => {
                problems.account_pattern(self.pointer(), &regex);
                Some(regex)
            }
            Err(regex::Error::LeftOut) => {
                self.report(problems, LeftOut::PATTERNS);
                None
            }
            Err(regex::Error::TooLarge | regex::Error::Alphabet) => {
                self.report(
                    problems,
                    "is too large when compiled; make it smaller, above all what is repeated",
                );
                None
            }
            Err(_) => {
                self.report(
                    problems,
                    "is not a regular expression of the Rust regex crate (RE2 syntax; no look-around, no back-references)",
                );
                None
            }
        }
    }
}
