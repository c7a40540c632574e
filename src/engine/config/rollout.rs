//! What is brought in for a share of requests: its counts, and what an operator should know of it.

use std::rc::Rc;

use super::document::Document;
use super::problem::{Pointer, Quoted};
use crate::engine::{Mode, StagedRollout};
use crate::record::{DOCUMENT, ROUTE};
use portcullis_exchange::gauges::segment;
use portcullis_exchange::rollout::{Rollout, RolloutCounts};

impl Document<'_> {
    /// The mode of the document, and for which share it is in force.
    pub(super) fn staged_whole(&mut self, rollout: Rollout) -> (Mode, Option<StagedRollout>) {
        let at = Pointer::default();
        self.staged(rollout, DOCUMENT, DOCUMENT, &at)
    }

    /// The same of a route.
    pub(super) fn staged_route(
        &mut self,
        rollout: Rollout,
        name: &str,
        at: &Pointer,
    ) -> (Mode, Option<StagedRollout>) {
        let metric = format!("{ROUTE}.{}", segment(name));
        self.staged(rollout, &metric, &format!("{ROUTE}/{name}"), at)
    }

    /// The same of the block of a policy.
    pub(super) fn staged_policy(
        &mut self,
        rollout: Rollout,
        policy: &'static str,
        at: &Pointer,
    ) -> (Mode, Option<StagedRollout>) {
        self.staged(rollout, &format!("policy.{policy}"), policy, at)
    }

    fn staged(
        &mut self,
        rollout: Rollout,
        metric: &str,
        name: &str,
        at: &Pointer,
    ) -> (Mode, Option<StagedRollout>) {
        let Rollout { mode, partial } = rollout;
        let Some(share) = partial else {
            return (mode, None);
        };
        if let Some(header) = share.header() {
            let header = Quoted(header.as_str());
            self.notes.push(format!(
                "{}: clients choose the header field {header}, and with it whether this is in force for them; go by `caller` once that matters",
                at.member("percent_by")
            ));
        }
        let mut known = self.rollouts.iter();
        let found = known.find(|(each, _)| each == metric);
        let counts = match found {
            Some((_, counts)) => Rc::clone(counts),
            None => {
                let counts = Rc::<RolloutCounts>::default();
                self.rollouts.push((metric.to_owned(), Rc::clone(&counts)));
                counts
            }
        };
        let staged = StagedRollout {
            share,
            name: name.into(),
            counts,
        };
        (mode, Some(staged))
    }
}
