//! What is brought in for a share of requests: its counts, and what an operator should know of it.

use std::rc::Rc;

use super::document::Document;
use super::lint::authenticates;
use super::problem::Pointer;
use crate::engine::{Mode, Route, StagedRollout, Step};
use crate::record::{DOCUMENT, ROUTE};
use portcullis_exchange::gauges::segment;
use portcullis_exchange::policy::Stage;
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
        if let Some(choice) = share.choice("this") {
            self.notes
                .push(format!("{}: {choice}", at.member("percent_by")));
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

    /// Notes what shares mean for credentials: those of a route at that place that asks for some, or for none, and of
    /// its blocks.
    pub(super) fn note_shares(
        &mut self,
        route: Option<&StagedRollout>,
        steps: &[Step],
        at: &Pointer,
    ) {
        let asks = steps.iter().any(authenticates);
        let mut notes: Vec<String> = Vec::new();
        if let Some(StagedRollout { share, .. }) = route {
            if asks {
                let others = 100_u8.saturating_sub(share.percent());
                notes.push(format!("{}: {}", at.member("percent"), unasked(others)));
            }
            if share.goes_by_caller() && share.says_key() {
                notes.push(format!("{}: {BY_ADDRESS}", at.member("percent_by")));
            }
        }
        for step in steps {
            let (Some(StagedRollout { share, .. }), Some(place)) = (&step.rollout, &step.place)
            else {
                continue;
            };
            let place = place.pointer();
            if authenticates(step) {
                let others = 100_u8.saturating_sub(share.percent());
                notes.push(format!("{place}/percent: {}", unasked(others)));
            }
            if share.goes_by_caller() && share.says_key() {
                match (asks, step.stage <= Stage::Credentials) {
                    (_, true) => notes.push(format!("{place}/percent_by: {BY_ADDRESS}")),
                    (false, _) => notes.push(format!("{place}/percent_by: {NOBODY_KNOWN}")),
                    (true, false) => {}
                }
            }
        }
        // A block of `defaults` stands on many routes, and has several parts.
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }
}

/// Notes what the share of the document means for credentials.
pub(super) fn notes_of_whole(whole: &StagedRollout, routes: &[Route]) -> Vec<String> {
    let share = &whole.share;
    let mut steps = routes.iter().flat_map(|route| &route.chain.steps);
    let asks = steps.any(authenticates);
    let others = 100_u8.saturating_sub(share.percent());
    let credentials = asks.then(|| format!("/percent: {}", unasked(others)));
    let is_by_address = share.goes_by_caller() && share.says_key();
    let by_address = is_by_address.then(|| format!("/percent_by: {BY_ADDRESS}"));
    credentials.into_iter().chain(by_address).collect()
}

/// What is said of credentials that are not asked of so many of a hundred.
fn unasked(others: u8) -> String {
    format!(
        "credentials are asked of this share alone: the others, {others} of a hundred, pass without; remove `percent` where nobody is to pass so"
    )
}

/// What is said of a share of callers where none can be known.
const BY_ADDRESS: &str = "this is asked before it is known who calls, so that the share is of addresses; write `address`";
const NOBODY_KNOWN: &str =
    "the route asks for no credentials, so that the share is of addresses; write `address`";
