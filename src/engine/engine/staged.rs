//! What is brought in for a share of requests.

use std::rc::Rc;

use portcullis_exchange::rollout::{PartialRollout, RolloutCounts};

/// Something that is in force for a share of requests, and in shadow mode for the others.
#[derive(Clone, Debug)]
pub struct StagedRollout {
    pub share: PartialRollout,
    /// What shares are drawn with: other names have other requests in theirs.
    pub name: Rc<str>,
    pub counts: Rc<RolloutCounts>,
}
