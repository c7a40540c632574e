//! Whether refusals are carried out.

use portcullis_document::{Node, Problems};

/// Whether refusals are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are judged, counted and logged; the request goes on as if the policy were absent.
    Shadow,
}

impl Mode {
    /// Reads `mode`.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
        node.choice(problems, &choices)
    }

    /// The mode of a policy in a document of this mode: the document's shadow wins.
    pub fn over(self, policy: Mode) -> Mode {
        match self {
            Mode::Shadow => Mode::Shadow,
            Mode::Enforce => policy,
        }
    }
}
