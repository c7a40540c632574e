//! Bodies of which nothing has to be seen, and whose length is not known beforehand.

use portcullis_document::{Fields, Problems};
use portcullis_exchange::body::{BodyNeed, RequestBody};

/// What becomes of a body of which nothing need be seen, and whose length is not known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownLength {
    /// It passes while it is counted, and is cut at the bound.
    Pass,
    /// It is held until its length is known.
    Hold,
}

impl UnknownLength {
    /// Reads `unknown_length`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        fields.or_default(
            "unknown_length",
            UnknownLength::Pass,
            problems,
            |node, problems| {
                let choices = [("pass", UnknownLength::Pass), ("hold", UnknownLength::Hold)];
                node.choice(problems, &choices)
            },
        )
    }

    /// What must be seen of the rest of a body of which some has come. Where its length had to be known, that was
    /// to tell whether there is one at all.
    pub(super) fn need_of_rest(self, body: &RequestBody<'_>) -> BodyNeed {
        match (body.need, self) {
            (BodyNeed::Size, UnknownLength::Pass) if body.progress.size > 0 => BodyNeed::Count,
            (need, _) => need,
        }
    }
}
