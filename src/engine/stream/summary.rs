//! What is told of an exchange to those who count and record it.

use super::Stream;
use crate::engine::{Lane, Step};
use crate::record::{Ending, PolicyVerdict, Summary, Verdicts};
use portcullis_exchange::policy::Stage;

impl Stream {
    /// What is counted and recorded of it, as far as it has come.
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            headers: self.headers(),
            facts: self.facts(),
            ..self.outcome()
        }
    }

    /// The same without what was sent and found out, which a plan has in another form: what is counted
    /// needs none of it.
    pub fn outcome(&self) -> Summary<'_> {
        Summary {
            headers: &self.headers,
            facts: &self.facts,
            record: &self.decision,
            verdicts: self.verdicts(),
            ending: Ending::of(&self.decision, self.started.is_some(), self.awaits_body()),
            route: self.route,
            route_name: self.route_name(),
            started: self.started,
            began: self.began,
            judging: self.judging,
            waited: self
                .waits
                .as_ref()
                .map(|waits| waits.time)
                .unwrap_or_default(),
        }
    }

    /// What each policy of its route has said so far, in the order in which they were asked.
    pub fn policy_verdicts(&self) -> Vec<(&'static str, PolicyVerdict)> {
        self.verdicts().in_order().collect()
    }

    /// The same, by policy.
    fn verdicts(&self) -> Verdicts {
        let mut verdicts = Verdicts::default();
        self.each_asked(|step, said| verdicts.note(step.kind, said));
        verdicts
    }

    /// Names every part that was asked, with what its policy said as far as that part goes.
    fn each_asked(&self, mut each: impl FnMut(&Step, PolicyVerdict)) {
        let route = self.route.zip(self.engine.as_deref());
        let Some(route) = route.and_then(|(index, engine)| engine.routes.get(index)) else {
            return;
        };
        for (index, step) in route.chain.steps.iter().enumerate() {
            if step.stage == Stage::Response {
                break;
            }
            each(step, self.said(Lane::InForce, index, step));
            if self.decision.ended_at == Some(index) || self.paused_step() == Some(index) {
                break;
            }
        }
        let tried = route.chain.beside.iter().enumerate();
        let tried = tried.take(self.beside.asked());
        for (index, step) in tried.take_while(|(_, step)| step.stage != Stage::Response) {
            each(step, self.said(Lane::Beside, index, step));
        }
    }

    fn said(&self, lane: Lane, index: usize, step: &Step) -> PolicyVerdict {
        let mut awaiting = self.awaiting.iter();
        let waits = awaiting.any(|waiting| (waiting.lane, waiting.step) == (lane, index));
        let waits = waits || (lane == Lane::Beside && self.beside.has_given_up(index));
        let is_paused = lane == Lane::InForce && self.paused_step() == Some(index);
        let waits = waits || is_paused || self.skipped.contains(&(lane, index));
        match self.decision.said_by(step.name) {
            PolicyVerdict::Allowed if waits => PolicyVerdict::Waiting,
            said => said,
        }
    }
}
