//! What is in force for an exchange, where a document, a route or a policy is for a share of requests.

use super::Stream;
use crate::engine::{Engine, Mode, StagedRollout, Step};
use crate::record::{DOCUMENT, ROUTE, RolloutState};
use portcullis_exchange::exchange::Facts;
use portcullis_exchange::host::Host;
use portcullis_exchange::rollout::RolloutSubject;
use portcullis_wire::headers::Headers;

/// The mode of the document for a request.
pub(super) fn document_mode(engine: &Engine, sampled: &RolloutState) -> Mode {
    match sampled.get(DOCUMENT) {
        Some(false) => Mode::Shadow,
        Some(true) | None => engine.mode,
    }
}

/// The mode of a step for a request. One about which nobody has asked is in force.
pub(super) fn mode(engine: &Engine, sampled: &RolloutState, step: &Step) -> Mode {
    let is_in = |part| sampled.get(part) != Some(false);
    let whole = document_mode(engine, sampled);
    match is_in(ROUTE) && (step.rollout.is_none() || is_in(step.name)) {
        true => whole.over(step.mode),
        false => Mode::Shadow,
    }
}

/// Finds out, once for an exchange, whether something that is rolled out is in force for it. It is where nothing
/// is known by which that could be drawn.
pub(super) fn sample(
    sampled: &mut RolloutState,
    part: &'static str,
    staged: Option<&StagedRollout>,
    facts: &Facts,
    headers: &Headers,
    host: &dyn Host,
) {
    let Some(staged) = staged.filter(|_| sampled.get(part).is_none()) else {
        return;
    };
    let subject = RolloutSubject::new(facts, headers, host);
    let is_in = subject.is_in(&staged.share, &staged.name).unwrap_or(true);
    staged.counts.count(is_in);
    sampled.note(part, is_in);
}

impl Stream {
    /// The mode of a step for this exchange.
    pub(super) fn mode_of(&self, engine: &Engine, step: &Step) -> Mode {
        mode(engine, &self.decision.sampled, step)
    }

    /// The mode of the document for this exchange.
    pub(super) fn mode_of_document(&self, engine: &Engine) -> Mode {
        document_mode(engine, &self.decision.sampled)
    }

    /// Draws for what is asked with the head alone: whether the document is in force.
    pub(super) fn sample_document(&mut self, engine: &Engine, host: &dyn Host) {
        if engine.draws {
            self.facts.note_draw(host.random());
        }
        sample(
            &mut self.decision.sampled,
            DOCUMENT,
            engine.rollout.as_ref(),
            &self.facts,
            &self.headers,
            host,
        );
    }

    /// Finds out the same of the steps that nobody has come to: they may shape the response.
    pub(super) fn sample_rest(&mut self, engine: &Engine, host: &dyn Host) {
        let mut sampled = std::mem::take(&mut self.decision.sampled);
        for step in &self.chain(engine).steps {
            let staged = step.rollout.as_ref();
            let (facts, headers) = (&self.facts, &self.headers);
            sample(&mut sampled, step.name, staged, facts, headers, host);
        }
        self.decision.sampled = sampled;
    }
}
