//! What becomes of verdicts. INVARIANT: this is the one place that decides it, and the one that records, counts and replies.

use super::judge::{By, Judgement, passes};
use super::measure::strip_explain_header;

use super::{Action, PauseReason, Stream};
use crate::engine::{Chain, Engine, Lane};
use crate::metrics;
use crate::metrics::Outcome;
use crate::record::ShadowRefusal;
use portcullis_exchange::body::BodyNeed;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{Author, BodyState, Finished};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::Verdict;
use portcullis_exchange::refusal::core::WAIT;
use portcullis_exchange::refusal::{Disclosure, ErrorProtocol, Refusal, Reply};
use portcullis_exchange::rewrite::Rewrite;
use portcullis_exchange::wait::Wait;
use portcullis_wire::headers::Headers;

/// What becomes of a verdict.
#[derive(Debug)]
pub(super) enum Flow {
    /// The next policy is asked.
    GoOn,
    /// The next policy is asked, and this one again when more of the body has come.
    Await(BodyNeed),
    /// It is noted what would have stopped the request, and the next policy is asked.
    Note(Refusal),
    /// The next policy is asked, and this one would have waited.
    Skip,
    /// The next policy is asked, and the body goes out as this says, if the mode is in force.
    Rewrite(Box<Rewrite>),
    /// Nobody else is asked.
    Stop(Stop),
}

/// Why a message does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It may not.
    Refuse(Refusal),
    /// That is sent in place of the service's response.
    Respond(Reply),
    /// It is not known yet.
    Wait(Wait),
}

/// What becomes of a verdict in a mode. Nobody else decides it.
pub(super) fn settle(verdict: Verdict, mode: Mode) -> Flow {
    match (verdict, mode) {
        (Verdict::Pass, _) | (Verdict::Respond(_), Mode::Shadow) => Flow::GoOn,
        (Verdict::AwaitBody(need), _) => Flow::Await(need),
        (Verdict::Refuse(refusal), Mode::Shadow) => Flow::Note(refusal),
        (Verdict::Refuse(refusal), Mode::Enforce) => Flow::Stop(Stop::Refuse(refusal)),
        (Verdict::Respond(reply), Mode::Enforce) => Flow::Stop(Stop::Respond(reply)),
        (Verdict::Rewrite(rewrite), _) => Flow::Rewrite(rewrite),
        (Verdict::Wait(_), Mode::Shadow) => Flow::Skip,
        (Verdict::Wait(wait), Mode::Enforce) => Flow::Stop(Stop::Wait(wait)),
    }
}

impl Stream {
    /// Takes over what judging the head came to, and does what follows from it.
    pub(super) fn settle_head(
        &mut self,
        engine: &Engine,
        judgement: Judgement,
        host: &dyn Host,
    ) -> Action {
        let Judgement {
            end,
            route,
            edits,
            facts,
            noted,
            awaiting,
            skipped,
            place,
        } = judgement;
        self.route = route;
        self.facts = facts;
        let waits = matches!(end, Some((Stop::Wait(_), _)));
        if !waits {
            self.sample_rest(engine, host);
        }
        // Policies before one that waited have said already that they wait for the body.
        self.awaiting.extend(awaiting);
        self.skipped.extend(skipped);
        for refusal in noted {
            self.note(refusal, host);
        }
        match (end, place) {
            (Some((Stop::Wait(wait), _)), Some(place)) => return self.pause(wait, place, host),
            (Some((stop, by)), _) => {
                self.head_judged(engine, host);
                return self.stop(stop, by, host);
            }
            (None, _) => self.head_judged(engine, host),
        }
        let edits = strip_explain_header(engine, edits);
        if let Err(refusal) = self.keep(engine, host) {
            return self.refuse(refusal, None, host);
        }
        if !self.awaits_body() {
            self.allow(host);
        }
        if self.holds_head(engine) {
            let reason = PauseReason::Body;
            return Action::Pause { edits, reason };
        }
        self.facts.limits.goes_ahead();
        Action::Continue(edits)
    }

    pub(super) fn allow(&self, host: &dyn Host) {
        host.count(Outcome::Allowed.counter());
    }

    /// Notes a refusal that is not carried out.
    pub(super) fn note(&mut self, refusal: ShadowRefusal, host: &dyn Host) {
        if self.decision.shadow.is_empty() {
            host.count(Outcome::ShadowDenied.counter());
        }
        if let Some(counter) = metrics::by_code(refusal.reason.code, Outcome::ShadowDenied) {
            host.count(counter);
        }
        self.decision.shadow.push(refusal);
    }

    /// The request does not go on.
    pub(super) fn stop(&mut self, stop: Stop, by: Option<By>, host: &dyn Host) -> Action {
        self.decision.ended_at = by.map(|by| by.step);
        let policy = by.map(|by| by.name);
        match stop {
            Stop::Refuse(refusal) => self.refuse(refusal, policy, host),
            Stop::Respond(reply) => {
                self.decision.responded_by = policy;
                host.count(Outcome::Answered.counter());
                let reply = self.shaped(reply, host);
                self.let_go();
                Action::Reply(reply)
            }
            // Only in the chain can a policy wait.
            Stop::Wait(_) => self.refuse(Refusal::new(&WAIT), policy, host),
        }
    }

    /// Refuses the request.
    pub(super) fn refuse(
        &mut self,
        refusal: Refusal,
        policy: Option<&'static str>,
        host: &dyn Host,
    ) -> Action {
        if let Some(engine) = self.engine.clone() {
            for step in &self.chain(&engine).steps {
                if self.mode_of(&engine, step) == Mode::Enforce {
                    step.policy.refused(&refusal, policy, &mut self.facts, host);
                }
            }
        }
        host.count(Outcome::Denied.counter());
        let reply = self.refusal_reply(refusal, policy, host);
        self.let_go();
        Action::Reply(reply)
    }

    /// Records and counts a refusal that is carried out. What the client is told of it, in its
    /// protocol.
    pub(super) fn refusal_reply(
        &mut self,
        mut refusal: Refusal,
        policy: Option<&'static str>,
        host: &dyn Host,
    ) -> Reply {
        self.decision.refusal = Some(refusal.reason);
        self.decision.violations.clone_from(&refusal.violations);
        self.decision.detail = refusal.detail.take();
        self.decision.refused_by = policy;
        if let Some(counter) = metrics::by_code(refusal.code(), Outcome::Denied) {
            host.count(counter);
        }
        let request_id = self.headers.all("x-request-id").next();
        let engine = self.engine.as_deref();
        let is_hidden = refusal.told == Disclosure::NoRoute;
        let page = engine.and_then(|engine| {
            let chain = match is_hidden {
                true => &engine.fallback,
                false => self.chain(engine),
            };
            chain.error_page.as_deref()
        });
        let reply = refusal.reply(ErrorProtocol::of(&self.headers, page), request_id);
        match is_hidden {
            true => self.shaped_without_route(reply, host),
            false => self.shaped(reply, host),
        }
    }

    /// A reply of ours as the chain shapes responses. It is done here, once: of replies to a request
    /// the proxy calls back, of others it does not.
    pub(super) fn shaped(&mut self, reply: Reply, host: &dyn Host) -> Reply {
        match self.engine.clone() {
            Some(engine) => self.shaped_by(&engine, self.chain(&engine), reply, host),
            None => reply,
        }
    }

    /// A reply as it is shaped where no route is for a request: nothing in it tells of the route, nor of what
    /// policies found out there.
    fn shaped_without_route(&mut self, reply: Reply, host: &dyn Host) -> Reply {
        let Some(engine) = self.engine.clone() else {
            return reply;
        };
        let without = self.facts.of_connection();
        let facts = std::mem::replace(&mut self.facts, without);
        let reply = self.shaped_by(&engine, &engine.fallback, reply, host);
        self.facts = facts;
        reply
    }

    fn shaped_by(
        &mut self,
        engine: &Engine,
        chain: &Chain,
        mut reply: Reply,
        host: &dyn Host,
    ) -> Reply {
        let mut headers = Headers::default();
        if chain.reads_response {
            headers.push(b":status", reply.status.to_string().as_bytes());
            for (name, value) in &reply.headers {
                headers.push(name.as_str().as_bytes(), value.as_bytes());
            }
        }
        let (author, rest) = (Author::Filter, BodyState::Open);
        let head = self.edit_response(engine, chain, &headers, author, rest, host);
        head.edits.iter().for_each(|edit| reply.edit(edit));
        reply
    }

    /// Tells policies that the exchange has ended. They are told once, however often it is called.
    pub fn tell_end(&mut self, host: &dyn Host) {
        let engine = match self.engine.clone() {
            Some(engine) if !std::mem::replace(&mut self.ended, true) => engine,
            _ => return,
        };
        self.note_wait(host);
        if !self.chain(&engine).minds_end {
            return;
        }
        let mut facts = std::mem::take(&mut self.facts);
        for step in &self.chain(&engine).steps {
            let mut exchange = Finished {
                request: &self.headers,
                facts: &mut facts,
                refusal: self.decision.refusal,
            };
            step.policy.finished(&mut exchange, host);
        }
        self.facts = facts;
    }

    /// Whether a reply of ours went out in place of the service's response.
    pub fn has_replied(&self) -> bool {
        self.decision.refusal.is_some() || self.decision.responded_by.is_some()
    }

    /// Whether nothing would have refused the request.
    pub(super) fn passes(&self) -> bool {
        passes(&self.decision.shadow)
    }
}

impl ShadowRefusal {
    /// A refusal that is not carried out, and whose it is; none's if it is the core's.
    pub(super) fn new(refusal: Refusal, by: Option<(&'static str, Lane)>) -> Self {
        let Refusal {
            reason,
            violations,
            headers: _,
            told: _,
            detail,
            members: _,
        } = refusal;
        Self {
            policy: by.map(|(policy, _)| policy),
            is_tried: by.is_some_and(|(_, lane)| lane == Lane::Beside),
            reason,
            violations,
            detail,
        }
    }
}
